//! Refused requests that wait to be written: those of one caller for one thing are one entry, and
//! of more than a bound only the number is kept.

use std::collections::HashMap;

use dispatch_model::audit::{Actor, Entry, Outcome};

/// Most entries that wait.
pub const MOST: usize = 200;

/// What makes two refused requests one entry.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Like {
    organization: Option<String>,
    actor: Actor,
    from: Option<String>,
    action: String,
    resource: String,
}

#[derive(Debug, Default)]
pub struct Gathered {
    entries: HashMap<Like, Entry>,
    /// Requests beyond the bound.
    others: u64,
}

impl Gathered {
    /// Takes down a request, or an entry that was taken out and could not be written. False when
    /// all that is kept of it is the number.
    pub fn add(&mut self, entry: Entry) -> bool {
        let like = Like {
            organization: entry.organization.clone(),
            actor: entry.actor.clone(),
            from: entry.from.clone(),
            action: entry.action.clone(),
            resource: entry.resource.clone(),
        };
        let count = entry.count.max(1);
        if let Some(there) = self.entries.get_mut(&like) {
            there.count += count;
            if there.name != entry.name {
                there.name.clear();
            }
            return true;
        }
        // What stands for others comes back as what it was.
        if self.entries.len() >= MOST || entry.resource == OTHERS {
            self.others += count;
            return false;
        }
        self.entries.insert(like, Entry { count, ..entry });
        true
    }

    /// What is to be written, and nothing is left.
    pub fn take(&mut self) -> Vec<Entry> {
        let mut all: Vec<_> = std::mem::take(&mut self.entries).into_values().collect();
        let others = std::mem::take(&mut self.others);
        if others > 0 {
            let entry = Entry {
                actor: Actor { kind: OTHERS.to_owned(), ..Actor::default() },
                action: OTHERS.to_owned(),
                resource: OTHERS.to_owned(),
                outcome: Outcome::Refused,
                count: others,
                ..Entry::default()
            };
            all.push(entry.saying("more were refused than can be told apart"));
        }
        all
    }
}

/// Who, and what, when there were too many.
const OTHERS: &str = "various";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(from: &str, name: &str) -> Entry {
        let (from, name) = (Some(from.to_owned()), name.to_owned());
        let (action, resource) = ("get".to_owned(), "secret".to_owned());
        let actor = Actor::anonymous();
        Entry { actor, from, action, resource, name, outcome: Outcome::Refused, ..Entry::default() }
    }

    #[test]
    fn requests_of_one_caller_are_one_entry() {
        let mut gathered = Gathered::default();
        for name in ["a", "a", "b"] {
            assert!(gathered.add(refused("10.0.0.1", name)));
        }
        gathered.add(refused("10.0.0.2", "a"));
        let mut all = gathered.take();
        all.sort_by(|a, b| a.from.cmp(&b.from));
        let seen: Vec<_> = all.iter().map(|e| (e.count, e.name.as_str())).collect();
        assert_eq!(seen, [(3, ""), (1, "a")]);
        assert!(gathered.take().is_empty());
    }

    #[test]
    fn a_flood_is_counted_in_bounded_memory() {
        let mut gathered = Gathered::default();
        for n in 0..10_000 {
            gathered.add(refused(&format!("10.0.{}.{}", n / 256, n % 256), ""));
        }
        let all = gathered.take();
        assert_eq!(all.len(), MOST + 1);
        assert_eq!(all.iter().map(|entry| entry.count).sum::<u64>(), 10_000);
        // The database did not take them: nothing is lost, nothing is counted twice.
        for entry in all {
            gathered.add(entry);
        }
        let again = gathered.take();
        assert_eq!(again.len(), MOST + 1);
        assert_eq!(again.iter().map(|entry| entry.count).sum::<u64>(), 10_000);
    }
}
