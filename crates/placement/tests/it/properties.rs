//! Whatever is asked of whatever fleet: rules that always hold, against a second opinion that is
//! slow and plain.

use std::sync::Arc;

use dispatch_model::Labels;
use dispatch_model::placement::{Burst, PlacementSpec, Preference, Strategy as How};
use dispatch_placement::{
    Breaker, Candidate, Ending, EngineSettings, EngineState, Fleet, Picked, Plan, Tried,
};
use proptest::prelude::*;

use crate::rig::SECOND;

/// More than are read whole, so that draws by chance and the search after them are tried, too.
const ENGINES: usize = 14;

#[derive(Debug, Clone)]
enum Step {
    Pick { random: u64 },
    Again { at: usize, random: u64 },
    End { at: usize, how: u8 },
    Health { engine: usize, healthy: bool },
    Settings { engine: usize, most: u32, draining: bool },
    Wait { ms: u64 },
    Queue,
    Leave,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<u64>().prop_map(|random| Step::Pick { random }),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(at, random)| Step::Again { at, random }),
        4 => (any::<usize>(), 0..6_u8).prop_map(|(at, how)| Step::End { at, how }),
        1 => (0..ENGINES, any::<bool>())
            .prop_map(|(engine, healthy)| Step::Health { engine, healthy }),
        1 => (0..ENGINES, 0..4_u32, prop::bool::weighted(0.3))
            .prop_map(|(engine, most, draining)| Step::Settings { engine, most, draining }),
        1 => (0..3_000_u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Queue),
        1 => Just(Step::Leave),
    ]
}

fn region() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["eu", "us", "asia"][..])
}

fn some_engines() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set(0..ENGINES, 0..5)
        .prop_map(|all| all.into_iter().map(|n| format!("e{n}")).collect())
}

fn region_labels(region: &str) -> Labels {
    Labels::from([("region".to_owned(), region.to_owned())])
}

fn spec() -> impl Strategy<Value = PlacementSpec> {
    let preference = (region(), 1..1_000_u32)
        .prop_map(|(region, weight)| Preference { labels: region_labels(region), weight });
    let burst = (some_engines(), prop::option::of(0..3_u32), prop::option::of(any::<bool>()))
        .prop_map(|(to, when_queued, when_saturated)| Burst { to, when_queued, when_saturated });
    (
        prop::option::weighted(0.3, region()),
        prop::option::of(prop::collection::vec(preference, 0..3)),
        prop::option::weighted(0.3, some_engines()),
        prop::option::of(prop::sample::select(&How::ALL[..])),
        prop::option::of(burst),
        prop::option::weighted(0.3, any::<bool>()),
    )
        .prop_map(|(require, prefer, engines, strategy, burst, failover)| PlacementSpec {
            require: require.map(region_labels).unwrap_or_default(),
            prefer,
            engines,
            strategy,
            burst,
            failover,
            canary: None,
        })
        .prop_filter("must be able to burst", |spec| spec.check().is_ok())
}

struct World {
    engines: Vec<Arc<EngineState>>,
    unfit: Vec<bool>,
    spec: PlacementSpec,
    plan: Plan,
    held: Vec<Picked>,
    now: u64,
}

impl World {
    fn new(spec: PlacementSpec, regions: &[&str], most: &[u32], unfit: Vec<bool>) -> Self {
        let fleet = Fleet::new();
        let engine = |n: usize| {
            let settings = EngineSettings {
                labels: region_labels(regions[n]),
                cost: n as u32 % 3,
                max_concurrency: most[n],
                ..EngineSettings::default()
            };
            fleet.engine(&format!("e{n}"), settings).unwrap()
        };
        let engines: Vec<_> = (0..ENGINES).map(engine).collect();
        let candidate = |(engine, unfit): (&Arc<EngineState>, &bool)| Candidate {
            engine: engine.clone(),
            unfit: unfit.then(|| "is not for us".to_owned()),
            room: None,
        };
        let candidates = engines.iter().zip(&unfit).map(candidate).collect();
        let plan = Plan::compile(&fleet, &spec, candidates, 0, &Arc::default());
        Self { engines, unfit, spec, plan, held: Vec::new(), now: 0 }
    }

