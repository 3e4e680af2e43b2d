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

/// What a request's context can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    Home,
    SubjectNumber,
    Groups,
    Name,
    NameNumber,
    Known,
    Application,
    Tags,
    Now,
    Minute,
    Source,
}

impl Fact {
    /// As the schema calls them.
    pub const ALL: [(Fact, &str); 11] = [
        (Fact::Home, "home"),
        (Fact::SubjectNumber, "subjectNumber"),
        (Fact::Groups, "groups"),
        (Fact::Name, "name"),
        (Fact::NameNumber, "nameNumber"),
        (Fact::Known, "known"),
        (Fact::Application, "application"),
        (Fact::Tags, "tags"),
        (Fact::Now, "now"),
        (Fact::Minute, "minute"),
        (Fact::Source, "source"),
    ];

    /// Those that a rule's text speaks of.
    pub fn asked(text: &str) -> Vec<(Fact, &'static str)> {
        let asked = |(_, name): &(Fact, &str)| text.contains(&format!("context.{name}"));
        Fact::ALL.into_iter().filter(asked).collect()
    }
}

/// What of a request Cedar gets to see: each fact costs.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    pub facts: &'a [(Fact, &'static str)],
    /// Those of the subject's groups, and of the thing's tags, that count.
    pub groups: Vec<&'a str>,
    pub tags: Vec<(&'a String, &'a String)>,
    pub zone: Option<Tz>,
}

/// None for what cannot be put as a question.
pub(crate) fn ask(set: &PolicySet, facts: &Facts<'_>, shown: &Shown<'_>) -> Option<Response> {
    let (request, words) = (&facts.request, &*WORDS);
    let home = request.principal.home.as_ref()?;
    let who = if home == request.org { &words.subject } else { &words.guest };
    let subject = uid(who, format!("{home}/{}", request.principal.name));
    let (_, action) = words.actions.iter().find(|(action, _)| *action == request.action)?;
    let kind = uid(&words.kind, request.resource);
    let value = |(fact, name): &(Fact, &str)| {
        Some(((*name).to_owned(), value(*fact, home.as_str(), facts, shown)?))
    };
    let pairs: Vec<(String, Expression)> = shown.facts.iter().filter_map(value).collect();
    let context = match pairs.is_empty() {
        true => Context::empty(),
        false => Context::from_pairs(pairs).ok()?,
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

fn long(number: impl Into<i64>) -> Expression {
    Expression::new_long(number.into())
}

/// None for what is not known.
fn value(fact: Fact, home: &str, facts: &Facts<'_>, shown: &Shown<'_>) -> Option<Expression> {
    let request = &facts.request;
    Some(match fact {
        Fact::Home => text(home),
        Fact::SubjectNumber => long(number(&request.principal.name)),
        Fact::Groups => groups(home, &shown.groups),
        Fact::Name => text(facts.name?),
        Fact::NameNumber => long(number(facts.name?)),
        Fact::Known => Expression::new_bool(facts.tags().is_some()),
        Fact::Application => text(facts.application?),
        Fact::Tags => facts.tags().map(|_| tags(&shown.tags))?,
        Fact::Now => long(request.now_ms),
        Fact::Minute => long(facts.minute(shown.zone?)?),
        Fact::Source => Expression::new_string(bits_of(request.from?)),
    })
}

fn groups(home: &str, names: &[&str]) -> Expression {
    let group = |name: &&str| uid(&WORDS.group, format!("{home}/{name}"));
    Expression::new_set(names.iter().map(|name| Expression::new_entity_uid(group(name))))
}

fn tags(pairs: &[(&String, &String)]) -> Expression {
    let word = |(key, value): &(&String, &String)| Expression::new_string(tag(key, value));
    Expression::new_set(pairs.iter().map(word))
}
