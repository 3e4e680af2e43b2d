//! Work on one queued run: an attempt, and what becomes of the run after it.

use std::time::Duration;

use dispatch_model::function::DEFAULT_BACKOFF_MS;
use dispatch_model::{ResourceKind, Run, State};

use super::active::Guard;
use super::attempt::{Then, now_us};
use super::backoff;
use super::callable::system_error;
use super::invoker::Invoker;
use super::perform::refuse;
use super::queue::micros;
use crate::app::{Error, Result};

/// Attempts to write what became of a run, before it is left to the end of its lease.
const WRITES: u32 = 6;

/// How the work on a run ends for now.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Finished,
    /// To be tried again after this time.
    Again(Duration),
    Dead,
    /// The server stops: another goes on, or this one when it starts again.
    Left,
}

/// What a function (or the lack of one) says about failed attempts.
struct Patience {
    retries: u32,
    backoff: Duration,
}

impl Invoker {
    /// Executes a run this server holds, once, and stores what came of it.
    pub(super) async fn work(&self, mut run: Run, request_id: &str, guard: &Guard) {
        let end = match self.execute(&mut run, request_id, guard).await {
            Ok(end) => end,
            Err(Error::NotFound { kind: ResourceKind::Function, .. }) => {
                refuse(&mut run, system_error("the function was deleted before the run began"));
                End::Finished
            }
            Err(error) => {
                let attempted = refuse(&mut run, system_error(error.to_string()));
                let backoff = Duration::from_millis(DEFAULT_BACKOFF_MS);
                self.decide(&run, attempted.then, Patience { retries: 0, backoff })
            }
        };
        self.write_end(run, end).await;
    }

    async fn execute(&self, run: &mut Run, request_id: &str, guard: &Guard) -> Result<End> {
        let callable = self.callable(&run.org, &run.function_name).await?;
        let waiting = self.version(&callable, run).await?;
        let slot = match waiting.queued.try_acquire() {
            Ok(slot) => Some(slot),
            Err(_) => {
                // Calls burst when many wait, and this is one of them.
                let _waits = waiting.places.queue().enter();
                tokio::select! {
                    slot = waiting.queued.acquire() => slot.ok(),
                    () = self.stop.cancelled() => return Ok(End::Left),
                }
            }
        };
        // The function may have changed while the run waited: what counts is what it is now.
        let callable = self.callable(&run.org, &run.function_name).await?;
        if callable.function_id != run.function_id {
            let (kind, name) = (ResourceKind::Function, run.function_name.to_string());
            return Err(Error::NotFound { kind, name });
        }
        // A version that was replaced meanwhile ends what it began to wait for.
        let version = match callable.versions.contains_key(&waiting.number) {
            true => self.loader.version(&callable, waiting.number).await?,
            false => self.version(&callable, run).await?,
        };
        guard.begin();
        let attempted = self.perform(&version, run, request_id).await;
        drop(slot);
        let patience = Patience { retries: version.retries, backoff: version.backoff };
        Ok(self.decide(run, attempted.then, patience))
    }

    fn decide(&self, run: &Run, then: Then, patience: Patience) -> End {
        if run.state == State::Ready {
            return End::Finished;
        }
        let allowed = match then {
            Then::Nothing => 0,
            Then::RetryFunction => patience.retries + 1,
            Then::RetryEngine | Then::EnsureAgain => {
                (patience.retries + 1).max(self.settings.engine_attempts)
            }
        };
        if run.attempts >= allowed {
            return End::Dead;
        }
        let cap = Duration::from_millis(self.settings.max_backoff_ms);
        End::Again(backoff::delay(patience.backoff, cap, run.attempts, rand::random()))
    }

    /// Stores what became of a run. When the store cannot take it, the run is begun again after
    /// its lease: that is what "at least once" means.
    async fn write_end(&self, mut run: Run, end: End) {
        let mut due_us = 0;
        if let End::Again(delay) = end {
            due_us = now_us() + micros(delay);
            await_retry(&mut run);
        }
        let mut pause = Duration::from_millis(50);
        for _ in 0..WRITES {
            let written = match end {
                End::Finished => self.store.run_finish(&run).await,
                End::Again(_) => self.store.run_retry(&run, due_us).await,
                End::Dead => self.store.run_dead(&run).await,
                End::Left => return,
            };
            match written {
                Ok(_) => {
                    self.tell(&run);
                    match end {
                        End::Again(_) => {
                            self.metrics.retries.inc();
                            self.queue.expect(due_us);
                        }
                        End::Dead => {
                            self.metrics.dead.inc();
                        }
                        End::Finished | End::Left => {}
                    }
                    return;
                }
                Err(error) => tracing::error!(run = %run.id, %error, "a run cannot be stored"),
            }
            tokio::time::sleep(pause).await;
            pause *= 3;
        }
    }
}

/// Makes a failed run one that waits again, and says so.
fn await_retry(run: &mut Run) {
    let error = run.error.take().map(|e| e.message).unwrap_or_default();
    run.state = State::Initialized;
    run.finished_us = None;
    run.reason = vec![format!("attempt {} failed: {error}", run.attempts)];
}
