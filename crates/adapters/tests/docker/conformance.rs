//! The suite of all engines.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dispatch_driver::conformance::{self, Bed, Program, Tried};
use dispatch_driver::{Deployment, Engine};

use crate::bed;

struct Tested {
    bed: bed::Bed,
    engine: Mutex<Arc<dyn Engine>>,
}

#[async_trait]
impl Bed for Tested {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.lock().unwrap().clone()
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        let image = self.bed.images.push(&program.source("python3").unwrap()).await;
        Ok(Deployment { function_image: Some(image), ..program.deployment("python3") })
    }

    /// As after a kill: the old one says nothing to anybody.
    async fn restart(&self) -> Tried<()> {
        let engine = self.bed.engine(&[]).await;
        *self.engine.lock().unwrap() = engine;
        Ok(())
    }

    async fn outage(&self, gone: bool) -> Tried<()> {
        let docker = self.bed.docker.clone().expect("the case is not run without it");
        let change = move || {
            let mut docker = docker.lock().unwrap();
            if gone { docker.halt() } else { docker.resume() }
        };
        tokio::task::spawn_blocking(change).await.unwrap();
        Ok(())
    }

    fn cannot(&self, case: &str) -> Option<String> {
        let why = "the system is not the test's to take away";
        (case == "outage" && self.bed.docker.is_none()).then(|| why.to_owned())
    }
}

async fn keeps_its_contract(bed: bed::Bed) {
    let engine = Mutex::new(bed.engine(&[]).await);
    conformance::run(&Tested { bed, engine }).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract() {
    // A live one takes the place of the test's own.
    let bed = match std::env::var("DISPATCH_TEST_DOCKER") {
        Ok(host) => bed::Bed::live(host).await,
        Err(_) => bed::Bed::start().await,
    };
    let Some(bed) = bed else { return };
    keeps_its_contract(bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_keeps_its_contract_on_podman() {
    let Some(bed) = bed::Bed::podman().await else { return };
    keeps_its_contract(bed).await;
}
