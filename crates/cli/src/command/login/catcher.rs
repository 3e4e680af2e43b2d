//! Where the browser lands after a sign-in: a listener on loopback that takes one answer.
//!
//! Anybody on this machine can connect, and any page can make a browser do so. So each connection
//! is bounded in size and time, none holds up another, and what does not know the state changes
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::form_urlencoded;

use super::page::Page;
use super::proof::State;

/// Largest head of a request, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// Longest a connection may take to send its request.
const SILENCE: Duration = Duration::from_secs(5);
/// Most connections at the same time; the next wait until one ends.
const CONNECTIONS: usize = 32;
/// Most characters that are shown of what another system says.
const SAID_MAX: usize = 300;

/// What is waited for.
pub enum Expected {
    /// A code, with the state that the sign-in began with.
    Code(State),
    /// What a v1 server sends: the cookie of a session. It knows of no state.
    Cookie,
}

/// How a sign-in ended in the browser. No `Debug`: it holds secrets.
pub enum Caught {
    Code(String),
    Cookie(String),
    /// Why not, in the words of the server or the provider.
    Refused(String),
}

/// A browser that waits for its page.
pub struct Waiting(TcpStream);

impl Waiting {
    pub async fn show(self, page: Page) {
        page.send(self.0).await;
    }
}

pub struct Catcher {
    listener: TcpListener,
    port: u16,
}

impl Catcher {
    pub async fn bind() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.context("cannot listen on 127.0.0.1 for the browser's answer")?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// The address to send the browser to, by the name the host goes by.
    pub fn address(&self, host: &str) -> String {
        format!("http://{host}:{}/catcher", self.port)
    }

    /// Waits for the answer, however long that takes.
    pub async fn catch(&self, expected: Expected) -> (Caught, Waiting) {
        let expected = Arc::new(expected);
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < CONNECTIONS => match accepted {
                    Ok((connection, _)) => {
                        open.spawn(serve(connection, expected.clone()));
                    }
                    // Mostly the other side left; if files ran out, some are closed meanwhile.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(served) = open.join_next() => {
                    if let Ok(Some(caught)) = served {
                        return caught;
                    }
                }
            }
        }
    }
}

/// Answers what is not waited for; the browser that is stays connected.
async fn serve(mut connection: TcpStream, expected: Arc<Expected>) -> Option<(Caught, Waiting)> {
    let head = tokio::time::timeout(SILENCE, read_head(&mut connection)).await.ok()??;
    let judged = match head {
        Head::Whole(text) => judge(&text, &expected),
        Head::TooLarge => Err(Page::too_large()),
    };
    match judged {
        Ok(caught) => Some((caught, Waiting(connection))),
        Err(page) => {
            page.send(connection).await;
            None
        }
    }
}

enum Head {
    Whole(String),
    TooLarge,
}

/// None when the other side leaves before it has said all.
async fn read_head(connection: &mut TcpStream) -> Option<Head> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() >= HEAD_MAX {
            return Some(Head::TooLarge);
        }
        let mut rest = (&mut *connection).take((HEAD_MAX - head.len()) as u64);
        if rest.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(Head::Whole(String::from_utf8_lossy(&head).into_owned()))
}

/// What a request brings, or the page it is answered with.
fn judge(head: &str, expected: &Expected) -> Result<Caught, Page> {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if method != Some("GET") || path != "/catcher" {
        return Err(Page::not_found());
    }
    let value = |key: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
    };
    if let Expected::Code(state) = expected
        && !state.is(&value("state").unwrap_or_default())
    {
        return Err(Page::failed("This is no answer to the sign-in that the command waits for."));
    }
    if let Some(error) = value("error") {
        return Ok(Caught::Refused(plain(&value("error_description").unwrap_or(error))));
    }
    let caught = match expected {
        Expected::Code(_) => value("code").map(Caught::Code),
        Expected::Cookie => value("cookie").map(Caught::Cookie),
    };
    caught.ok_or_else(|| Page::failed("The answer holds neither a code nor an error."))
}

/// Words of another system as they can be shown in a terminal, which obeys control characters.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect()
}

#[cfg(test)]
mod tests;
