//! `cargo xtask simulate`: the real placement code against a fleet that is simulated.
//!
//! Time is virtual and chance comes from a seed, so a run can be repeated to the last call. What
//! is real are the plans, the breakers and the tickets of `dispatch-placement`.

mod figures;
mod model;
mod plot;
mod random;
mod report;
mod scenario;
mod servers;
mod world;

use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use dispatch_model::placement::Strategy;
use dispatch_placement::MAX_ENGINES;

use crate::shell;
use figures::Figures;
use scenario::{Course, Scenario};
use servers::Variant;
use world::World;

#[derive(Args)]
pub struct Arguments {
    /// Only these scenarios.
    #[arg(long, value_enum)]
    scenario: Vec<Scenario>,
    /// Calls of one run.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// Engines of the fleet, without the cloud.
    #[arg(long, default_value_t = 1_000)]
    engines: usize,
    /// Another seed is another run; the same one is the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the figures are printed.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Write the plots to docs/concepts/placement, and the tables into docs/concepts/placement.md.
    #[arg(long, conflicts_with = "scenario")]
    write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

/// One scenario, with each of the variants that were compared.
pub struct Compared {
    course: Course,
    variants: Vec<(Variant, Figures)>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if !(10..MAX_ENGINES).contains(&arguments.engines) {
        bail!("--engines is {}, must be 10 to {}", arguments.engines, MAX_ENGINES - 1);
    }
    if arguments.calls < 10_000 {
        bail!("--calls is {}, must be 10000 or more to say anything", arguments.calls);
    }
    let chosen = &arguments.scenario;
    let scenarios = Scenario::ALL.into_iter().filter(|s| chosen.is_empty() || chosen.contains(s));
    let began = Instant::now();
    let compared: Vec<Compared> = scenarios
        .map(|scenario| {
            let compared = compare(scenario, arguments);
            if arguments.output == Output::Table {
                print!("\n{}", report::table(&compared));
            }
            compared
        })
        .collect();
    if arguments.output == Output::Json {
        println!("{:#}", report::json(&compared));
        return Ok(());
    }
    let runs: usize = compared.iter().map(|one| one.variants.len()).sum();
    println!(
        "\n{runs} runs of {} calls on {} engines, seed {}, in {:.0} s",
        arguments.calls,
        arguments.engines,
        arguments.seed,
        began.elapsed().as_secs_f64()
    );
    if arguments.write {
        report::write(&compared)?;
    }
    Ok(())
}

/// All variants of a scenario, as many at once as there are processors.
fn compare(scenario: Scenario, arguments: &Arguments) -> Compared {
    let (engines, calls) = (arguments.engines, arguments.calls);
    let course = || Course::new(scenario, engines, calls);
    let mut variants: Vec<Variant> =
        Strategy::ALL.into_iter().map(|strategy| Variant { strategy, breaker: true }).collect();
    if matches!(scenario, Scenario::Outage | Scenario::BrownOut) {
        variants.push(Variant { strategy: Strategy::LeastLoaded, breaker: false });
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let open: Mutex<Vec<usize>> = Mutex::new((0..variants.len()).rev().collect());
    let done = Mutex::new(Vec::new());
    let _progress = shell::Progress::start(&format!("simulating: {}", scenario.name()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = open.lock().expect("nobody panics with it").pop();
                    let Some(at) = next else { return };
                    let recorder =
                        World::run(course(), variants[at], engines, calls, arguments.seed);
                    let figures = recorder.figures(&course());
                    done.lock().expect("nobody panics with it").push((at, figures));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("all threads have ended well");
    done.sort_by_key(|(at, _)| *at);
    let variants = done.into_iter().map(|(at, figures)| (variants[at], figures)).collect();
    Compared { course: course(), variants }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(scenario: Scenario, breaker: bool) -> Figures {
        let (engines, calls) = (100, 60_000);
        let course = || Course::new(scenario, engines, calls);
        let variant = Variant { strategy: Strategy::LeastLoaded, breaker };
        World::run(course(), variant, engines, calls, 7).figures(&course())
    }

    #[test]
    fn the_same_seed_is_the_same_run_and_every_call_ends() {
        let (one, two) = (figures(Scenario::Outage, true), figures(Scenario::Outage, true));
        assert_eq!(one.json(), two.json());
        assert_eq!(one.calls, 60_000);
        assert!(one.lost < one.calls / 20, "{} of {} are lost", one.lost, one.calls);
    }

    #[test]
    fn steady_calls_are_all_served_where_they_should_be() {
        let steady = figures(Scenario::Steady, true);
        assert_eq!(steady.lost, 0);
        assert!(steady.regions[0] > 0.5, "the near region comes first: {}", steady.shares());
        assert!((1_900.0..2_300.0).contains(&steady.took_ms[0]), "{} ms", steady.took_ms[0]);
    }

    #[test]
    fn a_burst_waits_for_nothing_while_the_cloud_has_room() {
        let burst = figures(Scenario::Burst, true);
        assert_eq!((burst.lost, burst.waited), (0, 0));
        assert!(burst.reasons["burst"] > 0);
    }
}
