//! By chance: the index and its short ways decide as Cedar does over all rules, and nobody can give
//! what they lack.

use std::cell::Cell;
use std::collections::HashMap;

use cedar_policy::{Decision, Policy, PolicyId, PolicySet};
use chrono_tz::Tz;
use dispatch_model::policy::{Effect, PolicySpec};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::kit::*;
use super::random::*;
use crate::cedar::{Fact, Shown, ask as cedar};
use crate::{Change, Object, Policies, Principal, Reach};

/// Cedar's answer over every rule there is, shown everything. A question has the time of one zone,
/// so the rules that ask for another have one of their own.
struct Naive {
    sets: Vec<(Tz, PolicySet)>,
}

impl Naive {
    fn new(policies: &Policies) -> Self {
        let mut zones: HashMap<Tz, Vec<Policy>> = HashMap::new();
        for (number, rule) in policies.rules.iter().enumerate() {
            let text = &rule.judge.as_ref().expect("Cedar takes every rule").text;
            let policy = Policy::parse(Some(PolicyId::new(format!("{number}"))), text).unwrap();
            let zone = rule.condition.hours.as_ref().map_or(Tz::UTC, |hours| hours.zone);
            zones.entry(zone).or_default().push(policy);
        }
        let set = |policies| PolicySet::from_policies(policies).unwrap();
        Naive { sets: zones.into_iter().map(|(zone, policies)| (zone, set(policies))).collect() }
    }

