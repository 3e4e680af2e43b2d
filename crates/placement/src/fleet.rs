//! All engines of a server, as one bit each: whether it is worth a closer look.
//!
//! A plan of 1,000 engines of which 990 are full must find the ten without reading 1,000 engines,
//! which lie scattered in memory: that many cache misses are the whole budget of a decision. The
//! bits of 1,000 engines are 125 bytes, two lines of cache, and change only when an engine becomes
//! full or free, or somebody takes it out of service. What depends on time (a breaker, an engine
//! that asked for a pause) is no part of the bit, as nobody would be there to set it: that is read
//! from the engine itself, which a decision does anyway before it claims a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::{EngineSettings, EngineState, Rules};

/// Engines one server can know.
pub const MAX_ENGINES: usize = 4_096;
const WORDS: usize = MAX_ENGINES / 64;

/// The engines of one server. Holds none of them: who holds an [`EngineState`] keeps its place.
#[derive(Debug)]
pub struct Fleet {
    open: [AtomicU64; WORDS],
    taken: [AtomicU64; WORDS],
    changes: AtomicU64,
    draining: AtomicU32,
    rules: Rules,
}

/// There are [`MAX_ENGINES`] already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetFull;

impl std::fmt::Display for FleetFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there are {MAX_ENGINES} engines, which is the most: delete one first")
    }
}

impl std::error::Error for FleetFull {}

impl Fleet {
    pub fn new() -> Arc<Self> {
        Self::with_rules(Rules::default())
    }

    /// With other numbers for the circuit breakers.
    pub fn with_rules(rules: Rules) -> Arc<Self> {
        let words = || std::array::from_fn(|_| AtomicU64::new(0));
        Arc::new(Self {
            open: words(),
            taken: words(),
            changes: AtomicU64::new(0),
            draining: AtomicU32::new(0),
            rules,
        })
    }

    /// An engine, healthy until somebody says otherwise.
    ///
    /// # Errors
    /// When there is no place left.
    pub fn engine(
        self: &Arc<Self>,
        name: &str,
        settings: EngineSettings,
    ) -> Result<Arc<EngineState>, FleetFull> {
        let slot = self.take().ok_or(FleetFull)?;
        Ok(Arc::new(EngineState::new(Arc::clone(self), slot, name, settings)))
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Grows whenever something changes that plans are compiled from.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Makes all plans stale: something they are compiled from is another one now.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// The bits of 64 places.
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.open[at].load(Ordering::Relaxed)
    }

    pub(crate) fn any_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn count_draining(&self, one_more: bool) {
        if one_more {
            self.draining.fetch_add(1, Ordering::Relaxed);
        } else {
            self.draining.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sequentially consistent, as the count of calls is: see `EngineState::refresh`.
    pub(crate) fn set_open(&self, slot: u32, open: bool) {
        let (word, bit) = (&self.open[slot as usize / 64], 1 << (slot % 64));
        if open {
            word.fetch_or(bit, Ordering::SeqCst);
        } else {
            word.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    fn take(&self) -> Option<u32> {
        for (at, word) in self.taken.iter().enumerate() {
            let mut seen = word.load(Ordering::Relaxed);
            while seen != u64::MAX {
                let bit = seen.trailing_ones();
                let with = seen | 1 << bit;
                match word.compare_exchange(seen, with, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => return Some(at as u32 * 64 + bit),
                    Err(now) => seen = now,
                }
            }
        }
        None
    }

    pub(crate) fn give_back(&self, slot: u32) {
        self.set_open(slot, false);
        self.taken[slot as usize / 64].fetch_and(!(1 << (slot % 64)), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_has_a_stated_end_and_places_come_back() {
        let fleet = Fleet::new();
        let add = || fleet.engine("e", EngineSettings::default());
        let mut all: Vec<_> = (0..MAX_ENGINES).map(|_| add().unwrap()).collect();
        assert_eq!(add().err(), Some(FleetFull));
        all.swap_remove(77);
        assert!(add().is_ok());
    }
}
