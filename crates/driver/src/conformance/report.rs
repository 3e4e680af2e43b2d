//! What came of the cases.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// What came of all cases that were wanted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Name of the engine.
    pub engine: String,
    pub cases: Vec<CaseReport>,
}

/// What came of one case.
#[derive(Debug, Clone)]
pub struct CaseReport {
    pub name: &'static str,
    /// What the engine has to do: one sentence without its full stop.
    pub about: &'static str,
    pub verdict: Verdict,
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed(String),
    /// The bed could not do what the case needs; never counted as passed.
    NotRun(String),
}

impl Verdict {
    /// `passed`, `failed` or `not run`.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "failed",
            Verdict::NotRun(_) => "not run",
        }
    }

    /// What there is to say about it.
    pub fn words(&self) -> Option<&str> {
        match self {
            Verdict::Passed => None,
            Verdict::Failed(why) | Verdict::NotRun(why) => Some(why),
        }
    }
}

impl Report {
    /// Whether no case failed, and any was run.
    pub fn passed(&self) -> bool {
        self.count("failed") == 0 && self.count("passed") > 0
    }

    /// How many cases ended so: `passed`, `failed` or `not run`.
    pub fn count(&self, verdict: &str) -> usize {
        self.cases.iter().filter(|case| case.verdict.name() == verdict).count()
    }

    /// The names of the cases that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.cases.iter().filter(|case| matches!(case.verdict, Verdict::Failed(_)));
        failed.map(|case| case.name).collect()
    }

    /// Says loudly what was not run.
    ///
    /// # Panics
    /// When a case failed, with the whole report.
    #[track_caller]
    pub fn assert(&self) {
        for case in &self.cases {
            if let Verdict::NotRun(why) = &case.verdict {
                println!("could not run: {} of engine {}: {why}", case.name, self.engine);
            }
        }
        assert!(self.passed(), "engine {} does not keep its contract\n{self}", self.engine);
        println!("{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            let (name, verdict, took) = (case.name, case.verdict.name(), case.took.as_secs_f64());
            writeln!(f, "{name:<16} {verdict:<8} {took:7.2} s  {}", case.about)?;
            if let Some(words) = case.verdict.words() {
                writeln!(f, "{:<16} {}", "", words.replace('\n', "\n                 "))?;
            }
        }
        let [passed, failed, not_run] = ["passed", "failed", "not run"].map(|v| self.count(v));
        write!(f, "{passed} passed, {failed} failed, {not_run} not run")
    }
}

impl Serialize for CaseReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("CaseReport", 5)?;
        out.serialize_field("name", self.name)?;
        out.serialize_field("about", self.about)?;
        out.serialize_field("verdict", self.verdict.name())?;
        out.serialize_field("words", &self.verdict.words())?;
        out.serialize_field("tookMs", &u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX))?;
        out.end()
    }
}
