//! A build that fails takes away what it made, and nothing that was there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use dispatch_adapters::engine::remote::RemoteType;
use dispatch_driver::conformance::Program;
use dispatch_driver::{Beside, Config, Engine, EngineType as _, Languages, SourceStore};

struct Sources;

#[async_trait]
impl SourceStore for Sources {
    async fn read(&self, _: &str) -> dispatch_driver::Result<Bytes> {
        Ok(Bytes::from_static(b"source"))
    }
}

async fn engine(url: String) -> Arc<dyn Engine> {
    let settings = BTreeMap::from([("url".to_owned(), url)]);
    let config = Config::check("mine", RemoteType.known(), settings, BTreeMap::new()).unwrap();
    let languages = Languages::builtin();
    let beside = Beside { sources: Arc::new(Sources), images: None, languages };
    RemoteType.make(config, &beside).await.unwrap()
}

#[tokio::test]
async fn what_was_there_stays_when_a_build_fails() {
    let (look, removals) = (Arc::new(AtomicU16::new(500)), Arc::new(AtomicUsize::new(0)));
    let (looked, removed) = (look.clone(), removals.clone());
    let deployment = get(move || {
        let status = looked.load(Ordering::SeqCst);
        let unknown = match status {
            404 => r#"{"code": "ENGINE007", "fault": "backend", "message": "none"}"#,
            _ => "",
        };
        async move { (StatusCode::from_u16(status).unwrap(), unknown) }
    })
    .put(|| async { StatusCode::INTERNAL_SERVER_ERROR })
    .delete(move || {
        removed.fetch_add(1, Ordering::SeqCst);
        async { StatusCode::OK }
    });
    let capabilities = get(|| async { r#"{"languages": ["python3"]}"# });
    let router = Router::new()
        .route("/v1/capabilities", capabilities)
        .route("/v1/deployments/{id}", deployment);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let engine = engine(format!("http://{}", listener.local_addr().unwrap())).await;
    tokio::spawn(async move { axum::serve(listener, router).await });

    // Another server's calls may go there: only the look failed.
    let deployment = Program::Conformance.deployment("python3");
    engine.build(&deployment).await.unwrap_err();
    assert_eq!(removals.load(Ordering::SeqCst), 0);

    // What this build began is taken away.
    look.store(404, Ordering::SeqCst);
    engine.build(&deployment).await.unwrap_err();
    assert_eq!(removals.load(Ordering::SeqCst), 1);
}
