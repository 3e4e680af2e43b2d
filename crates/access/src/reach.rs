//! How far a right reaches: for lists, which show only what may be read, and for requests whose
//! object has not been read yet.

use std::net::IpAddr;
use std::sync::Arc;

use dispatch_model::OrgName;
use dispatch_model::policy::Effect;

use crate::Action;
use crate::facts::Facts;
use crate::policies::Policies;
use crate::request::{Object, Principal, Request};
use crate::rule::Rule;

/// To which things of a kind an action is allowed.
#[derive(Debug)]
pub enum Reach {
    All,
    /// Nothing, whatever there is.
    None,
    Some(Box<Filter>),
}

/// Says of each thing of a kind whether the action that was asked about is allowed. It is of the
/// moment it was made: neither time nor policies change in it.
#[derive(Debug)]
pub struct Filter {
    principal: Principal,
    groups: Vec<String>,
    org: OrgName,
    action: Action,
    resource: String,
    from: Option<IpAddr>,
    now_ms: i64,
    /// Those that can hold, for some thing.
    deny: Vec<Arc<Rule>>,
    allow: Vec<Arc<Rule>>,
}

impl Policies {
    /// How far the right to an action reaches; the request's object does not count.
    pub fn reach(&self, request: &Request<'_>) -> Reach {
        if !self.has_organization(request.org) {
            return Reach::None;
        }
        let facts = self.facts(Request { object: None, ..*request });
        let allow = self.reaching(&facts, Effect::Allow);
        let deny = self.reaching(&facts, Effect::Deny);
        // Without an object, what fits even if unknown things count against it fits all there is.
        let denies_all = deny.iter().any(|rule| rule.fits(&facts, false) && rule.holds(&facts));
        if allow.is_empty() || denies_all {
            return Reach::None;
        }
        if deny.is_empty() && allow.iter().any(|rule| rule.holds(&facts)) {
            return Reach::All;
        }
        Reach::Some(Box::new(Filter {
            principal: request.principal.clone(),
            groups: facts.groups.iter().map(|group| (*group).to_owned()).collect(),
            org: request.org.clone(),
            action: request.action,
            resource: request.resource.to_owned(),
            from: request.from,
            now_ms: request.now_ms,
            deny,
            allow,
        }))
    }

    fn reaching(&self, facts: &Facts<'_>, effect: Effect) -> Vec<Arc<Rule>> {
        let candidates = self.candidates(facts, effect, true);
        let mut rules: Vec<Arc<Rule>> =
            candidates.filter(|rule| rule.fits_some(facts)).cloned().collect();
        rules.sort_unstable_by_key(Arc::as_ptr);
        rules.dedup_by(|one, other| Arc::ptr_eq(one, other));
        rules
    }
}

impl Reach {
    pub fn is_none(&self) -> bool {
        matches!(self, Reach::None)
    }

    /// Whether it reaches one thing.
    pub fn admits(&self, object: Object<'_>) -> bool {
        match self {
            Reach::All => true,
            Reach::None => false,
            Reach::Some(filter) => filter.admits(object),
        }
    }
}

impl Filter {
    pub fn admits(&self, object: Object<'_>) -> bool {
        let request = Request {
            principal: &self.principal,
            org: &self.org,
            action: self.action,
            resource: &self.resource,
            object: Some(object),
            from: self.from,
            now_ms: self.now_ms,
        };
        let facts = Facts::new(request, self.groups.iter().map(String::as_str).collect());
        let holds = |rule: &Arc<Rule>| rule.holds(&facts);
        !self.deny.iter().any(holds) && self.allow.iter().any(holds)
    }
}
