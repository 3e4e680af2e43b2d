//! A function's plan: everything about a decision that does not change from call to call.
//!
//! Compiled when the fleet, the placement or the function's deployments change; asked for every
//! call. Compiling sorts and allocates, asking does neither.

mod compile;
mod group;
mod pick;

use std::sync::Arc;

use dispatch_model::placement::{PlacementSpec, Strategy};

use crate::{EngineState, Fleet, Queue, Reason, Room, Ticket, Why};

pub(crate) use group::Group;

/// Engines one call is tried on at most.
pub const MAX_TRIED: usize = 8;

/// An engine that may be asked, or why it may not for reasons placement does not know: its
/// languages, organizations it is not for, a deployment that is not there yet.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub engine: Arc<EngineState>,
    /// `does not run python3`.
    pub unfit: Option<String>,
    /// The function's room there; without one, as much as the engine has.
    pub room: Option<Arc<Room>>,
}

/// See the module.
#[derive(Debug)]
pub struct Plan {
    pub(crate) fleet: Arc<Fleet>,
    /// The fleet's count of changes when this was compiled.
    changes: u64,
    /// All candidates, in the order they were given.
    pub(crate) members: Box<[Member]>,
    pub(crate) primary: Group,
    pub(crate) burst: Group,
    pub(crate) strategy: Strategy,
    pub(crate) failover: bool,
    pub(crate) when_queued: Option<u32>,
    pub(crate) when_saturated: bool,
    pub(crate) queue: Arc<Queue>,
    /// Whether one of the members has a room of the function's.
    pub(crate) rooms: bool,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub engine: Arc<EngineState>,
    pub room: Option<Arc<Room>>,
    /// `None` when it fits.
    pub misfit: Option<Misfit>,
    /// Sum of the weights of the preferences it matches.
    pub score: u32,
    pub cost: u32,
}

impl Member {
    /// Why a call would not be worked on here at once.
    pub fn why_not(&self, now_ns: u64) -> Option<Why> {
        let room = || self.room.as_ref().and_then(|room| room.why_not());
        self.engine.why_not(now_ns).or_else(room)
    }
}

/// Why an engine can never take the function's calls, as things are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misfit {
    Label { name: String, wanted: String, found: Option<String> },
    NotListed,
    Memory { most: u64, asked: u64 },
    Outside(String),
}

/// A decision.
#[derive(Debug)]
pub struct Picked {
    /// Of the candidate, as they were given.
    pub index: usize,
    pub reason: Reason,
    /// The claimed place: settle it when the call ends.
    pub ticket: Ticket,
}

/// Where one call has been tried. Empty, it allocates nothing.
#[derive(Debug, Default)]
pub struct Tried {
    engines: Vec<Arc<EngineState>>,
    last: Option<Arc<str>>,
}

impl Tried {
    /// The call failed on an engine before it reached its handler, or may be repeated.
    pub fn add(&mut self, engine: &Arc<EngineState>, error: &str) {
        self.last = Some(format!("{} failed ({error})", engine.name()).into());
        self.engines.push(Arc::clone(engine));
    }

    pub fn is_empty(&self) -> bool {
        self.engines.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.engines.len() >= MAX_TRIED
    }

    pub(crate) fn has(&self, slot: u32) -> bool {
        self.engines.iter().any(|engine| engine.slot() == slot)
    }

    pub(crate) fn last(&self) -> Option<Arc<str>> {
        self.last.clone()
    }
}

/// Why no engine takes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// When asking again may help, as far as it is known.
    pub retry_after_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// No engine can ever take it, as placement and engines are set.
    NoneFits,
    /// Those that fit are all out of order.
    NoneHealthy,
    /// Those that are in order are all full: the call may wait.
    NoRoom,
    /// It failed, and may not be, or was, tried elsewhere.
    NoneLeft,
}

impl Plan {
    /// Whether the fleet has changed since: then compile another one. Costs one load.
    pub fn is_stale(&self) -> bool {
        self.fleet.changes() != self.changes
    }

    /// The calls of the function that wait for room.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Engines that fit, in all.
    pub fn fitting(&self) -> usize {
        self.primary.len() + self.burst.len()
    }

    /// Compiles the plan of a function from what holds for it ([`PlacementSpec::effective`]), the
    /// engines of one fleet in their configured order, and the memory one call needs. The queue is
    /// the function's, and outlives its plans.
    pub fn compile(
        fleet: &Arc<Fleet>,
        spec: &PlacementSpec,
        candidates: Vec<Candidate>,
        memory_mib: u64,
        queue: &Arc<Queue>,
    ) -> Plan {
        compile::compile(fleet, spec, candidates, memory_mib, queue)
    }
}
