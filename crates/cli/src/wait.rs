//! Waiting until resources are READY, or gone.

use std::time::Duration;

use anyhow::Result;
use dispatch_wire::client::Client;

use crate::hint::wrong;
use crate::noun::{self, Noun};
use crate::printer;
use crate::progress::Progress;

/// How often the server is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until a resource is READY; fails with its reasons when it is in ERROR.
pub async fn ready(client: &Client, noun: Noun, name: &str, timeout: Duration) -> Result<()> {
    // These are done when they are stored.
    let stateless =
        matches!(noun, Noun::Secret | Noun::Organization | Noun::Policy | Noun::Serviceaccount);
    if stateless {
        return Ok(());
    }
    let mut progress = Progress::begin();
    loop {
        let resource = noun::read(client, noun, name).await?;
        let status = resource["status"].as_str().unwrap_or_default();
        let reasons: Vec<_> = resource["reason"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|r| r.as_str())
            .collect();
        match status {
            "READY" => return Ok(()),
            "ERROR" => return Err(failed(noun, name, &reasons)),
            _ => {}
        }
        let why = match reasons.as_slice() {
            [] => String::new(),
            reasons => format!(": {}", reasons.join("; ")),
        };
        let words = noun.words();
        if progress.elapsed() > timeout {
            return Err(wrong(
                format!("{words} {name} is still {status} after {timeout:?}{why}"),
                format!("it goes on without you: dispatch get {} {name}", noun.word()),
            ));
        }
        progress.tell(|| format!("{words} {name} is {status}{why}"));
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until a resource that is being deleted is gone, and says now and then what is left.
pub async fn gone(client: &Client, noun: Noun, name: &str) -> Result<()> {
    let mut progress = Progress::begin();
    loop {
        let resource = match noun::read(client, noun, name).await {
            Ok(resource) => resource,
            Err(error) if error.status() == Some(404) => return Ok(()),
            // Who was let in to delete it is not any more.
            Err(error) if error.status() == Some(401) => {
                printer::warning(&format!(
                    "the account that deletes {name} went with it; the rest goes without it"
                ));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let reasons = resource["reason"].as_array().into_iter().flatten();
        let reasons: Vec<_> = reasons.filter_map(|reason| reason.as_str()).collect();
        progress
            .tell(|| format!("{} {name} is being deleted; {}", noun.words(), reasons.join("; ")));
        tokio::time::sleep(PAUSE).await;
    }
}

fn failed(noun: Noun, name: &str, reasons: &[&str]) -> anyhow::Error {
    let words = noun.words();
    wrong(
        format!("{words} {name} is in ERROR: {}", reasons.join("; ")),
        "correct what the reason names and send it again: dispatch apply, update or edit",
    )
}
