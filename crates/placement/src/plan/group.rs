//! Engines of a plan in the order they are asked, and how one of them is found.
//!
//! A group is cut into *tiers*: engines of one tier are equally good, and the next tier is asked
//! when none of them takes the call. What that costs, for 1,000 engines:
//!
//! - In order: the fleet's bits are gone through from the front, about a nanosecond for each engine
//!   that is full or out of service. The first engine that is not is read, and usually claimed.
//! - Least loaded: reading all 1,000 would be 1,000 misses of the cache. Some drawn at random are
//!   read instead, and the best of them claimed: with two already, the longest queue grows like
//!   log log n, where one alone gives log n / log log n (Azar et al., Balanced Allocations). Four
//!   make a herd of servers that share a fleet less likely still. When all that were drawn are
//!   closed a few times over, almost all are, and the bits are gone through for the first that is
//!   not, from a random place on.
//! - Weighted: a binary search in the running sum of weights. When the drawn one is closed another
//!   is drawn, which gives its calls to the others in their proportion. After a few draws the
//!   weights of the open ones are summed up and drawn from exactly.

use std::sync::Arc;

use super::{Member, Tried};
use crate::random::{below, mix};
use crate::{EngineState, Fleet};

/// Engines read for one draw of the least loaded.
const SAMPLES: usize = 4;
/// Tiers up to this size are read whole.
const SMALL: usize = 8;
/// Draws before everything is looked at.
const DRAWS: usize = 4;

#[derive(Debug)]
pub(crate) struct Group {
    /// Indexes of members, in order.
    order: Box<[u32]>,
    /// Their places in the fleet.
    slots: Box<[u32]>,
    engines: Box<[Arc<EngineState>]>,
    /// Where each tier ends.
    ends: Box<[u32]>,
    choice: Choice,
}

#[derive(Debug)]
enum Choice {
    /// Each engine is a tier.
    First,
    LeastLoaded,
    /// Running sums of the weights; those at the end without weight add nothing.
    Weighted(Box<[u64]>),
}

/// What all parts of one decision need.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub fleet: &'a Fleet,
    pub now_ns: u64,
    pub random: u64,
    pub tried: &'a Tried,
    /// Only the first tier may be asked.
    pub first_only: bool,
}

/// A claimed engine: its position in the group, and whether the call is a probe.
pub(crate) struct Found {
    pub position: usize,
    pub probe: bool,
}

impl Group {
    pub fn in_order(members: &[Member], order: Vec<u32>) -> Self {
        let ends = (1..=order.len() as u32).collect();
        Self::new(members, order, ends, Choice::First)
    }

    /// Neighbours with the same key make a tier.
    pub fn tiers(members: &[Member], order: Vec<u32>, key: impl Fn(&Member) -> u64) -> Self {
        let key = |at: u32| key(&members[order[at as usize] as usize]);
        let all = order.len() as u32;
        let ends = (1..=all).filter(|end| *end == all || key(*end) != key(*end - 1));
        let ends: Vec<u32> = ends.collect();
        let choice = if ends.len() == order.len() { Choice::First } else { Choice::LeastLoaded };
        Self::new(members, order, ends, choice)
    }

    /// Those without a weight must come last.
    pub fn weighted(members: &[Member], weights: Vec<(u32, u64)>) -> Self {
        let mut sum = 0;
        let sums = weights.iter().map(|(_, weight)| {
            sum += weight;
            sum
        });
        let sums: Box<[u64]> = sums.collect();
        let shared = weights.iter().filter(|(_, weight)| *weight > 0).count() as u32;
        let all = weights.len() as u32;
        let ends = [shared, all];
        let ends = ends[..1 + usize::from(shared < all)].to_vec();
        let order = weights.into_iter().map(|(at, _)| at).collect();
        Self::new(members, order, ends, Choice::Weighted(sums))
    }

