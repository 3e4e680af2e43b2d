//! The invoker over a store on disk and an engine in memory.

mod blocking;
mod other_server;
mod places;
mod queued;
