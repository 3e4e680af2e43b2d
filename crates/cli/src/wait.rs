//! Waiting until resources are READY.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dispatch_wire::client::Client;

use crate::noun::{self, Noun};
use crate::printer;

/// How often the server is asked, and after what time the first line tells that it takes long.
const PAUSE: Duration = Duration::from_millis(50);
const TELL: Duration = Duration::from_secs(2);

/// Waits until a resource is READY; fails with its reasons when it is in ERROR.
pub async fn ready(client: &Client, noun: Noun, name: &str, timeout: Duration) -> Result<()> {
    // These are done when they are stored.
    let stateless =
        matches!(noun, Noun::Secret | Noun::Organization | Noun::Policy | Noun::Serviceaccount);
    if stateless {
        return Ok(());
    }
    let began = Instant::now();
    let mut tell = TELL;
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
            "ERROR" => bail!("{} {name} is in ERROR: {}", noun.words(), reasons.join("; ")),
            _ => {}
        }
        if began.elapsed() > timeout {
            let reasons = reasons.join("; ");
            bail!("{} {name} is still {status} after {timeout:?}: {reasons}", noun.words());
        }
        if began.elapsed() > tell {
            let seconds = began.elapsed().as_secs();
            let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons[0]) };
            printer::progress(&format!("{} {name} is {status} ({seconds} s){why}", noun.words()));
            tell += Duration::from_secs(5);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
