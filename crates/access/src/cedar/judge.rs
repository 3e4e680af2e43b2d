//! Rules as Cedar compiled them, and what it says of a request.

use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    PolicySet, Request, Response, RestrictedExpression, Schema, ValidationMode, Validator,
};
use chrono_tz::Tz;

use crate::facts::Facts;
use crate::network::cedar_text;
use crate::rule::Rule;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema = Schema::from_str(include_str!("schema.cedarschema"));
    Validator::new(schema.expect("a constant, which every test reads"))
});
static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(Authorizer::new);

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let of = |name| EntityTypeName::from_str(name).expect("a constant word");
    Types {
        organization: of("Organization"),
        group: of("Group"),
        subject: of("Subject"),
        thing: of("Thing"),
        zone: of("Zone"),
        action: of("Action"),
    }
});

struct Types {
    organization: EntityTypeName,
    group: EntityTypeName,
    subject: EntityTypeName,
    thing: EntityTypeName,
    zone: EntityTypeName,
    action: EntityTypeName,
}

/// One rule as Cedar compiled it, in a set of its own.
#[derive(Debug)]
pub(crate) struct Judge {
    pub text: String,
    set: PolicySet,
}

impl Judge {
    /// # Errors
    /// Why Cedar does not take it.
    pub fn new(text: String) -> Result<Judge, String> {
        let policy = Policy::parse(None, &text).map_err(|error| error.to_string())?;
        let set = PolicySet::from_policies([policy]).map_err(|error| error.to_string())?;
        let result = VALIDATOR.validate(&set, ValidationMode::Strict);
        match result.validation_errors().next() {
            Some(error) => Err(error.to_string()),
            None => Ok(Judge { text, set }),
        }
    }

    /// Whether the rule, which this is of, holds. Only what it asks for is shown to Cedar, so that
    /// it costs nothing how many groups and tags there are besides.
    pub fn holds(&self, rule: &Rule, facts: &Facts<'_>) -> bool {
        let named = |group: &&&str| rule.subjects.groups.contains(**group);
        let asked = |key: &str| rule.condition.tags.iter().any(|(own, _)| &**own == key);
        let shown = Shown {
            groups: facts.groups.iter().filter(named).copied().collect(),
            tags: facts.tags().into_iter().flatten().filter(|(key, _)| asked(key)).collect(),
            zones: rule.condition.hours.iter().map(|hours| hours.zone).collect(),
            name: rule.asks_names(),
            known: !rule.applications.is_empty() || !rule.condition.tags.is_empty(),
            now: rule.condition.not_before_ms.or(rule.condition.not_after_ms).is_some(),
            source: rule.condition.sources.is_some(),
        };
        // What cannot be asked, or fails, denies: by a denial that holds, or a permission that does
        // not.
        let denies = rule.denies();
        let Some(response) = ask(&self.set, facts, &shown) else { return denies };
        if response.diagnostics().errors().next().is_some() {
            return denies;
        }
        match response.decision() {
            Decision::Allow => !denies,
            Decision::Deny => denies && response.diagnostics().reason().next().is_some(),
        }
    }
}

/// What of a request Cedar gets to see.
pub(crate) struct Shown<'a> {
    pub groups: Vec<&'a str>,
    pub tags: Vec<(&'a String, &'a String)>,
    pub zones: Vec<Tz>,
    pub name: bool,
    /// Whether tags are known, and the application.
    pub known: bool,
    pub now: bool,
    pub source: bool,
}

/// None for what cannot be put as a question.
pub(crate) fn ask(set: &PolicySet, facts: &Facts<'_>, shown: &Shown<'_>) -> Option<Response> {
    let (request, types) = (&facts.request, &*TYPES);
    let home = request.principal.home.as_ref()?;
    let id = |name: &str| format!("{home}/{name}");
    let subject = uid(&types.subject, id(&request.principal.name));
    let thing = uid(&types.thing, "");
    let mut above = HashSet::from([uid(&types.organization, home)]);
    above.extend(shown.groups.iter().map(|group| uid(&types.group, id(group))));
    let zones = shown.zones.iter().filter_map(|zone| {
        let minute = RestrictedExpression::new_long(facts.minute(*zone)?.into());
        let attributes = HashMap::from([("minute".to_owned(), minute)]);
        Entity::new(uid(&types.zone, zone.name()), attributes, HashSet::new()).ok()
    });
    let mut entities: Vec<Entity> = zones.collect();
    entities.push(Entity::new_no_attrs(subject.clone(), above));
    entities.push(entity_of_thing(thing.clone(), facts, shown)?);
    let entities = Entities::from_entities(entities, None).ok()?;
    let action = uid(&types.action, request.action.as_str());
    let request = Request::new(subject, action, thing, context(facts, shown)?, None).ok()?;
    Some(AUTHORIZER.is_authorized(&request, set, &entities))
}

fn uid(of: &EntityTypeName, id: impl AsRef<str>) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

fn entity_of_thing(thing: EntityUid, facts: &Facts<'_>, shown: &Shown<'_>) -> Option<Entity> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let mut attributes = vec![("kind".to_owned(), text(facts.request.resource))];
    let name = facts.name.filter(|_| shown.name);
    attributes.extend(name.map(|name| ("name".to_owned(), text(name))));
    if shown.known {
        let known = RestrictedExpression::new_bool(facts.tags().is_some());
        attributes.push(("known".to_owned(), known));
        attributes.extend(facts.application.map(|name| ("application".to_owned(), text(name))));
    }
    let tags = shown.tags.iter().map(|(key, value)| ((*key).clone(), text(value)));
    let above = [uid(&TYPES.organization, facts.request.org)];
    Entity::new_with_tags(thing, attributes, above, tags).ok()
}

fn context(facts: &Facts<'_>, shown: &Shown<'_>) -> Option<Context> {
    let mut pairs = Vec::new();
    if shown.now {
        pairs.push(("now".to_owned(), RestrictedExpression::new_long(facts.request.now_ms)));
    }
    if let Some(from) = facts.request.from.filter(|_| shown.source) {
        let address = RestrictedExpression::new_ip(cedar_text(from));
        pairs.push(("source".to_owned(), address));
    }
    if pairs.is_empty() { Some(Context::empty()) } else { Context::from_pairs(pairs).ok() }
}