    fn bursts_to(&self, at: usize) -> bool {
        let burst = self.spec.burst.as_ref();
        burst.is_some_and(|burst| burst.to.iter().any(|n| n == self.engines[at].name()))
    }

    fn fits(&self, at: usize) -> bool {
        let engine = &self.engines[at];
        let listed = self.spec.engines.as_ref().filter(|all| !all.is_empty());
        let listed = listed.is_none_or(|all| all.iter().any(|name| name == engine.name()));
        let labels = &engine.settings().labels;
        let has = self.spec.require.iter().all(|(name, value)| labels.get(name) == Some(value));
        !self.unfit[at] && has && (listed || self.bursts_to(at))
    }

    fn is_open(&self, at: usize) -> bool {
        self.engines[at].why_not(self.now).is_none()
    }

    fn pick(&mut self, random: u64, tried: &Tried, tried_on: Option<usize>) {
        let before: Vec<bool> = (0..ENGINES).map(|at| self.is_open(at)).collect();
        let open = |at: &usize| self.fits(*at) && before[*at] && Some(*at) != tried_on;
        match self.plan.pick(self.now, random, tried) {
            Ok(picked) => {
                let at = picked.index;
                assert!(self.fits(at), "e{at} does not fit: {}", picked.reason);
                assert_ne!(Some(at), tried_on, "chosen again: {}", picked.reason);
                let engine = &self.engines[at];
                assert!(engine.healthy(), "unhealthy: {}", picked.reason);
                let most = engine.max_concurrency();
                assert!(most == 0 || engine.in_flight() <= most, "too many on e{at}");
                assert!(before[at] || engine.draining(), "was closed: {}", picked.reason);
                let primary_open = (0..ENGINES).any(|n| open(&n) && !self.bursts_to(n));
                let failover = self.spec.failover_or_default();
                if engine.draining() && failover {
                    assert!(!primary_open, "a draining engine before an open one");
                }
                let waiting = self.plan.queue().waiting();
                let burst = self.spec.burst.clone().unwrap_or_default();
                let queued = burst.when_queued.is_some_and(|limit| waiting > limit);
                if self.bursts_to(at) && !queued && failover {
                    assert!(!primary_open, "burst without need: {}", picked.reason);
                }
                if picked.ticket.is_probe() {
                    assert_ne!(engine.breaker(self.now), Breaker::Closed);
                }
                self.held.push(picked);
            }
            Err(refusal) => {
                // With both on, whatever is open is found.
                let saturated = self.spec.burst.as_ref();
                let bursts = saturated.is_none_or(Burst::when_saturated_or_default);
                if self.spec.failover_or_default() && bursts {
                    let left = (0..ENGINES).find(|at| open(at));
                    assert_eq!(left, None, "refused ({refusal:?}) though it was open");
                }
                assert!(!self.plan.refusal(&refusal, self.now).is_empty());
            }
        }
    }

    fn explained_as_decided(&self) {
        let all = self.plan.explain(self.now);
        assert_eq!(all.len(), ENGINES);
        for line in all {
            let at = self.engines.iter().position(|e| e.name() == line.engine).unwrap();
            assert_eq!(line.next, line.passed_over.is_none(), "{line:?}");
            if line.next {
                assert!(self.fits(at) && (self.is_open(at) || self.engines[at].draining()));
            }
        }
    }
}

