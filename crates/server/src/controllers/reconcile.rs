//! The one loop all controllers run in.
//!
//! Woken by the change log for its own kind and for what that depends on, by a timer that finds
//! what was left lying, and by the next try of what failed. One object is never worked on twice at
//! the same time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_model::{Kind, Name, OrgName, Resource, ResourceKind, State};
use dispatch_store::{Change, Op, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::queue::{Key, Queue};
use crate::app::Result;
use crate::app::feed::Feed;

/// Objects of one kind worked on at the same time.
const CONCURRENCY: usize = 8;
/// How often the store is searched for what was left lying.
const RESYNC: Duration = Duration::from_secs(30);
/// Objects looked at in one search.
const PENDING: u32 = 1_000;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Makes objects of one kind true.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    type Kind: Kind;

    /// Kinds whose changes may concern objects of this one.
    const DEPENDS_ON: &'static [ResourceKind] = &[];

    /// Whether a change of an object in a settled state concerns this server too: another server
    /// may have made it.
    const FOLLOWS_SETTLED: bool = false;

    /// Takes in what is there, once, before the first change is looked at. Returns the objects to
    /// begin with, beside those in no settled state.
    async fn load(&self) -> Result<Vec<Key>> {
        Ok(Vec::new())
    }

    /// The objects a change of one of [`Controller::DEPENDS_ON`] concerns.
    async fn concerned(&self, _change: &Change) -> Result<Vec<(OrgName, Name)>> {
        Ok(Vec::new())
    }

    /// Does what is missing for one object. `wait` is how long to wait before the next try, if
    /// one is needed. Idempotent.
    async fn reconcile(&self, object: Resource<Self::Kind>, wait: Duration) -> Result<Step>;

    /// The row is gone. Returns the objects that concerns.
    fn gone(&self, _org: &OrgName, _name: &Name) -> Vec<Key> {
        Vec::new()
    }
}

/// What is to come for an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something changes.
    Done,
    /// Nothing for this one; but these others are to be looked at, because of it.
    Touched(Vec<Key>),
    /// Another try after the wait; the object is at this revision until then.
    Again { revision: i64 },
}

/// Runs a controller.
pub struct Runner<C> {
    store: Store,
    controller: Arc<C>,
    feed: Feed,
    stop: CancellationToken,
    queue: Queue,
    running: JoinSet<(Key, Result<Step>)>,
}

impl<C: Controller> Runner<C> {
    /// Has the controller take in what is there, from a moment on from which no change is missed.
    pub async fn new(store: Store, controller: Arc<C>, stop: CancellationToken) -> Result<Self> {
        let mut kinds = C::DEPENDS_ON.to_vec();
        kinds.push(C::Kind::KIND);
        let feed = Feed::new(store.clone(), None, &kinds, None).await?;
        let (mut queue, running) = (Queue::default(), JoinSet::new());
        let first = controller.load().await?;
        first.into_iter().for_each(|key| queue.add(key, true, i64::MAX));
        Ok(Self { store, controller, feed, stop, queue, running })
    }

