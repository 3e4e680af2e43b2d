//! Sign-in with the browser of this machine, which brings a code back to the command.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use dispatch_wire::SignIn;
use dispatch_wire::client::Client;
use url::Url;

use super::catcher::{Catcher, Caught, Expected, Waiting};
use super::exchange::{self, SignedIn};
use super::page::Page;
use super::proof::Proof;
use crate::hint::wrong;
use crate::printer;

/// Longest a person may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Signs in with a provider that has a page for it; `open` opens the browser.
pub async fn sign_in(client: &Client, provider: &str, open: bool) -> Result<SignedIn> {
    let catcher = Catcher::bind().await?;
    let proof = Proof::new()?;
    let mut url = Url::parse(&format!("{}/v1/iam/oauth2/start", client.base()))?;
    url.query_pairs_mut()
        .append_pair("provider", provider)
        .append_pair("redirect", &catcher.address("127.0.0.1"))
        .append_pair("code_challenge", &proof.challenge())
        .append_pair("state", proof.state.as_str());
    let expected = Expected::Code(proof.state.clone());
    let (code, browser) = visit(&catcher, &url, open, expected).await?;
    let sign_in = SignIn { code: Some(code), verifier: Some(proof.verifier), ..SignIn::default() };
    let begun = exchange::begin(client, &sign_in).await;
    browser.show(page(&begun)).await;
    begun
}

/// Sends the browser somewhere and waits for what it brings back.
pub async fn visit(
    catcher: &Catcher,
    url: &Url,
    open: bool,
    expected: Expected,
) -> Result<(String, Waiting)> {
    if open && start(url.as_str()) {
        printer::progress(&format!("Sign in with the browser; if none opens, visit:\n  {url}"));
    } else {
        printer::progress(&format!("Sign in with a browser of this machine at:\n  {url}"));
    }
    let caught = tokio::time::timeout(PATIENCE, catcher.catch(expected)).await;
    let Ok((caught, browser)) = caught else {
        let said = format!("nobody signed in within {} minutes", PATIENCE.as_secs() / 60);
        return Err(wrong(said, "`dispatch login` begins again; --device needs no browser here"));
    };
    match caught {
        Caught::Code(text) | Caught::Cookie(text) => Ok((text, browser)),
        Caught::Refused(why) => {
            browser.show(Page::failed(&why)).await;
            Err(wrong(format!("the sign-in was refused: {why}"), "`dispatch login` begins again"))
        }
    }
}

/// The page that ends a sign-in as it went.
pub fn page<T>(outcome: &Result<T>) -> Page {
    match outcome {
        Ok(_) => Page::signed_in(),
        Err(error) => Page::failed(error.to_string()),
    }
}

/// Whether there is a browser that a person at this terminal would see.
pub fn is_here() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    would_open(set, cfg!(target_os = "linux"))
}

fn would_open(set: impl Fn(&str) -> bool, needs_display: bool) -> bool {
    // Whoever sets BROWSER over SSH has one that opens where they sit.
    set("BROWSER")
        || !set("SSH_CONNECTION") && (!needs_display || set("DISPLAY") || set("WAYLAND_DISPLAY"))
}

/// Starts the first browser there is; whether there was one.
fn start(url: &str) -> bool {
    let named = std::env::var("BROWSER").unwrap_or_default();
    let usual = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    // As others read the variable: several after colons, the address at %s or at the end.
    let browsers = named.split(':').filter(|name| !name.trim().is_empty()).chain([usual]);
    browsers.into_iter().any(|browser| {
        let mut words: Vec<String> =
            browser.split_whitespace().map(|word| word.replace("%s", url)).collect();
        if !browser.contains("%s") {
            words.push(url.to_owned());
        }
        let mut command = Command::new(&words[0]);
        // Ctrl-C ends the command, not the browser; nor does one write into the other's lines.
        command.args(&words[1..]).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_opens_where_a_person_sees_it() {
        let opens = |set: &[&str]| would_open(|name| set.contains(&name), true);
        assert!(opens(&["DISPLAY"]) && opens(&["WAYLAND_DISPLAY"]) && opens(&["BROWSER"]));
        assert!(!opens(&[]) && !opens(&["SSH_CONNECTION", "DISPLAY"]));
        assert!(opens(&["SSH_CONNECTION", "BROWSER"]));
        assert!(would_open(|_| false, false), "a Mac has no DISPLAY");
    }
}
