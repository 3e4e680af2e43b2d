//! Cedar's side: rules in its language, requests as it takes them, and its judgement.

mod judge;
mod number;
mod question;
mod text;

pub(crate) use judge::Judge;
#[cfg(test)]
pub(crate) use number::number;
#[cfg(test)]
pub(crate) use question::{Fact, Shown, ask};
pub(crate) use text::text;
