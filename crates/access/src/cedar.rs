//! Cedar's side: rules in its language, requests and entities as it takes them, and its judgement.

mod judge;
mod text;

pub(crate) use judge::Judge;
#[cfg(test)]
pub(crate) use judge::{Shown, ask};
pub(crate) use text::text;
