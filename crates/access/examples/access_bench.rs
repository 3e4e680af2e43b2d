//! What a decision costs among 10,000 policies.
//!
//! `cargo run --release -p dispatch-access --example access_bench` prints nanoseconds for each
//! shape that so many policies can have, by one thread and by two at once. Each decision is timed
//! alone (the clock's own time is in it, and printed), each is another one than that before. *Cold*
//! is with 4 MiB of other memory read before each decision, as a busy server does. The last columns
//! are what compiling all policies takes, and compiling them again after one has changed.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use dispatch_access::{Action, Object, Policies, Principal, Request, Stored};
use dispatch_model::group::{Group, GroupSpec};
use dispatch_model::policy::{Condition, Day, Effect, Hours, Policy, PolicySpec, Rule};
use dispatch_model::{Kind, Name, OrgName, Resource, State, Tags};

const POLICIES: usize = 10_000;
const DECISIONS: usize = 100_000;
/// Each reads 4 MiB first.
const COLD_DECISIONS: usize = 3_000;
/// Monday, 2026-11-23, 12:00 UTC.
const NOW_MS: i64 = 1_795_435_200_000;

/// How the policies are spread.
struct Shape {
    name: &'static str,
    policy: fn(usize) -> Rule,
    /// Who asks, and for which thing.
    question: fn(usize) -> (String, String),
    groups: usize,
    allowed: bool,
}

const SHAPES: [Shape; 9] = [
    Shape {
        name: "each-one",
        policy: |n| rule(&[&format!("user-{n}")], "function"),
        question: |n| (format!("user-{n}"), "shop".to_owned()),
        groups: 0,
        allowed: true,
    },
    Shape {
        name: "in-100",
        policy: |n| rule(&[&format!("user-{}", n / 100)], &format!("function/f-{}", n % 100)),
        question: |n| (format!("user-{}", n / 100), format!("f-{}", n % 100)),
        groups: 0,
        allowed: true,
    },
    Shape {
        name: "in-all",
        policy: |n| rule(&["ada"], &format!("function/f-{n}-*")),
        question: |n| ("ada".to_owned(), format!("f-{n}-x")),
        groups: 0,
        allowed: true,
    },
    Shape {
        name: "everybody",
        policy: |n| within(rule(&["*"], "function"), &format!("app-{n}")),
        question: |n| (format!("user-{n}"), format!("app-{n}")),
        groups: 0,
        allowed: true,
    },
    Shape {
        name: "refused",
        policy: |n| rule(&[&format!("user-{}", n / 100)], &format!("function/f-{}", n % 100)),
        question: |n| (format!("user-{}", n / 100), "other".to_owned()),
        groups: 0,
        allowed: false,
    },
    Shape {
        name: "denied",
        policy: |n| match n % 2 {
            0 => rule(&["ada"], "function"),
            _ => Rule { effect: Effect::Deny, ..rule(&["ada"], &format!("function/f-{}", n / 2)) },
        },
        question: |n| ("ada".to_owned(), format!("f-{}", n / 2)),
        groups: 0,
        allowed: false,
    },
    Shape {
        name: "conditions",
        policy: |n| conditional(rule(&[&format!("user-{}", n / 10)], "function")),
        question: |n| (format!("user-{}", n / 10), "shop".to_owned()),
        groups: 0,
        allowed: true,
    },
    Shape {
        name: "groups",
        policy: |n| rule(&[&format!("group:team-{n}")], "function"),
        question: |n| (format!("user-{n}"), "shop".to_owned()),
        groups: 20,
        allowed: true,
    },
    Shape {
        name: "64-subjects",
        policy: |n| {
            let names: Vec<String> = (0..64).map(|m| format!("user-{}", n * 64 + m)).collect();
            rule(&names.iter().map(String::as_str).collect::<Vec<_>>(), "function")
        },
        question: |n| (format!("user-{}", n * 64 + 63), "shop".to_owned()),
        groups: 0,
        allowed: true,
    },
];

fn rule(subjects: &[&str], resource: &str) -> Rule {
    Rule {
        subjects: subjects.iter().map(|name| (*name).to_owned()).collect(),
        actions: vec!["get".to_owned(), "update".to_owned()],
        resources: vec![resource.to_owned()],
        ..Rule::default()
    }
}

fn within(rule: Rule, application: &str) -> Rule {
    Rule { applications: vec![application.to_owned()], ..rule }
}

fn conditional(rule: Rule) -> Rule {
    let hours = Hours {
        from_minute: 8 * 60,
        to_minute: 18 * 60,
        days: vec![Day::Monday, Day::Tuesday],
        time_zone: "Europe/Vienna".to_owned(),
    };
    let condition = Condition {
        tags: Tags::from([("env".to_owned(), "test".to_owned())]),
        not_before_ms: Some(NOW_MS - 1),
        not_after_ms: Some(NOW_MS + 1),
        hours: Some(hours),
        source_addresses: vec!["10.0.0.0/8".to_owned()],
    };
    Rule { condition, ..rule }
}

