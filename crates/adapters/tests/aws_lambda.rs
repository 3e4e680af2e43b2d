//! AWS Lambda, as ministack is it: functions really run, and signatures are really checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dispatch_driver::{Beside, Call, Deployment, Engine, EngineConfig, Languages, SourceStore};
use dispatch_systems::aws::{Ministack, REGION, ROLE};
use serde_json::json;
use uuid::Uuid;

struct Source(&'static str);

#[async_trait::async_trait]
impl SourceStore for Source {
    async fn read(&self, _: &str) -> dispatch_driver::Result<Bytes> {
        Ok(Bytes::from_static(self.0.as_bytes()))
    }
}

async fn engine(ministack: &Ministack, source: &'static str) -> Arc<dyn Engine> {
    let types = dispatch_adapters::engine::types();
    let lambda = types.iter().find(|t| t.name() == "aws-lambda").unwrap();
    let settings = [("region", REGION), ("role", ROLE), ("endpoint", ministack.url.as_str())];
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["lambda:*", "iam:PassRole"], "Resource": "*"}]});
    let key = ministack.user("dispatch", &policy);
    let secrets = [("accessKeyId", key.id.as_str()), ("secretAccessKey", key.secret.as_str())];
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    };
    let config =
        EngineConfig::check("cloud", lambda.as_ref(), text(&settings), text(&secrets)).unwrap();
    let beside =
        Beside { sources: Arc::new(Source(source)), images: None, languages: Languages::builtin() };
    lambda.make(config, &beside).await.unwrap()
}

fn deployment() -> Deployment {
    Deployment {
        id: Uuid::now_v7(),
        org: dispatch_model::OrgName::new("acme").unwrap(),
        function: dispatch_model::Name::new("hello").unwrap(),
        version: 1,
        language: "python3".to_owned(),
        image_url: "host:python3".to_owned(),
        image_digest: None,
        function_image: None,
        handler: "hello.handle".to_owned(),
        source_digest: "sha256:00".to_owned(),
        environment: BTreeMap::new(),
        timeout: Duration::from_secs(5),
        memory_mib: 128,
        concurrency: 2,
        idle: Duration::from_secs(60),
        egress: Vec::new(),
        require: BTreeMap::new(),
    }
}

fn call(payload: &str) -> Call {
    Call {
        run_id: Uuid::now_v7(),
        context: Bytes::from_static(b"{}"),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        deadline: Instant::now() + Duration::from_secs(5),
    }
}

#[tokio::test]
async fn a_python_function_is_made_called_and_removed() {
    let Some(ministack) = Ministack::start() else { return };
    let engine = engine(
        &ministack,
        "def handle(context, payload):\n    print('hi')\n    return [payload, 1]\n",
    )
    .await;
    let health = engine.health().await;
    assert!(health.ok, "{}", health.message);
    let deployment = deployment();
    let begun = Instant::now();
    engine.build(&deployment).await.unwrap_or_else(|e| panic!("{e}\n{}", ministack.log()));
    println!("built in {:?}: {:?}", begun.elapsed(), engine.observe(deployment.id).await);
    for _ in 0..5 {
        let begun = Instant::now();
        let outcome = engine.invoke(deployment.id, call("\"x\"")).await.unwrap();
        println!("called in {:?}", begun.elapsed());
        assert_eq!(outcome.result.unwrap().get(), "[\"x\", 1]");
        assert_eq!(outcome.logs.stdout, ["hi"]);
    }
    engine.remove(deployment.id).await.unwrap();
    println!("{:?}", engine.observe(deployment.id).await);
}
