//! Decides who may do what: rules of policies, roles, groups, denials and conditions, judged by
//! Cedar.
//!
//! Nothing here does IO, waits, or knows a clock: what is stored, the time and where a request
//! comes from are passed in. [`Policies`] is compiled whole from what is stored and never changes
//! after; whoever keeps one swaps it for the next. An index by organization, subject, resource and
//! application picks the rules that may hold; Cedar says of each that counts whether it does.

mod action;
mod broken;
mod cedar;
mod compile;
mod condition;
mod decide;
mod explain;
mod facts;
mod grant;
mod hours;
mod index;
mod network;
mod pattern;
mod policies;
mod reach;
mod region;
mod request;
mod role;
mod rule;
mod size;

#[cfg(test)]
mod tests;

pub use action::Action;
pub use broken::Broken;
pub use compile::check;
pub use decide::Decision;
pub use explain::{Explanation, Near, Unfit};
pub use grant::{Beyond, Change};
pub use policies::{Policies, Stored};
pub use reach::{Filter, Reach};
pub use request::{Object, Principal, Request};
pub use role::{RESOURCES, built_in};
pub use rule::Which;
pub use size::MAX_PATTERNS;
