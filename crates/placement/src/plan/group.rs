//! Engines of a plan in the order they are asked, and how one of them is found.
//!
//! A group is cut into *tiers*: engines of one tier are equally good, and the next tier is asked
//! when none of them takes the call. What that costs, for 1,000 engines:
//!
//! - Which tier: the first engine in order whose bit in the fleet is set. The first few are tried
//!   one by one, as usually one of them is. Further on the fleet's words are masked with the
//!   group's, 16 of them for 1,000 engines, and only the bits that are left are looked at.
//! - In order: that engine is read, and usually claimed.
//! - Least loaded: reading all 1,000 would be 1,000 misses of the cache. Some drawn at random are
//!   read instead, and the best of them claimed: with two already, the longest queue grows like
//!   log log n, where one alone gives log n / log log n (Azar et al., Balanced Allocations). Four
//!   make a herd of servers that share a fleet less likely still. When all that were drawn are
//!   closed a few times over, almost all are, and the least loaded of those that are not is taken.
//! - Weighted: a binary search in the running sum of weights. When the drawn one is closed another
//!   is drawn, which gives its calls to the others in their proportion. After a few draws the
//!   weights of the open ones are summed up and drawn from exactly.
//!
//! Engines whose breaker is open are the exception: their bit is set, and they are read.

use std::sync::Arc;

use super::{Member, Tried};
use crate::random::{again, below};
use crate::{EngineState, Fleet, Room, Why};

/// Engines read for one draw of the least loaded.
const SAMPLES: usize = 4;
/// When no more of a tier are open all of them are read, which are no more than would be drawn.
const FEW: u32 = 12;
/// Times that so many are drawn before all open ones are read.
const ROUNDS: usize = 3;
/// Draws by weight before all open ones are read. With a third of the engines broken, one decision
/// of 6,561 gets there.
const DRAWS: usize = 8;
/// Positions tried one by one, which is half a nanosecond for each.
const NEAR: usize = 256;