fn end(how: u8, picked: Picked, now: u64) {
    match how {
        0 => picked.ticket.settle(now, Ending::Ok),
        1 => picked.ticket.settle(now, Ending::FunctionFailed),
        2 => picked.ticket.settle(now, Ending::Full { retry_after_ns: None }),
        3 => drop(picked),
        _ => picked.ticket.settle(now, Ending::BackendFailed),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_unfit_engine_is_ever_chosen_and_no_place_is_lost(
        spec in spec(),
        regions in prop::collection::vec(region(), ENGINES),
        most in prop::collection::vec(0..4_u32, ENGINES),
        unfit in prop::collection::vec(prop::bool::weighted(0.1), ENGINES),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(spec, &regions, &most, unfit);
        let mut waiting = Vec::new();
        for step in steps {
            match step {
                Step::Pick { random } => world.pick(random, &Tried::default(), None),
                Step::Again { at, random } if !world.held.is_empty() => {
                    let at = at % world.held.len();
                    let picked = world.held.swap_remove(at);
                    let mut tried = Tried::default();
                    tried.add(picked.ticket.engine(), "reset");
                    let index = picked.index;
                    picked.ticket.settle(world.now, Ending::BackendFailed);
                    world.pick(random, &tried, Some(index));
                }
                Step::End { at, how } if !world.held.is_empty() => {
                    let at = at % world.held.len();
                    end(how, world.held.swap_remove(at), world.now);
                }
                Step::Health { engine, healthy } => {
                    world.engines[engine].set_health(healthy);
                }
                Step::Settings { engine, most, draining } => {
                    let engine = &world.engines[engine];
                    // Not below what runs, so that a limit can be held against it.
                    let most = if most == 0 { 0 } else { most.max(engine.in_flight()) };
                    let settings = EngineSettings {
                        max_concurrency: most,
                        draining,
                        ..(*engine.settings()).clone()
                    };
                    engine.configure(settings);
                }
                Step::Wait { ms } => world.now += ms * 1_000_000,
                Step::Queue => waiting.push(world.plan.queue().enter()),
                Step::Leave => drop(waiting.pop()),
                Step::Again { .. } | Step::End { .. } => {}
            }
            world.explained_as_decided();
        }
        let held: Vec<usize> = world.held.iter().map(|picked| picked.index).collect();
        for (at, engine) in world.engines.iter().enumerate() {
            let count = held.iter().filter(|index| **index == at).count();
            prop_assert_eq!(engine.in_flight() as usize, count);
        }
        world.held.clear();
        prop_assert!(world.engines.iter().all(|engine| engine.in_flight() == 0));
    }

    #[test]
    fn weights_are_kept_among_engines_that_are_open(
        weights in prop::collection::vec(1..1_000_u32, 2..6),
        seed in any::<u64>(),
        closed in prop::option::of(0..2_usize),
    ) {
        let fleet = Fleet::new();
        let engine = |n: usize| {
            let candidate = fleet.engine(&format!("e{n}"), EngineSettings::default()).unwrap();
            Candidate { engine: candidate, unfit: None, room: None }
        };
        let candidates: Vec<_> = (0..weights.len()).map(engine).collect();
        let prefer = weights.iter().enumerate().map(|(n, weight)| Preference {
            labels: Labels::from([("engine".to_owned(), format!("e{n}"))]),
            weight: *weight,
        });
        let spec = PlacementSpec {
            prefer: Some(prefer.collect()),
            strategy: Some(How::Weighted),
            ..PlacementSpec::default()
        };
        if let Some(closed) = closed {
            candidates[closed].engine.set_health(false);
        }
        let plan = Plan::compile(&fleet, &spec, candidates, 0, &Arc::default());
        let (mut counts, mut random) = (vec![0_u32; weights.len()], seed);
        const CALLS: u32 = 20_000;
        for _ in 0..CALLS {
            random = dispatch_placement::mix(random);
            counts[plan.pick(SECOND, random, &Tried::default()).unwrap().index] += 1;
        }
        let weight = |n: usize| if closed == Some(n) { 0 } else { weights[n] };
        let all: u32 = (0..weights.len()).map(weight).sum();
        for (n, count) in counts.into_iter().enumerate() {
            let wanted = f64::from(weight(n)) / f64::from(all);
            let seen = f64::from(count) / f64::from(CALLS);
            // Five standard deviations of a fair draw.
            let margin = 5.0 * (wanted * (1.0 - wanted) / f64::from(CALLS)).sqrt() + 1e-9;
            prop_assert!((seen - wanted).abs() <= margin, "{n}: {seen} for {wanted}");
        }
    }
}
