//! A circuit breaker of atomics: keeps calls from an engine that fails, and finds out when it is
//! back.
//!
//! One number holds the state, the *gate*: 0 is closed, all calls pass; otherwise none passes
//! before that moment, and then one does, as a probe. Claiming the probe is a compare-and-swap
//! that moves the gate on, so two callers can never both be the probe, and a probe that is never
//! heard of again does not keep the engine out for ever.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// The numbers of a breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that open it.
    pub consecutive: u32,
    /// Failed calls of 100 that open it, counted over one to two windows.
    pub percent: u32,
    /// Calls without which the share says nothing.
    pub at_least: u32,
    pub window_ns: u64,
    /// How long it is open the first time; doubles with each probe that fails.
    pub backoff_ns: u64,
    /// The longest back-off; also how long a probe is waited for before another one is let through.
    pub backoff_max_ns: u64,
    /// Probes in a row that must succeed to close it.
    pub probes: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            consecutive: 5,
            percent: 50,
            at_least: 20,
            window_ns: 10 * SECOND,
            backoff_ns: SECOND,
            backoff_max_ns: 30 * SECOND,
            probes: 3,
        }
    }
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    Closed,
    /// No call passes for so long; unless it is half open, nothing is under way.
    Open {
        for_ns: u64,
    },
    /// The next call is a probe.
    HalfOpen,
}

/// Counts of one engine, written by every call that ends.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Failures in a row.
    failures: AtomicU32,
    /// Times it opened without closing in between.
    openings: AtomicU32,
    /// Probes in a row that succeeded.
    probes: AtomicU32,
    window_began_ns: AtomicU64,
    /// Calls in the upper half, failed ones in the lower.
    window: AtomicU64,
    window_before: AtomicU64,
}

/// The gate is passed in, as it lies beside what every decision reads.
pub(crate) fn state(gate: &AtomicU64, now_ns: u64) -> Breaker {
    match gate.load(Relaxed) {
        0 => Breaker::Closed,
        until if until > now_ns => Breaker::Open { for_ns: until - now_ns },
        _ => Breaker::HalfOpen,
    }
}

/// Claims the probe of a gate that is due.
pub(crate) fn claim_probe(gate: &AtomicU64, rules: &Rules, now_ns: u64) -> bool {
    let due = gate.load(Relaxed);
    let next = now_ns.saturating_add(rules.backoff_max_ns).max(1);
    let is_due = due != 0 && due <= now_ns;
    is_due && gate.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
}

/// Lets the next probe through now: the one before said nothing.
pub(crate) fn give_probe_back(gate: &AtomicU64) {
    // Only a gate that is shut: a probe may be late, and the breaker closed by another one.
    let _ = gate.fetch_update(Relaxed, Relaxed, |until| (until != 0).then_some(1));
}

impl Record {
    /// A call has been served.
    pub fn success(&self, gate: &AtomicU64, rules: &Rules, now_ns: u64, probe: bool) {
        if probe {
            let good = self.probes.fetch_add(1, Relaxed) + 1;
            if good < rules.probes {
                give_probe_back(gate);
                return;
            }
            self.reset();
            gate.store(0, Relaxed);
            return;
        }
        // What began before the breaker opened says nothing of the engine as it is now.
        if gate.load(Relaxed) != 0 {
            return;
        }
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        self.count(rules, now_ns, 0);
    }

    /// The engine has failed.
    pub fn failure(&self, gate: &AtomicU64, rules: &Rules, now_ns: u64, probe: bool) {
        if probe {
            self.probes.store(0, Relaxed);
            let openings = self.openings.fetch_add(1, Relaxed) + 1;
            gate.store(opens_at(rules, now_ns, openings), Relaxed);
            return;
        }
        if gate.load(Relaxed) != 0 {
            return;
        }
        let (calls, failed) = self.count(rules, now_ns, 1);
        let in_a_row = self.failures.fetch_add(1, Relaxed) + 1;
        let share =
            calls >= u64::from(rules.at_least) && failed * 100 >= calls * u64::from(rules.percent);
        if in_a_row >= rules.consecutive || share {
            self.reset();
            // Whoever is first decides the moment.
            let _ = gate.compare_exchange(0, opens_at(rules, now_ns, 0), Relaxed, Relaxed);
        }
    }

    /// Counts a call and says how many there were, and how many failed, in this window and the
    /// one before. Calls that end while the window turns may be counted in either.
    fn count(&self, rules: &Rules, now_ns: u64, failed: u64) -> (u64, u64) {
        let began = self.window_began_ns.load(Relaxed);
        let age = now_ns.saturating_sub(began);
        if age >= rules.window_ns {
            let turned = self.window_began_ns.compare_exchange(began, now_ns, Relaxed, Relaxed);
            if turned.is_ok() {
                let last = self.window.swap(0, Relaxed);
                let last = if age >= 2 * rules.window_ns { 0 } else { last };
                self.window_before.store(last, Relaxed);
            }
        }
        let one = 1 << 32 | failed;
        let now = self.window.fetch_add(one, Relaxed) + one;
        let before = self.window_before.load(Relaxed);
        let low = u64::from(u32::MAX);
        ((now >> 32) + (before >> 32), (now & low) + (before & low))
    }

