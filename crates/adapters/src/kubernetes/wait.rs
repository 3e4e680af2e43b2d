//! Waiting for an object to become what it should: a watch, begun again from a list whenever it
//! ends, is too old, or the server goes away.

use std::future::Future;
use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::cluster::{Cluster, Resource};
use super::failure::Failure;

/// Between two looks when nothing changes: pods and grace periods are no part of the watch.
const LOOK: Duration = Duration::from_millis(500);
/// Before a list is asked for again, also after a watch that ended at once.
const PAUSE: Duration = Duration::from_millis(200);
/// Largest part of a watch that is kept while its line is not whole, in bytes.
const MAX_LINE: usize = 8 << 20;

/// How a wait ended.
pub enum Waited<T> {
    Until(T),
    /// The time was over; with the last failure of a request, if that was what happened last.
    Over(Option<Failure>),
}

/// Shows an object to `judge` whenever it changes, and every half second, until that has seen
/// enough. `None`: it is not there.
pub async fn until<T, F>(
    cluster: &Cluster,
    resource: &Resource,
    name: &str,
    deadline: Instant,
    mut judge: impl FnMut(Option<Value>) -> F,
) -> Waited<T>
where
    F: Future<Output = Option<T>>,
{
    let selector = format!("metadata.name={name}");
    let query = [("fieldSelector", selector.as_str())];
    let mut last = None;
    while Instant::now() < deadline {
        let begun = begin(cluster, resource, &query);
        let (object, mut watch) = match timeout_at(deadline, begun).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(failure)) if failure.passes() || gone(&failure) => {
                last = Some(failure);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Ok(Err(failure)) => return Waited::Over(Some(failure)),
            Err(_) => break,
        };
        last = None;
        let mut object = object;
        loop {
            if let Some(end) = judge(object.clone()).await {
                return Waited::Until(end);
            }
            let look = deadline.min(Instant::now() + LOOK);
            match timeout_at(look, watch.next()).await {
                Ok(Next::Is(now)) => object = now,
                Ok(Next::Over) => {
                    tokio::time::sleep(PAUSE).await;
                    break;
                }
                Err(_) if Instant::now() >= deadline => return Waited::Over(None),
                Err(_) => {}
            }
        }
    }
    Waited::Over(last)
}

/// 410: what the watch wanted to begin with is not kept any more.
fn gone(failure: &Failure) -> bool {
    failure.status == Some(reqwest::StatusCode::GONE)
}

async fn begin(
    cluster: &Cluster,
    resource: &Resource,
    query: &[(&str, &str)],
) -> Result<(Option<Value>, Watch), Failure> {
    let list = cluster.list(resource, query).await?;
    let response = cluster.watch(resource, query, &list.version).await?;
    Ok((list.items.into_iter().next(), Watch { response, kept: Vec::new() }))
}

struct Watch {
    response: Response,
    kept: Vec<u8>,
}

/// What a watch tells next.
enum Next {
    Is(Option<Value>),
    /// It is at its end; a list tells more.
    Over,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Watch {
    /// Loses nothing when it is dropped while it waits.
    async fn next(&mut self) -> Next {
        loop {
            if let Some(end) = self.kept.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.kept.drain(..=end).collect();
                let Ok(event) = serde_json::from_slice::<Event>(&line) else { return Next::Over };
                return match event.kind.as_str() {
                    "ADDED" | "MODIFIED" => Next::Is(Some(event.object)),
                    "DELETED" => Next::Is(None),
                    "BOOKMARK" => continue,
                    _ => Next::Over,
                };
            }
            match self.response.chunk().await {
                Ok(Some(part)) if self.kept.len() < MAX_LINE => self.kept.extend_from_slice(&part),
                _ => return Next::Over,
            }
        }
    }
}
