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
    /// The canary of the function's document that a rollout has ended. Another one there counts
    /// again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Canary>,
    /// Names for versions, which routes and callers may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, u64>,
}

impl Rollout {
    /// The trial that goes on: the rollout's own, or else the one in the function's document.
    pub fn trial(&self, document: Option<Canary>) -> Option<Canary> {
        let document = document.filter(|canary| self.ended != Some(*canary));
        self.canary.or(document).filter(|canary| canary.percent > 0)
    }

    /// Has a version take all calls.
    pub fn settle_on(&mut self, version: u64, document: Option<Canary>, latest: u64) {
        (self.canary, self.ended) = (None, document);
        // The newest is followed by what comes after it, as without any rollout.
        self.stable = (version != latest).then_some(version);
    }

    /// Gives a version a name, or takes a name away with `None`.
    ///
    /// # Errors
    /// When the name breaks the rule of names or is a number, when there are too many, or when the
    /// one that is to go is not there.
    pub fn name(&mut self, alias: &str, version: Option<u64>) -> Result<(), Violation> {
        let wrong = |rule: String| Violation::new("alias", rule);
        Name::new(alias).map_err(|v| wrong(v.rule))?;
        if alias.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong(format!("{alias:?} is a number, as versions have")));
        }
        match version {
            Some(version) => self.aliases.insert(alias.to_owned(), version),
            None if !self.aliases.contains_key(alias) => {
                let known: Vec<_> = self.aliases.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(wrong(format!(
                    "{alias:?} is not there to be removed; there is {known}"
                )));
            }
            None => self.aliases.remove(alias),
        };
        match self.aliases.len() <= MAX_ALIASES {
            true => Ok(()),
            false => Err(wrong(format!("a function has at most {MAX_ALIASES} aliases"))),
        }
    }

    /// Makes the canary what everybody gets. False when there is none.
    pub fn promote(&mut self, document: Option<Canary>, latest: u64) -> bool {
        let Some(trial) = self.trial(document) else { return false };
        self.settle_on(trial.version, document, latest);
        true
    }

    /// Takes back the last step: the canary, so that what is `serving` takes all calls, or else the
    /// version that took over from `previous`. False when there is nothing to take back.
    pub fn undo(
        &mut self,
        document: Option<Canary>,
        serving: Option<u64>,
        previous: Option<u64>,
        latest: u64,
    ) -> bool {
        // A document that tries what takes all calls anyway tries nothing.
        let trial = self.trial(document).filter(|trial| Some(trial.version) != serving);
        let back = if trial.is_some() { self.stable.or(serving) } else { previous };
        let Some(back) = back else { return false };
        self.settle_on(back, document, latest);
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
        assert!(new.promote(None, 4));
        assert_eq!(new, rollout(None, None), "the newest version goes on being followed");
        let mut old = rollout(None, Some(2));
        assert!(old.promote(None, 4));
        assert_eq!(old, rollout(Some(2), None));
        assert!(!old.promote(None, 4));
        let mut back = rollout(Some(3), Some(4));
        assert!(back.undo(None, Some(3), Some(2), 4));
        assert_eq!(back, rollout(Some(3), None));
        assert!(back.undo(None, Some(3), Some(2), 4));
        assert_eq!(back, rollout(Some(2), None));
        assert!(back.undo(None, Some(2), Some(4), 4));
        assert_eq!(back, rollout(None, None), "the newest is followed again");
        assert!(!rollout(None, None).undo(None, Some(1), None, 1));
    }

    #[test]
    fn a_rollout_goes_over_the_canary_of_the_document() {
        let document = Some(Canary { version: 2, percent: 5 });
        let begun = rollout(None, None);
        assert_eq!(begun.trial(document), document);
        assert_eq!(begun.trial(Some(Canary { version: 2, percent: 0 })), None);
        let (mut promoted, mut back, mut older) = (begun.clone(), begun.clone(), begun);
        assert!(promoted.promote(document, 2) && !promoted.promote(document, 2));
        assert_eq!((promoted.stable, promoted.trial(document)), (None, None));
        assert!(back.undo(document, Some(1), None, 2));
        assert_eq!((back.stable, back.trial(document)), (Some(1), None), "not the newest");
        older.settle_on(3, document, 3);
        assert_eq!((older.stable, older.trial(document)), (None, None));
        let another = Some(Canary { version: 2, percent: 10 });
        assert_eq!(older.trial(another), another);
    }

    #[test]
    fn aliases_are_names_that_are_no_numbers() {
        let mut some = Rollout::default();
        assert!(some.name("7", Some(1)).is_err() && some.name("a b", Some(1)).is_err());
        for n in 0..MAX_ALIASES {
            some.name(&format!("a{n}"), Some(1)).unwrap();
        }
        assert!(some.clone().name("more", Some(1)).is_err());
        assert!(some.clone().name("other", None).unwrap_err().rule.contains("a0, a1"));
        some.name("a0", None).unwrap();
        some.name("more", Some(2)).unwrap();
    }
}
