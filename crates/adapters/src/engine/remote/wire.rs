//! What goes to and comes from engines of anybody's making, besides calls.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_driver::{
    Capabilities, Deployment, Error, Fault, Observed, Reached, Result, Retry, Scope,
};
use dispatch_model::code;
use http::HeaderMap;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use crate::busy;
use crate::runtime;

/// A deployment that is to be made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order<'a> {
    organization: &'a str,
    function: &'a str,
    version: u64,
    language: &'a str,
    handler: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source<'a>>,
    environment: &'a BTreeMap<String, String>,
    timeout_ms: u64,
    idle_ms: u64,
    memory_mib: u64,
    concurrency: u32,
    egress: &'a [String],
    require: &'a BTreeMap<String, String>,
}

/// A source as it was uploaded.
#[derive(Serialize)]
pub struct Source<'a> {
    digest: &'a str,
    base64: String,
}

impl<'a> Source<'a> {
    pub fn of(digest: &'a str, bytes: &[u8]) -> Self {
        Self { digest, base64: STANDARD.encode(bytes) }
    }
}

impl<'a> Order<'a> {
    pub fn of(
        deployment: &'a Deployment,
        image: Option<&'a str>,
        source: Option<Source<'a>>,
    ) -> Self {
        Self {
            organization: deployment.org.as_str(),
            function: deployment.function.as_str(),
            version: deployment.version,
            language: &deployment.language,
            handler: &deployment.handler,
            image,
            source,
            environment: &deployment.environment,
            timeout_ms: milliseconds(deployment.timeout),
            idle_ms: milliseconds(deployment.idle),
            memory_mib: deployment.memory_mib,
            concurrency: deployment.concurrency,
            egress: &deployment.egress,
            require: &deployment.require,
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How a deployment is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    state: Word,
    #[serde(default)]
    workers: u32,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Word {
    Ready,
    Pending,
    Failed,
}

impl State {
    pub fn read(body: &[u8]) -> Result<Observed> {
        let State { state, workers, message } = parse(body, "the state of a deployment")?;
        Ok(match state {
            Word::Ready => Observed::Ready { workers },
            Word::Pending => Observed::Pending { message },
            Word::Failed => Observed::Failed { message },
        })
    }
}

/// Lines of a log.
#[derive(Deserialize)]
pub struct Lines {
    lines: Vec<String>,
}

impl Lines {
    pub fn read(body: &[u8]) -> Result<Vec<String>> {
        parse::<Lines>(body, "a log").map(|log| log.lines)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Can {
    languages: Vec<String>,
    #[serde(default)]
    pulls_images: bool,
    #[serde(default)]
    missing: Vec<String>,
}

pub fn capabilities(body: &[u8]) -> Result<Capabilities> {
    let Can { languages, pulls_images, missing } = parse(body, "what the engine can do")?;
    let on_images = if pulls_images { languages.clone() } else { Vec::new() };
    Ok(Capabilities { languages, on_images, missing, pulls_images, lasting: true })
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let text = format!("the engine's answer is not {what} ({error}): {}", runtime::shown(body));
        Error::backend(code::ENGINE006, Retry::Never, text)
    })
}

/// An error as engines tell it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    code: String,
    fault: Whose,
    /// Milliseconds; without it trying again cannot help.
    #[serde(default)]
    retry_after_ms: Option<u64>,
    /// Of calls: whether the handler may have begun.
    #[serde(default)]
    reached: Begun,
    /// What it says something of: of the engine unless it says otherwise.
    #[serde(default)]
    scope: Extent,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Whose {
    Caller,
    Backend,
    Ours,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Begun {
    No,
    #[default]
    Maybe,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Extent {
    Deployment,
    #[default]
    Engine,
}

/// What an answer means that is no success: the engine's own error, or what its status tells when
/// somebody else answered, as a proxy does.
pub fn failure(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let Ok(told) = serde_json::from_slice::<Failure>(body) else {
        return foreign(status, headers, body);
    };
    let mut message = told.message;
    runtime::cut(&mut message);
    Error {
        code: code::find(&told.code).map_or(code::ENGINE006, |known| known.code),
        fault: match told.fault {
            Whose::Caller => Fault::Caller,
            Whose::Backend => Fault::Backend,
            Whose::Ours => Fault::Ours,
        },
        retry: match told.retry_after_ms {
            None => Retry::Never,
            Some(0) => Retry::Now,
            Some(ms) => Retry::After(Duration::from_millis(ms).min(busy::LONGEST)),
        },
        reached: match told.reached {
            Begun::No => Reached::No,
            Begun::Maybe => Reached::Maybe,
        },
        scope: match told.scope {
            Extent::Deployment => Scope::Deployment,
            Extent::Engine => Scope::Engine,
        },
        message,
    }
}

fn foreign(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let shown = runtime::shown(body);
    let after = busy::retry_after(headers).unwrap_or(Duration::from_secs(1));
    let after = Retry::After(after);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let text = format!("{status}: the engine does not take the token");
            Error::backend(code::ENGINE006, Retry::Never, text).unreached()
        }
        _ if busy::is_unsent(status, &shown) => {
            Error::backend(code::ENGINE005, after, format!("{status}: {shown}")).unreached()
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Error::backend(code::ENGINE006, after, format!("{status}: {shown}"))
        }
        // Not ENGINE007, which the engine itself says: a wrong URL is no lost deployment.
        StatusCode::NOT_FOUND => {
            let text =
                format!("{status}, and it is not the engine's own: is the URL right? {shown}");
            Error::backend(code::ENGINE006, after, text).unreached()
        }
        _ => Error::backend(code::ENGINE006, Retry::Now, format!("{status}: {shown}")),
    }
}
