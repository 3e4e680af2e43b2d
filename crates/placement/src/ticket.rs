//! A call's place on an engine, and how the call ended.

use std::sync::Arc;

use crate::{EngineState, Room};

/// How a call ended, as far as its engine is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Ok,
    /// The handler failed, or took too long: the engine did its part. A function that always
    /// fails must not close an engine to all others.
    FunctionFailed,
    /// The engine failed, or was not there.
    BackendFailed,
    /// The engine said that it has no room, and perhaps when it will have some.
    Full {
        retry_after_ns: Option<u64>,
    },
    /// Nobody waited for the end.
    Abandoned,
}

/// A claimed place. Counts as a call under way until it is settled or dropped; dropped, the call
/// was abandoned.
#[derive(Debug)]
pub struct Ticket {
    engine: Option<Arc<EngineState>>,
    room: Option<Arc<Room>>,
    began_ns: u64,
    probe: bool,
}

impl Ticket {
    pub(crate) fn new(
        engine: Arc<EngineState>,
        room: Option<Arc<Room>>,
        began_ns: u64,
        probe: bool,
    ) -> Self {
        Self { engine: Some(engine), room, began_ns, probe }
    }

    pub fn engine(&self) -> &Arc<EngineState> {
        self.engine.as_ref().expect("only settling takes the engine, and that takes the ticket")
    }

    /// Whether the call finds out if the engine is back.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    pub fn settle(mut self, now_ns: u64, ending: Ending) {
        if let Some(engine) = self.engine.take() {
            self.leave();
            engine.settle(ending, self.began_ns, now_ns, self.probe);
        }
    }

    fn leave(&self) {
        if let Some(room) = &self.room {
            room.leave();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.leave();
            // What is abandoned has no end, so the time does not matter.
            engine.settle(Ending::Abandoned, self.began_ns, self.began_ns, self.probe);
        }
    }
}
