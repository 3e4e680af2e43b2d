//! Compiled code is made once, kept on disk, and gone with the last deployment that needs it.

use std::os::unix::fs::PermissionsExt;

use dispatch_driver::Engine;
use serde_json::json;
use uuid::Uuid;

use super::support::wasm::{Bench, file};

fn cached(bench: &Bench) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(bench.cache_dir()).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_restarted_engine_compiles_nothing_again() {
    let bench = Bench::new();
    let deployment = bench.deployment(file("wasm/echo.wat"));
    bench.deploy(&deployment).await;
    assert_eq!(bench.engine.compilations(), 1);

    let files = cached(&bench);
    assert_eq!(files.len(), 1, "{files:?}");
    let mode = std::fs::metadata(&files[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mode = std::fs::metadata(bench.cache_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let bench = bench.restarted();
    bench.engine.ensure(&deployment).await.unwrap();
    assert_eq!(bench.engine.compilations(), 0);
    let answer = bench.call_again(&deployment, "[1]").await;
    assert_eq!(answer.output()["payload"], json!([1]));
}

#[tokio::test]
async fn damaged_code_is_made_again() {
    let bench = Bench::new();
    let deployment = bench.deployment(file("wasm/hello.wat"));
    bench.deploy(&deployment).await;
    let code = cached(&bench).remove(0);
    // In a new file: the old one is still mapped.
    std::fs::remove_file(&code).unwrap();
    std::fs::write(&code, b"not compiled code").unwrap();
    let bench = bench.restarted();
    bench.engine.ensure(&deployment).await.unwrap();
    assert_eq!(bench.engine.compilations(), 1);
    assert!(bench.call_again(&deployment, "1").await.output().is_object());
}

#[tokio::test]
async fn code_goes_with_its_last_deployment() {
    let bench = Bench::new();
    let first = bench.deployment(file("wasm/hello.wat"));
    let mut second = first.clone();
    second.id = Uuid::now_v7();
    bench.deploy(&first).await;
    bench.deploy(&second).await;
    assert_eq!(bench.engine.compilations(), 1, "the same source is compiled once");

    bench.engine.remove(first.id).await.unwrap();
    bench.engine.remove(first.id).await.unwrap();
    assert_eq!(cached(&bench).len(), 1);
    assert!(bench.call_again(&second, "1").await.output().is_object());
    bench.engine.remove(second.id).await.unwrap();
    assert_eq!(cached(&bench).len(), 0);
}