struct Bench {
    policies: Policies,
    questions: Vec<(Principal, String, Tags)>,
    org: OrgName,
    allowed: bool,
    compile_ms: u128,
    again_ms: u128,
}

impl Bench {
    fn new(shape: &Shape) -> Self {
        let org = OrgName::trusted("acme");
        let mut stored = Stored {
            organizations: HashSet::from([org.clone()]),
            policies: (0..POLICIES).map(|n| policy(&org, n, (shape.policy)(n))).collect(),
            ..Stored::default()
        };
        if shape.groups > 0 {
            stored.groups = (0..POLICIES).map(|n| group(&org, n, shape.groups)).collect();
        }
        let began = Instant::now();
        let policies = Policies::new(&stored, None);
        let compile_ms = began.elapsed().as_millis();
        assert!(policies.broken().is_empty(), "{:?}", policies.broken());
        stored.policies.push(policy(&org, POLICIES, rule(&["nobody"], "runs")));
        let began = Instant::now();
        let policies = Policies::new(&stored, Some(&policies));
        let again_ms = began.elapsed().as_millis();
        let question = |n: usize| {
            let (name, thing) = (shape.question)(n);
            let tags = [("env", "test"), ("Application", thing.as_str())];
            let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let principal = Principal { home: Some(org.clone()), name, groups: Vec::new() };
            (principal, thing, Tags::from(tags))
        };
        let questions = (0..POLICIES).map(question).collect();
        Self { policies, questions, org, allowed: shape.allowed, compile_ms, again_ms }
    }

    /// Sorted nanoseconds of decisions.
    fn measure(&self, start: usize, decisions: usize, cold: Option<&[u64]>) -> Vec<u64> {
        let mut times = Vec::with_capacity(decisions);
        for call in 0..decisions {
            // Far from the one before: 7,919 is prime.
            let (principal, name, tags) = &self.questions[(start + call * 7_919) % POLICIES];
            let request = Request {
                principal,
                org: &self.org,
                action: Action::Get,
                resource: "function",
                object: Some(Object { name, tags: Some(tags) }),
                from: Some([10, 1, 2, 3].into()),
                now_ms: NOW_MS,
            };
            if let Some(other) = cold {
                black_box(other.iter().step_by(8).sum::<u64>());
            }
            let began = Instant::now();
            let decision = self.policies.decide(black_box(&request));
            times.push(began.elapsed().as_nanos() as u64);
            assert_eq!(decision.allowed, self.allowed, "{} {name}", principal.name);
        }
        times.sort_unstable();
        times
    }

    fn together(&self, decisions: usize) -> Vec<u64> {
        let start = Barrier::new(2);
        let thread = |first: usize| {
            start.wait();
            self.measure(first, decisions, None)
        };
        let mut all = std::thread::scope(|scope| {
            let other = scope.spawn(|| thread(1));
            let mut all = thread(2);
            all.extend(other.join().expect("a measuring thread does not panic"));
            all
        });
        all.sort_unstable();
        all
    }
}

fn stored<K: Kind>(org: &OrgName, name: String, spec: K::Spec) -> Resource<K> {
    Resource::new(org.clone(), Name::trusted(&name), Tags::new(), State::Ready, spec)
}

fn policy(org: &OrgName, number: usize, rule: Rule) -> Resource<Policy> {
    stored(org, format!("p-{number}"), PolicySpec { rules: vec![rule], global: false })
}

/// Every user is in as many groups as a group has members.
fn group(org: &OrgName, number: usize, size: usize) -> Resource<Group> {
    let members = (0..size).map(|m| format!("user-{}", (number + m * 137) % POLICIES));
    stored(org, format!("team-{number}"), GroupSpec { members: members.collect() })
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
    // Fewer decisions, to see that it works.
    let quick = std::env::args().nth(1).is_some_and(|word| word == "quick");
    let decisions = if quick { DECISIONS / 50 } else { DECISIONS };
    let cold_decisions = if quick { COLD_DECISIONS / 10 } else { COLD_DECISIONS };
    println!("clock: {} ns a reading", clock_ns());
    println!(
        "{:<14}{:>8}{:>8}{:>11}{:>11}{:>10}{:>10}{:>12}{:>10}",
        "shape",
        "p50",
        "p99",
        "2 thr p50",
        "2 thr p99",
        "cold p50",
        "cold p99",
        "compile ms",
        "again ms"
    );
    let other = vec![1_u64; (4 << 20) / 8];
    for shape in &SHAPES {
        let bench = Bench::new(shape);
        let one = bench.measure(0, decisions, None);
        let two = bench.together(decisions);
        let cold = bench.measure(5, cold_decisions, Some(&other));
        println!(
            "{:<14}{:>8}{:>8}{:>11}{:>11}{:>10}{:>10}{:>12}{:>10}",
            shape.name,
            at(&one, 0.5),
            at(&one, 0.99),
            at(&two, 0.5),
            at(&two, 0.99),
            at(&cold, 0.5),
            at(&cold, 0.99),
            bench.compile_ms,
            bench.again_ms
        );
    }
}
