//! Random worlds over few words, so that rules and questions meet.

use dispatch_model::Tags;
use dispatch_model::application::APPLICATION_TAG;
use dispatch_model::group::GroupSpec;
use dispatch_model::policy::{Condition, Day, Effect, Hours, PolicySpec, Rule};
use dispatch_model::role::{Permission, RoleSpec};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::kit::*;
use crate::{Action, Principal};

const ORGS: [&str; 2] = ["a", "b"];
pub const NAMES: [&str; 3] = ["ada", "bob", "cleo"];
pub const GROUPS: [&str; 2] = ["g1", "g2"];
pub const ROLES: [&str; 2] = ["r1", "r2"];
const WORDS: [&str; 3] = ["function", "runs", "iam"];
const OBJECTS: [&str; 3] = ["shop", "shop-1", "bank"];
const PATTERNS: [&str; 9] = [
    "*",
    "function",
    "runs",
    "iam",
    "function/shop",
    "function/shop-*",
    "function/s*",
    "*/shop",
    "runs/*",
];
const ADDRESSES: [&str; 3] = ["10.1.2.3", "10.9.9.9", "2001:db8::1"];

fn some(of: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    subsequence(of, 1..=most).prop_map(|list| list.iter().map(|s| (*s).to_owned()).collect())
}

/// Now and then among many others, whom Cedar finds by their numbers.
fn among_many(
    list: impl Strategy<Value = Vec<String>>,
    other: &'static str,
) -> impl Strategy<Value = Vec<String>> {
    let many = option::weighted(0.2, 5..20_usize);
    (list, many).prop_map(move |(list, many)| {
        let others = (0..many.unwrap_or(0)).map(|number| format!("{other}{number}"));
        list.into_iter().chain(others).collect()
    })
}

fn subjects() -> impl Strategy<Value = Vec<String>> {
    among_many(some(&["ada", "bob", "cleo", "group:g1", "group:g2", "*"], 2), "eve-")
}

fn resources() -> impl Strategy<Value = Vec<String>> {
    among_many(some(&PATTERNS, 3), "function/other-")
}

fn actions() -> impl Strategy<Value = Vec<String>> {
    some(&["get", "create", "delete", "*"], 2)
}

fn hours() -> impl Strategy<Value = Hours> {
    let zone = select(&["UTC", "Europe/Vienna", "Mars/Base"][..]);
    let days = subsequence(&[Day::Monday, Day::Tuesday][..], 0..=2);
    (select(&[0, 600, 780][..]), select(&[0, 660, 840, 1440][..]), days, zone).prop_map(
        |(from_minute, to_minute, days, zone)| Hours {
            from_minute,
            to_minute,
            days,
            time_zone: zone.to_owned(),
        },
    )
}

