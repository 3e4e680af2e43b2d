//! Which engine gets the call, and why it is said to.

use dispatch_model::placement::{Burst, Canary, PlacementSpec, Strategy};
use dispatch_placement::{
    Breaker, Candidate, Ending, EngineSettings, Plan, RefusalKind, Room, Tried, Word,
};

use crate::rig::{Rig, SECOND, labels, names, prefer};

fn three() -> Rig {
    Rig::new(&[("eu-1", "eu", 2, 5), ("eu-2", "eu", 2, 1), ("us-1", "us", 2, 3)])
}

#[test]
fn ordered_takes_the_first_then_the_next_and_says_why() {
    let rig = three();
    let spec =
        PlacementSpec { engines: Some(names(&["us-1", "eu-1"])), ..PlacementSpec::default() };
    let plan = rig.plan(&spec);
    let first = rig.pick(&plan, 0).unwrap();
    assert_eq!(
        (first.index, first.reason.to_string().as_str()),
        (2, "preferred: the first in order")
    );
    let _second = rig.pick(&plan, 0).unwrap();
    let third = rig.pick(&plan, 0).unwrap();
    assert_eq!(third.index, 0);
    assert_eq!(third.reason.to_string(), "overflow: us-1 is full (2 of 2)");
    let _fourth = rig.pick(&plan, 0).unwrap();
    let refusal = rig.pick(&plan, 0).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NoRoom);
    let text = plan.refusal(&refusal, 0);
    assert_eq!(text, "no engine has room: eu-1 is full (2 of 2); us-1 is full (2 of 2)");
    first.ticket.settle(1, Ending::Ok);
    assert_eq!(rig.pick(&plan, 0).unwrap().index, 2, "the place that came free is taken");
}

#[test]
fn without_a_list_preferences_come_first_and_then_cost() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    assert_eq!(rig.pick(&plan, 0).unwrap().index, 1, "eu-2 costs least");
    let spec = PlacementSpec { prefer: prefer(&[("us", 1)]), ..PlacementSpec::default() };
    assert_eq!(rig.pick(&rig.plan(&spec), 0).unwrap().index, 2);
}

#[test]
fn what_is_required_is_required_of_all() {
    let rig = three();
    let spec = PlacementSpec { require: labels(&[("region", "us")]), ..PlacementSpec::default() };
    let plan = rig.plan(&spec);
    let picked = rig.pick(&plan, 0).unwrap();
    assert_eq!((picked.index, picked.reason.word()), (2, Word::Only));
    let spec = PlacementSpec { require: labels(&[("gpu", "a100")]), ..PlacementSpec::default() };
    let plan = rig.plan(&spec);
    let refusal = rig.pick(&plan, 0).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NoneFits);
    let text = plan.refusal(&refusal, 0);
    assert!(
        text.starts_with("no engine fits: eu-1 has no label gpu, which must be a100; "),
        "{text}"
    );
    // By its own name, which is a label too.
    let spec = PlacementSpec { require: labels(&[("engine", "eu-1")]), ..PlacementSpec::default() };
    assert_eq!(rig.pick(&rig.plan(&spec), 0).unwrap().index, 0);
}

#[test]
fn weights_are_shares_of_the_calls_however_many_engines_match() {
    let rig = three();
    let spec = PlacementSpec {
        prefer: prefer(&[("eu", 80), ("us", 20)]),
        strategy: Some(Strategy::Weighted),
        ..PlacementSpec::default()
    };
    let shares = rig.shares(&rig.plan(&spec), 10_000);
    assert!(shares[0].abs_diff(4_000) < 200 && shares[1].abs_diff(4_000) < 200, "{shares:?}");
    // One is gone: its part goes to the others in their proportion, 40 to 20.
    rig.engines[0].set_health(false);
    let shares = rig.shares(&rig.plan(&spec), 10_000);
    assert_eq!(shares[0], 0);
    assert!(shares[2].abs_diff(3_333) < 200, "{shares:?}");
}

