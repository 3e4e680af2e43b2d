//! The audit log: who changed what, who was refused, and the chain that shows when one of its
//! entries was edited.
//!
//! The link of an entry is the SHA-256 of the link before it and of the entry's JSON, so no entry
//! can be edited alone. Whoever can edit the database could compute all links anew; so links are
//! also sealed with a key that is not in there readably ([`Sealer`]).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::RawJson;

/// Most bytes of what a thing was before or after a change. Of more, size and hash are kept.
pub const MAX_DOCUMENT: usize = 32 << 10;
/// Most bytes of an entry's text.
pub const MAX_TEXT: usize = 1_000;

/// One line of the log. Its JSON is what its link is made of, so fields keep their order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AuditEntry))]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// 1 is the first; without gaps. 0 for one that is not in the log yet.
    pub seq: i64,
    /// When it was written, in unix milliseconds; never before that of the entry before it.
    pub time_ms: i64,
    /// The organization it concerns; none when it is the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    pub actor: Actor,
    /// The address a request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `create`, `update`, `delete`, `read`, `rollout`, …
    pub action: String,
    /// `function`, `secret`, `policy`, …
    pub resource: String,
    /// Of one thing; of refused requests for several, none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// How many requests it tells of: more than one only of refused ones.
    pub count: u64,
    /// What else there is to say: why a request was refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What the thing was, with secrets masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub before: Option<RawJson>,
    /// What it is since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub after: Option<RawJson>,
    /// Its link, in hex. Not part of what the link is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub link: Option<Link>,
}

/// Who did it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AuditActor))]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// `service-account`, `bootstrap`, `local-admin`, `one-time-credential`, `server`; `anonymous`
    /// of who did not sign in; `various` of more than can be told apart.
    pub kind: String,
    /// The organization its account is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Whether it happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AuditOutcome))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    #[default]
    Allowed,
    Refused,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Refused => "refused",
        }
    }

    pub fn parse(text: &str) -> Option<Outcome> {
        [Outcome::Allowed, Outcome::Refused].into_iter().find(|outcome| outcome.as_str() == text)
    }
}

impl Actor {
    /// The server itself.
    pub fn server() -> Self {
        Self { kind: "server".to_owned(), ..Self::default() }
    }

    /// Somebody who did not sign in.
    pub fn anonymous() -> Self {
        Self { kind: "anonymous".to_owned(), ..Self::default() }
    }
}

/// As it is searched for: `acme/ci`, or just the name of who is of no organization; else the kind.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.organization, self.name.as_str()) {
            (Some(organization), name) => write!(f, "{organization}/{name}"),
            (None, "") => f.write_str(&self.kind),
            (None, name) => f.write_str(name),
        }
    }
}

impl Entry {
    /// What its link is made of.
    ///
    /// # Errors
    /// Never for documents that are JSON.
    pub fn canonical(&self) -> serde_json::Result<String> {
        match self.link {
            None => serde_json::to_string(self),
            Some(_) => serde_json::to_string(&Entry { link: None, ..self.clone() }),
        }
    }

    /// Cuts its text to [`MAX_TEXT`].
    #[must_use]
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        let end = self.text.floor_char_boundary(MAX_TEXT);
        self.text.truncate(end);
        self
    }
}

/// A document as an entry keeps it: whole up to [`MAX_DOCUMENT`], else its size and hash.
pub fn document(text: String) -> RawJson {
    if text.len() <= MAX_DOCUMENT {
        return RawJson::written(text);
    }
    let digest = Link(Sha256::digest(&text).into());
    RawJson::written(format!(r#"{{"cut":{{"bytes":{},"sha256":"{digest}"}}}}"#, text.len()))
}

/// A link of the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Link([u8; 32]);

impl Link {
    /// What the first entry follows.
    pub const FIRST: Link = Link([0; 32]);
    /// What an entry follows when the end of the log was lost: it never fits.
    pub const LOST: Link = Link([0xff; 32]);

    /// The link of an entry, given as its canonical JSON, that follows this one.
    #[must_use]
    pub fn then(self, canonical: &str) -> Link {
        let mut hash = Sha256::new();
        hash.update(b"dispatch audit\0");
        hash.update(self.0);
        hash.update(canonical.as_bytes());
        Link(hash.finalize().into())
    }

    /// Reads 64 hex digits.
    pub fn parse(text: &str) -> Option<Link> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Link(bytes))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Link {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Link::parse(&text).ok_or_else(|| serde::de::Error::custom("must be 64 hex digits"))
    }
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub seq: i64,
    pub link: Link,
}

impl Place {
    /// Before the first entry.
    pub const START: Place = Place { seq: 0, link: Link::FIRST };

    /// What is sealed about it. A seal for one purpose is worth nothing for another.
    pub fn words(self, purpose: Purpose) -> String {
        let purpose = match purpose {
            Purpose::Entry => "entry",
            Purpose::Head => "head",
            Purpose::Cut => "cut",
        };
        format!("dispatch audit {purpose} {} {}", self.seq, self.link)
    }
}

/// What a place is sealed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An entry stands there.
    Entry,
    /// The log ends there.
    Head,
    /// What stood up to there was let go.
    Cut,
}

/// Seals places with a key that whoever can edit the database has not.
pub trait Sealer: Send + Sync {
    /// A text that only who has the key can make.
    fn seal(&self, words: &str) -> String;

    /// Whether a seal is the one of these words.
    fn holds(&self, words: &str, seal: &str) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let actor = Actor {
            kind: "service-account".to_owned(),
            organization: Some("acme".to_owned()),
            name: "ci".to_owned(),
        };
        let after = Some(document(r#"{"spec": {"b":1,"a":1.50}}"#.to_owned()));
        let (action, resource, name) = ("create".to_owned(), "function".to_owned(), "f".to_owned());
        Entry { seq: 1, time_ms: 5, actor, action, resource, name, after, ..Entry::default() }
    }

    #[test]
    fn an_entry_read_back_has_the_same_link() {
        let mut entry = entry();
        let canonical = entry.canonical().unwrap();
        entry.link = Some(Link::FIRST.then(&canonical));
        let sent = serde_json::to_string(&entry).unwrap();
        let read: Entry = serde_json::from_str(&sent).unwrap();
        assert_eq!(read, entry);
        assert_eq!(read.canonical().unwrap(), canonical);
        assert_ne!(Link::LOST.then(&canonical), Link::FIRST.then(&canonical));
        assert_ne!(Link::FIRST.then(&canonical.replace("ci", "cj")), entry.link.unwrap());
    }

    #[test]
    fn links_are_read_as_they_are_written() {
        let link = Link::FIRST.then("x");
        assert_eq!(Link::parse(&link.to_string()), Some(link));
        for wrong in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Link::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let long = format!("\"{}\"", "x".repeat(MAX_DOCUMENT));
        let cut = document(long.clone());
        assert!(cut.get().starts_with(r#"{"cut":{"bytes":32770,"sha256":""#), "{cut:?}");
        assert_ne!(document(long.replace('x', "y")), cut);
        assert_eq!(entry().saying("é".repeat(MAX_TEXT)).text.len(), MAX_TEXT);
        assert_eq!(entry().saying(format!("a{}", "é".repeat(MAX_TEXT))).text.len(), MAX_TEXT - 1);
    }

    #[test]
    fn actors_are_named_as_people_search_for_them() {
        assert_eq!(entry().actor.to_string(), "acme/ci");
        assert_eq!(Actor::anonymous().to_string(), "anonymous");
        let boot = Actor { kind: "bootstrap".into(), organization: None, name: "boot".into() };
        assert_eq!(boot.to_string(), "boot");
    }
}
