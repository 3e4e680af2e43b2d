//! Placement: which of several engines takes a call, decided in memory for every call.
//!
//! A server has one [`Fleet`] with an [`EngineState`] for each engine, and for each function it
//! calls a [`Plan`], compiled from the function's placement and the engines it is deployed on. A
//! call asks [`Plan::pick`], which claims a place on an engine; the [`Ticket`] it gets is settled
//! with how the call ended, and that is all the engine's circuit breaker learns from.
//!
//! There is no IO here, no clock and no source of randomness: the time is passed in, as
//! nanoseconds of a clock that never goes back, and so are random numbers. So `cargo xtask
//! simulate` can put the same code in front of a fleet nobody owns.

mod breaker;
mod engine;
mod explain;
mod fleet;
mod plan;
mod queue;
mod random;
mod reason;
mod room;
mod ticket;

pub use breaker::{Breaker, Rules};
pub use engine::{EngineSettings, EngineState};
pub use explain::{Explained, Role};
pub use fleet::{Fleet, FleetFull, MAX_ENGINES};
pub use plan::{Candidate, MAX_TRIED, Picked, Plan, Refusal, RefusalKind, Tried};
pub use queue::{Queue, Waiting};
pub use random::{canary, mix};
pub use reason::{Reason, Why, Word};
pub use room::Room;
pub use ticket::{Ending, Ticket};
