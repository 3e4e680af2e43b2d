//! What one function uses, counted as its runs end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dispatch_model::{Name, Run};
use dispatch_store::usage::UsageDelta;

use super::attempt::now_us;
use super::placing::now_ns;
use super::tenant::Tenant;
use crate::app::{Error, Result};

const US_PER_HOUR: i64 = 3_600_000_000;

/// Counts of a function of an organization.
pub struct Meter {
    pub tenant: Arc<Tenant>,
    pub function: Name,
    in_flight: AtomicU64,
    peak: AtomicU64,
    /// Of the even and of the odd hours: the hour before is told within seconds after its end.
    hours: [Hour; 2],
}

#[derive(Default)]
struct Hour {
    runs: AtomicU64,
    errors: AtomicU64,
    duration_us: AtomicU64,
    memory_mib_ms: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// A run that was admitted, until it has ended.
pub struct Admitted(Arc<Meter>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.tenant.leave();
    }
}

impl Meter {
    pub fn new(tenant: Arc<Tenant>, function: Name) -> Self {
        let (in_flight, peak, hours) = Default::default();
        Self { tenant, function, in_flight, peak, hours }
    }

    /// Lets a run begin, if the organization may have one more now.
    ///
    /// # Errors
    /// [`Error::Quota`]; `None` when the organization is being deleted.
    pub fn admit(self: &Arc<Self>) -> Result<Option<Admitted>> {
        // Counted before anything is looked at: whoever deletes the organization sees this run, or
        // this run sees that it is closed.
        let now = self.tenant.enter();
        let own = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        let admitted = Admitted(self.clone());
        if self.tenant.is_closed() {
            return Ok(None);
        }
        let now_ms = now_us() / 1_000;
        self.tenant.admit(now, now_ns(), now_ms).map_err(Error::Quota)?;
        self.seen(now, own);
        Ok(Some(admitted))
    }

    /// Counts a run that was accepted before, here or elsewhere.
    pub fn enter(self: &Arc<Self>) -> Admitted {
        let own = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.seen(self.tenant.enter(), own);
        Admitted(self.clone())
    }

    fn seen(&self, now: u64, own: u64) {
        self.tenant.seen(now);
        self.peak.fetch_max(own, Ordering::Relaxed);
    }

    /// Counts an execution that has ended.
    pub fn ended(&self, run: &Run, memory_mib: u64) {
        let ended_us = run.finished_us.unwrap_or_default();
        let hour = &self.hours[place(ended_us.div_euclid(US_PER_HOUR))];
        let add = |counter: &AtomicU64, value: u64| {
            counter.fetch_add(value, Ordering::Relaxed);
        };
        let begun_us = run.executed_us.unwrap_or(ended_us);
        let duration_us = u64::try_from(ended_us - begun_us).unwrap_or(0);
        let memory_mib_ms = memory_mib.saturating_mul(duration_us) / 1_000;
        let bytes = |json: &Option<dispatch_model::RawJson>| {
            json.as_ref().map_or(0, |json| json.get().len() as u64)
        };
        add(&hour.runs, 1);
        add(&hour.errors, u64::from(run.error.is_some()));
        add(&hour.duration_us, duration_us);
        add(&hour.memory_mib_ms, memory_mib_ms);
        add(&hour.bytes_in, bytes(&run.input));
        add(&hour.bytes_out, bytes(&run.output));
        self.tenant.use_memory(memory_mib_ms);
    }

    /// What was counted and not told yet, of this hour and of the one before.
    pub fn take(&self, hour: i64) -> impl Iterator<Item = UsageDelta> {
        let peak = self.peak.swap(self.in_flight.load(Ordering::Relaxed), Ordering::Relaxed);
        [hour - 1, hour].into_iter().filter_map(move |of| {
            let counts = &self.hours[place(of)];
            let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
            let delta = UsageDelta {
                org: self.tenant.org.to_string(),
                hour: of,
                function: self.function.to_string(),
                runs: take(&counts.runs),
                errors: take(&counts.errors),
                duration_us: take(&counts.duration_us),
                memory_mib_ms: take(&counts.memory_mib_ms),
                bytes_in: take(&counts.bytes_in),
                bytes_out: take(&counts.bytes_out),
                storage_bytes: 0,
                concurrency: if of == hour { peak } else { 0 },
            };
            (delta.runs > 0 || delta.concurrency > 0).then_some(delta)
        })
    }

    /// Takes back what could not be told.
    pub fn put_back(&self, delta: &UsageDelta) {
        let hour = &self.hours[place(delta.hour)];
        let add = |counter: &AtomicU64, value: u64| counter.fetch_add(value, Ordering::Relaxed);
        add(&hour.runs, delta.runs);
        add(&hour.errors, delta.errors);
        add(&hour.duration_us, delta.duration_us);
        add(&hour.memory_mib_ms, delta.memory_mib_ms);
        add(&hour.bytes_in, delta.bytes_in);
        add(&hour.bytes_out, delta.bytes_out);
        self.peak.fetch_max(delta.concurrency, Ordering::Relaxed);
    }

    /// Whether nothing is under way and nothing is left to be told.
    pub fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
            && self.hours.iter().all(|hour| hour.runs.load(Ordering::Relaxed) == 0)
    }
}

/// Where an hour is counted.
fn place(hour: i64) -> usize {
    usize::from(hour.rem_euclid(2) == 1)
}

/// The hour it is, since 1970, UTC.
pub fn hour_now() -> i64 {
    now_us().div_euclid(US_PER_HOUR)
}

#[cfg(test)]
mod tests {
    use dispatch_model::OrgName;

    use super::*;
    use crate::invoke::testing::ended_run;

    fn meter() -> Arc<Meter> {
        let tenant = Arc::new(Tenant::new(OrgName::trusted("acme")));
        Arc::new(Meter::new(tenant, Name::trusted("f")))
    }

    #[test]
    fn runs_count_in_the_hour_they_end() {
        let meter = meter();
        let end = 10 * US_PER_HOUR;
        meter.ended(&ended_run(end - 2_000_000, end - 1), 128);
        meter.ended(&ended_run(end - 2_000_000, end), 128);
        meter.ended(&ended_run(end, end + 500_000), 1_024);
        let told: Vec<_> = meter.take(10).collect();
        let seen: Vec<_> = told.iter().map(|d| (d.hour, d.runs, d.memory_mib_ms)).collect();
        assert_eq!(seen, [(9, 1, 255_999), (10, 2, 256_000 + 512_000)]);
        assert_eq!(meter.take(10).count(), 0, "told once");
        meter.put_back(&told[1]);
        assert!(!meter.is_idle());
        assert_eq!(meter.take(10).collect::<Vec<_>>(), told[1..]);
        assert!(meter.is_idle());
    }

    #[test]
    fn nothing_is_admitted_to_one_that_is_closed() {
        let meter = meter();
        let first = meter.admit().unwrap().unwrap();
        meter.tenant.close();
        assert!(meter.admit().unwrap().is_none());
        assert_eq!(meter.tenant.in_flight(), 1);
        drop(first);
        assert_eq!(meter.tenant.in_flight(), 0);
    }
}
