//! AWS Lambda, as ministack is it: functions really run, and every signature is held against the
//! key it was made with.
#![cfg(feature = "aws-lambda")]

#[path = "aws_lambda/bed.rs"]
mod bed;

use dispatch_driver::conformance;

use bed::Local;

async fn conforms(language: &'static str, broken: &'static str) {
    let Some(local) = Local::new(language, broken, &[]).await else { return };
    conformance::run(&local).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_with_python() {
    conforms("python3", "SyntaxError").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_with_node() {
    conforms("nodejs", "SyntaxError").await;
}
