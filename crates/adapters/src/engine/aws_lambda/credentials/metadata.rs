//! Credentials of a role, from the endpoint that containers (ECS, EKS Pod Identity) and machines
//! (EC2) have for them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;

use super::super::signature::Credentials;
use super::Held;

/// Where ECS answers.
const CONTAINER: &str = "http://169.254.170.2";
/// Where EC2 answers.
const MACHINE: &str = "http://169.254.169.254";
/// It is on this machine, or it is not there.
const PATIENCE: Duration = Duration::from_secs(1);
const TOKEN_SECONDS: &str = "21600";

type Found = Result<Option<Held>, String>;

/// What the container's endpoint says, where the environment names one.
pub async fn container(http: &Client, variable: impl Fn(&str) -> Option<String>) -> Found {
    let relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let full = || variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let Some(url) = relative.map(|path| format!("{CONTAINER}{path}")).or_else(full) else {
        return Ok(None);
    };
    let mut request = http.get(&url);
    let token = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => {
            let read = tokio::fs::read_to_string(&file).await;
            Some(read.map_err(|error| format!("{file} cannot be read: {error}"))?)
        }
        None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    if let Some(token) = token {
        request = request.header("authorization", token.trim());
    }
    let text = ask(request).await.map_err(|error| format!("credentials of {url}: {error}"))?;
    role(&text.unwrap_or_default()).map(Some)
}

/// What the machine's endpoint says; `None` where there is none, or the machine has no role.
pub async fn machine(http: &Client, variable: impl Fn(&str) -> Option<String>) -> Found {
    if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let named = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let base = named.unwrap_or_else(|| MACHINE.to_owned());
    let base = base.trim_end_matches('/');
    let request = http.put(format!("{base}/latest/api/token"));
    let request = request.header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
    // No answer at all: this is no machine of EC2.
    let Ok(Some(token)) = ask(request).await else { return Ok(None) };
    let get = |path: &str| {
        let url = format!("{base}/latest/meta-data/iam/security-credentials/{path}");
        http.get(url).header("x-aws-ec2-metadata-token", token.trim())
    };
    let Some(names) = ask(get("")).await? else { return Ok(None) };
    let Some(name) = names.lines().next().filter(|name| !name.is_empty()) else { return Ok(None) };
    role(&ask(get(name)).await?.unwrap_or_default()).map(Some)
}

/// The text of an answer; `None` for 404.
async fn ask(request: RequestBuilder) -> Result<Option<String>, String> {
    let answer = request.timeout(PATIENCE).send().await;
    let answer = answer.map_err(|error| error.without_url().to_string())?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| error.without_url().to_string())?;
    match status {
        StatusCode::OK => Ok(Some(text)),
        StatusCode::NOT_FOUND => Ok(None),
        // The body is not shown: it may hold what is secret.
        _ => Err(format!("the endpoint of credentials answered {status}")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Role {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<DateTime<Utc>>,
}

fn role(text: &str) -> Result<Held, String> {
    // An error's words could hold a part of the text.
    let role: Role = serde_json::from_str(text)
        .map_err(|_| "the endpoint of credentials answered without an access key".to_owned())?;
    let credentials = Credentials {
        access_key_id: role.access_key_id,
        secret_access_key: role.secret_access_key,
        session_token: role.token,
    };
    Ok(Held { credentials, ends: role.expiration })
}
