//! Rollouts: which versions of a function take its calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::placement::Canary;
use crate::{Name, Violation};

/// Most aliases of one function.
pub const MAX_ALIASES: usize = 16;

/// What is wanted. An update of the function leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The version that takes the calls; `None`: the newest, as soon as it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<u64>,
    /// The version that takes a share of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Names for versions, which routes and callers may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, u64>,
}

impl Rollout {
    /// Gives a version a name, or takes a name away with `None`.
    ///
    /// # Errors
    /// When the name breaks the rule of names or is a number, or there are too many.
    pub fn name(&mut self, alias: &str, version: Option<u64>) -> Result<(), Violation> {
        let wrong = |rule: String| Violation::new("alias", rule);
        Name::new(alias).map_err(|v| wrong(v.rule))?;
        if alias.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong(format!("{alias:?} is a number, as versions have")));
        }
        match version {
            Some(version) => self.aliases.insert(alias.to_owned(), version),
            None => self.aliases.remove(alias),
        };
        match self.aliases.len() <= MAX_ALIASES {
            true => Ok(()),
            false => Err(wrong(format!("a function has at most {MAX_ALIASES} aliases"))),
        }
    }

    /// Makes the canary what everybody gets. False when there is none.
    pub fn promote(&mut self, latest: u64) -> bool {
        let Some(canary) = self.canary.take() else { return false };
        // The newest is followed again by what comes after it.
        self.stable = (canary.version != latest).then_some(canary.version);
        true
    }

    /// Takes back the last step: the canary, or else the version that took over from `previous`.
    /// False when there is nothing to take back.
    pub fn undo(&mut self, previous: Option<u64>, latest: u64) -> bool {
        if self.canary.take().is_some() {
            // A rollout pinned the newest version that there was when it began.
            if self.stable == Some(latest) {
                self.stable = None;
            }
            return true;
        }
        let Some(previous) = previous else { return false };
        self.stable = Some(previous);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(stable: Option<u64>, canary: Option<u64>) -> Rollout {
        let canary = canary.map(|version| Canary { version, percent: 10 });
        Rollout { stable, canary, ..Rollout::default() }
    }

    #[test]
    fn a_canary_is_promoted_or_taken_back() {
        let mut new = rollout(Some(3), Some(4));
        assert!(new.promote(4));
        assert_eq!(new, rollout(None, None), "the newest version goes on being followed");
        let mut old = rollout(None, Some(2));
        assert!(old.promote(4));
        assert_eq!(old, rollout(Some(2), None));
        assert!(!old.promote(4));
        let mut back = rollout(Some(3), Some(4));
        assert!(back.undo(Some(2), 4));
        assert_eq!(back, rollout(Some(3), None));
        assert!(back.undo(Some(2), 4));
        assert_eq!(back, rollout(Some(2), None));
        assert!(!rollout(None, None).undo(None, 1));
    }

    #[test]
    fn aliases_are_names_that_are_no_numbers() {
        let mut some = Rollout::default();
        assert!(some.name("7", Some(1)).is_err() && some.name("a b", Some(1)).is_err());
        for n in 0..MAX_ALIASES {
            some.name(&format!("a{n}"), Some(1)).unwrap();
        }
        assert!(some.clone().name("more", Some(1)).is_err());
        some.name("a0", None).unwrap();
        some.name("more", Some(2)).unwrap();
    }
}