#[test]
fn who_has_no_weight_is_for_when_nobody_else_can() {
    let rig = three();
    let spec = PlacementSpec {
        prefer: prefer(&[("eu", 80)]),
        strategy: Some(Strategy::Weighted),
        ..PlacementSpec::default()
    };
    let plan = rig.plan(&spec);
    assert_eq!(rig.shares(&plan, 1_000)[2], 0);
    let held: Vec<_> = (0..4).map(|_| rig.pick(&plan, 0).unwrap()).collect();
    let fifth = rig.pick(&plan, 0).unwrap();
    assert_eq!((fifth.index, fifth.reason.word()), (2, Word::Overflow));
    drop(held);
}

#[test]
fn the_least_loaded_is_so_for_its_capacity() {
    let rig = Rig::new(&[("small", "eu", 10, 0), ("large", "eu", 30, 0)]);
    let spec = PlacementSpec { strategy: Some(Strategy::LeastLoaded), ..PlacementSpec::default() };
    let plan = rig.plan(&spec);
    let held: Vec<_> = (0..36).map(|_| rig.pick(&plan, 0).unwrap()).collect();
    assert_eq!((rig.engines[0].in_flight(), rig.engines[1].in_flight()), (9, 27));
    drop(held);
}

#[test]
fn the_cheapest_with_room_comes_first() {
    let rig = three();
    let spec = PlacementSpec { strategy: Some(Strategy::Cheapest), ..PlacementSpec::default() };
    let plan = rig.plan(&spec);
    let held: Vec<_> = (0..6).map(|_| rig.pick(&plan, 0).unwrap()).collect();
    let order: Vec<usize> = held.iter().map(|picked| picked.index).collect();
    assert_eq!(order, [1, 1, 2, 2, 0, 0]);
    assert_eq!(held[0].reason.word(), Word::Cheapest);
    assert_eq!(held[2].reason.to_string(), "overflow: eu-2 is full (2 of 2)");
}

#[test]
fn calls_burst_when_the_others_are_full() {
    let rig = Rig::new(&[("process", "here", 20, 0), ("lambda-eu", "eu", 0, 9)]);
    let burst = Burst { to: names(&["lambda-eu"]), ..Burst::default() };
    let listed = Some(names(&["process"]));
    let spec = PlacementSpec { engines: listed, burst: Some(burst), ..PlacementSpec::default() };
    let plan = rig.plan(&spec);
    let held: Vec<_> = (0..20).map(|_| rig.pick(&plan, 0).unwrap()).collect();
    assert!(held.iter().all(|picked| picked.index == 0));
    for _ in 0..1_000 {
        let picked = rig.pick(&plan, 0).unwrap();
        assert_eq!(picked.index, 1);
        assert_eq!(picked.reason.to_string(), "burst: process is full (20 of 20)");
    }
    drop(held);
    assert_eq!(rig.pick(&plan, 0).unwrap().index, 0);
}

#[test]
fn calls_burst_when_too_many_wait_and_not_before() {
    let rig = Rig::new(&[("process", "here", 1, 0), ("lambda-eu", "eu", 0, 9)]);
    let burst = Burst { to: names(&["lambda-eu"]), when_queued: Some(2), when_saturated: None };
    let spec = PlacementSpec { burst: Some(burst), ..PlacementSpec::default() };
    let plan = rig.plan(&spec);
    let _held = rig.pick(&plan, 0).unwrap();
    let _waiting: Vec<_> = (0..2)
        .map(|_| {
            assert_eq!(rig.pick(&plan, 0).unwrap_err().kind, RefusalKind::NoRoom);
            plan.queue().enter()
        })
        .collect();
    assert_eq!(rig.pick(&plan, 0).unwrap_err().kind, RefusalKind::NoRoom, "two may wait");
    let _third = plan.queue().enter();
    let picked = rig.pick(&plan, 0).unwrap();
    assert_eq!(picked.reason.to_string(), "burst: 3 calls wait, more than 2");
    // Another plan of the function sees the same queue.
    assert_eq!(rig.pick(&rig.plan(&spec), 0).unwrap().index, 1);
}

