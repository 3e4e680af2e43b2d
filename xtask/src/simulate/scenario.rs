//! What happens to the fleet, and how many calls come.

use dispatch_model::Labels;
use dispatch_model::placement::{Burst, PlacementSpec, Preference, Strategy};

use super::model::{HANDLER_MS, HANDLER_SIGMA, REGIONS, SECOND, WORKERS};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// 55 % of what the fleet can do, and nothing happens.
    Steady,
    /// The nearest region, 40 % of the fleet, does not answer for a fifth of the time.
    Outage,
    /// Callers are cut off for ten seconds, and then all come back within one.
    Herd,
    /// A tenth of the engines gets ten times slower, and fails up to a third of the calls.
    BrownOut,
    /// Three times what the fleet can do, with a cloud to burst to.
    Burst,
}

impl Scenario {
    pub const ALL: [Scenario; 5] =
        [Scenario::Steady, Scenario::Outage, Scenario::Herd, Scenario::BrownOut, Scenario::Burst];

    pub fn name(self) -> &'static str {
        match self {
            Scenario::Steady => "steady",
            Scenario::Outage => "outage",
            Scenario::Herd => "herd",
            Scenario::BrownOut => "brown-out",
            Scenario::Burst => "burst",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Scenario::Steady => "Steady load",
            Scenario::Outage => "Regional outage",
            Scenario::Herd => "Thundering herd",
            Scenario::BrownOut => "Slow brown-out",
            Scenario::Burst => "Burst to the cloud",
        }
    }
}

/// A scenario of a size.
pub struct Course {
    pub scenario: Scenario,
    /// Calls per second in ordinary times.
    pub rate: f64,
    /// Nanoseconds from the first call to the last, roughly.
    pub length: u64,
    /// When it begins and ends to be out of the ordinary.
    pub from: u64,
    pub to: u64,
}

/// Part of the fleet's capacity that is used in ordinary times.
const LOAD: f64 = 0.55;
/// How many times as many calls as usual come in a burst: three times what the fleet can do.
const BURST: f64 = 3.0 / LOAD;
/// How long callers are cut off, and within what time they come back.
const SILENCE: u64 = 10 * SECOND;
const RETURN: u64 = SECOND;

impl Course {
    pub fn new(scenario: Scenario, engines: usize, calls: u64) -> Self {
        let mean_ms = HANDLER_MS * (HANDLER_SIGMA * HANDLER_SIGMA / 2.0).exp();
        let rate = LOAD * (engines * WORKERS) as f64 / (mean_ms / 1_000.0);
        // A fifth of the time with a burst takes as long as ordinary times with more calls.
        let more = if scenario == Scenario::Burst { 0.8 + 0.2 * BURST } else { 1.0 };
        let length = (calls as f64 / (rate * more) * SECOND as f64) as u64;
        let from = length / 10 * 3;
        let to = match scenario {
            Scenario::Herd => from + SILENCE + RETURN,
            _ => length / 2,
        };
        Self { scenario, rate, length, from, to }
    }

    /// Calls per second now.
    pub fn rate(&self, now: u64) -> f64 {
        let inside = (self.from..self.to).contains(&now);
        match self.scenario {
            Scenario::Burst if inside => self.rate * BURST,
            Scenario::Herd if inside && now < self.from + SILENCE => 0.0,
            Scenario::Herd if inside => self.rate * (1.0 + SILENCE as f64 / RETURN as f64),
            _ => self.rate,
        }
    }

    /// When the rate is no longer 0.
    pub fn next_calls(&self, now: u64) -> u64 {
        if self.rate(now) > 0.0 { now } else { self.from + SILENCE }
    }

    /// Whether anything happens.
    pub fn is_disturbed(&self) -> bool {
        self.scenario != Scenario::Steady
    }

    /// Whether there is a cloud.
    pub fn has_cloud(&self) -> bool {
        self.scenario == Scenario::Burst
    }

    /// How slow an engine of those with a brown-out is, and what part of the calls it fails. It
    /// gets worse until half of the time, and then stays so.
    pub fn brown_out(&self, now: u64) -> (f64, f64) {
        if !(self.from..self.to).contains(&now) {
            return (1.0, 0.0);
        }
        let part = (now - self.from) as f64 / (self.to - self.from) as f64;
        let part = (part * 2.0).min(1.0);
        (1.0 + 9.0 * part, 0.33 * part)
    }

    /// What the function says of its placement: near engines rather than far ones.
    pub fn spec(&self, strategy: Strategy) -> PlacementSpec {
        let preference = |(region, weight): (&str, u32)| Preference {
            labels: Labels::from([("region".to_owned(), region.to_owned())]),
            weight,
        };
        let weights = REGIONS.iter().map(|region| region.name).zip([50, 35, 15]);
        let burst = Burst { to: vec!["cloud".to_owned()], ..Burst::default() };
        PlacementSpec {
            prefer: Some(weights.map(preference).collect()),
            strategy: Some(strategy),
            burst: self.has_cloud().then_some(burst),
            ..PlacementSpec::default()
        }
    }
}
