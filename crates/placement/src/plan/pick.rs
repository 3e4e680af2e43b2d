//! The decision.

use std::sync::Arc;

use dispatch_model::placement::Strategy;

use super::group::{Ask, Found, Group};
use super::{Picked, Plan, Refusal, RefusalKind, Tried};
use crate::reason::Because;
use crate::{Reason, Ticket, Why, Word};

impl Plan {
    /// Chooses an engine and claims a place on it. Takes no lock and allocates nothing.
    ///
    /// `random` should be a new random number for each call. `tried` holds the engines this call
    /// has failed on; they are not chosen again.
    ///
    /// # Errors
    /// When no engine takes the call now; [`Plan::refusal`] has the words for people.
    pub fn pick(&self, now_ns: u64, random: u64, tried: &Tried) -> Result<Picked, Refusal> {
        if !tried.is_empty() && (!self.failover || tried.is_full()) {
            return Err(Refusal { kind: RefusalKind::NoneLeft, retry_after_ns: None });
        }
        let first_only = !self.failover;
        let ask = Ask { fleet: &self.fleet, now_ns, random, tried, first_only, waits: false };
        if let Some(picked) = self.pick_queued(ask) {
            return Ok(picked);
        }
        // First where it is worked on at once; then where it waits for others of its function.
        if self.rooms
            && let Some(picked) = self.pick_usual(ask)
        {
            return Ok(picked);
        }
        let ask = Ask { waits: true, ..ask };
        if let Some(picked) = self.pick_usual(ask) {
            return Ok(picked);
        }
        for group in [&self.primary, &self.burst] {
            if let Some(found) = group.find_draining(ask) {
                return Ok(picked(group, found, Reason::plain(Word::Draining), now_ns));
            }
        }
        Err(self.refuse(ask))
    }

    /// A usual engine, or a burst engine when none of those takes the call.
    fn pick_usual(&self, ask: Ask<'_>) -> Option<Picked> {
        let Some(found) = self.primary.find(ask) else { return self.pick_burst(ask) };
        let reason = self.primary_reason(&found, ask);
        Some(picked(&self.primary, found, reason, ask.now_ns))
    }

    /// More calls wait than may: new ones go elsewhere at once.
    fn pick_queued(&self, ask: Ask<'_>) -> Option<Picked> {
        let limit = self.when_queued.filter(|_| self.burst.len() > 0)?;
        let waiting = self.queue.waiting();
        if waiting <= limit {
            return None;
        }
        let found = self.burst.find(Ask { first_only: false, ..ask })?;
        let because = Because::Queued { waiting, limit };
        Some(picked(&self.burst, found, Reason::new(Word::Burst, because), ask.now_ns))
    }

    /// No usual engine takes the call.
    fn pick_burst(&self, ask: Ask<'_>) -> Option<Picked> {
        if self.burst.len() == 0 {
            return None;
        }
        let busy = self.any_busy(ask);
        let may = if busy { self.when_saturated } else { self.failover };
        let found = may.then(|| self.burst.find(Ask { first_only: false, ..ask })).flatten()?;
        let because = self.passed_over(ask).unwrap_or(Because::Nothing);
        let word = match () {
            () if self.fitting() == 1 => Word::Only,
            () if busy => Word::Burst,
            () => Word::Failover,
        };
        Some(picked(&self.burst, found, Reason::new(word, because), ask.now_ns))
    }

    /// Positions of the usual engines that may be asked.
    fn asked(&self, ask: Ask<'_>) -> std::ops::Range<usize> {
        let first = if ask.first_only { self.primary.ranges().next() } else { None };
        first.unwrap_or(0..self.primary.len())
    }

    /// Whether one of those only has too much to do.
    fn any_busy(&self, ask: Ask<'_>) -> bool {
        self.asked(ask).any(|at| {
            let why = self.primary.why_not(at, ask.now_ns);
            // Nothing is wrong with it by now: it was full a moment ago.
            let slot = self.primary.engine(at).slot();
            why.is_none_or(|why| why.is_busy()) && !ask.tried.has(slot)
        })
    }

    /// What kept the call from the engine that comes first.
    fn passed_over(&self, ask: Ask<'_>) -> Option<Because> {
        if let Some(message) = ask.tried.last() {
            return Some(Because::Failed(message));
        }
        let why = (self.primary.len() > 0).then(|| self.primary.why_not(0, ask.now_ns))??;
        Some(Because::PassedOver(self.primary.engine(0).shared_name(), why))
    }

    fn primary_reason(&self, found: &Found, ask: Ask<'_>) -> Reason {
        if !ask.tried.is_empty() {
            let because = ask.tried.last().map_or(Because::Nothing, Because::Failed);
            return Reason::new(Word::Failover, because);
        }
        if found.probe {
            return Reason::plain(Word::Probe);
        }
        if self.fitting() == 1 {
            return Reason::plain(Word::Only);
        }
        if self.primary.is_first_tier(found.position) {
            return Reason::plain(match self.strategy {
                Strategy::Ordered => Word::Preferred,
                Strategy::Weighted => Word::Weighted,
                Strategy::LeastLoaded => Word::LeastLoaded,
                Strategy::Cheapest => Word::Cheapest,
            });
        }
        match self.passed_over(ask) {
            Some(Because::PassedOver(name, why)) if !why.is_busy() => {
                Reason::new(Word::Failover, Because::PassedOver(name, why))
            }
            because => Reason::new(Word::Overflow, because.unwrap_or(Because::Nothing)),
        }
    }

    fn refuse(&self, ask: Ask<'_>) -> Refusal {
        if self.fitting() == 0 {
            return Refusal { kind: RefusalKind::NoneFits, retry_after_ns: None };
        }
        let (mut busy, mut soonest) = (false, None::<u64>);
        let burst = if self.failover { self.burst.len() } else { 0 };
        let usual = self.asked(ask).map(|at| (&self.primary, at));
        let all = usual.chain((0..burst).map(|at| (&self.burst, at)));
        for (group, at) in all.filter(|(group, at)| !ask.tried.has(group.engine(*at).slot())) {
            let why = group.why_never(at, ask.now_ns);
            if matches!(why, None | Some(Why::Full { .. })) {
                // Nobody knows when a call ends.
                return Refusal { kind: RefusalKind::NoRoom, retry_after_ns: None };
            }
            busy |= why.is_some_and(Why::is_busy);
            if let Some(for_ns) = why.and_then(|why| why.wait_ns()) {
                soonest = Some(soonest.map_or(for_ns, |least| least.min(for_ns)));
            }
        }
        let kind = match () {
            () if busy => RefusalKind::NoRoom,
            () if !ask.tried.is_empty() => RefusalKind::NoneLeft,
            () => RefusalKind::NoneHealthy,
        };
        Refusal { kind, retry_after_ns: soonest }
    }
}

fn picked(group: &Group, found: Found, reason: Reason, now_ns: u64) -> Picked {
    let engine = Arc::clone(group.engine(found.position));
    let room = group.room(found.position).cloned();
    let ticket = Ticket::new(engine, room, now_ns, found.probe);
    Picked { index: group.member(found.position), reason, ticket }
}