#[test]
fn a_call_that_failed_goes_on_to_the_next_in_order() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    let mut tried = Tried::default();
    let mut order = Vec::new();
    while let Ok(picked) = plan.pick(0, rig.random(), &tried) {
        order.push((picked.index, picked.reason.to_string()));
        tried.add(picked.ticket.engine(), "connection refused");
        picked.ticket.settle(0, Ending::BackendFailed);
    }
    let said = |text: &str| text.to_owned();
    assert_eq!(order[0], (1, said("preferred: the first in order")));
    assert_eq!(order[1], (2, said("failover: eu-2 failed (connection refused)")));
    assert_eq!(order[2], (0, said("failover: us-1 failed (connection refused)")));
    assert_eq!(plan.pick(0, 0, &tried).unwrap_err().kind, RefusalKind::NoneLeft);
}

#[test]
fn without_failover_calls_stay_with_the_first_unless_they_burst() {
    let rig = three();
    let spec = PlacementSpec {
        engines: Some(names(&["eu-1", "eu-2"])),
        burst: Some(Burst { to: names(&["us-1"]), ..Burst::default() }),
        failover: Some(false),
        ..PlacementSpec::default()
    };
    let plan = rig.plan(&spec);
    let first = rig.pick(&plan, 0).unwrap();
    let mut tried = Tried::default();
    tried.add(first.ticket.engine(), "reset");
    assert_eq!(plan.pick(0, 0, &tried).unwrap_err().kind, RefusalKind::NoneLeft);
    let _second = rig.pick(&plan, 0).unwrap();
    assert_eq!(rig.pick(&plan, 0).unwrap().index, 2, "full is not broken");
    rig.engines[0].set_health(false);
    let refusal = rig.pick(&plan, 0).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NoneHealthy);
    // What is wrong may name an address: it is not for those who call.
    assert!(plan.refusal(&refusal, 0).contains("eu-1 is unhealthy"));
}

#[test]
fn a_broken_engine_is_left_alone_then_probed_by_one_call_and_comes_back() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    rig.break_engine(1, 0);
    assert_eq!(rig.engines[1].breaker(0), Breaker::Open { for_ns: SECOND });
    let other = rig.pick(&plan, 0).unwrap();
    assert_eq!(other.reason.to_string(), "failover: eu-2 has failed and is left alone for 1 s");
    let probe = rig.pick(&plan, SECOND).unwrap();
    assert_eq!((probe.index, probe.reason.word()), (1, Word::Probe));
    let beside = rig.pick(&plan, SECOND).unwrap();
    assert_ne!(beside.index, 1, "two probes at once");
    probe.ticket.settle(SECOND, Ending::Ok);
    for _ in 0..2 {
        let trial = rig.pick(&plan, SECOND).unwrap();
        assert_eq!((trial.index, trial.reason.word()), (1, Word::Probe));
        trial.ticket.settle(SECOND, Ending::Ok);
    }
    assert_eq!(rig.pick(&plan, SECOND).unwrap().reason.word(), Word::Preferred);
}

#[test]
fn an_engine_that_is_seen_well_again_is_probed_at_once() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    rig.break_engine(1, 0);
    rig.engines[1].set_health(true);
    let now = SECOND / 2;
    assert_ne!(rig.pick(&plan, now).unwrap().index, 1, "it was never seen ill");
    rig.engines[1].set_health(false);
    rig.engines[1].set_health(true);
    let probe = rig.pick(&plan, now).unwrap();
    assert_eq!((probe.index, probe.reason.word()), (1, Word::Probe));
}

#[test]
fn functions_that_fail_and_calls_that_are_abandoned_open_no_breaker() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    for at in 0..100 {
        let picked = rig.pick(&plan, at).unwrap();
        assert_eq!(picked.index, 1);
        match at % 2 {
            0 => picked.ticket.settle(at, Ending::FunctionFailed),
            _ => drop(picked),
        }
    }
    assert_eq!(rig.engines[1].breaker(100), Breaker::Closed);
    assert_eq!(rig.engines[1].in_flight(), 0);
}

#[test]
fn an_abandoned_probe_leaves_the_next_one_to_another_call() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    rig.break_engine(1, 0);
    drop(rig.pick(&plan, SECOND).unwrap());
    assert_eq!(rig.pick(&plan, SECOND).unwrap().reason.word(), Word::Probe);
}

