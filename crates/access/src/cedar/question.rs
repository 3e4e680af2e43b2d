//! A request as a question to Cedar: entities without attributes, and a context with the facts.

use std::str::FromStr as _;
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    Response, RestrictedExpression as Expression,
};
use chrono_tz::Tz;

use super::number::number;
use super::text::tag;
use crate::action::Action;
use crate::facts::Facts;
use crate::network::bits_of;

static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(Authorizer::new);

/// What every question is made of.
static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let of = |name| EntityTypeName::from_str(name).expect("a constant word");
    let action = of("Action");
    Words {
        subject: of("Subject"),
        guest: of("Guest"),
        group: of("Group"),
        kind: of("Kind"),
        actions: Action::ALL.map(|own| (own, uid(&action, own.as_str()))),
        entities: Entities::empty(),
    }
});

struct Words {
    subject: EntityTypeName,
    guest: EntityTypeName,
    group: EntityTypeName,
    kind: EntityTypeName,
    actions: [(Action, EntityUid); 4],
    entities: Entities,
}

/// What of a request Cedar gets to see: each fact costs.
#[derive(Debug, Default)]
pub(crate) struct Shown<'a> {
    pub home: bool,
    pub number: bool,
    pub groups: Option<Vec<&'a str>>,
    pub name: bool,
    /// The application, and whether it is known.
    pub application: bool,
    pub tags: Option<Vec<(&'a String, &'a String)>>,
    pub now: bool,
    pub zone: Option<Tz>,
    pub source: bool,
}

/// None for what cannot be put as a question.
pub(crate) fn ask(set: &PolicySet, facts: &Facts<'_>, shown: &Shown<'_>) -> Option<Response> {
    let (request, words) = (&facts.request, &*WORDS);
    let home = request.principal.home.as_ref()?;
    let who = if home == request.org { &words.subject } else { &words.guest };
    let subject = uid(who, format!("{home}/{}", request.principal.name));
    let (_, action) = words.actions.iter().find(|(action, _)| *action == request.action)?;
    let kind = uid(&words.kind, request.resource);
    let context = match context(home.as_str(), facts, shown) {
        pairs if pairs.is_empty() => Context::empty(),
        pairs => Context::from_pairs(pairs).ok()?,
    };
    let request = Request::new(subject, action.clone(), kind, context, None).ok()?;
    Some(AUTHORIZER.is_authorized(&request, set, &words.entities))
}

fn uid(of: &EntityTypeName, id: impl AsRef<str>) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

fn text(text: &str) -> Expression {
    Expression::new_string(text.to_owned())
}

fn context(home: &str, facts: &Facts<'_>, shown: &Shown<'_>) -> Vec<(String, Expression)> {
    let request = &facts.request;
    let source = request.from.filter(|_| shown.source);
    let minute = shown.zone.and_then(|zone| facts.minute(zone));
    let facts = [
        ("home", shown.home.then(|| text(home))),
        (
            "number",
            shown.number.then(|| Expression::new_long(number(&request.principal.name).into())),
        ),
        ("groups", shown.groups.as_ref().map(|names| groups(home, names))),
        ("name", facts.name.filter(|_| shown.name).map(text)),
        ("known", shown.application.then(|| Expression::new_bool(facts.tags().is_some()))),
        ("application", facts.application.filter(|_| shown.application).map(text)),
        ("tags", shown.tags.as_ref().map(|pairs| tags(pairs))),
        ("now", shown.now.then(|| Expression::new_long(request.now_ms))),
        ("minute", minute.map(|minute| Expression::new_long(minute.into()))),
        ("source", source.map(|from| Expression::new_string(bits_of(from)))),
    ];
    let known = facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?)));
    known.collect()
}

fn groups(home: &str, names: &[&str]) -> Expression {
    let group = |name: &&str| uid(&WORDS.group, format!("{home}/{name}"));
    Expression::new_set(names.iter().map(|name| Expression::new_entity_uid(group(name))))
}

fn tags(pairs: &[(&String, &String)]) -> Expression {
    let word = |(key, value): &(&String, &String)| Expression::new_string(tag(key, value));
    Expression::new_set(pairs.iter().map(word))
}
