//! The account that `DISPATCH_TEST_AWS_LAMBDA` says is there: `1`, with `AWS_REGION`,
//! `DISPATCH_TEST_AWS_LAMBDA_ROLE`, and credentials where the AWS command line has them too.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_driver::conformance::{self, Bed, Limits, Program, Tried};
use dispatch_driver::{Deployment, Engine};

use crate::bed::{Sources, make, pairs};

struct Live {
    region: String,
    role: String,
    sources: Arc<Sources>,
    engine: Mutex<Arc<dyn Engine>>,
}

async fn engine(region: &str, role: &str, sources: &Arc<Sources>) -> Arc<dyn Engine> {
    let settings = pairs(&[("region", region), ("role", role)]);
    make(settings, pairs(&[]), sources.clone()).await.unwrap()
}

#[async_trait]
impl Bed for Live {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.lock().unwrap().clone()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let source_digest = self.sources.put(program.source("python3").unwrap());
        Ok(Deployment { source_digest, ..program.deployment("python3") })
    }

    async fn restart(&self) -> Tried<()> {
        let another = engine(&self.region, &self.role, &self.sources).await;
        *self.engine.lock().unwrap() = another;
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits {
            payload_bytes: (6 << 20) - (256 << 10),
            calls: 8,
            patience: Duration::from_secs(120),
            case: Duration::from_secs(600),
            ..Limits::default()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_account_keeps_the_contract() {
    if std::env::var_os("DISPATCH_TEST_AWS_LAMBDA").is_none() {
        println!("could not run: DISPATCH_TEST_AWS_LAMBDA does not name an account");
        return;
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("set {name}"));
    let (region, role) = (variable("AWS_REGION"), variable("DISPATCH_TEST_AWS_LAMBDA_ROLE"));
    let sources = Arc::new(Sources::default());
    let engine = Mutex::new(engine(&region, &role, &sources).await);
    conformance::run(&Live { region, role, sources, engine }).await.assert();
}
