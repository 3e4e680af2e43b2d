//! The suite finds what it is there to find: engines with one defect each fail the cases that are
//! about it, and no others.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::conformance::{self, Bed, Program, Tried};
use dispatch_driver::{
    Call, Capabilities, Deployment, Engine, Error, Health, Observed, Outcome, Reached, Result,
};
use dispatch_model::{InvocationErrorType, RawJson};
use dispatch_systems::programs::has;
use uuid::Uuid;

use super::example::Example;

/// Cases that take no time; the others are as well tried by those that are right.
const QUICK: &[&str] = &[
    "health",
    "echo",
    "context",
    "environment",
    "logs",
    "failure",
    "payload",
    "concurrency",
    "observe",
    "broken",
    "remove",
    "unknown",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    SaysNothingOfItsHealth,
    RoundsNumbers,
    LosesTheContext,
    LosesTheEnvironment,
    MixesLogs,
    HasNoStackTraces,
    BlamesItself,
    CutsPayloads,
    MixesAnswers,
    SeesWhatIsGone,
    BlamesTheSystemForASource,
    BuildsWhatIsBroken,
    KnowsNotWhatIsUnknown,
    CannotRemoveTwice,
    KeepsWhatIsRemoved,
}

use Defect::*;

/// Which cases are about which defect.
const TABLE: &[(Defect, &[&str])] = &[
    (None, &[]),
    (SaysNothingOfItsHealth, &["health"]),
    (RoundsNumbers, &["echo"]),
    (LosesTheContext, &["context"]),
    (LosesTheEnvironment, &["environment"]),
    (MixesLogs, &["logs"]),
    (HasNoStackTraces, &["failure"]),
    // What a failed call printed is read with the failure.
    (BlamesItself, &["logs", "failure"]),
    (CutsPayloads, &["payload"]),
    (MixesAnswers, &["concurrency"]),
    (SeesWhatIsGone, &["observe", "broken", "unknown"]),
    (BlamesTheSystemForASource, &["broken"]),
    (BuildsWhatIsBroken, &["broken"]),
    (KnowsNotWhatIsUnknown, &["remove", "unknown"]),
    (CannotRemoveTwice, &["remove", "unknown"]),
    (KeepsWhatIsRemoved, &["observe", "remove"]),
];

struct Wrong {
    right: Arc<dyn Engine>,
    defect: Defect,
}

impl Wrong {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn change(&self, call: &mut Call) {
        match self.defect {
            LosesTheContext => call.context = Bytes::from_static(b"{}"),
            CutsPayloads => {
                let Ok(text) = std::str::from_utf8(&call.payload) else { return };
                if text.len() > 1 << 20 {
                    call.payload = format!("{}\"}}", &text[..1 << 20]).into();
                }
            }
            MixesAnswers => {
                let text =
                    String::from_utf8_lossy(&call.payload).replace("\"echo\":31", "\"echo\":30");
                call.payload = text.into();
            }
            _ => {}
        }
    }

    fn changed(&self, mut outcome: Outcome) -> Outcome {
        match (self.defect, &mut outcome.result) {
            (RoundsNumbers, Ok(result)) => {
                *result =
                    RawJson::written(result.get().replace("9007199254740991", "9007199254740992"));
            }
            (MixesLogs, _) => outcome.logs.stdout.push("another call's line".to_owned()),
            (HasNoStackTraces, Err(error)) => error.stacktrace.clear(),
            (BlamesItself, Err(error)) => error.kind = InvocationErrorType::SystemError,
            _ => {}
        }
        outcome
    }
}

#[async_trait]
impl Engine for Wrong {
    fn name(&self) -> &str {
        self.right.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.right.capabilities()
    }

    async fn build(&self, deployment: &Deployment) -> Result<()> {
        let mut deployment = deployment.clone();
        if self.is(LosesTheEnvironment) {
            deployment.environment.clear();
        }
        match self.right.build(&deployment).await {
            Err(_) if self.is(BuildsWhatIsBroken) => Ok(()),
            Err(error) if self.is(BlamesTheSystemForASource) => {
                Err(Error { fault: dispatch_driver::Fault::Backend, ..error })
            }
            built => built,
        }
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        self.right.ensure(deployment).await
    }

    async fn observe(&self, id: Uuid) -> Result<Observed> {
        match self.is(SeesWhatIsGone) {
            true => Ok(Observed::Ready { workers: 1 }),
            false => self.right.observe(id).await,
        }
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        let is_there = self.right.observe(id).await? != Observed::Absent;
        match self.defect {
            CannotRemoveTwice if !is_there => Err(Error::caller("ENGINE007", "it is not there")),
            KeepsWhatIsRemoved => Ok(()),
            _ => self.right.remove(id).await,
        }
    }

    async fn invoke(&self, id: Uuid, mut call: Call) -> Result<Outcome> {
        self.change(&mut call);
        match self.right.invoke(id, call).await {
            Ok(outcome) => Ok(self.changed(outcome)),
            Err(error) if self.is(KnowsNotWhatIsUnknown) => {
                Err(Error { reached: Reached::Maybe, ..error })
            }
            Err(error) => Err(error),
        }
    }

    async fn health(&self) -> Health {
        let mut health = self.right.health().await;
        if self.is(SaysNothingOfItsHealth) {
            health.message.clear();
        }
        health
    }

    fn workers(&self) -> (u64, u64) {
        self.right.workers()
    }

    async fn shutdown(&self) {
        self.right.shutdown().await;
    }
}

struct WrongBed<'a> {
    right: &'a Example,
    defect: Defect,
}

#[async_trait]
impl Bed for WrongBed<'_> {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(Wrong { right: self.right.engine(), defect: self.defect })
    }

    async fn deployment(&self, program: Program) -> Tried<Deployment> {
        self.right.deployment(program).await
    }

    fn limits(&self) -> conformance::Limits {
        // Nothing here becomes right by waiting.
        conformance::Limits { patience: Duration::from_secs(1), ..conformance::Limits::default() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_defect_fails_the_cases_that_are_about_it() {
    if !has(&["python3"]) {
        return;
    }
    let right = Example::start().await;
    let rows = TABLE.iter().map(async |(defect, cases)| {
        let bed = WrongBed { right: &right, defect: *defect };
        let report = conformance::run_some(&bed, |name| QUICK.contains(&name), |_| {}).await;
        assert_eq!(report.failed(), *cases, "an engine that {defect:?}\n{report}");
        assert_eq!(report.passed(), cases.is_empty());
    });
    futures::future::join_all(rows).await;
}
