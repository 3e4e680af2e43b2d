//! What is simulated: engines with workers, cold starts, distances and faults.

use super::random::Random;

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;

/// Workers of one engine, and calls it lets wait for one.
pub const WORKERS: usize = 8;
pub const ENGINE_QUEUE: usize = 8;
/// A handler's own time: median and spread of a lognormal distribution.
pub const HANDLER_MS: f64 = 2_000.0;
pub const HANDLER_SIGMA: f64 = 0.3;
/// Starting a worker, and how long an idle one is kept.
const COLD_MS: f64 = 400.0;
const COLD_SIGMA: f64 = 0.3;
const KEPT: u64 = 60 * SECOND;
/// When nobody answers a connection.
pub const CONNECT_TIMEOUT: u64 = SECOND;
/// The function's timeout.
pub const TIMEOUT: u64 = 30 * SECOND;

/// A group of engines: a region, or a cloud that takes whatever comes.
pub struct Region {
    pub name: &'static str,
    /// There and back again, from the servers.
    pub distance_ms: f64,
    /// Price of a call.
    pub cost: u32,
    /// Part of all engines, in percent; the cloud is one engine more.
    pub percent: usize,
}

pub const REGIONS: [Region; 3] = [
    Region { name: "eu", distance_ms: 2.0, cost: 15, percent: 40 },
    Region { name: "us", distance_ms: 90.0, cost: 12, percent: 40 },
    Region { name: "asia", distance_ms: 180.0, cost: 10, percent: 20 },
];
pub const CLOUD: Region = Region { name: "cloud", distance_ms: 20.0, cost: 100, percent: 0 };

/// One engine as it really is; what servers believe of it is theirs.
pub struct Engine {
    pub region: usize,
    distance_ms: f64,
    pub cost: u32,
    /// `usize::MAX` for the cloud.
    pub workers: usize,
    /// How much slower than usual: 1 or more.
    pub slowness: f64,
    /// Part of the calls it fails.
    pub fails: f64,
    pub down: bool,
    /// Grows when it goes down: what it was doing is gone.
    pub life: u32,
    pub running: Vec<u32>,
    pub queue: std::collections::VecDeque<u32>,
    /// Since when each idle worker is.
    idle: Vec<u64>,
}

/// What an engine does with a call that reaches it.
pub enum Taken {
    /// It is finished after so long.
    Runs(u64),
    Waits,
    Full,
}

impl Engine {
    pub fn new(region: usize, random: &mut Random) -> Self {
        let at = REGIONS.get(region).unwrap_or(&CLOUD);
        Self {
            region,
            distance_ms: at.distance_ms * (0.9 + 0.2 * random.unit()),
            cost: at.cost,
            workers: if region < REGIONS.len() { WORKERS } else { usize::MAX },
            slowness: 1.0,
            fails: 0.0,
            down: false,
            life: 0,
            running: Vec::new(),
            queue: std::collections::VecDeque::new(),
            // As if it had been running for a while.
            idle: vec![0; WORKERS],
        }
    }

    /// One way of the distance.
    pub fn hop(&self, random: &mut Random) -> u64 {
        (random.lognormal(self.distance_ms / 2.0, 0.1) * MS as f64) as u64
    }

    pub fn take(&mut self, call: u32, handler_ns: u64, now: u64, random: &mut Random) -> Taken {
        if self.running.len() < self.workers {
            return Taken::Runs(self.start(call, handler_ns, now, random));
        }
        if self.queue.len() < ENGINE_QUEUE {
            self.queue.push_back(call);
            return Taken::Waits;
        }
        Taken::Full
    }

    /// Starts a call, in a worker that may have to be started itself.
    pub fn start(&mut self, call: u32, handler_ns: u64, now: u64, random: &mut Random) -> u64 {
        self.running.push(call);
        let warm = self.idle.pop().is_some_and(|since| now - since <= KEPT);
        let cold_ms = if warm { 0.0 } else { random.lognormal(COLD_MS, COLD_SIGMA) };
        (handler_ns as f64 * self.slowness + cold_ms * MS as f64) as u64
    }

    /// A worker has become free.
    pub fn finish(&mut self, call: u32, now: u64) {
        self.running.retain(|other| *other != call);
        self.idle.push(now);
    }

    /// Everything it has is gone; the calls are given back.
    pub fn go_down(&mut self) -> Vec<u32> {
        self.down = true;
        self.life += 1;
        self.idle.clear();
        self.running.drain(..).chain(self.queue.drain(..)).collect()
    }
}
