//! The decision. Deny by default; a rule that denies wins over all that allow.

use std::sync::Arc;

use dispatch_model::policy::Effect;

use crate::facts::Facts;
use crate::policies::Policies;
use crate::request::Request;
use crate::rule::{Rule, Which};

/// Whether a request is allowed, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// The rule that allowed or denied; none when nothing allows it.
    pub by: Option<Arc<Which>>,
}

impl Policies {
    /// Decides about one thing, or about a whole kind if the request has no object. What is being
    /// listed or not read yet asks [`Policies::reach`].
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let by = |allowed, rule: &Rule| Decision { allowed, by: Some(rule.which.clone()) };
        if !self.has_organization(request.org) {
            return Decision { allowed: false, by: None };
        }
        let facts = self.facts(*request);
        if let Some(rule) = self.first(&facts, Effect::Deny) {
            return by(false, rule);
        }
        match self.first(&facts, Effect::Allow) {
            Some(rule) => by(true, rule),
            None => Decision { allowed: false, by: None },
        }
    }

    pub fn allows(&self, request: &Request<'_>) -> bool {
        self.decide(request).allowed
    }

    /// Whether a rule that holds in every organization allows it for every thing of the kind, and
    /// none denies a part of it. The request's organization and object do not count.
    pub fn everywhere(&self, request: &Request<'_>) -> bool {
        let Some(home) = &request.principal.home else { return false };
        let facts = self.facts(Request { object: None, org: home, ..*request });
        self.first(&facts, Effect::Deny).is_none()
            && self
                .candidates(&facts, Effect::Allow, false)
                .any(|rule| rule.which.global && rule.holds(&facts))
    }

    /// The first rule of an effect that holds.
    pub(crate) fn first<'a>(
        &'a self,
        facts: &'a Facts<'_>,
        effect: Effect,
    ) -> Option<&'a Arc<Rule>> {
        let unknown = effect == Effect::Deny;
        self.candidates(facts, effect, unknown).find(|rule| rule.holds(facts))
    }
}
