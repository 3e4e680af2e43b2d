//! What a server knows of one engine: settings of the operator, and what calls have taught.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::sync::{Arc, PoisonError, RwLock};

use dispatch_model::Labels;

use crate::breaker::{self, Breaker, Record, Rules};
use crate::{Ending, Fleet, Queue, Why};

/// What an operator says of an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineSettings {
    /// The label `engine` is the engine's name, unless the operator sets it.
    pub labels: Labels,
    /// Of two engines, the one with the lower cost is cheaper.
    pub cost: u32,
    /// Calls at the same time; 0 for no limit.
    pub max_concurrency: u32,
    /// The most memory a function may ask for here; 0 for no limit.
    pub max_memory_mib: u64,
    /// It gets no new deployments; those it has are served.
    pub cordoned: bool,
    /// It gets calls only when no other engine can take them.
    pub draining: bool,
}

/// What stands for the capacity of an engine without a limit where loads are compared.
const NOMINAL_CAPACITY: u64 = 100;
/// How long an engine that says it is full is left alone, when it names no time.
const PAUSE_NS: u64 = 100_000_000;
/// The longest pause an engine may ask for: 10 seconds.
const MAX_PAUSE_NS: u64 = 10_000_000_000;

const UNHEALTHY: u8 = 1;
const CORDONED: u8 = 2;
const DRAINING: u8 = 4;

/// One engine. Shared by all plans; its settings change while it lives, and its counts stay.
#[derive(Debug)]
pub struct EngineState {
    hot: Hot,
    learned: Learned,
    slot: u32,
    fleet: Arc<Fleet>,
    name: Arc<str>,
    settings: RwLock<Arc<EngineSettings>>,
    queue: Arc<Queue>,
}

/// What decisions read: on a line of cache of its own, and its neighbour, which processors fetch
/// together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Hot {
    in_flight: AtomicU32,
    /// 0 for no limit.
    most: AtomicU32,
    standing: AtomicU8,
    /// The breaker's gate.
    gate: AtomicU64,
    /// The engine has said that it is full, and until when it wants no calls.
    pause_until_ns: AtomicU64,
}

/// What calls write when they end.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Learned {
    record: Record,
    latency_ns: AtomicU64,
}