    fn new(members: &[Member], order: Vec<u32>, ends: Vec<u32>, choice: Choice) -> Self {
        let engine = |at: &u32| &members[*at as usize].engine;
        Self {
            slots: order.iter().map(|at| engine(at).slot()).collect(),
            engines: order.iter().map(|at| Arc::clone(engine(at))).collect(),
            order: order.into(),
            ends: ends.into(),
            choice,
        }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn member(&self, position: usize) -> usize {
        self.order[position] as usize
    }

    pub fn engine(&self, position: usize) -> &Arc<EngineState> {
        &self.engines[position]
    }

    pub fn engines(&self) -> &[Arc<EngineState>] {
        &self.engines
    }

    /// Positions of the tiers, the best first.
    pub fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| *end as usize));
        starts.zip(self.ends.iter()).map(|(start, end)| start..*end as usize)
    }

    /// Whether a position lies in the first tier.
    pub fn is_first_tier(&self, position: usize) -> bool {
        self.ends.first().is_some_and(|end| position < *end as usize)
    }

    /// The share of a position of all weights, where there are weights.
    pub fn share(&self, position: usize) -> Option<f64> {
        let Choice::Weighted(sums) = &self.choice else { return None };
        let before = position.checked_sub(1).map_or(0, |at| sums[at]);
        let all = sums.last().copied().unwrap_or(1);
        Some((sums[position] - before) as f64 / all as f64)
    }

    /// Claims a place on the best engine that takes the call.
    pub fn find(&self, ask: Ask<'_>) -> Option<Found> {
        if matches!(self.choice, Choice::First) {
            let end = if ask.first_only { self.len().min(1) } else { self.len() };
            return self.first(ask, 0, end);
        }
        let tiers = if ask.first_only { 1 } else { usize::MAX };
        for (tier, range) in self.ranges().enumerate().take(tiers) {
            let found = match &self.choice {
                Choice::Weighted(sums) if tier == 0 => self.drawn(ask, &sums[range]),
                _ if range.len() == 1 => self.first(ask, range.start, range.end),
                _ if range.len() <= SMALL => self.least_of_few(ask, range.start, range.end),
                _ => self.least_of_some(ask, range.start, range.end),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Any draining engine that takes the call.
    pub fn find_draining(&self, ask: Ask<'_>) -> Option<Found> {
        let first_tier = self.ends.first().filter(|_| ask.first_only);
        let end = first_tier.map_or(self.len(), |end| *end as usize);
        (0..end).find_map(|position| {
            let engine = &self.engines[position];
            let may = engine.draining() && !ask.tried.has(self.slots[position]);
            let probe = may.then(|| engine.claim(ask.now_ns, true).ok()).flatten()?;
            Some(Found { position, probe })
        })
    }

    fn may(&self, ask: Ask<'_>, position: usize) -> bool {
        let slot = self.slots[position];
        ask.fleet.is_open(slot) && (ask.tried.is_empty() || !ask.tried.has(slot))
    }

    fn claim(&self, ask: Ask<'_>, position: usize) -> Option<Found> {
        let probe = self.engines[position].claim(ask.now_ns, false).ok()?;
        Some(Found { position, probe })
    }

    fn first(&self, ask: Ask<'_>, start: usize, end: usize) -> Option<Found> {
        (start..end).filter(|at| self.may(ask, *at)).find_map(|at| self.claim(ask, at))
    }

    /// Reads all; the ones of equal load come in turn, by chance.
    fn least_of_few(&self, ask: Ask<'_>, start: usize, end: usize) -> Option<Found> {
        let size = end - start;
        let offset = below(ask.random, size as u64) as usize;
        let mut lost = 0_u32;
        for _ in 0..size {
            let turned = (0..size).map(|at| (at + offset) % size);
            let open = turned.filter(|at| lost >> at & 1 == 0 && self.may(ask, start + at));
            let loads =
                open.filter_map(|at| Some((self.engines[start + at].load(ask.now_ns)?, at)));
            // The first of equals.
            let (_, at) = loads.min_by_key(|(load, _)| *load)?;
            if let Some(found) = self.claim(ask, start + at) {
                return Some(found);
            }
            lost |= 1 << at;
        }
        None
    }

    fn least_of_some(&self, ask: Ask<'_>, start: usize, end: usize) -> Option<Found> {
        let size = (end - start) as u64;
        let mut random = ask.random;
        for _ in 0..DRAWS {
            let mut best: Option<(u64, usize)> = None;
            for _ in 0..SAMPLES {
                random = mix(random);
                let at = start + below(random, size) as usize;
                if !self.may(ask, at) {
                    continue;
                }
                if let Some(load) = self.engines[at].load(ask.now_ns)
                    && best.is_none_or(|(least, _)| load < least)
                {
                    best = Some((load, at));
                }
            }
            if let Some(found) = best.and_then(|(_, at)| self.claim(ask, at)) {
                return Some(found);
            }
        }
        let from = start + below(mix(random), size) as usize;
        self.first(ask, from, end).or_else(|| self.first(ask, start, from))
    }

    fn drawn(&self, ask: Ask<'_>, sums: &[u64]) -> Option<Found> {
        let all = *sums.last()?;
        let mut random = ask.random;
        for _ in 0..DRAWS {
            random = mix(random);
            let mark = below(random, all);
            let at = sums.partition_point(|sum| *sum <= mark);
            if self.may(ask, at)
                && let Some(found) = self.claim(ask, at)
            {
                return Some(found);
            }
        }
        let weight = |at: usize| sums[at] - at.checked_sub(1).map_or(0, |before| sums[before]);
        let takes =
            |at: &usize| self.may(ask, *at) && self.engines[*at].why_not(ask.now_ns).is_none();
        let open: u64 = (0..sums.len()).filter(takes).map(weight).sum();
        let mut mark = below(mix(random), open.max(1));
        let mut drawn = 0;
        for at in (0..sums.len()).filter(takes) {
            drawn = at;
            if mark < weight(at) {
                break;
            }
            mark -= weight(at);
        }
        // Somebody may have been quicker: then whoever comes next.
        self.first(ask, drawn, sums.len()).or_else(|| self.first(ask, 0, drawn))
    }
}