#[derive(Debug)]
pub(crate) struct Group {
    /// Indexes of members, in order.
    order: Box<[u32]>,
    /// Their places in the fleet.
    slots: Box<[u32]>,
    /// The same as bits, and back from a place to the position.
    mask: Box<[u64]>,
    positions: Box<[u32]>,
    engines: Box<[Arc<EngineState>]>,
    /// The function's own room at each.
    rooms: Box<[Option<Arc<Room>>]>,
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
    /// Whether the call may wait at its engine for others of its function.
    pub waits: bool,
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
        let slots: Box<[u32]> = order.iter().map(|at| engine(at).slot()).collect();
        let words = slots.iter().max().map_or(0, |last| *last as usize / 64 + 1);
        let (mut mask, mut positions) = (vec![0; words], vec![0; words * 64]);
        for (position, slot) in slots.iter().enumerate() {
            mask[*slot as usize / 64] |= 1 << (slot % 64);
            positions[*slot as usize] = position as u32;
        }
        Self {
            slots,
            mask: mask.into(),
            positions: positions.into(),
            engines: order.iter().map(|at| Arc::clone(engine(at))).collect(),
            rooms: order.iter().map(|at| members[*at as usize].room.clone()).collect(),
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

    pub fn room(&self, position: usize) -> Option<&Arc<Room>> {
        self.rooms[position].as_ref()
    }

    /// Why a call would not be worked on at once at a position.
    pub fn why_not(&self, position: usize, now_ns: u64) -> Option<Why> {
        let room = || self.room(position).and_then(|room| room.why_not());
        self.engines[position].why_not(now_ns).or_else(room)
    }

    /// The same for a call that waits, also at an engine that is being drained.
    pub fn why_never(&self, position: usize, now_ns: u64) -> Option<Why> {
        let untold = || (!self.takes(position, true)).then_some(Why::Untold);
        self.engines[position].why_not_even_draining(now_ns).or_else(untold)
    }

    fn takes(&self, position: usize, waits: bool) -> bool {
        self.room(position).is_none_or(|room| room.takes(waits))
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
        let first_tier = self.ends.first().filter(|_| ask.first_only);
        let last = first_tier.map_or(self.len(), |end| *end as usize);
        let mut from = 0;
        while let Some(at) = self.first_open(ask, from).filter(|at| *at < last) {
            if matches!(self.choice, Choice::First) {
                if let Some(found) = self.claim(ask, at) {
                    return Some(found);
                }
                from = at + 1;
                continue;
            }
            let tier = self.ends.partition_point(|end| *end as usize <= at);
            let start = tier.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
            let end = self.ends[tier] as usize;
            let found = match &self.choice {
                Choice::Weighted(sums) if tier == 0 => self.drawn(ask, &sums[..end]),
                _ => match self.open_word(ask, start, end) {
                    Some(open) if open.count_ones() <= FEW => self.least_of_few(ask, start, open),
                    _ => self.least_of_some(ask, start, end),
                },
            };
            if found.is_some() {
                return found;
            }
            from = end;
        }
        None
    }

    /// The first position from one on whose bit is set.
    fn first_open(&self, ask: Ask<'_>, from: usize) -> Option<usize> {
        let near = (from + NEAR).min(self.len());
        let found = (from..near).find(|at| self.may(ask, *at));
        if found.is_some() || near == self.len() {
            return found;
        }
        self.open(ask).filter(|at| *at >= near).min()
    }

    /// Those from a start to an end whose bits are set, one by one or by the mask, whichever is
    /// less work.
    fn open_in<'a>(
        &'a self,
        ask: Ask<'a>,
        start: usize,
        end: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let is_short = end - start <= NEAR;
        let (few, many) = if is_short { (start..end, 0) } else { (0..0, usize::MAX) };
        let few = few.filter(move |at| self.may(ask, *at));
        let many = self.open(ask).take(many).filter(move |at| (start..end).contains(at));
        few.chain(many)
    }

    /// Positions whose bits are set, in the order of the fleet.
    fn open<'a>(&'a self, ask: Ask<'a>) -> impl Iterator<Item = usize> + 'a {
        let words = self.mask.iter().enumerate();
        let slots = words
            .flat_map(move |(at, mask)| Bits { word: ask.fleet.word(at) & mask, first: at * 64 });
        let untried = move |slot: &usize| ask.tried.is_empty() || !ask.tried.has(*slot as u32);
        let positions = slots.filter(untried).map(|slot| self.positions[slot] as usize);
        positions.filter(move |at| self.takes(*at, ask.waits))
    }

    /// Any draining engine that takes the call.
    pub fn find_draining(&self, ask: Ask<'_>) -> Option<Found> {
        let first_tier = self.ends.first().filter(|_| ask.first_only);
        let end = first_tier.map_or(self.len(), |end| *end as usize);
        // Usually there is none anywhere.
        let end = if ask.fleet.any_draining() { end } else { 0 };
        (0..end).find_map(|position| {
            let engine = &self.engines[position];
            let may = engine.draining() && !ask.tried.has(self.slots[position]);
            may.then(|| self.claim_as(ask, position, true)).flatten()
        })
    }

    fn may(&self, ask: Ask<'_>, position: usize) -> bool {
        let slot = self.slots[position];
        let open = ask.fleet.word(slot as usize / 64) >> (slot % 64) & 1 == 1;
        let untried = ask.tried.is_empty() || !ask.tried.has(slot);
        open && untried && self.takes(position, ask.waits)
    }

    fn claim(&self, ask: Ask<'_>, position: usize) -> Option<Found> {
        self.claim_as(ask, position, false)
    }

