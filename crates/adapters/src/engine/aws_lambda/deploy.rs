//! Functions are made, made again, looked at and deleted.

use std::time::{Duration, Instant};

use dispatch_driver::{Beside, Deployment, Error, Observed, Result, Retry};
use dispatch_model::code;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::client::{Client, Control, Trouble};
use super::function::{self, name};
use super::settings::{Package, Settings};

/// The alias that is called: of the version that was published when the function was made.
pub const ALIAS: &str = "live";
const FUNCTIONS: &str = "/2015-03-31/functions";
const CONCURRENCY: &str = "/2017-10-31/functions";
const FIRST_LOOK: Duration = Duration::from_millis(50);
const RARELY: Duration = Duration::from_secs(2);

type Done<T> = std::result::Result<T, Trouble>;

/// What functions are made with.
pub struct Deploy<'a> {
    pub client: &'a Client,
    pub settings: &'a Settings,
    pub beside: &'a Beside,
}

impl Deploy<'_> {
    /// Makes the function, or makes it again where an attempt left a part of it; `created` tells
    /// that there was none.
    pub async fn make(&self, deployment: &Deployment, created: &mut bool) -> Result<()> {
        let code = function::code(deployment, self.settings, self.beside).await?;
        let configuration = function::configuration(deployment, self.settings, self.beside)?;
        let until = Instant::now() + self.settings.ready_timeout;
        let id = deployment.id;
        match self.create(deployment, &code, &configuration).await {
            Ok(_) => {
                *created = true;
                self.settled(id, "$LATEST", until).await?;
            }
            Err(trouble) if trouble.is("ResourceConflictException") => {
                self.settled(id, "$LATEST", until).await?;
                self.update(id, code, configuration, until).await?;
            }
            Err(trouble) => return Err(explained(trouble)),
        }
        if self.settings.reserve_concurrency {
            self.reserve(id, deployment.concurrency).await.map_err(explained)?;
        }
        let version = self.publish(id).await.map_err(explained)?;
        self.settled(id, &version, until).await?;
        self.point(id, &version).await.map_err(explained)
    }

    async fn create(
        &self,
        deployment: &Deployment,
        code: &Value,
        configuration: &Map<String, Value>,
    ) -> Done<Value> {
        let mut body = configuration.clone();
        let package = match self.settings.package {
            Package::Zip => "Zip",
            Package::Image => "Image",
        };
        body.insert("FunctionName".to_owned(), json!(name(deployment.id)));
        body.insert("PackageType".to_owned(), json!(package));
        body.insert("Code".to_owned(), code.clone());
        body.insert("Architectures".to_owned(), json!([self.settings.architecture]));
        body.insert("Tags".to_owned(), json!(function::tags(deployment, self.settings)));
        self.send(Method::POST, FUNCTIONS, &[], Some(body.into())).await
    }

    async fn update(
        &self,
        id: Uuid,
        mut code: Value,
        configuration: Map<String, Value>,
        until: Instant,
    ) -> Result<()> {
        code["Architectures"] = json!([self.settings.architecture]);
        let function = path(id);
        let path = format!("{function}/code");
        self.send(Method::PUT, &path, &[], Some(code)).await.map_err(explained)?;
        self.settled(id, "$LATEST", until).await?;
        let path = format!("{function}/configuration");
        let configuration = Some(configuration.into());
        self.send(Method::PUT, &path, &[], configuration).await.map_err(explained)?;
        self.settled(id, "$LATEST", until).await
    }

    async fn reserve(&self, id: Uuid, concurrency: u32) -> Done<Value> {
        let path = format!("{CONCURRENCY}/{}/concurrency", name(id));
        let body = json!({"ReservedConcurrentExecutions": concurrency});
        self.send(Method::PUT, &path, &[], Some(body)).await
    }

    async fn publish(&self, id: Uuid) -> Done<String> {
        let path = format!("{}/versions", path(id));
        let told = self.send(Method::POST, &path, &[], Some(json!({}))).await?;
        Ok(told["Version"].as_str().unwrap_or("$LATEST").to_owned())
    }

    /// Has the alias name a version.
    async fn point(&self, id: Uuid, version: &str) -> Done<()> {
        let path = format!("{}/aliases", path(id));
        let body = json!({"Name": ALIAS, "FunctionVersion": version});
        match self.send(Method::POST, &path, &[], Some(body)).await {
            Err(trouble) if trouble.is("ResourceConflictException") => {
                let path = format!("{path}/{ALIAS}");
                let body = json!({"FunctionVersion": version});
                self.send(Method::PUT, &path, &[], Some(body)).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Waits until what was changed last has its effect.
    pub async fn settled(&self, id: Uuid, version: &str, until: Instant) -> Result<()> {
        let mut wait = FIRST_LOOK;
        loop {
            match self.look(id, version).await.map_err(explained)? {
                Observed::Ready { .. } => return Ok(()),
                Observed::Failed { message } => {
                    return Err(Error::caller(code::ENGINE003, message));
                }
                Observed::Absent => {
                    let text = "the function is gone while it was made";
                    return Err(Error::backend(code::ENGINE006, Retry::Now, text));
                }
                Observed::Pending { message } if Instant::now() + wait > until => {
                    let limit = self.settings.ready_timeout.as_secs();
                    let text = format!("the function could not be called after {limit} s{message}");
                    return Err(Error::backend(code::ENGINE006, Retry::Now, text));
                }
                Observed::Pending { .. } => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(RARELY);
        }
    }

    /// How a version (or an alias) of the function is.
    pub async fn look(&self, id: Uuid, version: &str) -> Done<Observed> {
        let path = format!("{}/configuration", path(id));
        let query = [("Qualifier", version)];
        match self.send(Method::GET, &path, &query, None).await {
            Ok(told) => Ok(observed(&told)),
            Err(trouble) if trouble.is("ResourceNotFoundException") => Ok(Observed::Absent),
            Err(trouble) => Err(trouble),
        }
    }

    /// Deletes the function with all its versions.
    pub async fn delete(&self, id: Uuid) -> Done<()> {
        match self.send(Method::DELETE, &path(id), &[], None).await {
            Err(trouble) if trouble.is("ResourceNotFoundException") => Ok(()),
            other => other.map(drop),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Done<Value> {
        self.client.control(&Control { method, path, query, body }).await
    }
}

/// Where the function is.
pub fn path(id: Uuid) -> String {
    format!("{FUNCTIONS}/{}", name(id))
}

/// A request that shows whether Lambda answers and knows who asks.
pub fn list() -> Control<'static> {
    let query = &[("MaxItems", "1")];
    Control { method: Method::GET, path: "/2015-03-31/functions/", query, body: None }
}

fn observed(told: &Value) -> Observed {
    let text = |name: &str| told[name].as_str().unwrap_or_default();
    let why = |name: &str| match text(name) {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    match (text("State"), text("LastUpdateStatus")) {
        ("Failed", _) => {
            Observed::Failed { message: format!("Lambda cannot run it{}", why("StateReason")) }
        }
        (_, "Failed") => {
            let reason = why("LastUpdateStatusReason");
            Observed::Failed { message: format!("Lambda cannot change it{reason}") }
        }
        ("Pending", _) => Observed::Pending { message: why("StateReason") },
        (_, "InProgress") => Observed::Pending { message: why("LastUpdateStatusReason") },
        // Inactive: it was not called for long, and the next call wakes it.
        _ => Observed::Ready { workers: 0 },
    }
}

/// Words of refusals that are about what a function's author wrote; the rest of a request is the
/// operator's settings.
const AUTHORS: [&str; 6] =
    ["environment", "unzip", "zip file", "zipfile", "memorysize", "image manifest"];
/// Until what the operator set is tried again: a role can be assumed seconds after it was made.
const SETTLES: Duration = Duration::from_secs(5);

/// Whose fault it is that a function cannot be made.
fn explained(trouble: Trouble) -> Error {
    let Trouble::Refused(refusal) = &trouble else { return trouble.into() };
    let words = refusal.message.to_ascii_lowercase();
    let of_author = AUTHORS.iter().any(|word| words.contains(word));
    match refusal.status {
        StatusCode::PAYLOAD_TOO_LARGE => Error::caller(code::ENGINE003, refusal.to_string()),
        StatusCode::BAD_REQUEST if refusal.is_busy() => trouble.into(),
        StatusCode::BAD_REQUEST if of_author => Error::caller(code::ENGINE003, refusal.to_string()),
        StatusCode::BAD_REQUEST => Error { retry: Retry::After(SETTLES), ..trouble.into() },
        _ => trouble.into(),
    }
}

#[cfg(test)]
mod tests {
    use dispatch_driver::Fault;

    use super::super::client::Refusal;
    use super::*;

    #[test]
    fn what_the_operator_set_is_tried_again() {
        let told = |status: u16, message: &str| {
            let (status, kind) = (StatusCode::from_u16(status).unwrap(), "Invalid".to_owned());
            let message = message.to_owned();
            explained(Trouble::Refused(Refusal { status, kind, message, after: None }))
        };
        let role = told(400, "The role defined for the function cannot be assumed by Lambda.");
        assert_eq!((role.code, role.fault), ("ENGINE006", Fault::Backend));
        assert_eq!(role.retry, Retry::After(SETTLES));
        for (status, message) in [
            (400, "Could not unzip uploaded file. Please check your file"),
            (400, "Lambda was unable to configure your environment variables"),
            (413, "Request must be smaller than 69905067 bytes"),
        ] {
            let error = told(status, message);
            assert_eq!((error.code, error.fault), ("ENGINE003", Fault::Caller), "{error}");
        }
    }
}
