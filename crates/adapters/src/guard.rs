//! Where the server may be led by an address that somebody else writes: a provider's discovery
//! document, a page's link to the next. A name is looked up once for each connection, and the
//! connection goes to an address that look-up gave and this module accepted.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dispatch_driver::{Error, Retry};
use dispatch_model::{Reach, code};
use futures::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// Longest address that is followed, in bytes.
const URL_BYTES: usize = 4_096;
const LOCALHOST: &str = "localhost";

/// Why an address is not followed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{place} {why}")]
pub struct Refused {
    place: String,
    why: &'static str,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::backend(code::IDENTITY007, Retry::Never, refused.to_string()).unreached()
    }
}

/// Asks the system, or what a test has in its place.
type LookUp = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// The rules for everything that one address, written by the operator, leads to.
#[derive(Clone)]
pub struct Guard {
    /// The operator's address is the machine itself: a test, or a provider beside the server. Only
    /// then is the machine reached, and only there without TLS.
    on_machine: bool,
    look_up: Arc<LookUp>,
}

impl Guard {
    /// The rules for what is led to by an address that the operator has written.
    pub fn of(written: &Url) -> Self {
        Self { on_machine: is_machine(written), look_up: Arc::new(|host| Box::pin(system(host))) }
    }

    /// Whether the operator's address is the machine itself.
    pub fn is_on_machine(&self) -> bool {
        self.on_machine
    }

    /// Whether an address may be called at all: its scheme, and the host where that is a number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn url(&self, text: &str) -> Result<Url, Refused> {
        let refused = |why| Refused { place: shown(text), why };
        let url = match text.len() <= URL_BYTES {
            true => Url::parse(text).map_err(|_| refused("is no URL"))?,
            false => return Err(refused("is too long")),
        };
        match url.scheme() {
            "https" => {}
            "http" if self.on_machine && is_machine(&url) => {}
            "http" => return Err(refused("is not https")),
            _ => return Err(refused("is neither https nor http")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("holds a user or password"));
        }
        match url.host() {
            Some(Host::Ipv4(v4)) => self.accept(&shown(text), v4.into())?,
            Some(Host::Ipv6(v6)) => self.accept(&shown(text), v6.into())?,
            Some(Host::Domain(_)) => {}
            None => return Err(refused("has no host")),
        }
        Ok(url)
    }

    /// Where a host is, with all addresses accepted.
    ///
    /// # Errors
    /// [`Refused`] inside when one of them is not: a name that leads to both is a trap.
    pub async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse() {
            Ok(address) => vec![address],
            Err(_) => (self.look_up)(bare.to_owned()).await?,
        };
        for address in &found {
            self.accept(host, *address).map_err(io::Error::other)?;
            if is_localhost(host) && Reach::of(*address) != Reach::Machine {
                let why = "leads away from the machine";
                return Err(io::Error::other(Refused { place: host.to_owned(), why }));
            }
        }
        match found.is_empty() {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(found),
        }
    }

    fn accept(&self, place: &str, address: IpAddr) -> Result<(), Refused> {
        let why = match Reach::of(address) {
            Reach::Public | Reach::Private => return Ok(()),
            Reach::Machine if self.on_machine => return Ok(()),
            Reach::Machine => "leads to the machine itself",
            Reach::Never => "leads to a link-local, multicast or metadata address",
        };
        Err(Refused { place: place.to_owned(), why })
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.addresses(name.as_str()).await?;
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// What this module said, when that is why a request failed.
pub fn refusal(error: &(dyn StdError + 'static)) -> Option<Refused> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused.clone());
        }
        // An error of IO hides what is in it from its sources.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    None
}

async fn system(host: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

/// Whether a URL's host is written as the machine itself.
fn is_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => Reach::of(v4.into()) == Reach::Machine,
        Some(Host::Ipv6(v6)) => Reach::of(v6.into()) == Reach::Machine,
        // Of schemes other than those of the web, also addresses come as names.
        Some(Host::Domain(name)) => match name.parse() {
            Ok(address) => Reach::of(address) == Reach::Machine,
            Err(_) => is_localhost(name),
        },
        None => false,
    }
}

fn is_localhost(host: &str) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case(LOCALHOST)
}

/// As much of an address as a message needs, without its query.
fn shown(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    format!("{:?}", text.chars().take(200).collect::<String>())
}

#[cfg(test)]
#[path = "guard/tests.rs"]
mod tests;
