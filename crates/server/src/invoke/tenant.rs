//! An organization as it runs functions: how much it may, and how much it does. A call touches
//! atomics of its own organization only: no lock, no allocation, whoever else there is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use dispatch_model::OrgName;
use dispatch_model::quota::{Exceeded, Frees, Limit, Quota};
use uuid::Uuid;

/// Stands for a limit that is not set.
const NONE: u64 = u64::MAX;
const NS_PER_S: u64 = 1_000_000_000;
pub const MS_PER_DAY: i64 = 86_400_000;

/// One for each organization that runs something. Who deletes an organization closes it; one that
/// is made under the name again has another.
pub struct Tenant {
    pub org: OrgName,
    /// Which of those that had the name one after the other; as soon as it was read.
    id: OnceLock<Uuid>,
    closed: AtomicBool,
    /// Runs that were admitted and have not ended.
    in_flight: AtomicU64,
    /// The most there were since somebody looked.
    peak: AtomicU64,
    concurrent: AtomicU64,
    rate: Rate,
    memory: Memory,
}

/// So many a second: a bucket that leaks, as the time at which it will be empty.
struct Rate {
    per_second: AtomicU64,
    interval_ns: AtomicU64,
    /// How far beyond now that time may lie.
    tolerance_ns: AtomicU64,
    empty_ns: AtomicU64,
}

/// MiB-milliseconds of a day.
struct Memory {
    /// In MiB-seconds.
    per_day: AtomicU64,
    /// The day `known` is of, since 1970.
    day: AtomicI64,
    /// What all servers have told.
    known: AtomicU64,
    /// What this one has not told yet.
    untold: AtomicU64,
}

impl Tenant {
    pub fn new(org: OrgName) -> Self {
        Self {
            org,
            id: OnceLock::new(),
            closed: AtomicBool::new(false),
            in_flight: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            concurrent: AtomicU64::new(NONE),
            rate: Rate {
                per_second: AtomicU64::new(NONE),
                interval_ns: AtomicU64::new(0),
                tolerance_ns: AtomicU64::new(0),
                empty_ns: AtomicU64::new(0),
            },
            memory: Memory {
                per_day: AtomicU64::new(NONE),
                day: AtomicI64::new(-1),
                known: AtomicU64::new(0),
                untold: AtomicU64::new(0),
            },
        }
    }

    /// Whether this is the organization of an id, and not one of the name before or after it.
    pub fn is(&self, id: Uuid) -> bool {
        *self.id.get_or_init(|| id) == id
    }

    /// Makes the limits those of a quota. What is under way counts on.
    pub fn limit(&self, quota: &Quota) {
        let set = |at: &AtomicU64, value: Option<u64>| {
            at.store(value.unwrap_or(NONE), Ordering::Relaxed);
        };
        set(&self.concurrent, quota.concurrent_runs);
        set(&self.memory.per_day, quota.memory_seconds_per_day);
        let per_second = quota.runs_per_second.unwrap_or(NONE);
        let interval = NS_PER_S / per_second.clamp(1, NS_PER_S);
        let burst = quota.runs_burst.unwrap_or(per_second.min(NS_PER_S));
        let tolerance = interval.saturating_mul(burst.saturating_sub(1));
        let before = self.rate.interval_ns.swap(interval, Ordering::Relaxed);
        let changed = self.rate.tolerance_ns.swap(tolerance, Ordering::Relaxed) != tolerance;
        if changed || before != interval {
            // What was saved up or owed was so at another rate.
            self.rate.empty_ns.store(0, Ordering::Relaxed);
        }
        set(&self.rate.per_second, quota.runs_per_second);
    }

    /// No run is admitted any more, and what ends is neither recorded nor counted.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Whether nothing would be lost if it were made anew: nothing is under way, and what it may
    /// begin is what one may that never began anything.
    pub fn is_rested(&self, now_ns: u64) -> bool {
        self.in_flight() == 0 && self.rate.empty_ns.load(Ordering::Relaxed) <= now_ns
    }

