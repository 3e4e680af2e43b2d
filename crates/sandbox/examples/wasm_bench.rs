//! What a call of the wasm engine costs, and where: nanoseconds on one thread.
//!
//!     cargo run --release -p dispatch-sandbox --example wasm_bench -- [FILE] [CALLS]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{Call, Deployment, Engine, Error, Result, SourceStore};
use dispatch_model::{Name, OrgName};
use dispatch_sandbox::wasm::{WasmConfig, WasmEngine};
use uuid::Uuid;

struct One(HashMap<String, Bytes>);

#[async_trait]
impl SourceStore for One {
    async fn read(&self, digest: &str) -> Result<Bytes> {
        self.0.get(digest).cloned().ok_or_else(|| Error::ours("ENGINE006", "no such source"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "examples/wasm/hello.wat".to_owned());
    let calls: u32 = arguments.next().map_or(Ok(200_000), |number| number.parse())?;
    let cache = tempfile::tempdir()?;
    let config = WasmConfig { cache_dir: cache.path().to_owned(), ..WasmConfig::default() };
    let digest = "sha256:bench".to_owned();
    let source = Bytes::from(std::fs::read(&file)?);
    let engine =
        WasmEngine::start(config, Arc::new(One(HashMap::from([(digest.clone(), source)]))))?;
    let deployment = Deployment {
        id: Uuid::now_v7(),
        org: OrgName::trusted("bench"),
        function: Name::trusted("bench"),
        version: 1,
        language: "wasm".to_owned(),
        image_url: "host:wasm".to_owned(),
        image_digest: None,
        function_image: None,
        handler: String::new(),
        source_digest: digest,
        environment: Default::default(),
        timeout: Duration::from_secs(300),
        memory_mib: 256,
        concurrency: 16,
        idle: Duration::from_secs(300),
        egress: Vec::new(),
        require: Default::default(),
    };
    let began = Instant::now();
    engine.build(&deployment).await?;
    engine.ensure(&deployment).await?;
    println!("{file}: built in {:?}", began.elapsed());
    let context = Bytes::from_static(
        br#"{"secrets":{},"serviceBindings":{},"deadline":"2026-11-23T22:00:00.123Z","timeout":1}"#,
    );
    for round in 1..=5 {
        let began = Instant::now();
        for _ in 0..calls / 5 {
            let call = Call {
                run_id: deployment.id,
                context: context.clone(),
                payload: Bytes::from_static(br#"{"name":"Ada","place":"London"}"#),
                deadline: Instant::now() + deployment.timeout,
            };
            let outcome = engine.invoke(deployment.id, call).await?;
            outcome.result.map_err(|error| error.message)?;
        }
        let each = began.elapsed() / (calls / 5);
        println!("round {round}: {each:?} a call, {:.0} calls/s", 1.0 / each.as_secs_f64());
    }
    Ok(())
}
