//! The list of the cases, in the order they run: the gentle ones first.

use std::pin::Pin;

use super::trial::Trial;
use super::{Tried, calls, life, trouble};

/// One thing that engines have to do.
pub struct Case {
    pub name: &'static str,
    /// One sentence without its full stop.
    pub about: &'static str,
    pub(super) run: Run,
}

pub(super) type Run = for<'a> fn(&'a Trial<'a>) -> Running<'a>;
type Running<'a> = Pin<Box<dyn Future<Output = Tried<()>> + 'a>>;

macro_rules! cases {
    ($($name:literal $function:path, $about:literal;)*) => {
        /// All cases, in the order they run.
        pub const CASES: &[Case] = &[
            $(Case { name: $name, about: $about, run: |trial| Box::pin($function(trial)) },)*
        ];
    };
}

cases! {
    "health" calls::health, "A healthy engine says so, and names languages it runs";
    "echo" calls::echo, "Any JSON value goes in and comes back as it was";
    "context" calls::context, "The context reaches the handler with its secrets";
    "environment" calls::environment, "A deployment's environment is its handler's";
    "logs" calls::logs, "A call's outcome has the lines that call printed, and no others";
    "failure" calls::failure, "What a handler throws is a FunctionError with its stack";
    "payload" calls::payload, "A payload and a result of the largest size go through";
    "concurrency" calls::concurrency, "Many calls at once get their own answers";
    "deadline" calls::deadline, "A call ends at its deadline, though its function has more time";
    "timeout" calls::timeout, "A call ends when its function's time is over, the next is served";
    "exit" calls::exit, "A handler that ends its process fails that call only";
    "cancel" calls::cancel, "Calls nobody waits for any more lose no worker";
    "observe" life::observe, "A deployment is absent, then ready, then absent again";
    "deploy-twice" life::deploy_twice, "Building and ensuring again change nothing, not even calls";
    "update" life::update, "A new deployment comes up beside the old one, whose calls go on";
    "broken" life::broken, "A handler that does not load is its author's fault, with its words";
    "remove-running" life::remove_running, "A call under way ends well while its deployment goes";
    "remove" life::remove, "What was removed is unknown, and removing it again does nothing";
    "unknown" life::unknown, "A deployment that never was is unknown, and can be removed";
    "restart" trouble::restart, "A new driver over the same system finds what was made";
    "outage" trouble::outage, "A system that is away is said to be, and works when it is back";
}

#[cfg(test)]
mod tests {
    use super::CASES;

    #[test]
    fn each_case_has_a_name_of_its_own() {
        let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }
}
