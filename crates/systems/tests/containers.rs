//! Function images of tests are true ones: Docker runs them, and they serve calls.

use dispatch_driver::conformance::Program;
use dispatch_systems::containers::Containers;
use dispatch_systems::function_image::FunctionImages;
use dispatch_systems::programs::has;
use dispatch_systems::registry::{self, Registry};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_of_a_function_image_serves_calls_until_it_is_stopped() {
    if !has(registry::PROGRAMS) {
        return;
    }
    let Some(containers) = Containers::start().await else { return };
    let registry = Registry::start();
    let images = FunctionImages::new(&registry.address).await;
    let image = images.push(&Program::Conformance.source("python3").unwrap()).await;
    assert!(image.starts_with(&format!("{}/", registry.address)), "{image}");
    let environment = [("WORD".to_owned(), "a word".to_owned())];
    let container = containers.run(&image, &environment).await.unwrap();
    let port = container.port;
    let ask = |payload: Value| async move {
        let body = json!({"context": {}, "payload": payload});
        let url = format!("http://127.0.0.1:{port}/");
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        answer.json::<Value>().await.unwrap()
    };
    assert_eq!(ask(json!({"echo": "ü"})).await["payload"], "ü");
    assert_eq!(ask(json!({"environment": "WORD"})).await["payload"], "a word");
    let printed = ask(json!({"print": "said", "echo": 1})).await;
    let logs = json!({"stdout": ["said out"], "stderr": ["said err"]});
    assert_eq!(printed["context"], json!({"error": null, "logs": logs}));
    containers.stop(&container).await;
    assert!(!containers.is_running(&container).await);

    let broken = images.push(&Program::Broken.source("python3").unwrap()).await;
    let why = containers.run(&broken, &[]).await.unwrap_err();
    assert!(why.contains("SyntaxError"), "{why}");
}
