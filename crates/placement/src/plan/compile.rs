//! From a placement and candidates to a plan.

use std::cmp::Reverse;
use std::sync::Arc;

use dispatch_model::Labels;
use dispatch_model::placement::{Burst, PlacementSpec, Preference, Strategy};

use super::{Candidate, Group, Member, Misfit, Plan};
use crate::{EngineSettings, Fleet, Queue};

pub(super) fn compile(
    fleet: &Arc<Fleet>,
    spec: &PlacementSpec,
    candidates: Vec<Candidate>,
    memory_mib: u64,
    queue: &Arc<Queue>,
) -> Plan {
    // Read first: what changes while this compiles makes the plan stale.
    let changes = fleet.changes();
    let nothing = Burst::default();
    let burst = spec.burst.as_ref().unwrap_or(&nothing);
    let prefer = spec.prefer.as_deref().unwrap_or_default();
    let members: Box<[Member]> = candidates
        .into_iter()
        .map(|candidate| {
            debug_assert!(
                Arc::ptr_eq(candidate.engine.fleet(), fleet),
                "an engine of another fleet"
            );
            let settings = candidate.engine.settings();
            let name = candidate.engine.name();
            let misfit = match candidate.unfit {
                Some(outside) => Some(Misfit::Outside(outside)),
                None => misfit(spec, burst, name, &settings, memory_mib),
            };
            let score = matching(prefer, &settings.labels).map(|p| p.weight).sum();
            let (engine, room) = (candidate.engine, candidate.room);
            Member { engine, room, misfit, score, cost: settings.cost }
        })
        .collect();
    let (primary, overflow) = split(&members, burst);
    let rooms = members.iter().any(|member| member.room.is_some());
    Plan {
        fleet: Arc::clone(fleet),
        changes,
        primary: rank(spec, prefer, &members, primary),
        burst: Group::in_order(&members, overflow),
        members,
        strategy: spec.strategy_or_default(),
        failover: spec.failover_or_default(),
        when_queued: burst.when_queued,
        when_saturated: burst.when_saturated_or_default(),
        queue: Arc::clone(queue),
        rooms,
    }
}

fn matching<'a>(
    prefer: &'a [Preference],
    labels: &'a Labels,
) -> impl Iterator<Item = &'a Preference> {
    prefer.iter().filter(move |preference| preference.matches(labels))
}

fn misfit(
    spec: &PlacementSpec,
    burst: &Burst,
    name: &str,
    settings: &EngineSettings,
    memory_mib: u64,
) -> Option<Misfit> {
    let listed = spec.engines.as_deref().unwrap_or_default();
    let is = |other: &String| other == name;
    // What calls burst to need not be among the engines they usually go to.
    if !listed.is_empty() && !listed.iter().any(is) && !burst.to.iter().any(is) {
        return Some(Misfit::NotListed);
    }
    for (label, wanted) in spec.require.iter().filter(|(_, wanted)| !wanted.is_empty()) {
        let found = settings.labels.get(label);
        if found != Some(wanted) {
            let (name, wanted) = (label.clone(), wanted.clone());
            return Some(Misfit::Label { name, wanted, found: found.cloned() });
        }
    }
    let most = settings.max_memory_mib;
    (most != 0 && memory_mib > most).then_some(Misfit::Memory { most, asked: memory_mib })
}

/// Those that fit: the usual ones as they were given, and those that take what is too much, as
/// `burst.to` lists them.
fn split(members: &[Member], burst: &Burst) -> (Vec<u32>, Vec<u32>) {
    let fitting = (0..members.len() as u32).filter(|at| members[*at as usize].misfit.is_none());
    let place =
        |at: u32| burst.to.iter().position(|name| name == members[at as usize].engine.name());
    let (primary, mut overflow): (Vec<u32>, Vec<u32>) =
        fitting.partition(|at| place(*at).is_none());
    overflow.sort_by_key(|at| place(*at));
    (primary, overflow)
}

fn rank(
    spec: &PlacementSpec,
    prefer: &[Preference],
    members: &[Member],
    mut primary: Vec<u32>,
) -> Group {
    let of = |at: &u32| &members[*at as usize];
    match spec.strategy_or_default() {
        Strategy::Ordered => {
            let listed = spec.engines.as_deref().unwrap_or_default();
            let place = |m: &Member| {
                let name = m.engine.name();
                listed.iter().position(|other| other == name).unwrap_or(usize::MAX)
            };
            primary.sort_by_cached_key(|at| (Reverse(of(at).score), place(of(at)), of(at).cost));
            Group::in_order(members, primary)
        }
        Strategy::Weighted => {
            let mut weighted = weights(prefer, members, primary);
            // Those without a share come last: they are for when no other can take the call.
            weighted.sort_by_key(|(_, weight)| *weight == 0);
            Group::weighted(members, weighted)
        }
        Strategy::LeastLoaded => {
            primary.sort_by_key(|at| Reverse(of(at).score));
            Group::tiers(members, primary, |member| u64::from(member.score))
        }
        Strategy::Cheapest => {
            let key = |m: &Member| u64::from(m.cost) << 32 | u64::from(u32::MAX - m.score);
            primary.sort_by_key(|at| key(of(at)));
            Group::tiers(members, primary, key)
        }
    }
}

/// The share of each engine: a preference's weight is divided among the engines that match it, so
/// that a region gets its share however many engines it has. All the same, when none matches any.
fn weights(prefer: &[Preference], members: &[Member], primary: Vec<u32>) -> Vec<(u32, u64)> {
    let settings: Vec<_> =
        primary.iter().map(|at| members[*at as usize].engine.settings()).collect();
    let mut shares = vec![0_u64; primary.len()];
    for preference in prefer {
        let one = std::slice::from_ref(preference);
        let hit: Vec<usize> = (0..primary.len())
            .filter(|at| matching(one, &settings[*at].labels).next().is_some())
            .collect();
        for at in &hit {
            // Fixed point: weights are at most 1,000 and engines at most 4,096.
            shares[*at] += (u64::from(preference.weight) << 32) / hit.len() as u64;
        }
    }
    if shares.iter().all(|share| *share == 0) {
        shares.fill(1 << 32);
    }
    primary.into_iter().zip(shares).collect()
}
