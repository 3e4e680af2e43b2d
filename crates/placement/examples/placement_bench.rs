//! What a decision among 1,000 engines costs.
//!
//! `cargo run --release -p dispatch-placement --example placement_bench` prints nanoseconds for
//! each strategy and state of the fleet, by one thread and by two at once. Each decision is timed
//! alone (the clock's own time is in it, and printed), while 4,000 calls are under way. *Cold* is
//! with 4 MiB of other memory read before each decision, as a busy server does: the processor's
//! caches hold nothing of the fleet then.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use dispatch_model::Labels;
use dispatch_model::placement::{PlacementSpec, Preference, Strategy};
use dispatch_placement::{
    Candidate, Ending, EngineSettings, EngineState, Fleet, Plan, Queue, Ticket, Tried, mix,
};

const ENGINES: usize = 1_000;
/// Calls one engine takes at the same time.
const MOST: u32 = 20;
/// Calls under way while decisions are measured, and in a fleet that is nearly full: half of what
/// it has left.
const UNDER_WAY: usize = 4_000;
const UNDER_WAY_NEARLY: usize = 50;
const DECISIONS: usize = 200_000;
/// Each reads 4 MiB first.
const COLD_DECISIONS: usize = 3_000;

/// How the fleet is.
#[derive(Clone, Copy)]
enum State {
    Calm,
    /// 990 of 1,000 are full.
    Nearly,
    /// A third has an open breaker.
    Outage,
    /// All are full: the decision is that there is none.
    Full,
}

struct Bench {
    fleet: Arc<Fleet>,
    engines: Vec<Arc<EngineState>>,
    plan: Plan,
    under_way: usize,
    /// Keeps the full ones full.
    _held: Vec<Ticket>,
}

impl Bench {
    fn new(strategy: Strategy, state: State) -> Self {
        let fleet = Fleet::new();
        let engine = |n: usize| {
            let settings = EngineSettings {
                labels: Labels::from([("region".to_owned(), format!("r{}", n % 10))]),
                cost: (n % 50) as u32,
                max_concurrency: MOST,
                ..EngineSettings::default()
            };
            fleet.engine(&format!("e{n}"), settings).expect("1,000 find a place")
        };
        let engines: Vec<_> = (0..ENGINES).map(engine).collect();
        let plan = plan(&fleet, &engines, strategy);
        let mut held = Vec::new();
        for (n, engine) in engines.iter().enumerate() {
            match state {
                State::Calm => {}
                // Spread, so that neither the first nor the last ones are free.
                State::Nearly if n % 100 == 57 => {}
                State::Nearly | State::Full => held.extend(fill(&fleet, engine)),
                State::Outage if n % 3 == 0 => break_engine(&fleet, engine),
                State::Outage => {}
            }
        }
        let nearly = matches!(state, State::Nearly);
        let under_way = if nearly { UNDER_WAY_NEARLY } else { UNDER_WAY };
        Self { fleet, engines, plan, under_way, _held: held }
    }

    /// Sorted nanoseconds of decisions.
    fn measure(&self, seed: u64, decisions: usize, cold: Option<&[u64]>) -> Vec<u64> {
        let clock = Instant::now();
        let mut under_way: Vec<Option<Ticket>> = (0..self.under_way).map(|_| None).collect();
        let (mut times, mut random) = (Vec::with_capacity(decisions), seed);
        let tried = Tried::default();
        // The first ones fill what is under way.
        let warm = if cold.is_some() { 0 } else { self.under_way };
        for call in 0..decisions + warm {
            random = mix(random);
            let place = &mut under_way[(random % self.under_way as u64) as usize];
            if let Some(ticket) = place.take() {
                ticket.settle(clock.elapsed().as_nanos() as u64, Ending::Ok);
            }
            if let Some(other) = cold {
                black_box(other.iter().step_by(8).sum::<u64>());
            }
            let began = Instant::now();
            let picked = self.plan.pick(0, black_box(random), &tried);
            let took = began.elapsed().as_nanos() as u64;
            if let Ok(picked) = picked {
                *place = Some(picked.ticket);
            }
            if call >= warm {
                times.push(took);
            }
        }
        times.sort_unstable();
        times
    }

