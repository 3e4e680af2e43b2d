//! Calls of functions, passed on at once or from a queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, Response, StatusCode};

use super::functions::Function;
use super::{Answer, State, missing, text};

/// How long a call waits for the first replica of a function that has none.
const WAKE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

impl State {
    pub async fn call(
        &self,
        name: &str,
        path: &str,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Answer {
        let Some(function) = self.functions.called(name) else { return missing(name) };
        if function.wanted() == 0 {
            self.functions.wake(&function);
            let ends = Instant::now() + WAKE;
            while function.ports().is_empty() && Instant::now() < ends {
                tokio::time::sleep(LOOK).await;
            }
        }
        let Some(port) = function.next() else {
            let words = format!("No endpoints available for: {name}.");
            return text(StatusCode::SERVICE_UNAVAILABLE, &words);
        };
        let url = format!("http://127.0.0.1:{port}/{path}");
        let mut headers = headers;
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let sent = self.client.request(method, url).headers(headers).body(body).send().await;
        let answered = match sent {
            Ok(answer) => {
                let status = answer.status();
                answer.bytes().await.map(|body| (status, body))
            }
            Err(error) => Err(error),
        };
        match answered {
            Ok((status, body)) => {
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = status;
                response
            }
            Err(_) => {
                let words = format!("Can't reach service for: {name}.");
                text(StatusCode::INTERNAL_SERVER_ERROR, &words)
            }
        }
    }

    /// Accepts a call, and brings its answer to the URL that the caller named.
    pub fn queue(self: Arc<Self>, name: &str, headers: HeaderMap, body: Bytes) -> Answer {
        let Some(function) = self.functions.called(name) else { return missing(name) };
        let id = uuid::Uuid::new_v4().to_string();
        let id = HeaderValue::from_str(&id).expect("an id is a header");
        let mut answer = text(StatusCode::ACCEPTED, "");
        answer.headers_mut().insert("x-call-id", id.clone());
        let name = name.to_owned();
        tokio::spawn(async move { self.work(&function, &name, id, headers, body).await });
        answer
    }

    async fn work(
        &self,
        function: &Function,
        name: &str,
        id: HeaderValue,
        mut headers: HeaderMap,
        body: Bytes,
    ) {
        let callback = headers.remove("x-callback-url");
        let begun = Instant::now();
        let answer = self.call(name, "", Method::POST, headers, body).await;
        let (head, body) = answer.into_parts();
        let Some(url) = callback.as_ref().and_then(|url| url.to_str().ok()) else { return };
        let request = self.client.post(url).header("x-call-id", id);
        let request = request
            .header("x-function-name", &function.name)
            .header("x-function-status", head.status.as_u16())
            .header("x-duration-seconds", begun.elapsed().as_secs_f64().to_string())
            .body(reqwest::Body::wrap(body));
        // Who asked may have left.
        let _ = request.send().await;
    }
}
