//! What is counted while a simulation runs, and what is made of it afterwards.

use std::collections::BTreeMap;

use dispatch_placement::Word;
use serde_json::json;

use super::model::{CLOUD, MS, REGIONS, SECOND};
use super::scenario::Course;

/// Seconds without trouble after which it is over.
const CALM: usize = 3;
/// How much worse than before the 99th percentile may be when things are well again.
const WELL: f64 = 1.2;

#[derive(Default)]
pub struct Recorder {
    /// By call that was served: the second it came in, microseconds in all, and what of them was
    /// not the handler.
    served: Vec<(u32, u32, u32)>,
    /// By second.
    came: Vec<u32>,
    lost: Vec<u32>,
    regions: [u64; REGIONS.len() + 1],
    cost: u64,
    waited: u64,
    reasons: BTreeMap<&'static str, u64>,
}

impl Recorder {
    pub fn came(&mut self, now: u64) {
        add(&mut self.came, now);
    }

    pub fn placed(&mut self, word: Word) {
        *self.reasons.entry(word.as_str()).or_default() += 1;
    }

    pub fn waited(&mut self) {
        self.waited += 1;
    }

    pub fn lost(&mut self, arrived: u64) {
        add(&mut self.lost, arrived);
    }

    pub fn served(&mut self, arrived: u64, took: u64, added: u64, region: usize, cost: u32) {
        let us = |ns: u64| u32::try_from(ns / 1_000).unwrap_or(u32::MAX);
        self.served.push(((arrived / SECOND) as u32, us(took), us(added)));
        self.regions[region] += 1;
        self.cost += u64::from(cost);
    }

    pub fn figures(mut self, course: &Course) -> Figures {
        let seconds = self.came.len();
        self.lost.resize(seconds, 0);
        let mut took: Vec<u32> = self.served.iter().map(|call| call.1).collect();
        let mut added: Vec<u32> = self.served.iter().map(|call| call.2).collect();
        took.sort_unstable();
        added.sort_unstable();
        let series = self.series(seconds);
        let served = took.len().max(1) as f64;
        let lost: u64 = self.lost.iter().map(|n| u64::from(*n)).sum();
        let calls: u64 = self.came.iter().map(|n| u64::from(*n)).sum();
        let disturbed = (course.from / SECOND) as usize..(course.to / SECOND) as usize;
        Figures {
            calls,
            lost,
            waited: self.waited,
            took_ms: [0.5, 0.99, 0.999].map(|share| quantile(&took, share)),
            added_ms: [0.5, 0.99, 0.999].map(|share| quantile(&added, share)),
            cost: self.cost as f64 / served,
            regions: self.regions.map(|n| n as f64 / served),
            adapts_s: adapts(&series, &disturbed),
            recovers_s: recovers(&series, &disturbed),
            reasons: self.reasons,
            series,
        }
    }

    fn series(&mut self, seconds: usize) -> Vec<Second> {
        self.served.sort_unstable_by_key(|call| (call.0, call.2));
        let mut series = Vec::with_capacity(seconds);
        let mut start = 0;
        for second in 0..seconds {
            let rest = &self.served[start..];
            let count = rest.partition_point(|call| call.0 as usize <= second);
            let added: Vec<u32> = rest[..count].iter().map(|call| call.2).collect();
            let came = f64::from(self.came[second].max(1));
            series.push(Second {
                added_p99_ms: quantile(&added, 0.99),
                lost: f64::from(self.lost[second]) / came,
                came: self.came[second],
            });
            start += count;
        }
        series
    }
}

fn add(counts: &mut Vec<u32>, at: u64) {
    let second = (at / SECOND) as usize;
    if counts.len() <= second {
        counts.resize(second + 1, 0);
    }
    counts[second] += 1;
}

/// Milliseconds of sorted microseconds.
fn quantile(sorted: &[u32], share: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(at).map_or(0.0, |us| f64::from(*us) / (MS / 1_000) as f64)
}

/// What was seen of the calls that came in one second.
pub struct Second {
    /// 99th percentile of the time that was not the handler's own.
    pub added_p99_ms: f64,
    /// Part that was lost.
    pub lost: f64,
    pub came: u32,
}

pub struct Figures {
    pub calls: u64,
    pub lost: u64,
    /// Calls that had to wait at a server for room.
    pub waited: u64,
    /// p50, p99, p99.9.
    pub took_ms: [f64; 3],
    pub added_ms: [f64; 3],
    /// Mean price of a call.
    pub cost: f64,
    pub regions: [f64; REGIONS.len() + 1],
    /// Seconds from the beginning of the trouble until no more calls are lost.
    pub adapts_s: Option<usize>,
    /// Seconds from its end until all is as it was before.
    pub recovers_s: Option<usize>,
    pub reasons: BTreeMap<&'static str, u64>,
    pub series: Vec<Second>,
}

/// Also within the trouble: no call lost for some seconds in a row. `None` when it never is so.
fn adapts(series: &[Second], disturbed: &std::ops::Range<usize>) -> Option<usize> {
    let inside = series.get(disturbed.clone())?;
    let calm = |at: usize| inside[at..].iter().take(CALM).all(|second| second.lost == 0.0);
    (0..inside.len()).find(|at| calm(*at))
}

fn recovers(series: &[Second], disturbed: &std::ops::Range<usize>) -> Option<usize> {
    let before = series.get(..disturbed.start)?;
    // Without the beginning, when all is cold.
    let mut usual: Vec<f64> = before[before.len() / 2..].iter().map(|s| s.added_p99_ms).collect();
    usual.sort_by(f64::total_cmp);
    let usual = usual.get(usual.len() / 2)? * WELL;
    let after = series.get(disturbed.end..)?;
    let well = |second: &Second| second.lost == 0.0 && second.added_p99_ms <= usual;
    (0..after.len()).find(|at| after[*at..].iter().take(CALM).all(well))
}

impl Figures {
    pub fn lost_percent(&self) -> f64 {
        100.0 * self.lost as f64 / self.calls.max(1) as f64
    }

    /// `eu 40 · us 40 · asia 20`, in percent.
    pub fn shares(&self) -> String {
        let names = REGIONS.iter().chain([&CLOUD]).map(|region| region.name);
        let parts = names.zip(self.regions).filter(|(_, share)| *share > 0.0);
        let parts = parts.map(|(name, share)| format!("{name} {:.0}", share * 100.0));
        parts.collect::<Vec<_>>().join(" · ")
    }

    pub fn json(&self) -> serde_json::Value {
        let names = REGIONS.iter().chain([&CLOUD]).map(|region| region.name);
        let shares: BTreeMap<&str, f64> = names.zip(self.regions).collect();
        json!({
            "calls": self.calls,
            "lost": self.lost,
            "waited": self.waited,
            "latencyMs": quantiles(self.took_ms),
            "addedMs": quantiles(self.added_ms),
            "costPerCall": self.cost,
            "shares": shares,
            "adaptsSeconds": self.adapts_s,
            "recoversSeconds": self.recovers_s,
            "reasons": self.reasons,
        })
    }
}

fn quantiles([p50, p99, p999]: [f64; 3]) -> serde_json::Value {
    json!({ "p50": p50, "p99": p99, "p999": p999 })
}
