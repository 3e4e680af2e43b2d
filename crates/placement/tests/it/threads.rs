//! Many threads at one fleet.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use dispatch_model::placement::{PlacementSpec, Strategy};
use dispatch_placement::{Ending, Tried, mix};

use crate::rig::Rig;

const THREADS: u64 = 4;
const CALLS: u64 = 30_000;

#[test]
fn no_engine_ever_has_more_than_its_limit_and_nothing_leaks() {
    let named: Vec<String> = (0..40).map(|n| format!("e{n}")).collect();
    let engines: Vec<_> = named.iter().map(|name| (name.as_str(), "eu", 2, 0)).collect();
    for strategy in Strategy::ALL {
        let rig = Rig::new(&engines);
        let spec = PlacementSpec { strategy: Some(strategy), ..PlacementSpec::default() };
        let plan = rig.plan(&spec);
        let running: Vec<AtomicU32> = rig.engines.iter().map(|_| AtomicU32::new(0)).collect();
        let refused = AtomicU64::new(0);
        let work = |thread: u64| {
            let mut held = Vec::new();
            let mut random = thread;
            for call in 0..CALLS {
                random = mix(random);
                match plan.pick(call, random, &Tried::default()) {
                    Ok(picked) => {
                        let before = running[picked.index].fetch_add(1, SeqCst);
                        assert!(before < 2, "{before} calls ran on an engine of 2");
                        held.push(picked);
                    }
                    Err(_) => {
                        refused.fetch_add(1, SeqCst);
                    }
                }
                // Each would hold 90 of the 80 places: it is full at times, and empty at others.
                let last = call + 1 == CALLS;
                let keep = if random % 4_096 < 8 || last { 0 } else { 90 };
                while held.len() > keep {
                    let picked = held.swap_remove((random % held.len() as u64) as usize);
                    running[picked.index].fetch_sub(1, SeqCst);
                    match random % 3 {
                        0 => drop(picked),
                        1 => picked.ticket.settle(call, Ending::Ok),
                        _ => picked.ticket.settle(call, Ending::FunctionFailed),
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || work(thread));
            }
        });
        assert!(rig.engines.iter().all(|engine| engine.in_flight() == 0));
        assert!(refused.load(SeqCst) > 0, "it was never full: {strategy:?} was not tried");
        // Nobody is thought full who is not: all 80 places can be had, and no more.
        let all: Vec<_> = (0..80).map(|_| rig.pick(&plan, CALLS).unwrap()).collect();
        assert!(rig.pick(&plan, CALLS).is_err());
        drop(all);
    }
}

#[test]
fn of_many_threads_one_is_the_probe() {
    let rig = Rig::new(&[("e", "eu", 0, 0)]);
    let plan = rig.plan(&PlacementSpec::default());
    let mut now = 0;
    for _ in 0..200 {
        now += 100 * crate::rig::SECOND;
        rig.break_engine(0, now);
        let due = now + 90 * crate::rig::SECOND;
        let start = std::sync::Barrier::new(THREADS as usize);
        let try_one = || {
            start.wait();
            plan.pick(due, 0, &Tried::default()).ok()
        };
        let picked: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(try_one)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(picked.len(), 1);
        assert!(picked[0].ticket.is_probe());
        for picked in picked {
            picked.ticket.settle(due, Ending::BackendFailed);
        }
    }
    assert_eq!(rig.engines[0].in_flight(), 0);
}