    fn reset(&self) {
        for count in [&self.failures, &self.openings, &self.probes] {
            count.store(0, Relaxed);
        }
        self.window.store(0, Relaxed);
        self.window_before.store(0, Relaxed);
    }
}

fn opens_at(rules: &Rules, now_ns: u64, openings: u32) -> u64 {
    let doubled = rules.backoff_ns.saturating_mul(1 << openings.min(20));
    now_ns.saturating_add(doubled.min(rules.backoff_max_ns)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Rig {
        gate: AtomicU64,
        record: Record,
        rules: Rules,
    }

    impl Rig {
        fn good(&self, now: u64, probe: bool) {
            self.record.success(&self.gate, &self.rules, now, probe);
        }

        fn bad(&self, now: u64, probe: bool) {
            self.record.failure(&self.gate, &self.rules, now, probe);
        }

        fn claim(&self, now: u64) -> bool {
            claim_probe(&self.gate, &self.rules, now)
        }

        fn state(&self, now: u64) -> Breaker {
            state(&self.gate, now)
        }
    }

    #[test]
    fn it_opens_after_five_failures_in_a_row_and_not_before() {
        let rig = Rig::default();
        (0..4).for_each(|_| rig.bad(7, false));
        rig.good(7, false);
        (0..4).for_each(|_| rig.bad(7, false));
        assert_eq!(rig.state(7), Breaker::Closed);
        rig.bad(7, false);
        assert_eq!(rig.state(7), Breaker::Open { for_ns: SECOND });
        assert_eq!(rig.state(7 + SECOND), Breaker::HalfOpen);
    }

    #[test]
    fn it_opens_when_half_of_many_calls_fail_though_never_in_a_row() {
        let rig = Rig::default();
        for call in 0..9 {
            rig.good(call, false);
            rig.bad(call, false);
        }
        assert_eq!(rig.state(9), Breaker::Closed, "18 calls say nothing yet");
        rig.good(9, false);
        rig.bad(9, false);
        assert!(matches!(rig.state(9), Breaker::Open { .. }));
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let rig = Rig::default();
        for call in 0..18 {
            if call % 2 == 0 { rig.good(call, false) } else { rig.bad(call, false) }
        }
        let later = 3 * rig.rules.window_ns;
        rig.good(later, false);
        for call in 0..3 {
            rig.good(later + call, false);
            rig.bad(later + call, false);
        }
        assert_eq!(rig.state(later), Breaker::Closed);
    }

    #[test]
    fn one_probe_passes_at_a_time_and_three_close_it() {
        let rig = Rig::default();
        (0..5).for_each(|_| rig.bad(0, false));
        assert!(!rig.claim(SECOND - 1), "the back-off is not over");
        for probe in 0..3 {
            assert_ne!(rig.state(SECOND), Breaker::Closed, "after {probe} probes");
            assert!(rig.claim(SECOND));
            assert!(!rig.claim(SECOND), "a second probe passed");
            rig.good(SECOND, true);
        }
        assert_eq!(rig.state(SECOND), Breaker::Closed);
    }

    #[test]
    fn a_probe_that_fails_doubles_the_back_off_up_to_its_end() {
        let rig = Rig::default();
        (0..5).for_each(|_| rig.bad(0, false));
        let mut now = 0;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(rig.state(now), Breaker::Open { for_ns: seconds * SECOND });
            now += seconds * SECOND;
            assert!(rig.claim(now));
            rig.bad(now, true);
        }
        // Closing it forgets that.
        now += 30 * SECOND;
        for _ in 0..3 {
            assert!(rig.claim(now));
            rig.good(now, true);
        }
        (0..5).for_each(|_| rig.bad(now, false));
        assert_eq!(rig.state(now), Breaker::Open { for_ns: SECOND });
    }

    #[test]
    fn a_probe_that_is_given_back_or_lost_lets_another_one_through() {
        let rig = Rig::default();
        (0..5).for_each(|_| rig.bad(0, false));
        assert!(rig.claim(SECOND));
        give_probe_back(&rig.gate);
        assert!(rig.claim(SECOND));
        assert!(!rig.claim(30 * SECOND), "the probe is waited for");
        assert!(rig.claim(31 * SECOND), "the lost probe kept the engine out");
        // The lost one comes back late and good, and so do two more.
        (0..3).for_each(|_| rig.good(32 * SECOND, true));
        assert_eq!(rig.state(32 * SECOND), Breaker::Closed);
        give_probe_back(&rig.gate);
        assert_eq!(rig.state(32 * SECOND), Breaker::Closed, "a late probe opened a closed breaker");
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let rig = Rig::default();
        (0..5).for_each(|_| rig.bad(0, false));
        rig.good(1, false);
        (0..50).for_each(|_| rig.bad(2, false));
        assert_eq!(rig.state(2), Breaker::Open { for_ns: SECOND - 2 });
    }
}
