//! The containers of one deployment on this server: who has room, who waits for it, who goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::container::{Container, Plan, Starter};

/// Calls that may wait for a container of one deployment.
const MAX_WAITING: usize = 10_000;
/// A container is kept for so long at least.
const LEAST_IDLE: Duration = Duration::from_millis(100);

pub struct Pool {
    pub plan: Plan,
    starter: Arc<Starter>,
    state: Mutex<State>,
    /// Told when the last container has gone after the pool was closed.
    emptied: Notify,
}

#[derive(Default)]
struct State {
    /// The newest last; those before are taken first, so that surplus ones become idle.
    live: Vec<Live>,
    starting: usize,
    /// Containers that are being stopped.
    stopping: usize,
    waiting: VecDeque<oneshot::Sender<Result<Slot>>>,
    closed: bool,
    failure: Option<Error>,
}

struct Live {
    container: Arc<Container>,
    calls: u32,
    /// Takes no more calls, and goes with its last.
    retired: bool,
    /// When its last call ended.
    since: Instant,
    _watch: Watch,
}

/// Ends a task when it is dropped.
struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Room for one call in a container; given back when it is dropped.
pub struct Slot {
    /// `None`: given back already.
    pool: Option<Arc<Pool>>,
    pub container: Arc<Container>,
    /// Whether the container was started for this call.
    pub cold: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.release(&self.container);
        }
    }
}

impl Slot {
    /// The container takes no more calls.
    pub fn retire(&self) {
        if let Some(pool) = &self.pool {
            pool.retire(&self.container);
        }
    }

    /// The container cannot be reached any more.
    pub fn lost(&self) {
        if let Some(pool) = &self.pool {
            pool.lost(&self.container.id);
        }
    }
}

impl State {
    fn find(&mut self, container: &Arc<Container>) -> Option<&mut Live> {
        self.live.iter_mut().find(|live| Arc::ptr_eq(&live.container, container))
    }

    fn room(&self, calls: u32) -> Option<usize> {
        self.live.iter().position(|live| !live.retired && live.calls < calls)
    }

    /// Whether more than `most` wait, with those who come. Who waited until the deadline or went
    /// does not count, and is forgotten where that makes the difference.
    fn wait_more_than(&mut self, most: usize, come: usize) -> bool {
        if self.waiting.len() + come > most {
            self.waiting.retain(|waiter| !waiter.is_closed());
        }
        self.waiting.len() + come > most
    }

    fn count(&self) -> usize {
        self.starting + self.live.iter().filter(|live| !live.retired).count()
    }
}

impl Pool {
    pub fn new(plan: Plan, starter: Arc<Starter>) -> Arc<Self> {
        let (state, emptied) = (Mutex::default(), Notify::new());
        Arc::new(Self { plan, starter, state, emptied })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a call, at once where a warm container has some. Starts a container when none has,
    /// unless enough are there or on their way.
    pub async fn acquire(self: &Arc<Self>, deadline: Instant) -> Result<Slot> {
        let waiting = {
            let mut state = self.state();
            if state.closed {
                return Err(closed());
            }
            if let Some(index) = state.room(self.plan.calls) {
                return Ok(self.take(&mut state, index, false));
            }
            let coming = state.starting * self.plan.calls as usize;
            if state.count() < self.plan.containers && state.wait_more_than(coming, 1) {
                self.start(&mut state);
            }
            if state.wait_more_than(MAX_WAITING, 1) {
                let text = format!("{MAX_WAITING} calls wait for a container already");
                let retry = Retry::After(Duration::from_secs(1));
                let error = Error::backend(code::ENGINE005, retry, text);
                return Err(error.unreached().of_deployment());
            }
            let (waiter, waiting) = oneshot::channel();
            state.waiting.push_back(waiter);
            waiting
        };
        match tokio::time::timeout_at(deadline.into(), waiting).await {
            Ok(Ok(given)) => given,
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(self.full()),
        }
    }

    /// One container more, where there is none.
    ///
    /// # Errors
    /// Why it does not serve.
    pub async fn warm(self: &Arc<Self>) -> Result<()> {
        if self.state().live.iter().any(|live| !live.retired) {
            return Ok(());
        }
        let limit = self.starter.settings.start_timeout * 2;
        self.acquire(Instant::now() + limit).await.map(drop)
    }

    fn full(&self) -> Error {
        let state = self.state();
        let text = match state.live.is_empty() {
            true => "no container had started until the call's deadline".to_owned(),
            false => {
                let (live, calls) = (state.live.len(), self.plan.calls);
                format!("all {live} containers ran {calls} calls each until the call's deadline")
            }
        };
        Error::backend(code::ENGINE005, Retry::Now, text).unreached().of_deployment()
    }

    fn take(self: &Arc<Self>, state: &mut State, index: usize, cold: bool) -> Slot {
        let live = &mut state.live[index];
        live.calls += 1;
        Slot { pool: Some(self.clone()), container: live.container.clone(), cold }
    }

    /// Gives room in a container to the first who still waits. Whether somebody did.
    fn give(self: &Arc<Self>, state: &mut State, index: usize, cold: bool) -> bool {
        while let Some(waiter) = state.waiting.pop_front() {
            if waiter.is_closed() {
                continue;
            }
            match waiter.send(Ok(self.take(state, index, cold))) {
                Err(Ok(mut slot)) => {
                    // It left just now. The state is held here: what the slot does when it is
                    // dropped is done by hand.
                    slot.pool = None;
                    state.live[index].calls -= 1;
                }
                _ => return true,
            }
        }
        false
    }

    /// In a task of its own: a caller that leaves stops no start.
    fn start(self: &Arc<Self>, state: &mut State) {
        state.starting += 1;
        let pool = self.clone();
        tokio::spawn(async move {
            let started = pool.starter.start(&pool.plan).await;
            pool.started(started);
        });
    }

    fn started(self: &Arc<Self>, started: Result<Container>) {
        let mut state = self.state();
        state.starting -= 1;
        match started {
            Ok(container) => {
                let container = Arc::new(container);
                let (retired, since) = (state.closed, Instant::now());
                state.failure = None;
                let _watch = self.watch(&container);
                let live = Live { container: container.clone(), calls: 0, retired, since, _watch };
                state.live.push(live);
                self.idle(container);
                let index = state.live.len() - 1;
                if !retired {
                    self.give(&mut state, index, true);
                }
                self.settle(state);
            }
            Err(error) => {
                state.failure = Some(error.clone());
                if state.count() == 0 {
                    for waiter in state.waiting.drain(..) {
                        let _ = waiter.send(Err(error.clone()));
                    }
                }
                self.settle(state);
            }
        }
    }

    fn release(self: &Arc<Self>, container: &Arc<Container>) {
        let mut state = self.state();
        if let Some(live) = state.find(container) {
            live.calls -= 1;
            live.since = Instant::now();
        }
        self.settle(state);
    }

    /// Gives room to who waits, and lets go who is retired and has no call.
    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        while let Some(index) = state.room(self.plan.calls) {
            if !self.give(&mut state, index, false) {
                break;
            }
        }
        while let Some(index) = state.live.iter().position(|l| l.retired && l.calls == 0) {
            let live = state.live.remove(index);
            state.stopping += 1;
            self.stop(live.container);
        }
        // Containers that went may leave callers without one on its way.
        let coming = state.starting * self.plan.calls as usize;
        let more = state.failure.is_none() && !state.closed;
        if more && state.count() < self.plan.containers && state.wait_more_than(coming, 0) {
            self.start(&mut state);
        }
        if state.closed && state.starting + state.stopping + state.live.len() == 0 {
            self.emptied.notify_waiters();
        }
    }