    /// The most runs at the same time since this was asked before.
    pub fn take_peak(&self) -> u64 {
        self.peak.swap(self.in_flight(), Ordering::Relaxed)
    }

    /// Counts a run. Returns how many there are now.
    pub fn enter(&self) -> u64 {
        self.in_flight.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Remembers how many runs there were.
    pub fn seen(&self, now: u64) {
        self.peak.fetch_max(now, Ordering::Relaxed);
    }

    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether the run that was counted as number `now` may begin. `now_ns` is on any clock that
    /// goes on, `now_ms` are unix milliseconds.
    pub fn admit(&self, now: u64, now_ns: u64, now_ms: i64) -> Result<(), Exceeded> {
        let most = self.concurrent.load(Ordering::Relaxed);
        if now > most {
            let (limit, used, frees) = (Limit::ConcurrentRuns, now - 1, Frees::RunEnds);
            return Err(Exceeded { limit, most, used, frees });
        }
        self.memory.check(now_ms)?;
        self.rate.take(now_ns)
    }

    /// Whether a day's memory is limited and what was used of it is not known here.
    pub fn lacks_memory(&self, day: i64) -> bool {
        self.memory.per_day.load(Ordering::Relaxed) != NONE
            && self.memory.day.load(Ordering::Relaxed) != day
    }

    pub fn limits_memory(&self) -> bool {
        self.memory.per_day.load(Ordering::Relaxed) != NONE
    }

    /// Counts what a run used. It may have gone over; the next one is refused.
    pub fn use_memory(&self, mib_ms: u64) {
        self.memory.untold.fetch_add(mib_ms, Ordering::Relaxed);
    }

    /// What this server used is told now, and counts as known until it is read.
    pub fn tell_memory(&self, mib_ms: u64) {
        self.memory.known.fetch_add(mib_ms, Ordering::Relaxed);
        let less = |untold: u64| Some(untold.saturating_sub(mib_ms));
        let _ = self.memory.untold.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// What all servers have told of a day.
    pub fn know_memory(&self, day: i64, mib_ms: u64) {
        self.memory.known.store(mib_ms, Ordering::Relaxed);
        self.memory.day.store(day, Ordering::Relaxed);
    }
}

impl Rate {
    fn take(&self, now_ns: u64) -> Result<(), Exceeded> {
        let most = self.per_second.load(Ordering::Relaxed);
        if most == NONE {
            return Ok(());
        }
        let interval = self.interval_ns.load(Ordering::Relaxed);
        let tolerance = self.tolerance_ns.load(Ordering::Relaxed);
        let mut empty = self.empty_ns.load(Ordering::Relaxed);
        loop {
            let begins = empty.max(now_ns);
            let ahead = begins - now_ns;
            if ahead > tolerance {
                let frees = Frees::InMs((ahead - tolerance).div_ceil(1_000_000));
                // As many as fill the bucket, of which it loses `most` a second.
                let used = ahead.div_ceil(interval);
                return Err(Exceeded { limit: Limit::RunsPerSecond, most, used, frees });
            }
            let swapped = self.empty_ns.compare_exchange_weak(
                empty,
                begins.saturating_add(interval),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return Ok(()),
                Err(other) => empty = other,
            }
        }
    }
}

impl Memory {
    fn check(&self, now_ms: i64) -> Result<(), Exceeded> {
        let most = self.per_day.load(Ordering::Relaxed);
        if most == NONE {
            return Ok(());
        }
        let day = now_ms.div_euclid(MS_PER_DAY);
        let known = match self.day.load(Ordering::Relaxed) {
            known if known == day => self.known.load(Ordering::Relaxed),
            // A new day has begun.
            _ => 0,
        };
        let used = (known + self.untold.load(Ordering::Relaxed)) / 1_000;
        if used < most {
            return Ok(());
        }
        let frees = Frees::AtMs((day + 1) * MS_PER_DAY);
        Err(Exceeded { limit: Limit::MemorySecondsPerDay, most, used, frees })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(quota: Quota) -> Tenant {
        let tenant = Tenant::new(OrgName::trusted("acme"));
        tenant.limit(&quota);
        tenant
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn a_rate_lets_a_burst_begin_and_then_so_many_a_second() {
        let quota = Quota { runs_per_second: Some(10), runs_burst: Some(3), ..Quota::default() };
        let tenant = tenant(quota);
        let at = |ms: u64| tenant.admit(1, ms * MS, 0);
        assert!((0..3).all(|_| at(5_000).is_ok()));
        let refused = at(5_015).unwrap_err();
        assert_eq!((refused.limit, refused.most), (Limit::RunsPerSecond, 10));
        assert_eq!(refused.frees, Frees::InMs(85));
        assert!(at(5_099).is_err());
        assert!(at(5_100).is_ok(), "one more after a tenth of a second");
        assert!(at(5_150).is_err());
        assert!((0..3).all(|_| at(9_000).is_ok()), "no more than a burst is saved up");
        assert!(at(9_000).is_err());
    }

    #[test]
    fn another_rate_begins_anew_and_the_same_goes_on() {
        let slow = Quota { runs_per_second: Some(1), runs_burst: Some(1_000), ..Quota::default() };
        let tenant = tenant(slow.clone());
        assert!((0..1_000).all(|_| tenant.admit(1, MS, 0).is_ok()));
        tenant.limit(&slow);
        assert!(tenant.admit(1, MS, 0).is_err(), "to be read again frees nothing");
        assert!(!tenant.is_rested(MS), "nor may it be forgotten");
        assert!(tenant.is_rested(2_000 * NS_PER_S));
        tenant.limit(&Quota { runs_per_second: Some(1_000), ..Quota::default() });
        assert!(tenant.admit(1, MS, 0).is_ok(), "what was owed at the old rate is not owed now");
    }

    #[test]
    fn under_many_threads_no_more_are_admitted_than_may_be() {
        let quota = Quota {
            runs_per_second: Some(100),
            runs_burst: Some(50),
            concurrent_runs: Some(20),
            ..Quota::default()
        };
        let tenant = tenant(quota);
        let admitted = AtomicU64::new(0);
        let most = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let now = tenant.enter();
                        if tenant.admit(now, 0, 0).is_ok() {
                            admitted.fetch_add(1, Ordering::SeqCst);
                            most.fetch_max(now, Ordering::SeqCst);
                        }
                        tenant.leave();
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 50);
        assert!(most.into_inner() <= 20);
        assert_eq!(tenant.in_flight(), 0);
    }

    #[test]
    fn concurrency_is_what_has_not_ended() {
        let tenant = tenant(Quota { concurrent_runs: Some(1), ..Quota::default() });
        assert!(tenant.admit(tenant.enter(), 0, 0).is_ok());
        let refused = tenant.admit(tenant.enter(), 0, 0).unwrap_err();
        assert_eq!((refused.used, refused.frees), (1, Frees::RunEnds));
        tenant.leave();
        tenant.leave();
        assert!(tenant.admit(tenant.enter(), 0, 0).is_ok());
        tenant.seen(3);
        assert_eq!((tenant.take_peak(), tenant.take_peak()), (3, 1));
    }

    #[test]
    fn memory_is_of_a_day() {
        let quota = Quota { memory_seconds_per_day: Some(10), ..Quota::default() };
        let tenant = tenant(quota);
        let noon = MS_PER_DAY * 7 + MS_PER_DAY / 2;
        assert!(tenant.lacks_memory(7));
        tenant.know_memory(7, 6_000);
        tenant.use_memory(3_999);
        assert!(tenant.admit(1, 0, noon).is_ok());
        tenant.use_memory(1);
        let refused = tenant.admit(1, 0, noon).unwrap_err();
        assert_eq!((refused.used, refused.frees), (10, Frees::AtMs(MS_PER_DAY * 8)));
        tenant.tell_memory(4_000);
        assert!(tenant.admit(1, 0, noon).is_err(), "what is told is not forgotten");
        assert!(tenant.admit(1, 0, noon + MS_PER_DAY).is_ok(), "the next day begins anew");
    }
}
