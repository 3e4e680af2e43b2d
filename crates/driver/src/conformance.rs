//! The suite that every engine passes: the engine contract as cases, run against a real engine.
//!
//! Who has an engine brings a [`Bed`]: how programs get to it, and what can be done to the system
//! behind it. The suite knows no test framework, so that it runs in a driver's own tests and in
//! `dispatch engine conformance` alike. Its future is driven where it is made: it is not `Send`.

mod bed;
mod calls;
mod case;
mod life;
mod program;
mod report;
mod trial;
mod trouble;

use std::time::Instant;

pub use bed::{Bed, Limits, Stop, Tried};
pub use case::{CASES, Case};
pub use program::Program;
pub use report::{CaseReport, Report, Verdict};

use trial::Trial;

/// Runs all cases against the engine of a bed, one after another.
pub async fn run(bed: &dyn Bed) -> Report {
    run_some(bed, |_| true, |_| {}).await
}

/// Runs those cases whose name is wanted, and tells of each as soon as it has ended.
pub async fn run_some(
    bed: &dyn Bed,
    wanted: impl Fn(&str) -> bool,
    mut ended: impl FnMut(&CaseReport),
) -> Report {
    let trial = Trial::new(bed);
    let mut cases = Vec::new();
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        let begun = Instant::now();
        let verdict = verdict(case, &trial).await;
        let report =
            CaseReport { name: case.name, about: case.about, verdict, took: begun.elapsed() };
        ended(&report);
        cases.push(report);
    }
    trial.end().await;
    Report { engine: bed.engine().name().to_owned(), cases }
}

async fn verdict(case: &Case, trial: &Trial<'_>) -> Verdict {
    if let Some(why) = trial.bed.cannot(case.name) {
        return Verdict::NotRun(why);
    }
    let limit = trial.limits.case;
    let ran = tokio::time::timeout(limit, (case.run)(trial)).await;
    let verdict = match ran {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(Stop::Failed(why))) => Verdict::Failed(why),
        Ok(Err(Stop::NotRun(why))) => Verdict::NotRun(why),
        Err(_) => Verdict::Failed(format!("it did not end within {} s", limit.as_secs())),
    };
    trial.clean().await;
    verdict
}
