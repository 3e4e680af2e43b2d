//! Who somebody is, as a provider told it: bounded, whatever it told.

use std::time::SystemTime;

use dispatch_model::code;
use serde_json::{Map, Value};

use super::SecretText;
use crate::{Error, Result, Retry};

/// Longest subject, name, display name, e-mail and group, in characters.
pub const TEXT: usize = 256;
/// Most groups of one person.
pub const GROUPS: usize = 1_000;
/// Largest JSON of all claims, in bytes.
pub const CLAIMS_BYTES: usize = 16 * 1024;
/// Most notices.
const NOTICES: usize = 16;

/// Somebody a provider vouches for.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Never changes and is never given to another, at this provider.
    pub subject: String,
    /// What policies name: an e-mail that the provider has verified, a login, or what the
    /// provider's settings choose.
    pub name: String,
    /// For people to read; any text.
    pub display_name: String,
    /// Only one that the provider has verified, or whose directory it is.
    pub email: Option<String>,
    /// Sorted, each once.
    pub groups: Vec<String>,
    /// Everything else the provider told; empty when that was too large.
    pub claims: Map<String, Value>,
    /// Until when the provider stands by this without being asked again.
    pub expires_at: Option<SystemTime>,
    /// What [`super::Refresh`] takes.
    pub refresh: Option<SecretText>,
    /// What [`super::Logout`] takes.
    pub id_token: Option<SecretText>,
    /// What the operator should know: groups that were left out, and why.
    pub notices: Vec<String>,
}

impl SignedIn {
    /// # Errors
    /// `IDENTITY004` for a subject or name that is empty, too long or not plain text: neither can
    /// be cut without becoming somebody else's.
    pub fn new(subject: &str, name: &str) -> Result<Self> {
        for (what, text) in [("subject", subject), ("name", name)] {
            if !plain(text) {
                let text = format!(
                    "the provider's {what} of somebody is no plain text of 1 to {TEXT} characters"
                );
                return Err(Error::backend(code::IDENTITY004, Retry::Never, text));
            }
        }
        Ok(Self {
            subject: subject.to_owned(),
            name: name.to_owned(),
            display_name: name.to_owned(),
            email: None,
            groups: Vec::new(),
            claims: Map::new(),
            expires_at: None,
            refresh: None,
            id_token: None,
            notices: Vec::new(),
        })
    }

    /// A display name is cut where it is too long.
    #[must_use]
    pub fn displayed(mut self, name: Option<&str>) -> Self {
        let shown: String =
            name.unwrap_or_default().chars().filter(|c| !c.is_control()).take(TEXT).collect();
        if !shown.trim().is_empty() {
            self.display_name = shown;
        }
        self
    }

    #[must_use]
    pub fn with_email(mut self, email: Option<&str>) -> Self {
        self.email = email.filter(|email| plain(email)).map(str::to_owned);
        self
    }

    /// Groups that are too long or not plain text are left out, and so are those beyond the
    /// limit; a notice says so. Leaving out takes rights away and never gives any.
    #[must_use]
    pub fn in_groups(mut self, groups: impl IntoIterator<Item = String>) -> Self {
        let (mut good, mut bad) = (std::collections::BTreeSet::new(), false);
        let mut more = false;
        for group in groups {
            match plain(&group) {
                false => bad = true,
                true if good.len() >= GROUPS && !good.contains(&group) => more = true,
                true => {
                    good.insert(group);
                }
            }
        }
        self.groups = good.into_iter().collect();
        if bad {
            self.note(format!("groups that are no plain text of 1 to {TEXT} characters left out"));
        }
        if more {
            self.note(format!("more than {GROUPS} groups: the others are left out"));
        }
        self
    }

    /// Claims that are too large as a whole are left out; a notice says so.
    #[must_use]
    pub fn with_claims(mut self, claims: Map<String, Value>) -> Self {
        let bytes = serde_json::to_vec(&claims).map_or(usize::MAX, |json| json.len());
        match bytes <= CLAIMS_BYTES {
            true => self.claims = claims,
            false => self.note(format!("claims of more than {CLAIMS_BYTES} bytes left out")),
        }
        self
    }

    /// Tells the operator something.
    pub fn note(&mut self, text: impl Into<String>) {
        if self.notices.len() < NOTICES {
            self.notices.push(text.into());
        }
    }
}

/// Whether a character shows nothing, or turns what stands beside it: formats, joiners, selectors
/// of variants. Directories leave most of them out when they compare names (RFC 4518, 2.2).
pub fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a text can name somebody: neither empty nor too long, nothing in it that hides or
/// turns what stands beside it, no space at its ends.
pub fn plain(text: &str) -> bool {
    let unseen = |c: char| c.is_control() || is_unseen(c);
    let length = text.chars().take(TEXT + 1).count();
    (1..=TEXT).contains(&length) && text.trim() == text && !text.chars().any(unseen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_or_name_is_never_cut() {
        assert!(SignedIn::new(&"s".repeat(TEXT), "ann").is_ok());
        for (subject, name) in
            [("", "ann"), ("1", ""), ("1", " ann"), ("1", "an\nn"), ("1", "ann\u{202e}nimda")]
        {
            let error = SignedIn::new(subject, name).unwrap_err();
            assert_eq!(error.code, code::IDENTITY004, "{subject:?} {name:?}");
        }
        assert!(SignedIn::new("1", &"n".repeat(TEXT + 1)).is_err());
    }

    #[test]
    fn what_is_too_much_is_left_out_and_noted() {
        let groups = (0..GROUPS + 1).map(|n| format!("group-{n:05}"));
        let given = groups.chain(["group-00000".to_owned(), "a\u{0}b".to_owned()]);
        let ann = SignedIn::new("1", "ann").unwrap().in_groups(given);
        assert_eq!(ann.groups.len(), GROUPS);
        assert_eq!(ann.notices.len(), 2, "{:?}", ann.notices);
        let large = Map::from_iter([("x".to_owned(), Value::from("y".repeat(CLAIMS_BYTES)))]);
        let ann = ann.with_claims(large).displayed(Some(&"d".repeat(1000)));
        assert!(ann.claims.is_empty());
        assert_eq!((ann.notices.len(), ann.display_name.len()), (3, TEXT));
    }

    #[test]
    fn secrets_of_somebody_are_not_printed() {
        let mut ann = SignedIn::new("1", "ann").unwrap();
        ann.refresh = Some(SecretText::new("canary"));
        ann.id_token = Some(SecretText::new("canary"));
        assert!(!format!("{ann:?}").contains("canary"));
    }
}