fn condition() -> impl Strategy<Value = Condition> {
    let noon = MONDAY_NOON_MS;
    let times = || option::weighted(0.2, select(vec![noon - 1, noon, noon + 1]));
    let ranges = subsequence(&["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "odd"][..], 1..=2);
    let tags = option::weighted(0.3, select(&["prod", "test"][..]));
    (tags, times(), times(), option::weighted(0.2, hours()), option::weighted(0.2, ranges))
        .prop_map(|(tag, not_before_ms, not_after_ms, hours, sources)| Condition {
            tags: tag.map(|value| tags_of(Some(value), None)).unwrap_or_default(),
            not_before_ms,
            not_after_ms,
            hours,
            source_addresses: sources
                .unwrap_or_default()
                .iter()
                .map(|text| (*text).to_owned())
                .collect(),
        })
}

fn tags_of(env: Option<&str>, application: Option<&str>) -> Tags {
    let pairs = [("env", env), (APPLICATION_TAG, application)];
    pairs.into_iter().filter_map(|(key, v)| Some((key.to_owned(), v?.to_owned()))).collect()
}

fn effect() -> impl Strategy<Value = Effect> {
    prop_oneof![3 => Just(Effect::Allow), 1 => Just(Effect::Deny)]
}

pub fn rule() -> impl Strategy<Value = Rule> {
    let roles = option::weighted(0.3, some(&["r1", "r2", "invoker", "viewer", "nosuch"], 2));
    let applications = option::weighted(0.2, some(&["x", "y"], 2));
    let conditions = option::weighted(0.4, condition());
    (subjects(), actions(), resources(), roles, effect(), applications, conditions).prop_map(
        |(subjects, actions, resources, roles, effect, applications, condition)| {
            let (actions, resources) = match &roles {
                Some(_) => (Vec::new(), Vec::new()),
                None => (actions, resources),
            };
            Rule {
                subjects,
                actions,
                resources,
                roles: roles.unwrap_or_default(),
                effect,
                applications: applications.unwrap_or_default(),
                condition: condition.unwrap_or_default(),
            }
        },
    )
}

/// Rules that mostly give somebody much.
pub fn own_rights() -> impl Strategy<Value = Vec<Rule>> {
    let wide = prop_oneof![
        2 => Just(allow("", "*", "*")),
        1 => Just(allow("", "*", "function,runs")),
        1 => rule(),
    ];
    (wide, option::weighted(0.4, rule())).prop_map(|(wide, more)| {
        let more = more.into_iter().filter(|rule| rule.effect == Effect::Deny);
        [wide].into_iter().chain(more).collect()
    })
}

pub fn policy() -> impl Strategy<Value = PolicySpec> {
    let global = proptest::bool::weighted(0.3);
    (vec(rule(), 1..4), global).prop_map(|(rules, global)| PolicySpec { rules, global })
}

pub fn role() -> impl Strategy<Value = RoleSpec> {
    let permission = (actions(), some(&PATTERNS, 2))
        .prop_map(|(actions, resources)| Permission { actions, resources });
    vec(permission, 1..3).prop_map(|permissions| RoleSpec { permissions })
}

pub fn group() -> impl Strategy<Value = GroupSpec> {
    some(&NAMES, 2).prop_map(|members| GroupSpec { members })
}

/// What is stored, by organization and name.
#[derive(Debug, Clone)]
pub struct Plan {
    pub policies: Vec<(&'static str, PolicySpec)>,
    /// Of organization `a`.
    pub roles: Vec<(&'static str, RoleSpec)>,
    pub groups: Vec<(&'static str, GroupSpec)>,
}

impl Plan {
    pub fn world(&self) -> World {
        let mut world = World::new();
        for (number, (org, spec)) in self.policies.iter().enumerate() {
            let (name, rules) = (format!("p{number}"), spec.rules.clone());
            world = match spec.global {
                true => world.global(org, &name, rules),
                false => world.policy(org, &name, rules),
            };
        }
        for (name, spec) in &self.roles {
            world = world.role("a", name, spec.clone());
        }
        for (name, spec) in &self.groups {
            world = world.group("a", name, &spec.members.join(","));
        }
        world
    }
}

pub fn plan() -> impl Strategy<Value = Plan> {
    let policies = vec((prop_oneof![3 => Just("a"), 1 => Just("b")], policy()), 0..6);
    let roles = (option::of(role()), option::of(role()));
    let groups = (option::of(group()), option::of(group()));
    (policies, roles, groups).prop_map(|(policies, roles, groups)| {
        let named = |name: &'static str, spec: Option<RoleSpec>| spec.map(|spec| (name, spec));
        let member = |name: &'static str, spec: Option<GroupSpec>| spec.map(|spec| (name, spec));
        Plan {
            policies,
            roles: [named(ROLES[0], roles.0), named(ROLES[1], roles.1)]
                .into_iter()
                .flatten()
                .collect(),
            groups: [member(GROUPS[0], groups.0), member(GROUPS[1], groups.1)]
                .into_iter()
                .flatten()
                .collect(),
        }
    })
}

pub fn principal() -> impl Strategy<Value = Principal> {
    let home = prop_oneof![4 => Just("a"), 1 => Just("b")];
    let groups = option::weighted(0.3, some(&GROUPS, 2));
    (home, select(&NAMES[..]), groups).prop_map(|(home, name, groups)| Principal {
        home: Some(org(home)),
        name: name.to_owned(),
        groups: groups.unwrap_or_default(),
    })
}

pub fn question() -> impl Strategy<Value = Ask> {
    let tags = option::weighted(
        0.8,
        (option::of(select(&["prod", "test"][..])), option::of(select(&["x", "y"][..]))),
    );
    let hours = select(vec![-2_i64, -1, 0, 0, 0, 1, 30]);
    let now = hours.prop_map(|hours| MONDAY_NOON_MS + hours * 3_600_000);
    (
        principal(),
        prop_oneof![4 => Just(ORGS[0]), 1 => Just(ORGS[1])],
        select(&Action::ALL[..]),
        select(&WORDS[..]),
        option::weighted(0.8, select(&OBJECTS[..])),
        tags,
        option::weighted(0.7, select(&ADDRESSES[..])),
        now,
    )
        .prop_map(|(principal, at, action, resource, name, tags, from, now_ms)| Ask {
            principal,
            org: org(at),
            action,
            resource: resource.to_owned(),
            name: name.map(str::to_owned),
            tags: tags.map(|(env, application)| tags_of(env, application)),
            from: from.map(|text| text.parse().unwrap()),
            now_ms,
        })
}

/// The same question from everybody in an organization.
pub fn from_everybody(question: &Ask, home: &str) -> Vec<Ask> {
    let groups = [vec![], vec!["g1".to_owned()]];
    let one = |(name, groups): (&str, Vec<String>)| Ask {
        principal: Principal { home: Some(org(home)), name: name.to_owned(), groups },
        ..question.clone()
    };
    NAMES.iter().flat_map(|name| groups.clone().map(|groups| one((name, groups)))).collect()
}
