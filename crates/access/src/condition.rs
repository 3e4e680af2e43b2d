//! What must be so besides, compiled.

use dispatch_model::policy::Condition as Model;

use crate::facts::Facts;
use crate::hours::Hours;
use crate::network::Network;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    pub tags: Vec<(Box<str>, Box<str>)>,
    pub not_before_ms: Option<i64>,
    pub not_after_ms: Option<i64>,
    pub hours: Option<Hours>,
    /// None for every address.
    pub sources: Option<Vec<Network>>,
}

/// A part of a condition that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Tags,
    NotBefore,
    NotAfter,
    Hours,
    Source,
}

impl Condition {
    /// The condition without the parts that cannot be read, and what is wrong with those.
    pub fn new(model: &Model) -> (Condition, Vec<String>) {
        let mut wrong = Vec::new();
        let pairs = model.tags.iter();
        let tags = pairs.map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect();
        let (mut not_before_ms, mut not_after_ms) = (model.not_before_ms, model.not_after_ms);
        if let (Some(from), Some(to)) = (not_before_ms, not_after_ms)
            && from >= to
        {
            wrong.push("notAfter is not later than notBefore".to_owned());
            (not_before_ms, not_after_ms) = (None, None);
        }
        let hours = model
            .hours
            .as_ref()
            .and_then(|hours| Hours::new(hours).map_err(|error| wrong.push(error)).ok());
        let mut networks = Vec::new();
        let mut unread = model.source_addresses.is_empty();
        for text in &model.source_addresses {
            match Network::parse(text) {
                Some(network) => networks.push(network),
                None => {
                    unread = true;
                    wrong.push(format!("{text:?} is neither an address nor a range of them"));
                }
            }
        }
        let sources = (!unread).then_some(networks);
        (Condition { tags, not_before_ms, not_after_ms, hours, sources }, wrong)
    }

    pub fn is_none(&self) -> bool {
        *self == Condition::default()
    }

    pub fn has_sources(&self) -> bool {
        self.sources.is_some()
    }

    /// The parts that do not hold; `unknown` is the answer where something would have to be known.
    pub fn unfit(&self, facts: &Facts<'_>, unknown: bool) -> impl Iterator<Item = Part> {
        let now = facts.request.now_ms;
        [
            (Part::Tags, self.tags_hold(facts, unknown)),
            (Part::NotBefore, self.not_before_ms.is_none_or(|from| now >= from)),
            (Part::NotAfter, self.not_after_ms.is_none_or(|to| now < to)),
            (Part::Hours, self.hours_hold(facts, unknown)),
            (Part::Source, self.source_holds(facts, unknown)),
        ]
        .into_iter()
        .filter_map(|(part, holds)| (!holds).then_some(part))
    }

    pub fn holds(&self, facts: &Facts<'_>, unknown: bool) -> bool {
        let now = facts.request.now_ms;
        self.not_before_ms.is_none_or(|from| now >= from)
            && self.not_after_ms.is_none_or(|to| now < to)
            && self.tags_hold(facts, unknown)
            && self.source_holds(facts, unknown)
            && self.hours_hold(facts, unknown)
    }

    fn tags_hold(&self, facts: &Facts<'_>, unknown: bool) -> bool {
        if self.tags.is_empty() {
            return true;
        }
        facts.tags().map_or(unknown, |tags| {
            self.tags
                .iter()
                .all(|(key, value)| tags.get(&**key).is_some_and(|own| own.as_str() == &**value))
        })
    }

    fn hours_hold(&self, facts: &Facts<'_>, unknown: bool) -> bool {
        self.hours.as_ref().is_none_or(|hours| {
            facts.minute(hours.zone).map_or(unknown, |minute| hours.hold(minute))
        })
    }

    fn source_holds(&self, facts: &Facts<'_>, unknown: bool) -> bool {
        self.sources.as_ref().is_none_or(|sources| {
            let has = |from| sources.iter().any(|network| network.has(from));
            facts.request.from.map_or(unknown, has)
        })
    }

    /// Whether this one holds whenever the other does. Where that is not plain, it is denied.
    pub fn covers(&self, other: &Condition) -> bool {
        self.tags.iter().all(|tag| other.tags.contains(tag))
            && self.not_before_ms.is_none_or(|own| other.not_before_ms.is_some_and(|o| own <= o))
            && self.not_after_ms.is_none_or(|own| other.not_after_ms.is_some_and(|o| o <= own))
            && self
                .hours
                .as_ref()
                .is_none_or(|own| other.hours.as_ref().is_some_and(|other| own.cover(other)))
            && self.sources.as_ref().is_none_or(|own| {
                let within = |network: &Network| own.iter().any(|own| own.covers(network));
                other.sources.as_ref().is_some_and(|other| other.iter().all(within))
            })
    }

    /// Whether both can hold at once, of one thing. Where that is not plain, they can.
    pub fn overlaps(&self, other: &Condition) -> bool {
        let before = |end: Option<i64>, start: Option<i64>| {
            end.zip(start).is_some_and(|(end, start)| end <= start)
        };
        let clash = |(key, value): &(Box<str>, Box<str>)| {
            other.tags.iter().any(|(k, v)| k == key && v != value)
        };
        !before(self.not_after_ms, other.not_before_ms)
            && !before(other.not_after_ms, self.not_before_ms)
            && !self.tags.iter().any(clash)
    }
}
