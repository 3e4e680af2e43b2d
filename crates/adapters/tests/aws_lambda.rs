//! AWS Lambda, as ministack is it: functions really run, and every signature is held against the
//! key it was made with.
#![cfg(feature = "aws-lambda")]

#[path = "aws_lambda/bed.rs"]
mod bed;
#[path = "aws_lambda/live.rs"]
mod live;
#[path = "aws_lambda/special.rs"]
mod special;

use dispatch_driver::conformance;

use bed::{Images, Local};

async fn conforms(language: &'static str, more: &[(&str, &str)]) {
    let Some(local) = Local::new(language, more).await else { return };
    conformance::run(&local).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_with_python() {
    conforms("python3", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_with_node() {
    conforms("nodejs", &[]).await;
}

/// Then Lambda starts the archive's `bootstrap`, which asks its Runtime API for calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_with_a_runtime_of_its_own() {
    conforms("python3", &[("runtimes", "python3=provided.al2023")]).await;
}

/// The function's own image, in a container, asks a Runtime API for calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_with_images() {
    let Some(images) = Images::new().await else { return };
    conformance::run(&images).await.assert();
}
