//! Where the calls of a version go: its engines, and the plan that chooses among them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use dispatch_driver::Engine;
use dispatch_model::OrgName;
use dispatch_model::function::DEFAULT_CONCURRENCY;
use dispatch_model::function_version::FunctionVersionSpec;
use dispatch_model::placement::{Canary, PlacementSpec};
use dispatch_placement::{
    EngineState, Explained, Picked, Plan, Queue, Reason, Refusal, RefusalKind, Tried,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::engines::Engines;
use super::metrics::EngineMetrics;
use super::placing::{Placing, now_ns};

/// How long a call waits at most before it asks again for room, which calls of other functions may
/// have made.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// An engine that has a version.
pub struct Place {
    pub engine: Arc<dyn Engine>,
    pub state: Arc<EngineState>,
    pub metrics: EngineMetrics,
    /// Calls of the version there.
    calls: AtomicU32,
    /// From how many on they wait for one another; `None` where the engine makes room itself.
    room: Option<u32>,
}

impl Place {
    pub fn new(
        engine: Arc<dyn Engine>,
        state: Arc<EngineState>,
        metrics: EngineMetrics,
        version: &FunctionVersionSpec,
    ) -> Self {
        let lasting = engine.capabilities().lasting;
        let room = (!lasting).then(|| version.spec.concurrency.unwrap_or(DEFAULT_CONCURRENCY));
        Self { engine, state, metrics, calls: AtomicU32::new(0), room }
    }
}

/// A call at a place, counted until this is dropped. Those beyond its room count as waiting.
pub struct Here<'a> {
    place: &'a Place,
    queue: &'a Queue,
}

impl<'a> Here<'a> {
    fn enter(place: &'a Place, queue: &'a Queue) -> Self {
        let before = place.calls.fetch_add(1, Ordering::Relaxed);
        if place.room.is_some_and(|room| before >= room) {
            queue.join();
        }
        Self { place, queue }
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        let before = self.place.calls.fetch_sub(1, Ordering::Relaxed);
        if self.place.room.is_some_and(|room| before > room) {
            self.queue.leave();
        }
    }
}

/// All places of a version.
pub struct Places {
    all: Vec<Place>,
    plan: ArcSwap<Plan>,
    queue: Arc<Queue>,
    /// Told when a call of the version ended.
    room: Notify,
    engines: Engines,
    org: OrgName,
    version: FunctionVersionSpec,
    placement: Arc<PlacementSpec>,
}

impl Places {
    pub fn new(
        engines: Engines,
        org: OrgName,
        version: FunctionVersionSpec,
        placement: Arc<PlacementSpec>,
        all: Vec<Place>,
    ) -> Self {
        let queue = Arc::<Queue>::default();
        let plan = plan(&engines, &org, &version, &placement, &all, &queue);
        let (plan, room) = (ArcSwap::from_pointee(plan), Notify::new());
        Self { all, plan, queue, room, engines, org, version, placement }
    }

    /// Chooses a place for a call, and claims it there. Waits for room until the deadline.
    ///
    /// # Errors
    /// Why no engine takes the call, for its caller.
    pub async fn pick(&self, tried: &Tried, deadline: Instant) -> Result<Picked, String> {
        let mut waiting = None;
        loop {
            // Before the look: room that is made in between is not missed.
            let room = self.room.notified();
            match self.try_pick(tried) {
                Ok(picked) => return Ok(picked),
                Err(Refusal { kind: RefusalKind::NoRoom, .. }) if Instant::now() < deadline => {}
                Err(refusal) => return Err(self.plan.load().refusal(&refusal, now_ns())),
            }
            waiting.get_or_insert_with(|| self.queue.enter());
            let again = deadline.min(Instant::now() + ASK_AGAIN);
            let _ = tokio::time::timeout_at(again, room).await;
        }
    }

    fn try_pick(&self, tried: &Tried) -> Result<Picked, Refusal> {
        let current = self.plan.load();
        if !current.is_stale() {
            return current.pick(now_ns(), rand::random(), tried);
        }
        let (org, version, placement) = (&self.org, &self.version, &self.placement);
        let anew = plan(&self.engines, org, version, placement, &self.all, &self.queue);
        let picked = anew.pick(now_ns(), rand::random(), tried);
        self.plan.store(Arc::new(anew));
        picked
    }

    /// The place a plan chose.
    pub fn of(&self, picked: &Picked) -> Option<&Place> {
        let engine = picked.ticket.engine().name();
        self.all.iter().find(|place| place.state.name() == engine)
    }

    #[cfg(test)]
    pub fn first(&self) -> &Place {
        &self.all[0]
    }

    /// Counts a call that begins at a place.
    pub fn enter<'a>(&'a self, place: &'a Place) -> Here<'a> {
        Here::enter(place, &self.queue)
    }

    /// A call ended: another may have its room.
    pub fn left(&self) {
        self.room.notify_one();
    }

    /// How the next call would be decided, among all engines there are.
    pub fn explain(&self) -> Vec<Explained> {
        let placing = placing(&self.engines, &self.org, &self.version, &self.placement);
        placing.for_people(&names(&self.all), &self.queue).explain(now_ns())
    }
}

/// Why a call went where it went, as its run records it. Where there was nothing to choose nothing
/// is said.
pub fn recorded(reason: Reason, trial: Option<Canary>) -> Option<String> {
    use dispatch_placement::Word;
    let reason = match trial {
        Some(trial) => reason.of_canary(trial),
        None => reason,
    };
    (reason.word() != Word::Only).then(|| reason.to_string())
}

fn names(places: &[Place]) -> BTreeSet<&str> {
    places.iter().map(|place| place.state.name()).collect()
}

fn placing<'a>(
    engines: &'a Engines,
    org: &'a OrgName,
    version: &'a FunctionVersionSpec,
    placement: &'a PlacementSpec,
) -> Placing<'a> {
    Placing { engines, org, version, placement }
}

fn plan(
    engines: &Engines,
    org: &OrgName,
    version: &FunctionVersionSpec,
    placement: &PlacementSpec,
    places: &[Place],
    queue: &Arc<Queue>,
) -> Plan {
    placing(engines, org, version, placement).for_calls(&names(places), queue)
}