    fn together(&self) -> Vec<u64> {
        let start = Barrier::new(2);
        let thread = |seed: u64| {
            start.wait();
            self.measure(seed, DECISIONS, None)
        };
        let mut all = std::thread::scope(|scope| {
            let other = scope.spawn(move || thread(1));
            let mut all = thread(2);
            all.extend(other.join().expect("a measuring thread does not panic"));
            all
        });
        all.sort_unstable();
        all
    }
}

fn plan(fleet: &Arc<Fleet>, engines: &[Arc<EngineState>], strategy: Strategy) -> Plan {
    let preference = |(region, weight): (u32, u32)| Preference {
        labels: Labels::from([("region".to_owned(), format!("r{region}"))]),
        weight,
    };
    let prefer = match strategy {
        Strategy::Weighted => Some((0..10).map(|n| preference((n, 10 + n))).collect()),
        _ => None,
    };
    let spec = PlacementSpec { strategy: Some(strategy), prefer, ..PlacementSpec::default() };
    let fits =
        |engine: &Arc<EngineState>| Candidate { engine: engine.clone(), unfit: None, room: None };
    let candidates = engines.iter().map(fits).collect();
    Plan::compile(fleet, &spec, candidates, 256, &Arc::new(Queue::default()))
}

/// Takes all places of an engine.
fn fill(fleet: &Arc<Fleet>, engine: &Arc<EngineState>) -> Vec<Ticket> {
    let plan = plan(fleet, std::slice::from_ref(engine), Strategy::Ordered);
    let tried = Tried::default();
    let mut held = Vec::new();
    while let Ok(picked) = plan.pick(0, 0, &tried) {
        held.push(picked.ticket);
    }
    held
}

fn break_engine(fleet: &Arc<Fleet>, engine: &Arc<EngineState>) {
    let plan = plan(fleet, std::slice::from_ref(engine), Strategy::Ordered);
    while let Ok(picked) = plan.pick(0, 0, &Tried::default()) {
        picked.ticket.settle(0, Ending::BackendFailed);
    }
}

fn at(sorted: &[u64], share: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn clock_ns() -> u64 {
    let mut times: Vec<u64> = (0..10_000)
        .map(|_| {
            let began = Instant::now();
            black_box(began).elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    at(&times, 0.5)
}

fn main() {
    println!("clock: {} ns a reading", clock_ns());
    println!(
        "{:<14}{:<8}{:>8}{:>8}{:>10}{:>10}{:>10}{:>10}{:>12}",
        "strategy",
        "fleet",
        "p50",
        "p99",
        "2 thr p50",
        "2 thr p99",
        "cold p50",
        "cold p99",
        "compile µs"
    );
    let other = vec![1_u64; (4 << 20) / 8];
    for strategy in Strategy::ALL {
        for (name, state) in [
            ("calm", State::Calm),
            ("nearly", State::Nearly),
            ("outage", State::Outage),
            ("full", State::Full),
        ] {
            let bench = Bench::new(strategy, state);
            let one = bench.measure(7, DECISIONS, None);
            let two = bench.together();
            let cold = bench.measure(9, COLD_DECISIONS, Some(&other));
            let began = Instant::now();
            black_box(plan(&bench.fleet, &bench.engines, strategy));
            let compile = began.elapsed().as_micros();
            println!(
                "{:<14}{name:<8}{:>8}{:>8}{:>10}{:>10}{:>10}{:>10}{compile:>12}",
                strategy.as_str(),
                at(&one, 0.5),
                at(&one, 0.99),
                at(&two, 0.5),
                at(&two, 0.99),
                at(&cold, 0.5),
                at(&cold, 0.99),
            );
        }
    }
}
