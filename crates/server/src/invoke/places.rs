//! Where the calls of a version go: its engines, and the plan that chooses among them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dispatch_driver::Engine;
use dispatch_model::OrgName;
use dispatch_model::function::DEFAULT_CONCURRENCY;
use dispatch_model::function_version::FunctionVersionSpec;
use dispatch_model::placement::{Canary, PlacementSpec};
use dispatch_placement::{
    EngineState, Explained, Picked, Plan, Queue, Reason, Refusal, RefusalKind, Room, Tried,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::engines::Engines;
use super::member::Member;
use super::metrics::EngineMetrics;
use super::placing::{Placing, now_ns};

/// How long a call waits at most before it asks again for room, which calls of other functions may
/// have made.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// An engine that is to have a version.
pub struct Place {
    pub engine: Arc<dyn Engine>,
    pub state: Arc<EngineState>,
    pub metrics: EngineMetrics,
    /// Shut until the engine has been told of the version.
    pub room: Arc<Room>,
}

impl Place {
    pub fn new(
        member: &Member,
        metrics: EngineMetrics,
        version: &FunctionVersionSpec,
        queue: &Arc<Queue>,
    ) -> Self {
        // An engine that outlives this server makes room itself.
        let most = match member.engine.capabilities().lasting {
            true => 0,
            false => version.spec.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
        };
        let (engine, state) = (member.engine.clone(), member.state().clone());
        Self { engine, state, metrics, room: Arc::new(Room::new(most, queue)) }
    }
}

/// All places of a version.
pub struct Places {
    all: Vec<Arc<Place>>,
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
    /// `queue` is the one that the places' rooms know.
    pub fn new(
        engines: Engines,
        org: OrgName,
        version: FunctionVersionSpec,
        placement: Arc<PlacementSpec>,
        all: Vec<Arc<Place>>,
        queue: Arc<Queue>,
    ) -> Self {
        let placing =
            Placing { engines: &engines, org: &org, version: &version, placement: &placement };
        let plan = ArcSwap::from_pointee(placing.for_calls(&all, &queue));
        let room = Notify::new();
        Self { all, plan, queue, room, engines, org, version, placement }
    }

    pub fn all(&self) -> &[Arc<Place>] {
        &self.all
    }

    /// The calls of the version that wait.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
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
        let anew = self.placing().for_calls(&self.all, &self.queue);
        let picked = anew.pick(now_ns(), rand::random(), tried);
        self.plan.store(Arc::new(anew));
        picked
    }

    /// The place a plan chose.
    pub fn of(&self, picked: &Picked) -> Option<&Place> {
        let engine = picked.ticket.engine().name();
        self.all.iter().find(|place| place.state.name() == engine).map(Arc::as_ref)
    }

    #[cfg(test)]
    pub fn first(&self) -> &Place {
        &self.all[0]
    }

    /// A call ended: another may have its room.
    pub fn left(&self) {
        self.room.notify_one();
    }

    /// How the next call would be decided, among all engines there are.
    pub fn explain(&self) -> Vec<Explained> {
        self.placing().for_people(&self.all, &self.queue).explain(now_ns())
    }

    fn placing(&self) -> Placing<'_> {
        Placing {
            engines: &self.engines,
            org: &self.org,
            version: &self.version,
            placement: &self.placement,
        }
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
