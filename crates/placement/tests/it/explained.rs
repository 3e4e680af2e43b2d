//! What people are told about the next call.

use dispatch_model::placement::{Burst, PlacementSpec, Strategy};
use dispatch_placement::{Candidate, EngineSettings, Explained, Fleet, Plan, Role};

use crate::rig::{Rig, SECOND, labels, names, prefer};

fn line<'a>(all: &'a [Explained], engine: &str) -> &'a Explained {
    all.iter().find(|line| line.engine == engine).unwrap()
}

fn why(all: &[Explained], engine: &str) -> String {
    line(all, engine).passed_over.clone().unwrap_or_default()
}

#[test]
fn each_engine_has_the_exact_reason_it_is_passed_over_for() {
    let rig = Rig::new(&[
        ("sick", "eu", 0, 0),
        ("broken", "eu", 0, 1),
        ("full", "eu", 1, 2),
        ("good", "eu", 9, 3),
        ("later", "eu", 9, 4),
        ("us-1", "us", 0, 5),
        ("cloud", "eu", 0, 6),
    ]);
    let spec = PlacementSpec {
        require: labels(&[("region", "eu")]),
        burst: Some(Burst { to: names(&["cloud"]), ..Burst::default() }),
        ..PlacementSpec::default()
    };
    let plan = rig.plan(&spec);
    rig.engines[0].set_health(false);
    rig.break_engine(1, 0);
    let _on_full = rig.pick(&plan, 0).unwrap();
    let all = plan.explain(SECOND / 2);
    assert_eq!(why(&all, "sick"), "is unhealthy");
    assert_eq!(why(&all, "broken"), "has failed and is left alone for 500 ms");
    assert_eq!(why(&all, "full"), "is full (1 of 1)");
    assert_eq!(why(&all, "good"), "");
    assert!(line(&all, "good").next && line(&all, "good").tier == Some(4));
    assert_eq!(why(&all, "later"), "comes after good");
    assert_eq!(why(&all, "us-1"), "has the label region: us, not eu");
    assert_eq!(line(&all, "us-1").role, Role::Unfit);
    assert_eq!(why(&all, "cloud"), "takes calls when the others are full");
    assert_eq!(all.iter().filter(|line| line.next).count(), 1);
    let order: Vec<&str> = all.iter().map(|line| line.engine.as_str()).collect();
    assert_eq!(order, ["sick", "broken", "full", "good", "later", "cloud", "us-1"]);
}

#[test]
fn shares_are_told_where_chance_decides() {
    let rig = Rig::new(&[("a", "eu", 0, 0), ("b", "us", 0, 0), ("c", "us", 0, 0)]);
    let spec = PlacementSpec {
        prefer: prefer(&[("eu", 60), ("us", 40)]),
        strategy: Some(Strategy::Weighted),
        ..PlacementSpec::default()
    };
    let all = rig.plan(&spec).explain(0);
    let shares: Vec<f64> = all.iter().map(|line| line.share.unwrap()).collect();
    assert!(all.iter().all(|line| line.next));
    assert!((shares[0] - 0.6).abs() < 1e-6 && (shares[2] - 0.2).abs() < 1e-6, "{shares:?}");
}

#[test]
fn a_burst_and_a_drain_are_told_as_they_are_decided() {
    let rig = Rig::new(&[("a", "eu", 1, 0), ("cloud", "eu", 0, 0)]);
    let burst = Burst { to: names(&["cloud"]), when_queued: Some(1), when_saturated: Some(true) };
    let spec = PlacementSpec { burst: Some(burst), ..PlacementSpec::default() };
    let plan = rig.plan(&spec);
    let text = "takes calls when the others are full or more than 1 calls wait";
    assert_eq!(why(&plan.explain(0), "cloud"), text);
    let held = rig.pick(&plan, 0).unwrap();
    assert!(line(&plan.explain(0), "cloud").next);
    drop(held);
    let waiting = (plan.queue().enter(), plan.queue().enter());
    assert!(line(&plan.explain(0), "cloud").next);
    assert!(!line(&plan.explain(0), "a").next);
    drop(waiting);
    let draining = EngineSettings { draining: true, ..EngineSettings::default() };
    rig.engines.iter().for_each(|engine| engine.configure(draining.clone()));
    let all = plan.explain(0);
    assert!(line(&all, "a").next && !line(&all, "cloud").next);
    assert_eq!(why(&all, "cloud"), "is being drained");
}

#[test]
fn many_engines_are_named_up_to_a_point_and_none_is_said_plainly() {
    let fleet = Fleet::new();
    let candidate = |n| Candidate {
        engine: fleet.engine(&format!("e{n}"), EngineSettings::default()).unwrap(),
        unfit: Some("does not run ruby".to_owned()),
        room: None,
    };
    let all = (0..20).map(candidate).collect();
    let spec = PlacementSpec::default();
    let plan = Plan::compile(&fleet, &spec, all, 0, &std::sync::Arc::default());
    let refusal = plan.pick(0, 0, &dispatch_placement::Tried::default()).unwrap_err();
    let text = plan.refusal(&refusal, 0);
    assert!(text.ends_with("e7 does not run ruby; and 12 more"), "{text}");
    let plan = Plan::compile(&fleet, &spec, Vec::new(), 0, &std::sync::Arc::default());
    assert_eq!(plan.refusal(&refusal, 0), "there is no engine");
}