    fn allows(&self, policies: &Policies, question: &Ask) -> bool {
        let facts = policies.facts(question.request());
        let (mut allowed, mut denied) = (false, false);
        for (zone, set) in &self.sets {
            let shown = Shown {
                facts: &Fact::ALL,
                groups: facts.groups.clone(),
                tags: facts.tags().into_iter().flatten().collect(),
                zone: Some(*zone),
            };
            let response = cedar(set, &facts, &shown).unwrap();
            assert_eq!(response.diagnostics().errors().next(), None, "no rule fails");
            // The rules that decide: permissions when it allows, denials when it does not.
            let decided = response.diagnostics().reason().next().is_some();
            allowed |= response.decision() == Decision::Allow;
            denied |= decided && response.decision() == Decision::Deny;
        }
        allowed && !denied
    }
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn decisions_are_those_of_cedar_over_all_rules() {
    let (allowed, refused) = (Cell::new(0), Cell::new(0));
    let given = (plan(), vec(question(), 24));
    runner(200)
        .run(&given, |(plan, questions)| {
            let policies = plan.world().build();
            let naive = Naive::new(&policies);
            for question in questions {
                let expected = naive.allows(&policies, &question);
                let decision = policies.decide(&question.request());
                prop_assert_eq!(decision.allowed, expected, "{:?}", question);
                let facts = policies.facts(question.request());
                for effect in [Effect::Allow, Effect::Deny] {
                    let unknown = effect == Effect::Deny;
                    for rule in policies.candidates(&facts, effect, unknown) {
                        prop_assert_eq!(rule.fits(&facts, unknown), rule.holds(&facts));
                    }
                }
                let explanation = policies.explain(&question.request());
                prop_assert_eq!(explanation.allowed, expected);
                prop_assert_eq!(&explanation.by, &decision.by);
                prop_assert!(decision.by.is_some() || !expected);
                prop_assert!(explanation.near.iter().all(|near| !near.unfit.is_empty()));
                let count = if expected { &allowed } else { &refused };
                count.set(count.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    assert!(allowed.get() > 200 && refused.get() > 200, "{allowed:?} {refused:?}");
}

#[test]
fn what_a_list_shows_is_what_may_be_read_one_by_one() {
    let seen = Cell::new([0; 3]);
    let given = (plan(), vec(question(), 24));
    runner(100)
        .run(&given, |(plan, questions)| {
            let policies = plan.world().build();
            for question in questions {
                let reach = policies.reach(&question.request());
                let kind = match reach {
                    Reach::All => 0,
                    Reach::None => 1,
                    Reach::Some(_) => 2,
                };
                let mut counts = seen.get();
                counts[kind] += 1;
                seen.set(counts);
                if let Some(object) = question.object() {
                    prop_assert_eq!(reach.admits(object), question.allowed(&policies));
                }
                let any = Ask { name: None, ..question.clone() }.allowed(&policies);
                prop_assert!(any || !matches!(reach, Reach::All));
                prop_assert!(!any || !reach.is_none());
                let other = Object { name: "other", tags: None };
                let about = policies.allows(&question.request().about(other));
                prop_assert_eq!(reach.admits(other), about);
            }
            Ok(())
        })
        .unwrap();
    assert!(seen.get().iter().all(|count| *count > 20), "{seen:?}");
}

#[test]
fn what_is_allowed_everywhere_is_allowed_in_each_place_of_each_thing() {
    let seen = Cell::new(0);
    let given = (plan(), vec(question(), 24));
    runner(200)
        .run(&given, |(plan, questions)| {
            let policies = plan.world().build();
            for question in questions {
                if policies.everywhere(&question.request()) {
                    seen.set(seen.get() + 1);
                    for at in ["a", "b"] {
                        let there = Ask { org: org(at), ..question.clone() };
                        prop_assert!(there.allowed(&policies), "{:?}", there);
                    }
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(seen.get() > 20, "{seen:?}");
}

/// What an author does.
#[derive(Debug, Clone)]
enum Deed {
    Make(&'static str, PolicySpec),
    Replace(usize, PolicySpec),
    Delete(usize),
    Role(usize, Option<dispatch_model::role::RoleSpec>),
    Group(usize, Option<dispatch_model::group::GroupSpec>),
}

fn deed() -> impl Strategy<Value = Deed> {
    let at = prop_oneof![4 => Just("a"), 1 => Just("b")];
    prop_oneof![
        3 => (at, policy()).prop_map(|(at, spec)| Deed::Make(at, spec)),
        2 => (0..6_usize, policy()).prop_map(|(which, spec)| Deed::Replace(which, spec)),
        1 => (0..6_usize).prop_map(Deed::Delete),
        1 => (0..2_usize, proptest::option::of(role())).prop_map(|(n, spec)| Deed::Role(n, spec)),
        1 => (0..2_usize, proptest::option::of(group())).prop_map(|(n, spec)| Deed::Group(n, spec)),
    ]
}

/// Whether the author may, and what is so afterwards. None when there is nothing to change.
fn act(policies: &Policies, plan: &Plan, deed: &Deed, author: &Principal) -> Option<(bool, Plan)> {
    let may = |at: &str, change: Change<'_>| policies.may_grant(author, &org(at), change).is_ok();
    let mut next = plan.clone();
    let may = match deed {
        Deed::Make(at, spec) => {
            next.policies.push((*at, spec.clone()));
            may(at, Change::Policy { before: None, after: Some(spec) })
        }
        Deed::Replace(which, spec) => {
            let (at, before) = plan.policies.get(*which)?;
            next.policies[*which].1 = spec.clone();
            may(at, Change::Policy { before: Some(before), after: Some(spec) })
        }
        Deed::Delete(which) => {
            let (at, before) = plan.policies.get(*which)?;
            next.policies.remove(*which);
            may(at, Change::Policy { before: Some(before), after: None })
        }
        Deed::Role(number, after) => {
            let name = ROLES[*number];
            let before = plan.roles.iter().find(|(own, _)| *own == name).map(|(_, spec)| spec);
            next.roles.retain(|(own, _)| *own != name);
            next.roles.extend(after.iter().map(|spec| (name, spec.clone())));
            may("a", Change::Role { name, before, after: after.as_ref() })
        }
        Deed::Group(number, after) => {
            let name = GROUPS[*number];
            let before = plan.groups.iter().find(|(own, _)| *own == name).map(|(_, spec)| spec);
            next.groups.retain(|(own, _)| *own != name);
            next.groups.extend(after.iter().map(|spec| (name, spec.clone())));
            may("a", Change::Group { name, before, after: after.as_ref() })
        }
    };
    Some((may, next))
}

#[test]
fn no_change_that_may_be_made_allows_anybody_what_its_author_is_refused() {
    let (gained, refused) = (Cell::new(0), Cell::new(0));
    let given = (plan(), own_rights(), vec(deed(), 6), principal(), vec(question(), 12));
    runner(100)
        .run(&given, |(mut plan, mut own_rights, deeds, author, questions)| {
            own_rights.iter_mut().for_each(|rule| rule.subjects = vec![author.name.clone()]);
            plan.policies.push(("a", PolicySpec { rules: own_rights, global: true }));
            let before = plan.world().build();
            for deed in deeds {
                let Some((may, next)) = act(&before, &plan, &deed, &author) else { continue };
                if !may {
                    refused.set(refused.get() + 1);
                    continue;
                }
                let after = Policies::new(&next.world().0, Some(&before));
                // Without one of several denials that reach only parts of a kind, the kind as a
                // whole may be free; so where a denial may end, one thing at a time is asked about.
                let making = matches!(deed, Deed::Make(..));
                for question in questions.iter().filter(|q| making || q.is_known()) {
                    let own = Ask { principal: author.clone(), ..question.clone() };
                    let homes = ["a", "b"].into_iter();
                    for other in homes.flat_map(|home| from_everybody(question, home)) {
                        if other.allowed(&after) && !other.allowed(&before) {
                            gained.set(gained.get() + 1);
                            prop_assert!(own.allowed(&before), "{:?}\n{:?}", deed, other);
                        }
                    }
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(gained.get() > 100 && refused.get() > 50, "{gained:?} {refused:?}");
}