#[test]
fn an_engine_that_says_it_is_full_gets_the_pause_it_asked_for() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    let picked = rig.pick(&plan, 0).unwrap();
    picked.ticket.settle(0, Ending::Full { retry_after_ns: Some(2 * SECOND) });
    let next = rig.pick(&plan, SECOND).unwrap();
    assert_eq!(
        next.reason.to_string(),
        "overflow: eu-2 has said that it is full and is left alone for 1 s"
    );
    assert_eq!(rig.pick(&plan, 2 * SECOND).unwrap().index, 1);
    let picked = rig.pick(&plan, 2 * SECOND).unwrap();
    picked.ticket.settle(0, Ending::Full { retry_after_ns: Some(3_600 * SECOND) });
    assert_eq!(rig.pick(&plan, 13 * SECOND).unwrap().index, 1, "no engine goes for an hour");
}

#[test]
fn a_draining_engine_is_the_last_choice_and_a_cordoned_one_is_not() {
    let rig = Rig::new(&[("a", "eu", 1, 0), ("b", "eu", 1, 1)]);
    let set = |at: usize, cordoned, draining| {
        let settings =
            EngineSettings { max_concurrency: 1, cordoned, draining, ..EngineSettings::default() };
        rig.engines[at].configure(settings);
    };
    set(0, true, false);
    let plan = rig.plan(&PlacementSpec::default());
    assert!(!plan.is_stale());
    let on_cordoned = rig.pick(&plan, 0).unwrap();
    assert_eq!(on_cordoned.index, 0);
    set(0, true, true);
    assert!(plan.is_stale());
    assert_eq!(rig.engines[0].in_flight(), 1, "settings change, counts stay");
    drop(on_cordoned);
    let first = rig.pick(&plan, 0).unwrap();
    assert_eq!(first.index, 1);
    let second = rig.pick(&plan, 0).unwrap();
    assert_eq!((second.index, second.reason.word()), (0, Word::Draining));
    assert_eq!(rig.pick(&plan, 0).unwrap_err().kind, RefusalKind::NoRoom);
}

#[test]
fn limits_that_change_hold_at_once() {
    let rig = Rig::new(&[("a", "eu", 1, 0)]);
    let plan = rig.plan(&PlacementSpec::default());
    let limit = |max_concurrency| {
        let settings = EngineSettings { max_concurrency, ..EngineSettings::default() };
        rig.engines[0].configure(settings);
    };
    let first = rig.pick(&plan, 0).unwrap();
    assert!(rig.pick(&plan, 0).is_err());
    limit(3);
    let (second, third) = (rig.pick(&plan, 0).unwrap(), rig.pick(&plan, 0).unwrap());
    assert!(rig.pick(&plan, 0).is_err());
    limit(1);
    drop((first, second));
    assert!(rig.pick(&plan, 0).is_err(), "one is still there");
    drop(third);
    assert!(rig.pick(&plan, 0).is_ok());
}

#[test]
fn the_reason_of_a_canary_says_its_share_and_its_engine() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    let reason = rig.pick(&plan, 0).unwrap().reason.of_canary(Canary { version: 7, percent: 5 });
    assert_eq!(reason.word().as_str(), "canary");
    assert_eq!(reason.sentence(), "5 % of the calls go to version 7; there: the first in order");
}

#[test]
fn memory_and_reasons_from_outside_keep_an_engine_out() {
    let rig = three();
    let small = EngineSettings { max_memory_mib: 128, ..EngineSettings::default() };
    rig.engines[0].configure(small);
    let unfit = [None, Some("does not run python3".to_owned()), None];
    let candidates = rig.engines.iter().zip(unfit);
    let candidates =
        candidates.map(|(e, unfit)| Candidate { engine: e.clone(), unfit, room: None }).collect();
    let spec =
        PlacementSpec { engines: Some(names(&["eu-1", "eu-2"])), ..PlacementSpec::default() };
    let plan = Plan::compile(&rig.fleet, &spec, candidates, 256, &rig.queue);
    let refusal = rig.pick(&plan, 0).unwrap_err();
    assert_eq!(
        plan.refusal(&refusal, 0),
        "no engine fits: eu-1 takes functions of up to 128 MiB, this one asks for 256; \
         eu-2 does not run python3; us-1 is not among the placement's engines"
    );
}