    fn claim_as(&self, ask: Ask<'_>, position: usize, even_draining: bool) -> Option<Found> {
        let room = self.room(position);
        if room.is_some_and(|room| !room.enter(ask.waits)) {
            return None;
        }
        let claimed = self.engines[position].claim(ask.now_ns, even_draining);
        if let (Err(_), Some(room)) = (&claimed, room) {
            room.leave();
        }
        Some(Found { position, probe: claimed.ok()? })
    }

    /// The positions of a tier whose bits are set, as bits from its start; `None` when it is larger
    /// than a word.
    fn open_word(&self, ask: Ask<'_>, start: usize, end: usize) -> Option<u64> {
        let bit = |word: u64, at: usize| word | u64::from(self.may(ask, at)) << (at - start);
        (end - start <= 64).then(|| (start..end).fold(0, bit))
    }

    /// Reads all that are open; the ones of equal load come in turn, by chance.
    fn least_of_few(&self, ask: Ask<'_>, start: usize, mut open: u64) -> Option<Found> {
        let turn = below(ask.random, 64) as u32;
        while open != 0 {
            let turned = Bits { word: open.rotate_right(turn), first: turn as usize };
            let loads = turned.filter_map(|at| Some((self.load(ask, start + at % 64)?, at % 64)));
            // The first of equals.
            let (_, at) = loads.min_by_key(|(load, _)| *load)?;
            if let Some(found) = self.claim(ask, start + at) {
                return Some(found);
            }
            open &= !(1 << at);
        }
        None
    }

    fn least_of_some(&self, ask: Ask<'_>, start: usize, end: usize) -> Option<Found> {
        let size = (end - start) as u64;
        let mut random = ask.random;
        for _ in 0..ROUNDS {
            let mut best: Option<(u64, usize)> = None;
            for _ in 0..SAMPLES {
                random = again(random);
                let at = start + below(random, size) as usize;
                if !self.may(ask, at) {
                    continue;
                }
                if let Some(load) = self.load(ask, at)
                    && best.is_none_or(|(least, _)| load < least)
                {
                    best = Some((load, at));
                }
            }
            if let Some(found) = best.and_then(|(_, at)| self.claim(ask, at)) {
                return Some(found);
            }
        }
        let open = self.open_in(ask, start, end);
        let (_, at) = open.filter_map(|at| Some((self.load(ask, at)?, at))).min()?;
        // Somebody may have been quicker, and have taken the last place.
        self.claim(ask, at).or_else(|| self.any(ask, start, end))
    }

    fn load(&self, ask: Ask<'_>, position: usize) -> Option<u64> {
        self.engines[position].load(ask.now_ns)
    }

    fn any(&self, ask: Ask<'_>, start: usize, end: usize) -> Option<Found> {
        self.open_in(ask, start, end).find_map(|at| self.claim(ask, at))
    }

    fn drawn(&self, ask: Ask<'_>, sums: &[u64]) -> Option<Found> {
        let all = *sums.last()?;
        let mut random = ask.random;
        for _ in 0..DRAWS {
            random = again(random);
            let mark = below(random, all);
            let at = sums.partition_point(|sum| *sum <= mark);
            if self.may(ask, at)
                && let Some(found) = self.claim(ask, at)
            {
                return Some(found);
            }
        }
        let weight = |at: usize| sums[at] - at.checked_sub(1).map_or(0, |before| sums[before]);
        let takes = |at: &usize| self.load(ask, *at).is_some();
        let open = || self.open_in(ask, 0, sums.len()).filter(takes);
        let mut mark = below(again(random), open().map(weight).sum());
        let drawn = open().find(|at| {
            let found = mark < weight(*at);
            mark = mark.saturating_sub(weight(*at));
            found
        });
        // Somebody may have been quicker, and have taken the last place.
        drawn.and_then(|at| self.claim(ask, at)).or_else(|| self.any(ask, 0, sums.len()))
    }
}

/// The places of the bits of a word.
struct Bits {
    word: u64,
    first: usize,
}

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.word == 0 {
            return None;
        }
        let bit = self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(self.first + bit)
    }
}
