//! Images that send the server somewhere else.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::bed::{Bed, call};

const REDIRECTS: &str = include_str!("redirects.py");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_sends_the_server_nowhere() {
    let Some(bed) = Bed::start().await else { return };
    let (target, asked) = secret_place();
    let engine = bed.engine(&[("startTimeout", "5s")]).await;
    let mut deployment = bed.deployment("def handle(context, payload):\n    return 1\n").await;
    deployment.function_image = Some(bed.images.push_program(REDIRECTS).await);
    deployment.environment.insert("TARGET".to_owned(), target);
    engine.build(&deployment).await.unwrap();
    let limit = Duration::from_secs(20);
    let error = engine.invoke(deployment.id, call(&json!(1), limit)).await.unwrap_err();
    assert!(error.message.contains("302"), "{error}");
    deployment.id = uuid::Uuid::new_v4();
    deployment.environment.insert("HEALTH".to_owned(), "1".to_owned());
    let error = engine.build(&deployment).await.unwrap_err();
    assert!(error.message.contains("did not answer GET /healthz"), "{error}");
    assert!(!asked.load(Ordering::SeqCst), "the server went where it was sent");
    engine.shutdown().await;
}

/// What only the server can reach: its URL, and whether somebody was there.
fn secret_place() -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (url, asked) = (format!("http://{}/", listener.local_addr().unwrap()), Arc::default());
    let told: Arc<AtomicBool> = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            told.store(true, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    (url, asked)
}
