//! Sign-in as v1 has it: the browser brings the cookie of a session. For servers that know of no
//! identity providers.

use anyhow::Result;
use dispatch_wire::client::{Client, Credentials};
use url::Url;

use super::browser;
use super::catcher::{Catcher, Expected};

/// Returns the cookie, as `name=value`. There is no state to check: v1 sends none back.
pub async fn sign_in(client: &Client, open: bool) -> Result<String> {
    let catcher = Catcher::bind().await?;
    let mut url = Url::parse(&format!("{}/v1/iam/redirect", client.base()))?;
    url.query_pairs_mut().append_pair("redirect", &catcher.address("localhost"));
    let (cookie, browser) = browser::visit(&catcher, &url, open, Expected::Cookie).await?;
    let known = super::check(&client.signed_in_with(Credentials::Cookie(cookie.clone()))).await;
    browser.show(browser::page(&known)).await;
    known.map(|()| cookie)
}
