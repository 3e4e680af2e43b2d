//! Measures the process engine alone: first calls, warm calls, memory of an idle worker.
//!
//! Run it in a release build; it needs the binary `dispatch-sandbox-init` beside itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{Call, Deployment, Engine, SourceStore};
use dispatch_model::{Name, OrgName};
use dispatch_sandbox::process::{ProcessConfig, ProcessEngine};
use uuid::Uuid;

const COLD_CALLS: usize = 200;
/// A machine of Java takes longer to start.
const COLD_CALLS_JAVA: usize = 20;
const WARM_TIME: Duration = Duration::from_secs(3);
const PYTHON: &str = "def handle(context, payload):\n    return payload\n";
const JAVA: &str = "public class handler
        implements java.util.function.BiFunction<java.util.Map<String, Object>, Object, Object> {
    public Object apply(java.util.Map<String, Object> context, Object payload) { return payload; }
}
";

struct Sources;

#[async_trait]
impl SourceStore for Sources {
    async fn read(&self, digest: &str) -> dispatch_driver::Result<Bytes> {
        let source = if digest == digest_of("java") { JAVA } else { PYTHON };
        Ok(Bytes::from_static(source.as_bytes()))
    }
}

fn digest_of(language: &str) -> String {
    format!("sha256:0123456789abcdef{language}")
}

fn java() -> Deployment {
    Deployment {
        language: "java".to_owned(),
        image_url: "host:java".to_owned(),
        image_digest: None,
        handler: "handler".to_owned(),
        source_digest: digest_of("java"),
        ..deployment(1)
    }
}

fn deployment(concurrency: u32) -> Deployment {
    Deployment {
        id: Uuid::new_v4(),
        org: OrgName::new("dispatch").expect("it is a name"),
        function: Name::new("bench").expect("it is a name"),
        version: 1,
        language: "python3".to_owned(),
        image_url: "host:python3".to_owned(),
        image_digest: None,
        function_image: None,
        handler: "handler.handle".to_owned(),
        source_digest: digest_of("python3"),
        environment: BTreeMap::new(),
        timeout: Duration::from_secs(10),
        memory_mib: 128,
        concurrency,
        idle: Duration::from_secs(60),
        egress: Vec::new(),
        require: Default::default(),
    }
}

fn call() -> Call {
    Call {
        run_id: Uuid::nil(),
        context: Bytes::from_static(b"{\"secrets\":{}}"),
        payload: Bytes::from_static(b"{\"name\":\"Jon\",\"place\":\"Winterfell\"}"),
        deadline: Instant::now() + Duration::from_secs(10),
    }
}

/// First calls of one function, each by a deployment of its own.
async fn cold(engine: &ProcessEngine, deployment: &Deployment, calls: usize) {
    let mut times = Vec::new();
    for _ in 0..calls {
        let deployment = Deployment { id: Uuid::new_v4(), ..deployment.clone() };
        engine.ensure(&deployment).await.expect("ensure");
        let begun = Instant::now();
        let outcome = engine.invoke(deployment.id, call()).await.expect("invoke");
        times.push(begun.elapsed());
        assert!(outcome.result.is_ok() && outcome.phases.cold, "{outcome:?}");
        engine.remove(deployment.id).await.expect("remove");
    }
    times.sort();
    let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1000.0;
    let language = &deployment.language;
    println!("first call, no worker, {language}: p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99));
}

async fn warm(engine: &Arc<ProcessEngine>, at_once: u32) -> Uuid {
    let deployment = deployment(at_once);
    engine.build(&deployment).await.expect("build");
    let ends = Instant::now() + WARM_TIME;
    let tasks = (0..at_once).map(|_| {
        let (engine, id) = (engine.clone(), deployment.id);
        tokio::spawn(async move {
            let mut count = 0u64;
            while Instant::now() < ends {
                let outcome = engine.invoke(id, call()).await.expect("invoke");
                assert!(outcome.result.is_ok(), "{outcome:?}");
                count += 1;
            }
            count
        })
    });
    let counts = futures::future::join_all(tasks).await;
    let sum: u64 = counts.into_iter().map(|c| c.expect("a task panicked")).sum();
    let rate = sum as f64 / WARM_TIME.as_secs_f64();
    println!("warm calls, {at_once} at once: {rate:.0} a second");
    deployment.id
}

/// Private memory of all processes whose parents lead to this one and that are process 1 of the
/// innermost of three pid namespaces: the workers.
fn memory() {
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let levels = status.lines().find_map(|l| l.strip_prefix("NSpid:"));
        let depth = levels.map_or(0, |l| l.split_whitespace().count());
        if depth < 3 || !status.starts_with("Name:\tpython3") {
            continue;
        }
        println!("idle worker: {:.1} MiB private", private_kib(&entry.path()) as f64 / 1024.0);
    }
}

fn private_kib(process: &Path) -> u64 {
    let rollup = std::fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
    let private = rollup.lines().filter(|l| l.starts_with("Private_"));
    private.filter_map(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

fn init_exe() -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let target = own.ancestors().nth(2).expect("examples are two below the target directory");
    target.join("dispatch-sandbox-init")
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let state_dir = directory.path().to_owned();
    let config = ProcessConfig { state_dir, init_exe: init_exe(), ..ProcessConfig::default() };
    let engine = ProcessEngine::start(config, Arc::new(Sources), None).await.expect("start");
    // Stays, so that the source stays unpacked.
    let python = deployment(1);
    engine.ensure(&python).await.expect("ensure");
    cold(&engine, &python, COLD_CALLS).await;
    if engine.capabilities().languages.iter().any(|language| language == "java") {
        let java = java();
        engine.build(&java).await.expect("build");
        cold(&engine, &java, COLD_CALLS_JAVA).await;
    }
    let id = warm(&engine, 1).await;
    memory();
    engine.remove(id).await.expect("remove");
    warm(&engine, 8).await;
    engine.shutdown().await;
}
