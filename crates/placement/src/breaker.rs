//! A circuit breaker of atomics: keeps calls from an engine that fails, and finds out when it is
//! back.
//!
//! One number holds the state, the *gate*: 0 is closed, all calls pass; otherwise none passes
//! before that moment, and then one does, as a probe. Claiming the probe is a compare-and-swap
//! that moves the gate on, so two callers can never both be the probe, and a probe that is never
//! heard of again does not keep the engine out for ever. After one good probe calls pass on trial,
//! each of them a probe: waiting for three in a row would keep an engine with slow functions out
//! for as long as three of them take.

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
    /// How long it is open the first time; doubles with each time it opens again.
    pub backoff_ns: u64,
    /// The longest back-off; also how long a probe is waited for before another one is let through.
    /// Twice as long after it opened, that is forgotten.
    pub backoff_max_ns: u64,
    /// Probes in a row that must succeed to close it.
    pub probes: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            consecutive: 5,
            percent: 25,
            at_least: 10,
            window_ns: 30 * SECOND,
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
    /// Times it has opened without having been well for a while in between.
    openings: AtomicU32,
    /// Probes in a row that succeeded.
    probes: AtomicU32,
    /// When it opened last.
    opened_ns: AtomicU64,
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

/// Lets the next probe through now: the one before said nothing, or the engine seems to be back.
pub(crate) fn let_probe_through(gate: &AtomicU64) {
    // Only a gate that is shut: a probe may be late, and the breaker closed by another one.
    let _ = gate.fetch_update(Relaxed, Relaxed, |until| (until != 0).then_some(1));
}

impl Record {
    /// Claims a probe of a gate that is due.
    pub fn claim_probe(&self, gate: &AtomicU64, rules: &Rules, now_ns: u64) -> bool {
        let due = gate.load(Relaxed);
        if due == 0 || due > now_ns {
            return false;
        }
        let next = now_ns.saturating_add(rules.backoff_max_ns).max(1);
        let on_trial = self.probes.load(Relaxed) > 0;
        on_trial || gate.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
    }

    /// A call has been served. `probe` says when it began, if it was one.
    pub fn success(&self, gate: &AtomicU64, rules: &Rules, now_ns: u64, probe: Option<u64>) {
        if gate.load(Relaxed) == 0 {
            if self.failures.load(Relaxed) != 0 {
                self.failures.store(0, Relaxed);
            }
            self.count(rules, now_ns, 0);
        } else if self.says_something(probe) {
            if self.probes.fetch_add(1, Relaxed) + 1 < rules.probes {
                let_probe_through(gate);
            } else {
                self.reset();
                gate.store(0, Relaxed);
            }
        }
    }

    /// The engine has failed.
    pub fn failure(&self, gate: &AtomicU64, rules: &Rules, now_ns: u64, probe: Option<u64>) {
        if gate.load(Relaxed) != 0 {
            if self.says_something(probe) {
                gate.store(self.open(rules, now_ns), Relaxed);
            }
            return;
        }
        let (calls, failed) = self.count(rules, now_ns, 1);
        let in_a_row = self.failures.fetch_add(1, Relaxed) + 1;
        let share =
            calls >= u64::from(rules.at_least) && failed * 100 >= calls * u64::from(rules.percent);
        if in_a_row >= rules.consecutive || share {
            // Two that are here at once make it open twice as long, which does no harm.
            gate.store(self.open(rules, now_ns), Relaxed);
        }
    }

    /// A probe said nothing of the engine: the next one passes now. One from before it opened again
    /// ends no back-off.
    pub fn give_back(&self, gate: &AtomicU64, probe: Option<u64>) {
        if self.says_something(probe) {
            let_probe_through(gate);
        }
    }

    /// Says until when it is open. An engine that is well for a moment and fails again is left
    /// alone for longer and longer, as one that never is well.
    fn open(&self, rules: &Rules, now_ns: u64) -> u64 {
        self.reset();
        let last_ns = self.opened_ns.swap(now_ns, Relaxed);
        let openings = self.openings.load(Relaxed);
        let is_first = openings == 0 || now_ns.saturating_sub(last_ns) > 2 * rules.backoff_max_ns;
        let openings = if is_first { 0 } else { openings.min(20) };
        self.openings.store(openings + 1, Relaxed);
        let doubled = rules.backoff_ns.saturating_mul(1 << openings);
        now_ns.saturating_add(doubled.min(rules.backoff_max_ns)).max(1)
    }