#[test]
fn the_same_settings_again_make_no_plan_stale() {
    let rig = three();
    let plan = rig.plan(&PlacementSpec::default());
    let settings = EngineSettings::clone(&rig.engines[0].settings());
    rig.engines[0].configure(settings.clone());
    assert!(!plan.is_stale());
    rig.engines[0].configure(EngineSettings { cost: 77, ..settings });
    assert!(plan.is_stale());
}

/// Two engines and a cloud, on which a function has room for so many calls.
fn roomy(rig: &Rig, burst: Burst, most: u32) -> Plan {
    let spec = PlacementSpec { burst: Some(burst), ..PlacementSpec::default() };
    let candidate = |engine: &std::sync::Arc<dispatch_placement::EngineState>| {
        let room = Room::new(most, &rig.queue);
        room.open();
        Candidate { engine: engine.clone(), unfit: None, room: Some(room.into()) }
    };
    let candidates = rig.engines.iter().map(candidate).collect();
    Plan::compile(&rig.fleet, &spec, candidates, 256, &rig.queue)
}

#[test]
fn a_burst_comes_when_no_usual_engine_has_room_for_the_function() {
    let rig = Rig::new(&[("process", "eu", 0, 0), ("a", "eu", 0, 1), ("b", "eu", 0, 2)]);
    let to = names(&["b"]);
    let plan = roomy(&rig, Burst { to: to.clone(), ..Burst::default() }, 2);
    let held: Vec<_> = (0..7).map(|_| rig.pick(&plan, 0).unwrap()).collect();
    let went: Vec<usize> = held.iter().map(|picked| picked.index).collect();
    assert_eq!(went, [0, 0, 1, 1, 2, 2, 0], "the last one waits at the first");
    assert_eq!(held[2].reason.to_string(), "overflow: process is full (2 of 2)");
    assert_eq!(held[4].reason.to_string(), "burst: process is full (2 of 2)");
    assert_eq!(rig.queue.waiting(), 1);
    assert!(plan.explain(0)[0].next, "the next one waits there, too");
    drop(held);
    assert_eq!(rig.queue.waiting(), 0);

    // Only when more than one waits.
    let burst = Burst { to, when_queued: Some(1), ..Burst::default() };
    let plan = roomy(&rig, burst, 1);
    let went: Vec<_> = (0..5).map(|_| rig.pick(&plan, 0).unwrap()).collect();
    let went: Vec<usize> = went.iter().map(|picked| picked.index).collect();
    assert_eq!(went, [0, 1, 0, 0, 2]);
}

#[test]
fn an_engine_that_is_not_told_yet_is_passed_over_and_waited_for() {
    let rig = Rig::new(&[("near", "eu", 0, 0), ("far", "eu", 0, 1)]);
    let rooms = [0, 0].map(|most| std::sync::Arc::new(Room::new(most, &rig.queue)));
    let plan = |spec: &PlacementSpec| {
        let each = rig.engines.iter().zip(&rooms);
        let candidates = each.map(|(engine, room)| Candidate {
            engine: engine.clone(),
            unfit: None,
            room: Some(room.clone()),
        });
        Plan::compile(&rig.fleet, spec, candidates.collect(), 256, &rig.queue)
    };
    let stays = plan(&PlacementSpec { failover: Some(false), ..PlacementSpec::default() });
    let moves = plan(&PlacementSpec::default());
    rooms[1].open();
    assert_eq!(rig.pick(&stays, 0).unwrap_err().kind, RefusalKind::NoRoom);
    let far = rig.pick(&moves, 0).unwrap();
    assert_eq!(far.index, 1);
    let why = "overflow: near has not been told of the function yet";
    assert_eq!(far.reason.to_string(), why);
    rooms[0].open();
    assert_eq!((rig.pick(&stays, 0).unwrap().index, rig.pick(&moves, 0).unwrap().index), (0, 0));
}
