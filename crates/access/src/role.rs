//! Roles: those every organization has, and those it makes itself.

use std::collections::HashMap;
use std::sync::Arc;

use dispatch_model::role::{BUILT_IN, Permission as Model, Role, RoleSpec};
use dispatch_model::{OrgName, Resource};

use crate::action::{Action, Actions};
use crate::broken::Broken;
use crate::pattern::Pattern;

/// The words policies know, which are the second segments of paths.
pub const RESOURCES: [&str; 15] = [
    "baseimage",
    "image",
    "imagepolicy",
    "engine",
    "function",
    "runs",
    "secret",
    "api",
    "application",
    "event",
    "serviceclass",
    "serviceinstance",
    "iam",
    "audit",
    "usage",
];

/// What the built-in roles may do: actions, and the words they may do them to.
const GIVEN: [(&str, &[&str], &[&str]); 9] = [
    ("admin", &["*"], &["*"]),
    ("operator", &["*"], INSTALLED),
    ("operator", &["get"], READABLE),
    ("operator", &["delete"], &["runs"]),
    (
        "developer",
        &["*"],
        &["function", "runs", "image", "secret", "api", "application", "event", "serviceinstance"],
    ),
    ("developer", &["get"], &["baseimage", "imagepolicy", "engine", "serviceclass"]),
    ("invoker", &["get", "create"], &["runs"]),
    ("viewer", &["get"], INSTALLED),
    ("viewer", &["get"], READABLE),
];

/// What an installation is made of.
const INSTALLED: &[&str] = &["baseimage", "image", "imagepolicy", "engine"];

/// What shows neither a secret's value nor who may do what.
const READABLE: &[&str] = &[
    "function",
    "runs",
    "api",
    "application",
    "event",
    "serviceclass",
    "serviceinstance",
    "usage",
];

/// The permissions of a role that every organization has; none for other names.
pub fn built_in(name: &str) -> Option<RoleSpec> {
    if !BUILT_IN.contains(&name) {
        return None;
    }
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    let of = GIVEN.iter().filter(|(role, ..)| *role == name);
    let permissions = of.map(|(_, actions, resources)| Model {
        actions: words(actions),
        resources: words(resources),
    });
    Some(RoleSpec { permissions: permissions.collect() })
}

/// Some actions on what some patterns fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permission {
    pub actions: Actions,
    pub patterns: Vec<Pattern>,
}

impl Permission {
    pub fn everything() -> Permission {
        Permission { actions: Actions::ANY, patterns: vec![Pattern::EVERYTHING] }
    }

    /// `wide` says what an entry that cannot be read stands for: everything, or nothing.
    pub fn new(
        actions: &[String],
        resources: &[String],
        wide: bool,
        wrong: &mut Vec<String>,
    ) -> Permission {
        let mut permission = Permission { actions: Actions::NONE, patterns: Vec::new() };
        let mut unread = actions.is_empty() || resources.is_empty();
        if unread {
            wrong.push("actions or resources are missing".to_owned());
        }
        for text in actions {
            let read = Actions::parse(text);
            permission.actions = permission.actions.with(read.unwrap_or_default());
            if read.is_none() {
                unread = true;
                wrong.push(format!("there is no action {text:?}"));
            }
        }
        for text in resources {
            let pattern = Pattern::parse(text);
            if pattern.is_none() {
                unread = true;
                wrong.push(format!("{text:?} names no resource"));
            }
            permission.patterns.extend(pattern);
        }
        if wide && unread { Permission::everything() } else { permission }
    }

    /// Whether all the other gives is given by this one.
    pub fn covers(&self, other: &Permission) -> bool {
        let one = |pattern: &Pattern| self.patterns.iter().any(|own| own.covers(pattern));
        self.actions.covers(other.actions) && other.patterns.iter().all(one)
    }

    pub fn fits(&self, action: Action, word: &str, name: Option<&str>, unknown: bool) -> bool {
        self.actions.has(action) && self.patterns.iter().any(|p| p.fits(word, name, unknown))
    }
}

/// A role as rules that allow and rules that deny read it: they differ where it cannot be read.
#[derive(Debug, Clone)]
struct Compiled {
    narrow: Arc<[Permission]>,
    wide: Arc<[Permission]>,
}

impl Compiled {
    fn new(spec: &RoleSpec, wrong: &mut Vec<String>) -> Compiled {
        let read = |wide: bool, wrong: &mut Vec<String>| -> Arc<[Permission]> {
            let one = |p: &Model| Permission::new(&p.actions, &p.resources, wide, wrong);
            spec.permissions.iter().map(one).collect()
        };
        let narrow = read(false, wrong);
        let wide = if wrong.is_empty() { narrow.clone() } else { read(true, &mut Vec::new()) };
        Compiled { narrow, wide }
    }
}

/// All roles, by organization.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    built_in: HashMap<&'static str, Compiled>,
    stored: HashMap<OrgName, HashMap<Box<str>, Compiled>>,
}

impl Roles {
    pub fn new(stored: &[Resource<Role>], broken: &mut Vec<Broken>) -> Roles {
        let given = BUILT_IN.into_iter().filter_map(|name| Some((name, built_in(name)?)));
        let built_in: HashMap<_, _> =
            given.map(|(name, spec)| (name, Compiled::new(&spec, &mut Vec::new()))).collect();
        let mut roles = Roles { built_in, stored: HashMap::new() };
        for Resource { meta, spec, .. } in stored {
            let mut wrong = Vec::new();
            if roles.built_in.contains_key(meta.name.as_str()) {
                wrong.push("the name belongs to a role that is built in".to_owned());
            } else {
                let compiled = Compiled::new(spec, &mut wrong);
                let own = roles.stored.entry(meta.org.clone()).or_default();
                own.insert(meta.name.as_str().into(), compiled);
            }
            broken.extend(wrong.into_iter().map(|what| Broken::role(&meta.org, &meta.name, what)));
        }
        roles
    }

    /// These with one role as it would be.
    pub fn with(&self, org: &OrgName, name: &str, spec: Option<&RoleSpec>) -> Roles {
        let mut roles = Roles { built_in: self.built_in.clone(), stored: HashMap::new() };
        let mut own = self.stored.get(org).cloned().unwrap_or_default();
        own.remove(name);
        if let Some(spec) = spec {
            own.insert(name.into(), Compiled::new(spec, &mut Vec::new()));
        }
        roles.stored.insert(org.clone(), own);
        roles
    }

    pub fn find(&self, org: &OrgName, name: &str, wide: bool) -> Option<Arc<[Permission]>> {
        let stored = || self.stored.get(org)?.get(name);
        let compiled = self.built_in.get(name).or_else(stored)?;
        Some(if wide { compiled.wide.clone() } else { compiled.narrow.clone() })
    }

    /// How many a role has; none if it is not there.
    pub fn patterns(&self, org: &OrgName, name: &str) -> usize {
        let permissions = self.find(org, name, false).unwrap_or_default();
        permissions.iter().map(|permission| permission.patterns.len()).sum()
    }
}
