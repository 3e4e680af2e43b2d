//! Sign-in with a code that is typed on another device (RFC 8628).

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use dispatch_wire::client::{Client, Error};
use dispatch_wire::{DeviceCode, DeviceSignIn, DeviceWaiting, SignIn};
use reqwest::Method;
use serde_json::json;

use super::exchange::{self, SignedIn};
use crate::command::session::is_of_web;
use crate::hint::wrong;
use crate::printer;
use crate::progress::Progress;

/// Longest time that a server is believed, in seconds; more than any code holds.
const SECONDS_MAX: u64 = 86_400;
/// Added to the time between two questions when the network fails, as RFC 8628 wishes.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

pub async fn sign_in(client: &Client, provider: &str) -> Result<SignedIn> {
    let body = json!(DeviceSignIn { provider: provider.to_owned() });
    let begun = client.send(Method::POST, "iam/session/device", &[], Some(&body)).await?.body;
    // The answer holds a secret: the error does not quote it.
    let code: DeviceCode = serde_json::from_value(begun)
        .map_err(|_| Error::NotJson("it holds no code for a device".to_owned()))?;
    let addresses = [Some(&code.verification_url), code.verification_url_complete.as_ref()];
    if let Some(url) = addresses.into_iter().flatten().find(|url| !is_of_web(url)) {
        return Err(Error::NotJson(format!("verificationUrl {url:?} is no web address")).into());
    }
    printer::progress(&instructions(&code));
    wait(client, code).await
}

fn instructions(code: &DeviceCode) -> String {
    let DeviceCode { verification_url: url, .. } = code;
    let user_code = printer::one_line(&code.user_code);
    let whole = code.verification_url_complete.as_ref();
    let whole = whole.map(|url| format!("\nor visit:\n  {url}")).unwrap_or_default();
    let minutes = code.expires_in.div_ceil(60);
    format!(
        "On any device, visit:\n  {url}\nand type the code:\n  {user_code}{whole}\n\
         The code holds for {minutes} minutes."
    )
}

/// Asks until the person has answered, or the code holds no longer.
async fn wait(client: &Client, code: DeviceCode) -> Result<SignedIn> {
    let end = Instant::now() + seconds(code.expires_in);
    let mut pause = seconds(code.interval.max(1));
    let sign_in = SignIn { device: Some(code.device), ..SignIn::default() };
    let shown = std::io::stderr().is_terminal();
    let mut progress = Progress::begin();
    while Instant::now() + pause <= end {
        tokio::time::sleep(pause).await;
        match exchange::ask(client, &sign_in).await {
            Ok(answer) => {
                let waiting: DeviceWaiting =
                    serde_json::from_value(answer.clone()).unwrap_or_default();
                if let Some(begun) = SignedIn::of(answer) {
                    return Ok(begun);
                }
                pause += seconds(waiting.slower);
            }
            Err(Error::Connection { .. }) => pause += AFTER_FAILURE,
            Err(error) => return Err(error.into()),
        }
        if shown {
            progress.tell(|| "waiting until the code is typed".to_owned());
        }
    }
    Err(wrong(
        format!("nobody typed the code within {} s", code.expires_in),
        "`dispatch login --device` makes another",
    ))
}

fn seconds(told: u64) -> Duration {
    Duration::from_secs(told.min(SECONDS_MAX))
}
