//! Finds the rules that may hold: by who asks, by what it is about and by its application. Each way
//! gives lists of rules; the way with the fewest is walked, and what the other ways lack is left
//! out before a rule is looked at. So it costs nothing how many rules there are for others, and
//! little how many name the same subject for other things.

use std::collections::{BTreeSet, HashMap};

use crate::facts::Facts;
use crate::pattern::{Names, Pattern};
use crate::rule::Rule;

/// Numbers of rules, each once, in order.
type List = Vec<u32>;
type ByName = HashMap<Box<str>, List>;

/// Rules of one organization, of one effect, that hold in the same places.
#[derive(Debug, Default)]
pub(crate) struct Index {
    anybody: List,
    names: ByName,
    groups: ByName,
    every_kind: Things,
    kinds: HashMap<Box<str>, Things>,
    any_application: List,
    applications: ByName,
}

/// Rules about things of one kind.
#[derive(Debug, Default)]
struct Things {
    all: List,
    named: ByName,
    beginning: ByName,
    /// Lengths of those beginnings, in bytes.
    lengths: BTreeSet<usize>,
    /// All of these.
    reaching: List,
}

impl Index {
    pub fn add(&mut self, number: u32, rule: &Rule) {
        if rule.subjects.anybody {
            push(&mut self.anybody, number);
        }
        for name in &rule.subjects.names {
            push(self.names.entry(name.clone()).or_default(), number);
        }
        for group in &rule.subjects.groups {
            push(self.groups.entry(group.clone()).or_default(), number);
        }
        for pattern in rule.permissions().flat_map(|permission| &permission.patterns) {
            let things = match &pattern.word {
                None => &mut self.every_kind,
                Some(word) => self.kinds.entry(word.clone()).or_default(),
            };
            things.add(number, pattern);
        }
        if rule.applications.is_empty() {
            push(&mut self.any_application, number);
        }
        for name in &rule.applications {
            push(self.applications.entry(name.clone()).or_default(), number);
        }
    }

    /// Lists of the rules that name the principal.
    pub fn of_subject<'a>(&'a self, facts: &Facts<'_>) -> Vec<&'a List> {
        let name = self.names.get(facts.request.principal.name.as_str());
        let groups = facts.groups.iter().filter_map(|group| self.groups.get(*group));
        [&self.anybody].into_iter().chain(name).chain(groups).collect()
    }

    /// Rules among which are all that fit, a number perhaps twice. `unknown` as rules take it.
    pub fn candidates<'a>(
        &'a self,
        facts: &Facts<'_>,
        unknown: bool,
    ) -> impl Iterator<Item = u32> + 'a {
        let ways = [
            Some(self.of_subject(facts)),
            Some(self.of_thing(facts, unknown)),
            self.of_application(facts, unknown),
        ];
        let mut ways: Vec<Vec<&List>> = ways.into_iter().flatten().collect();
        ways.sort_by_key(|lists| lists.iter().map(|list| list.len()).sum::<usize>());
        let mut ways = ways.into_iter();
        let fewest = ways.next().unwrap_or_default();
        let in_all = move |number: &u32| {
            let has = |list: &&List| list.binary_search(number).is_ok();
            ways.as_slice().iter().all(|lists| lists.iter().any(has))
        };
        fewest.into_iter().flatten().copied().filter(in_all)
    }

    fn of_thing<'a>(&'a self, facts: &Facts<'_>, unknown: bool) -> Vec<&'a List> {
        let mut lists = Vec::new();
        let kinds = [Some(&self.every_kind), self.kinds.get(facts.request.resource)];
        for things in kinds.into_iter().flatten() {
            things.of(facts.name, unknown, &mut lists);
        }
        lists
    }

    /// None for all rules.
    fn of_application<'a>(&'a self, facts: &Facts<'_>, unknown: bool) -> Option<Vec<&'a List>> {
        if facts.tags().is_none() && unknown {
            return None;
        }
        let own = facts.application.and_then(|name| self.applications.get(name));
        Some([&self.any_application].into_iter().chain(own).collect())
    }
}

impl Things {
    fn add(&mut self, number: u32, pattern: &Pattern) {
        push(&mut self.reaching, number);
        match &pattern.names {
            Names::All => push(&mut self.all, number),
            Names::One(name) => push(self.named.entry(name.clone()).or_default(), number),
            Names::Beginning(start) => {
                self.lengths.insert(start.len());
                push(self.beginning.entry(start.clone()).or_default(), number);
            }
        }
    }

    fn of<'a>(&'a self, name: Option<&str>, unknown: bool, lists: &mut Vec<&'a List>) {
        let Some(name) = name else {
            lists.push(if unknown { &self.reaching } else { &self.all });
            return;
        };
        lists.push(&self.all);
        lists.extend(self.named.get(name));
        let starts = self.lengths.range(..=name.len()).filter_map(|length| name.get(..*length));
        lists.extend(starts.filter_map(|start| self.beginning.get(start)));
    }
}

/// Rules come in order, so a number that is there already is the last one.
fn push(list: &mut List, number: u32) {
    if list.last() != Some(&number) {
        list.push(number);
    }
}
