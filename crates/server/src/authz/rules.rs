//! Policies compiled: a decision looks up the organization and the subject, and scans only what
//! names them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dispatch_model::policy::Policy;
use dispatch_model::{OrgName, Resource};

use super::Action;

const ANY: &str = "*";

/// What the subjects of one rule may do.
#[derive(Debug)]
struct Grant {
    actions: HashSet<String>,
    resources: HashSet<String>,
}

impl Grant {
    fn covers(&self, action: Action, resource: &str) -> bool {
        let fits = |set: &HashSet<String>, word: &str| set.contains(ANY) || set.contains(word);
        fits(&self.actions, action.as_str()) && fits(&self.resources, resource)
    }
}

type BySubject = HashMap<String, Vec<Arc<Grant>>>;

/// All organizations and all rules.
#[derive(Debug, Default)]
pub struct Rules {
    organizations: HashSet<OrgName>,
    by_organization: HashMap<OrgName, BySubject>,
    /// Rules that hold everywhere, by the organization that made them.
    global: HashMap<OrgName, BySubject>,
    /// Whether there is a policy, or was one once.
    configured: bool,
}

impl Rules {
    pub fn new(
        organizations: HashSet<OrgName>,
        policies: Vec<Resource<Policy>>,
        configured: bool,
    ) -> Self {
        let mut rules = Self { organizations, configured, ..Self::default() };
        for Resource { meta, spec, .. } in policies {
            let tables = if spec.global { &mut rules.global } else { &mut rules.by_organization };
            let table = tables.entry(meta.org).or_default();
            for rule in spec.rules {
                let (actions, resources) = (rule.actions, rule.resources);
                let grant = Arc::new(Grant {
                    actions: actions.into_iter().collect(),
                    resources: resources.into_iter().collect(),
                });
                for subject in rule.subjects {
                    table.entry(subject).or_default().push(grant.clone());
                }
            }
        }
        rules
    }

    pub fn was_configured(&self) -> bool {
        self.configured
    }

    pub fn has_organization(&self, org: &OrgName) -> bool {
        self.organizations.contains(org)
    }

    /// `home` is the organization the subject's name belongs to. An account is a subject only of
    /// its own organization's policies: a name proves nothing elsewhere.
    pub fn allows(
        &self,
        home: Option<&OrgName>,
        org: &OrgName,
        subject: &str,
        action: Action,
        resource: &str,
    ) -> bool {
        self.grants(home, org, subject).any(|grant| grant.covers(action, resource))
    }

    /// Whether a rule that holds in every organization allows it.
    pub fn allows_everywhere(
        &self,
        home: &OrgName,
        subject: &str,
        action: Action,
        resource: &str,
    ) -> bool {
        let grants = |name: &str| self.global.get(home).and_then(|table| table.get(name));
        [subject, ANY]
            .into_iter()
            .flat_map(|name| grants(name).into_iter().flatten())
            .any(|grant| grant.covers(action, resource))
    }

    /// Whether any rule for this organization names the subject.
    pub fn names(&self, home: Option<&OrgName>, org: &OrgName, subject: &str) -> bool {
        self.grants(home, org, subject).next().is_some()
    }

    fn grants(
        &self,
        home: Option<&OrgName>,
        org: &OrgName,
        subject: &str,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let local = self.by_organization.get(org).filter(|_| home.is_none_or(|home| home == org));
        let global = home.and_then(|home| self.global.get(home));
        local.into_iter().chain(global).flat_map(move |table| {
            let of = |name: &str| table.get(name).into_iter().flatten();
            of(subject).chain(of(ANY))
        })
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::policy::{PolicySpec, Rule};
    use dispatch_model::{Name, State, Tags};

    use super::*;

    fn org(name: &str) -> OrgName {
        OrgName::new(name).unwrap()
    }

    fn policy(in_org: &str, global: bool, rule: [&str; 3]) -> Resource<Policy> {
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        let (subjects, actions, resources) = (list(rule[0]), list(rule[1]), list(rule[2]));
        let rule = Rule { subjects, actions, resources, ..Rule::default() };
        let spec = PolicySpec { rules: vec![rule], global };
        Resource::new(org(in_org), Name::new("p").unwrap(), Tags::new(), State::Ready, spec)
    }

    fn rules(policies: Vec<Resource<Policy>>) -> Rules {
        Rules::new(HashSet::from([org("a"), org("b")]), policies, false)
    }

    #[test]
    fn nothing_is_allowed_without_a_rule() {
        let none = rules(Vec::new());
        assert!(!none.allows(Some(&org("a")), &org("a"), "ada", Action::Get, "function"));
    }

    #[test]
    fn every_part_of_a_rule_must_fit() {
        let some = rules(vec![policy("a", false, ["ada", "get,create", "function,runs"])]);
        let may = |at: &str, who: &str, action, what: &str| {
            some.allows(Some(&org("a")), &org(at), who, action, what)
        };
        assert!(may("a", "ada", Action::Get, "function"));
        assert!(may("a", "ada", Action::Create, "runs"));
        assert!(!may("a", "ada", Action::Delete, "function"));
        assert!(!may("a", "ada", Action::Get, "secret"));
        assert!(!may("a", "bob", Action::Get, "function"));
        assert!(!may("b", "ada", Action::Get, "function"));
    }

    #[test]
    fn wildcards_and_global_rules_reach_further_but_not_to_strangers() {
        let wide = rules(vec![policy("a", true, ["*", "*", "*"])]);
        assert!(wide.allows(Some(&org("a")), &org("b"), "ada", Action::Delete, "iam"));
        assert!(
            !wide.allows(Some(&org("b")), &org("b"), "eve", Action::Get, "function"),
            "a global policy of a is for the subjects of a"
        );
        let local = rules(vec![policy("a", false, ["eve", "*", "*"])]);
        assert!(
            !local.allows(Some(&org("b")), &org("a"), "eve", Action::Get, "function"),
            "an account called eve of b is not the eve of a"
        );
    }
}