impl EngineState {
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        slot: u32,
        name: &str,
        settings: EngineSettings,
    ) -> EngineState {
        let engine = EngineState {
            hot: Hot::default(),
            learned: Learned::default(),
            slot,
            fleet,
            name: name.into(),
            settings: RwLock::default(),
            queue: Arc::default(),
        };
        engine.configure(settings);
        engine
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub fn settings(&self) -> Arc<EngineSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other settings. Calls under way go on; plans say that they are stale. The same again,
    /// as when only an engine's health was written down, changes nothing.
    pub fn configure(&self, mut settings: EngineSettings) {
        settings.labels.entry("engine".to_owned()).or_insert_with(|| self.name().to_owned());
        if *self.settings() == settings {
            return;
        }
        self.hot.most.store(settings.max_concurrency, SeqCst);
        self.mark(CORDONED, settings.cordoned);
        self.mark(DRAINING, settings.draining);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.refresh();
        self.fleet.changed();
    }

    /// What the last look at the engine found. What is wrong with it is not kept here: that may
    /// name an address, and what plans say is read by those who call. An engine that is well again
    /// is probed at once, whatever is left of its breaker's back-off.
    pub fn set_health(&self, healthy: bool) {
        let was_healthy = !self.mark(UNHEALTHY, !healthy);
        if healthy && !was_healthy {
            breaker::let_probe_through(&self.hot.gate);
        }
        self.refresh();
    }

    pub fn healthy(&self) -> bool {
        !self.is(UNHEALTHY)
    }

    pub fn cordoned(&self) -> bool {
        self.is(CORDONED)
    }

    pub fn draining(&self) -> bool {
        self.is(DRAINING)
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u32 {
        self.hot.in_flight.load(Relaxed)
    }

    /// Calls at the same time, at most; 0 for no limit.
    pub fn max_concurrency(&self) -> u32 {
        self.hot.most.load(Relaxed)
    }

    /// Calls that wait at this engine, which the server counts here when it knows.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Mean time of a call, the last ones counting more; `None` before the first one.
    pub fn latency_ns(&self) -> Option<u64> {
        Some(self.learned.latency_ns.load(Relaxed)).filter(|latency| *latency != 0)
    }

    pub fn breaker(&self, now_ns: u64) -> Breaker {
        breaker::state(&self.hot.gate, now_ns)
    }

    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }

    pub(crate) fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    fn rules(&self) -> &Rules {
        self.fleet.rules()
    }

    fn is(&self, flag: u8) -> bool {
        self.hot.standing.load(Relaxed) & flag != 0
    }

    /// Says whether it was set before.
    fn mark(&self, flag: u8, set: bool) -> bool {
        let before = match set {
            true => self.hot.standing.fetch_or(flag, SeqCst),
            false => self.hot.standing.fetch_and(!flag, SeqCst),
        };
        let was_set = before & flag != 0;
        if flag == DRAINING && was_set != set {
            self.fleet.count_draining(set);
        }
        was_set
    }

    fn has_room(&self) -> bool {
        let most = self.hot.most.load(SeqCst);
        most == 0 || self.hot.in_flight.load(SeqCst) < most
    }

    /// Writes the fleet's bit until it agrees with what it stands for. Whoever changes that calls
    /// this afterwards, so the last one to write the bit has seen the last change.
    fn refresh(&self) {
        loop {
            let open = self.has_room() && !self.is_shut();
            self.fleet.set_open(self.slot, open);
            if open == (self.has_room() && !self.is_shut()) {
                return;
            }
        }
    }

    fn is_shut(&self) -> bool {
        self.hot.standing.load(SeqCst) & (UNHEALTHY | DRAINING) != 0
    }

    /// Why the engine takes no call now, if it takes none.
    pub fn why_not(&self, now_ns: u64) -> Option<Why> {
        if self.is(DRAINING) {
            return Some(Why::Draining);
        }
        self.why_not_even_draining(now_ns)
    }

    pub(crate) fn why_not_even_draining(&self, now_ns: u64) -> Option<Why> {
        if self.is(UNHEALTHY) {
            return Some(Why::Unhealthy);
        }
        if let Breaker::Open { for_ns } = self.breaker(now_ns) {
            return Some(Why::Broken { for_ns });
        }
        let pause = self.hot.pause_until_ns.load(Relaxed);
        if pause > now_ns {
            return Some(Why::Pausing { for_ns: pause - now_ns });
        }
        let (in_flight, most) = (self.in_flight(), self.max_concurrency());
        (most != 0 && in_flight >= most).then_some(Why::Full { in_flight, most })
    }

    /// Calls for its capacity, as a number to compare; `None` when it takes no call.
    pub(crate) fn load(&self, now_ns: u64) -> Option<u64> {
        if self.why_not(now_ns).is_some() {
            return None;
        }
        let most = self.max_concurrency();
        let capacity = if most == 0 { NOMINAL_CAPACITY } else { u64::from(most) };
        let calls = u64::from(self.in_flight()) + u64::from(self.queue.waiting());
        Some((calls << 16) / capacity)
    }

    /// Claims a place for a call; true when the call is a probe. `even_draining` when nothing else
    /// is left.
    pub(crate) fn claim(&self, now_ns: u64, even_draining: bool) -> Result<bool, Why> {
        let why =
            if even_draining { self.why_not_even_draining(now_ns) } else { self.why_not(now_ns) };
        if let Some(why) = why {
            return Err(why);
        }
        let most = self.hot.most.load(Relaxed);
        let more = |calls: u32| (most == 0 || calls < most).then_some(calls + 1);
        let before = self.hot.in_flight.fetch_update(SeqCst, Relaxed, more);
        let before = before.map_err(|in_flight| Why::Full { in_flight, most })?;
        if most != 0 && before + 1 >= most {
            self.refresh();
        }
        if self.hot.gate.load(Relaxed) == 0 {
            return Ok(false);
        }
        if self.learned.record.claim_probe(&self.hot.gate, self.rules(), now_ns) {
            return Ok(true);
        }
        // Somebody else is the probe.
        self.leave();
        Err(Why::Broken { for_ns: self.rules().backoff_max_ns })
    }

    fn leave(&self) {
        let before = self.hot.in_flight.fetch_sub(1, SeqCst);
        let most = self.hot.most.load(SeqCst);
        if most != 0 && before >= most {
            self.refresh();
        }
    }

    /// A ticket comes back.
    pub(crate) fn settle(&self, ending: Ending, began_ns: u64, now_ns: u64, probe: bool) {
        self.leave();
        let (record, gate) = (&self.learned.record, &self.hot.gate);
        let trial = probe.then_some(began_ns);
        match ending {
            Ending::Ok | Ending::FunctionFailed => {
                self.learn_latency(now_ns.saturating_sub(began_ns));
                record.success(gate, self.rules(), now_ns, trial);
            }
            Ending::BackendFailed => record.failure(gate, self.rules(), now_ns, trial),
            Ending::Full { retry_after_ns } => {
                let pause = retry_after_ns.unwrap_or(PAUSE_NS).min(MAX_PAUSE_NS);
                self.hot.pause_until_ns.store(now_ns.saturating_add(pause), Relaxed);
                record.give_back(gate, trial);
            }
            Ending::Abandoned => record.give_back(gate, trial),
        }
    }

    /// A moving mean: each call moves it by an eighth of the difference. Of two that end at once,
    /// one may be forgotten.
    fn learn_latency(&self, took_ns: u64) {
        let mean = self.learned.latency_ns.load(Relaxed);
        let next = if mean == 0 { took_ns } else { mean - mean / 8 + took_ns / 8 };
        self.learned.latency_ns.store(next.max(1), Relaxed);
    }
}

impl Drop for EngineState {
    fn drop(&mut self) {
        self.mark(DRAINING, false);
        self.fleet.give_back(self.slot);
    }
}
