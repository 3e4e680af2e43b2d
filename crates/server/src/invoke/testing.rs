//! An engine in memory, whose handler is a closure. For the tests of this room.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_driver::{
    Call, Capabilities, Deployment, Engine, Error, Health, Outcome, Phases, Result, Retry,
};
use dispatch_model::{InvocationError, Logs, code};
use futures::future::BoxFuture;
use uuid::Uuid;

type Answer = Box<dyn Fn(usize, Call) -> BoxFuture<'static, Result<Outcome>> + Send + Sync>;

/// Answers calls by a closure that gets the number of the call (from 1) and the call.
pub struct TestEngine {
    answer: Answer,
    pub ensured: Mutex<HashSet<Uuid>>,
    pub calls: AtomicUsize,
}

impl TestEngine {
    pub fn new<F, A>(answer: F) -> Arc<Self>
    where
        F: Fn(usize, Call) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let answer: Answer = Box::new(move |n, call| Box::pin(answer(n, call)));
        Arc::new(Self { answer, ensured: Mutex::default(), calls: AtomicUsize::new(0) })
    }

    /// Answers with the payload.
    pub fn echo() -> Arc<Self> {
        Self::new(|_, call| async move { ok(call.payload) })
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

pub fn ok(output: impl Into<Bytes>) -> Result<Outcome> {
    outcome(Ok(output.into()))
}

pub fn outcome(result: std::result::Result<Bytes, InvocationError>) -> Result<Outcome> {
    let logs = Logs { stdout: vec!["a line".to_owned()], stderr: Vec::new() };
    Ok(Outcome { result, logs, phases: Phases::default() })
}

#[async_trait]
impl Engine for TestEngine {
    fn name(&self) -> &str {
        "test"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { languages: vec!["test".to_owned()], missing: Vec::new() }
    }

    async fn build(&self, _: &Deployment) -> Result<()> {
        Ok(())
    }

    async fn ensure(&self, deployment: &Deployment) -> Result<()> {
        self.ensured.lock().unwrap().insert(deployment.id);
        Ok(())
    }

    async fn remove(&self, id: Uuid) -> Result<()> {
        self.ensured.lock().unwrap().remove(&id);
        Ok(())
    }

    async fn invoke(&self, id: Uuid, call: Call) -> Result<Outcome> {
        if !self.ensured.lock().unwrap().contains(&id) {
            return Err(Error::backend(code::ENGINE007, Retry::Now, "unknown deployment"));
        }
        let n = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        (self.answer)(n, call).await
    }

    async fn health(&self) -> Health {
        Health { ok: true, message: String::new() }
    }

    fn workers(&self) -> (u64, u64) {
        (0, 0)
    }

    async fn shutdown(&self) {}
}
