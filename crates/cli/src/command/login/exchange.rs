//! Where every sign-in ends: the server begins a session (`POST iam/session`).

use anyhow::Result;
use dispatch_wire::SignIn;
use dispatch_wire::client::{Client, Error};
use reqwest::Method;
use serde_json::Value;

use crate::command::session;
use crate::{table, time};

/// A session that began. No `Debug`: it holds a token.
pub struct SignedIn {
    pub token: String,
    /// As the server lists it.
    pub session: Value,
}

impl SignedIn {
    /// The session of an answer; None of one that says to wait.
    pub fn of(mut answer: Value) -> Option<Self> {
        let token = answer["token"].as_str()?.to_owned();
        Some(Self { token, session: answer["session"].take() })
    }

    /// Who one is now, for how long.
    pub fn who(&self) -> String {
        let text = |field: &str| table::text(&self.session[field]);
        let name = match (text("subject"), text("displayName")) {
            (subject, name) if name.is_empty() || name == subject => subject,
            (subject, name) => format!("{subject} ({name})"),
        };
        let kind = match text("subjectKind") {
            kind if kind == "service-account" => "service account ",
            _ => "",
        };
        let until = time::local(&self.session["expires"]);
        format!("{kind}{name}, by {}, until {until}", text("provider"))
    }
}

/// Hands in what somebody signs in with.
pub async fn begin(client: &Client, sign_in: &SignIn) -> Result<SignedIn> {
    SignedIn::of(ask(client, sign_in).await?).ok_or_else(|| no_session().into())
}

/// What the server answers to it: a session, or to wait.
pub async fn ask(client: &Client, sign_in: &SignIn) -> Result<Value, Error> {
    // Strings alone: that cannot fail, and an error must not quote them.
    let body = serde_json::to_value(sign_in).map_err(|_| no_session())?;
    Ok(client.send(Method::POST, session::PATH, &[], Some(&body)).await?.body)
}

fn no_session() -> Error {
    Error::NotJson("it holds no session".to_owned())
}
