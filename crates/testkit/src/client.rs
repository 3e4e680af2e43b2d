//! A client of one server, as the tests speak to it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::Answer;

/// Longest a test waits for something to become true.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server is, and what calls it.
pub struct Client {
    /// `http://ADDRESS`.
    pub api: String,
    pub gateway: String,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(api: impl std::fmt::Display, gateway: impl std::fmt::Display) -> Self {
        let http = reqwest::Client::builder().build().expect("a client");
        Self { api: format!("http://{api}"), gateway: format!("http://{gateway}"), http }
    }

    /// A request to the API that is not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api))
    }

    /// A request to the gateway that is not sent yet.
    pub fn gateway(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.gateway))
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Waits until the thing at `path` has the status, and returns it.
    pub async fn wait_for(&self, path: &str, status: &str) -> Value {
        eventually(&format!("{path} is {status}"), async || {
            let answer = self.get(path).await;
            let thing = answer.json();
            (thing["status"] == status).then_some(thing).ok_or(answer.text)
        })
        .await
    }

    /// Waits until the thing at `path` is READY or in ERROR for good, and returns it.
    pub async fn settled(&self, path: &str, patience: Duration) -> Value {
        eventually_within(patience, &format!("{path} is READY or in ERROR"), async || {
            let answer = self.get(path).await;
            let thing = answer.json();
            let reason = thing["reason"][0].as_str().unwrap_or_default();
            let settled = match thing["status"].as_str() {
                Some("READY") => true,
                Some("ERROR") => !reason.contains("next try in"),
                _ => false,
            };
            settled.then_some(thing).ok_or(answer.text)
        })
        .await
    }

    /// Waits until there is nothing at `path`.
    pub async fn wait_gone(&self, path: &str) {
        eventually(&format!("{path} is gone"), async || {
            let answer = self.get(path).await;
            (answer.status == 404).then_some(()).ok_or(answer.text)
        })
        .await
    }

    /// A base image and an image of a language, both READY.
    pub async fn image(&self, language: &str) {
        self.image_with(language, &format!("host:{language}")).await;
        self.wait_for(&format!("/v1/image/{language}"), "READY").await;
    }

    /// A base image at a URL and an image on it, both of the language's name.
    pub async fn image_with(&self, language: &str, url: &str) {
        let name = format!("{language}-base");
        let base = json!({"name": name, "dockerUrl": url, "language": language});
        self.post("/v1/baseimage", base).await.expect(201);
        let image = json!({"name": language, "baseImageName": name});
        self.post("/v1/image", image).await.expect(201);
    }

    /// A function that is READY, from its source and the fields it has beside; its image is there.
    pub async fn function(&self, name: &str, language: &str, source: &[u8], more: Value) -> Value {
        let source = base64::engine::general_purpose::STANDARD.encode(source);
        let mut shape = json!({"name": name, "image": language, "source": source});
        for (field, value) in more.as_object().expect("fields of a function") {
            shape[field] = value.clone();
        }
        self.post("/v1/function", shape).await.expect(201);
        self.wait_for(&format!("/v1/function/{name}"), "READY").await
    }

    /// Every item of a list, however many pages it has.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{mark}limit=500{next}")).await.expect(200);
            items.extend(page.shape::<Vec<Value>>());
            match page.header("x-dispatch-continue") {
                "" => return items,
                token => next = format!("&continue={token}"),
            }
        }
    }
}

/// Sends a request and reads the answer to its end.
pub async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.expect("the server answers")).await
}

/// Looks again and again until `look` succeeds; fails the test when it does not in time.
pub async fn eventually<T, E: std::fmt::Display>(
    what: &str,
    look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// As [`eventually`], for what takes longer than most things.
pub async fn eventually_within<T, E: std::fmt::Display>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(last) if Instant::now() > deadline => panic!("never: {what}; last: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