    pub async fn run(mut self) {
        let kind = C::Kind::KIND;
        let mut resync = tokio::time::interval(RESYNC);
        let stop = self.stop.clone();
        loop {
            self.begin();
            let due = self.queue.next_due();
            let outcome = tokio::select! {
                () = stop.cancelled() => break,
                changes = self.feed.next() => self.changed(changes).await,
                Some(ended) = self.running.join_next() => {
                    self.ended(ended);
                    Ok(())
                }
                _ = resync.tick() => self.resync().await,
                () = sleep_until(due) => {
                    self.queue.wake(Instant::now());
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                tracing::warn!(%kind, %error, "a controller cannot read the store");
                tokio::time::sleep(FIRST_WAIT).await;
            }
        }
        // What is under way is let finish: its steps are short, or end with their engine.
        while self.running.join_next().await.is_some() {}
    }

    /// Starts work on objects that wait, as far as there is room.
    fn begin(&mut self) {
        while self.running.len() < CONCURRENCY {
            let Some((key, forced, tries)) = self.queue.take() else { return };
            let (store, controller) = (self.store.clone(), self.controller.clone());
            self.running.spawn(async move {
                let step = one(&store, &*controller, &key, forced, wait(tries)).await;
                (key, step)
            });
        }
    }

    fn ended(&mut self, ended: std::result::Result<(Key, Result<Step>), tokio::task::JoinError>) {
        let kind = C::Kind::KIND;
        match ended {
            Ok((key, Ok(Step::Done))) => self.queue.done(&key),
            Ok((key, Ok(Step::Touched(others)))) => {
                self.queue.done(&key);
                self.look_at(others);
            }
            Ok((key, Ok(Step::Again { revision }))) => self.again(key, revision),
            Ok((key, Err(error))) => {
                tracing::warn!(%kind, org = %key.0, name = %key.1, error = %detail(&error),
                    "a controller will try again");
                self.again(key, i64::MAX - 1);
            }
            Err(error) => {
                // The key went with the panic; the timer finds the object again.
                tracing::error!(%kind, %error, "a controller panicked");
                self.queue.forget_running();
            }
        }
    }

    fn look_at(&mut self, keys: Vec<Key>) {
        keys.into_iter().for_each(|key| self.queue.add(key, true, i64::MAX));
    }

    fn again(&mut self, key: Key, revision: i64) {
        let due = Instant::now() + wait(self.queue.tries(&key));
        self.queue.again(key, due, revision);
    }

    async fn changed(&mut self, changes: Result<Vec<Change>>) -> Result<()> {
        for change in changes? {
            let key = (change.org.clone(), change.name.clone());
            if change.kind != C::Kind::KIND {
                let concerned = self.controller.concerned(&change).await?;
                self.look_at(concerned);
            } else if change.op == Op::Removed {
                self.queue.remove(&key);
                let others = self.controller.gone(&key.0, &key.1);
                self.look_at(others);
            } else {
                self.queue.add(key, C::FOLLOWS_SETTLED, change.revision);
            }
        }
        Ok(())
    }

    async fn resync(&mut self) -> Result<()> {
        for object in self.store.pending::<C::Kind>(PENDING).await? {
            let key = (object.meta.org, object.meta.name);
            if self.queue.tries(&key) == 0 {
                self.queue.add(key, false, i64::MAX);
            }
        }
        Ok(())
    }
}

async fn one<C: Controller>(
    store: &Store,
    controller: &C,
    (org, name): &Key,
    forced: bool,
    wait: Duration,
) -> Result<Step> {
    match store.by_name::<C::Kind>(org, name).await? {
        Some(object) if forced || object.meta.state.is_pending() => {
            controller.reconcile(object, wait).await
        }
        _ => Ok(Step::Done),
    }
}

/// The wait before a try, from how many were made.
fn wait(tries: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << tries.min(16)).min(LONGEST_WAIT)
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The whole text of an error, for the log.
fn detail(error: &crate::app::Error) -> String {
    match error {
        crate::app::Error::Internal(cause) => format!("{cause:#}"),
        other => other.to_string(),
    }
}

/// Stores an object with a new state and reason, unless it has them already. False when somebody
/// else changed it meanwhile: their change brings it here again.
pub async fn settle<K: Kind>(
    store: &Store,
    object: &mut Resource<K>,
    state: State,
    reason: Vec<String>,
) -> Result<bool> {
    if object.meta.state == state && object.meta.reason == reason {
        return Ok(true);
    }
    object.meta.state = state;
    object.meta.reason = reason;
    write(store, object).await
}

/// Stores an object; false when somebody else changed or removed it meanwhile.
pub async fn write<K: Kind>(store: &Store, object: &mut Resource<K>) -> Result<bool> {
    match store.update(object).await {
        Ok(()) => Ok(true),
        Err(dispatch_store::Error::Stale { .. } | dispatch_store::Error::Missing) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Says on an object what went wrong and when it is tried again.
pub async fn again<K: Kind>(
    store: &Store,
    object: &mut Resource<K>,
    state: State,
    text: String,
    wait: Duration,
) -> Result<Step> {
    let reason = vec![format!("{text}; next try in {} s", wait.as_secs())];
    settle(store, object, state, reason).await?;
    Ok(Step::Again { revision: object.meta.revision })
}
