//! The gateway as its clients meet it: real sockets, the real invoker and store, an engine in
//! memory.

mod answers;
mod limits;
mod mapping;
mod secure;

use std::net::SocketAddr;

use dispatch_model::function::FunctionSpec;
use http::{HeaderMap, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::invoke::testing::{TestEngine, World, name, org};

const RANK: Rank = Rank { created_ms: 1, id: uuid::Uuid::nil() };
const LATER: Rank = Rank { created_ms: 2, id: uuid::Uuid::nil() };

/// A gateway that serves, with the function `f`.
struct Server {
    world: World,
    gateway: Arc<Gateway>,
    http: SocketAddr,
    https: SocketAddr,
    data: TempDir,
    stop: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Server {
    async fn new(engine: Arc<TestEngine>) -> Self {
        Self::with(engine, Settings::default()).await
    }

    async fn with(engine: Arc<TestEngine>, settings: Settings) -> Self {
        let world = World::new(engine).await;
        world.function("f", FunctionSpec::default()).await;
        let data = tempfile::tempdir().unwrap();
        let certificates = Certificates::open(data.path()).unwrap();
        let metrics = GatewayMetrics::register(&mut Registry::default());
        let gateway = Gateway::new(world.invoker.clone(), certificates, metrics, settings);
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let https = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = (http.local_addr().unwrap(), https.local_addr().unwrap());
        let stop = CancellationToken::new();
        let serving = Some(tokio::spawn(gateway.clone().serve(http, https, stop.clone())));
        let (http, https) = addresses;
        Self { world, gateway, http, https, data, stop, serving }
    }

    /// Serves an API at `/dispatch<uri>` for GET, POST, PUT and DELETE.
    fn api(&self, uri: &str, edit: impl FnOnce(&mut ApiSpec)) {
        let mut spec = spec(uri);
        edit(&mut spec);
        let api = uri.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        self.gateway.put(&org(), &name(&api), RANK, &spec).unwrap();
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Answer {
        let url = format!("http://{}{path}", self.http);
        let method = http::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = reqwest::Client::new().request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.body(body);
        }
        answer(request).await
    }

    /// Sends bytes as they are, and reads until the gateway closes.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        // The gateway may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn spec(uri: &str) -> ApiSpec {
    ApiSpec {
        function: "f".to_owned(),
        methods: ["GET", "POST", "PUT", "DELETE"].map(str::to_owned).to_vec(),
        uris: vec![uri.to_owned()],
        hosts: Vec::new(),
        protocols: Vec::new(),
        authentication: "public".to_owned(),
        enabled: true,
        cors: false,
        tls: None,
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.text().await.unwrap() }
}