    fn stop(self: &Arc<Self>, container: Arc<Container>) {
        let pool = self.clone();
        tokio::spawn(async move {
            pool.starter.stop(&container).await;
            let mut state = pool.state();
            state.stopping -= 1;
            pool.settle(state);
        });
    }

    /// Gives the container no more calls from the moment it runs no more: another's may get its
    /// address. Calls that are under way find out by themselves.
    fn watch(self: &Arc<Self>, container: &Arc<Container>) -> Watch {
        let (pool, starter) = (Arc::downgrade(self), self.starter.clone());
        let container = container.clone();
        let task = tokio::spawn(async move {
            starter.ended(&container.id).await;
            let Some(pool) = pool.upgrade() else { return };
            pool.retire(&container);
        });
        Watch(task.abort_handle())
    }

    fn retire(self: &Arc<Self>, container: &Arc<Container>) {
        let mut state = self.state();
        if let Some(live) = state.find(container) {
            live.retired = true;
        }
        self.settle(state);
    }

    /// Stops the container once it had no call for the deployment's idle time.
    fn idle(self: &Arc<Self>, container: Arc<Container>) {
        let (pool, limit) = (Arc::downgrade(self), self.plan.deployment.idle.max(LEAST_IDLE));
        tokio::spawn(async move {
            let mut next = Instant::now() + limit;
            loop {
                tokio::time::sleep_until(next.into()).await;
                let Some(pool) = pool.upgrade() else { return };
                let mut state = pool.state();
                let Some(live) = state.find(&container) else { return };
                next = match live.calls {
                    0 => live.since + limit,
                    _ => Instant::now() + limit,
                };
                if next <= Instant::now() {
                    live.retired = true;
                    pool.settle(state);
                    return;
                }
            }
        });
    }

    /// Forgets a container that runs no more, and removes what is left of it.
    pub fn lost(self: &Arc<Self>, id: &str) {
        let mut state = self.state();
        if let Some(index) = state.live.iter().position(|live| live.container.id == id) {
            let live = state.live.remove(index);
            state.stopping += 1;
            self.stop(live.container);
        }
        self.settle(state);
    }

    /// Takes no more calls; containers go with their last.
    pub fn close(self: &Arc<Self>) {
        let mut state = self.state();
        state.closed = true;
        for live in &mut state.live {
            live.retired = true;
        }
        for waiter in state.waiting.drain(..) {
            let _ = waiter.send(Err(closed()));
        }
        self.settle(state);
    }

    /// Waits until a closed pool has no container any more.
    pub async fn empty(&self) {
        let emptied = self.emptied.notified();
        tokio::pin!(emptied);
        emptied.as_mut().enable();
        {
            let state = self.state();
            if state.starting + state.stopping + state.live.len() == 0 {
                return;
            }
        }
        emptied.await;
    }

    /// Containers with and without calls.
    pub fn containers(&self) -> (u64, u64) {
        let state = self.state();
        let busy = state.live.iter().filter(|live| live.calls > 0).count();
        (busy as u64, (state.live.len() - busy) as u64)
    }

    /// Why the last container did not start, if none did since.
    pub fn failure(&self) -> Option<Error> {
        self.state().failure.clone()
    }
}

fn closed() -> Error {
    let text = "the deployment was removed from this server";
    Error::backend(code::ENGINE007, Retry::Now, text).unreached()
}