    /// While it is open: what began before it opened says nothing of the engine as it is now.
    fn says_something(&self, probe: Option<u64>) -> bool {
        probe.is_some_and(|began_ns| began_ns >= self.opened_ns.load(Relaxed))
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
        self.failures.store(0, Relaxed);
        self.probes.store(0, Relaxed);
        self.window.store(0, Relaxed);
        self.window_before.store(0, Relaxed);
    }
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
            self.record.success(&self.gate, &self.rules, now, probe.then_some(now));
        }

        fn bad(&self, now: u64, probe: bool) {
            self.record.failure(&self.gate, &self.rules, now, probe.then_some(now));
        }

        fn claim(&self, now: u64) -> bool {
            self.record.claim_probe(&self.gate, &self.rules, now)
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
    fn it_opens_when_a_quarter_of_many_calls_fail_though_never_in_a_row() {
        let rig = Rig::default();
        for _ in 0..2 {
            (0..3).for_each(|_| rig.good(0, false));
            rig.bad(0, false);
        }
        assert_eq!(rig.state(9), Breaker::Closed, "8 calls say nothing yet");
        (0..3).for_each(|_| rig.good(1, false));
        assert_eq!(rig.state(9), Breaker::Closed, "2 of 11 are less than a quarter");
        rig.bad(1, false);
        assert!(matches!(rig.state(9), Breaker::Open { .. }));
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let rig = Rig::default();
        let both = |now: u64, calls: u32| {
            for _ in 0..calls {
                rig.good(now, false);
                rig.bad(now, false);
            }
        };
        both(0, 4);
        both(2 * rig.rules.window_ns, 4);
        assert_eq!(rig.state(2 * rig.rules.window_ns), Breaker::Closed);
        both(3 * rig.rules.window_ns, 1);
        assert_ne!(rig.state(3 * rig.rules.window_ns), Breaker::Closed, "the last window counts");
    }

    #[test]
    fn one_probe_passes_then_calls_on_trial_and_three_good_ones_close_it() {
        let rig = Rig::default();
        (0..5).for_each(|_| rig.bad(0, false));
        assert!(!rig.claim(SECOND - 1), "the back-off is not over");
        assert!(rig.claim(SECOND));
        assert!(!rig.claim(SECOND), "a second probe passed");
        rig.good(SECOND, true);
        assert!((0..4).all(|_| rig.claim(SECOND)), "one went well: others are on trial");
        rig.good(SECOND, true);
        assert_eq!(rig.state(SECOND), Breaker::HalfOpen);
        rig.good(SECOND, true);
        assert_eq!(rig.state(SECOND), Breaker::Closed);
        // The other two of the four are ordinary calls by now.
        (0..2).for_each(|_| rig.bad(SECOND, true));
        assert_eq!(rig.state(SECOND), Breaker::Closed);
    }

    #[test]
    fn calls_on_trial_that_fail_together_open_it_once() {
        let rig = Rig::default();
        (0..5).for_each(|_| rig.bad(0, false));
        assert!(rig.claim(SECOND));
        rig.good(SECOND, true);
        assert!((0..4).all(|_| rig.claim(2 * SECOND)));
        for _ in 0..4 {
            rig.record.failure(&rig.gate, &rig.rules, 3 * SECOND, Some(2 * SECOND));
        }
        assert_eq!(rig.state(3 * SECOND), Breaker::Open { for_ns: 2 * SECOND });
        // One of them that is late and good says nothing either.
        rig.record.success(&rig.gate, &rig.rules, 3 * SECOND, Some(2 * SECOND));
        assert_eq!(rig.state(3 * SECOND), Breaker::Open { for_ns: 2 * SECOND });
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
        // Closing it does not forget that, but a minute does.
        for (seconds, back_off) in [(30, 30), (61, 1)] {
            now += seconds * SECOND;
            for _ in 0..3 {
                assert!(rig.claim(now));
                rig.good(now, true);
            }
            (0..5).for_each(|_| rig.bad(now, false));
            assert_eq!(rig.state(now), Breaker::Open { for_ns: back_off * SECOND });
        }
    }

    #[test]
    fn a_probe_that_is_given_back_or_lost_lets_another_one_through() {
        let rig = Rig::default();
        (0..5).for_each(|_| rig.bad(0, false));
        assert!(rig.claim(SECOND));
        let_probe_through(&rig.gate);
        assert!(rig.claim(SECOND));
        assert!(!rig.claim(30 * SECOND), "the probe is waited for");
        assert!(rig.claim(31 * SECOND), "the lost probe kept the engine out");
        // The lost one comes back late and good, and so do two more.
        (0..3).for_each(|_| rig.good(32 * SECOND, true));
        assert_eq!(rig.state(32 * SECOND), Breaker::Closed);
        // Whoever gives a probe back after that opens nothing.
        let_probe_through(&rig.gate);
        assert_eq!(rig.state(32 * SECOND), Breaker::Closed, "a late probe opened a closed breaker");
    }

    #[test]
    fn a_probe_that_is_given_back_late_ends_no_back_off() {
        let rig = Rig::default();
        (0..5).for_each(|_| rig.bad(0, false));
        assert!(rig.claim(SECOND));
        // Given up, and the next one fails.
        assert!(rig.claim(31 * SECOND));
        rig.bad(31 * SECOND, true);
        let open = rig.state(31 * SECOND);
        assert!(matches!(open, Breaker::Open { .. }));
        rig.record.give_back(&rig.gate, Some(SECOND));
        assert_eq!(rig.state(31 * SECOND), open, "it is half open at once");
        rig.record.give_back(&rig.gate, Some(31 * SECOND));
        assert_eq!(rig.state(31 * SECOND), Breaker::HalfOpen);
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
