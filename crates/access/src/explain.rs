//! Why a request is allowed or not.

use std::fmt;
use std::sync::Arc;

use dispatch_model::policy::Effect;

use crate::condition::Part;
use crate::facts::Facts;
use crate::policies::Policies;
use crate::request::Request;
use crate::rule::{Rule, Which};

/// Most rules named that came near.
const MAX_NEAR: usize = 5;

/// A decision with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub allowed: bool,
    /// The rule that allowed or denied; none when nothing allows it.
    pub by: Option<Arc<Which>>,
    /// The role through which that rule has the action, if it names one.
    pub role: Option<String>,
    /// That rule as Cedar judged it.
    pub cedar: Option<String>,
    /// Rules that would have allowed, and came near; when nothing allowed or denied.
    pub near: Vec<Near>,
}

/// A rule that would allow, but for some parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    pub which: Arc<Which>,
    /// The parts that do not fit.
    pub unfit: Vec<Unfit>,
}

/// A part of a rule that does not fit a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    Organization,
    Subject,
    Action,
    Resource,
    /// The kind fits, but the thing's name does not.
    Name,
    Application,
    Tags,
    NotYet,
    NoMore,
    Hours,
    Source,
    /// Cedar judges otherwise than the parts do: a defect.
    Judgement,
}

impl Unfit {
    /// As a message says it: "the action does not fit".
    pub fn as_str(self) -> &'static str {
        match self {
            Unfit::Organization => "the organization",
            Unfit::Subject => "the subject",
            Unfit::Action => "the action",
            Unfit::Resource => "the resource",
            Unfit::Name => "the name",
            Unfit::Application => "the application",
            Unfit::Tags => "the tags",
            Unfit::NotYet => "the time (notBefore)",
            Unfit::NoMore => "the time (notAfter)",
            Unfit::Hours => "the time (hours)",
            Unfit::Source => "the source address",
            Unfit::Judgement => "Cedar's judgement",
        }
    }
}

impl Policies {
    /// Decides as [`Policies::decide`] does, and says why. It looks at every rule of the
    /// principal's organization: it is for people.
    ///
    /// Rules that come near may be about others ([`Unfit::Subject`]): whom to show those is for the
    /// caller to decide.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let decision = self.decide(request);
        let facts = self.facts(*request);
        let mut explanation = Explanation {
            allowed: decision.allowed,
            by: decision.by,
            role: None,
            cedar: None,
            near: Vec::new(),
        };
        match &explanation.by {
            Some(which) => {
                let rule = self.rules.iter().find(|rule| Arc::ptr_eq(&rule.which, which));
                let scope = rule.and_then(|rule| rule.scope(&facts, rule.denies()));
                explanation.role = scope.and_then(|scope| scope.role.as_deref()).map(str::to_owned);
                explanation.cedar =
                    rule.and_then(|rule| rule.judge.as_ref()).map(|judge| judge.text.clone());
            }
            None if self.has_organization(request.org) => explanation.near = self.near(&facts),
            None => {}
        }
        explanation
    }

    fn near(&self, facts: &Facts<'_>) -> Vec<Near> {
        let home = facts.request.principal.home.as_ref();
        let own = self.rules.iter().filter(|rule| Some(&rule.which.org) == home);
        let allowing = own.filter(|rule| rule.effect == Effect::Allow);
        let mut near: Vec<Near> = allowing
            .map(|rule| Near { which: rule.which.clone(), unfit: unfit(rule, facts) })
            .filter(|near| near.unfit.len() <= 2)
            .collect();
        // The subject's own rules first: what others may do explains less.
        near.sort_by_key(|near| (near.unfit.contains(&Unfit::Subject), near.unfit.len()));
        near.truncate(MAX_NEAR);
        near
    }
}

/// The parts of an allowing rule that do not fit.
fn unfit(rule: &Rule, facts: &Facts<'_>) -> Vec<Unfit> {
    let mut unfit = Vec::new();
    if !rule.which.global && facts.request.org != &rule.which.org {
        unfit.push(Unfit::Organization);
    }
    if !rule.subjects.have(facts) {
        unfit.push(Unfit::Subject);
    }
    unfit.extend(unfit_scope(rule, facts));
    if !rule.application_fits(facts, false) {
        unfit.push(Unfit::Application);
    }
    unfit.extend(rule.condition.unfit(facts, false).map(|part| match part {
        Part::Tags => Unfit::Tags,
        Part::NotBefore => Unfit::NotYet,
        Part::NotAfter => Unfit::NoMore,
        Part::Hours => Unfit::Hours,
        Part::Source => Unfit::Source,
    }));
    if unfit.is_empty() && !rule.holds(facts) {
        unfit.push(Unfit::Judgement);
    }
    unfit
}

fn unfit_scope(rule: &Rule, facts: &Facts<'_>) -> Vec<Unfit> {
    if rule.scope(facts, false).is_some() {
        return Vec::new();
    }
    if rule.scope(facts, true).is_some() {
        return vec![Unfit::Name];
    }
    let word = facts.request.resource;
    let about = |name: Option<&str>, unknown: bool| {
        let patterns = rule.permissions().flat_map(|permission| &permission.patterns);
        patterns.into_iter().any(|pattern| pattern.fits(word, name, unknown))
    };
    let action = rule.permissions().any(|permission| permission.actions.has(facts.request.action));
    match (about(facts.name, false), about(None, true), action) {
        (true, ..) => vec![Unfit::Action],
        (false, true, true) => vec![Unfit::Name],
        (false, true, false) => vec![Unfit::Action, Unfit::Name],
        (false, false, true) => vec![Unfit::Resource],
        (false, false, false) => vec![Unfit::Action, Unfit::Resource],
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.allowed { "allowed" } else { "denied" };
        let Some(which) = &self.by else {
            write!(f, "denied: no rule allows it")?;
            return self.near.iter().try_for_each(|near| write!(f, "\n  {near}"));
        };
        write!(f, "{word} by {which}")?;
        self.role.as_ref().map_or(Ok(()), |role| write!(f, ", through the role {role}"))
    }
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.unfit.iter().map(|unfit| unfit.as_str()).collect();
        let verb = if parts.len() == 1 { "does" } else { "do" };
        write!(f, "{}: {} {verb} not fit", self.which, parts.join(" and "))
    }
}
