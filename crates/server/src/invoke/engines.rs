//! The engines in use, by name and by language. Whoever reads them takes no lock; the engine
//! controller changes them while calls go on.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dispatch_driver::{Engine, Error, Result};
use dispatch_model::{OrgName, code};
use dispatch_placement::{Fleet, FleetFull};

use super::member::Member;

/// Every engine of this server. Clones are the same engines.
#[derive(Clone)]
pub struct Engines {
    table: Arc<ArcSwap<Table>>,
    fleet: Arc<Fleet>,
}

impl Default for Engines {
    fn default() -> Self {
        Self { table: Arc::default(), fleet: Fleet::new() }
    }
}

#[derive(Clone, Default)]
struct Table {
    by_name: HashMap<String, Arc<Member>>,
    /// Order of preference among engines that run the same language.
    order: Vec<Arc<Member>>,
}

impl Table {
    fn sort(&mut self) {
        self.order = self.by_name.values().cloned().collect();
        self.order.sort_by(|a, b| a.preference().cmp(&b.preference()));
    }

    fn names(&self) -> String {
        self.order.iter().map(|member| member.name()).collect::<Vec<_>>().join(", ")
    }
}

impl Engines {
    /// Adds an engine that is a part of the server, under its own name; earlier ones are preferred
    /// for a language.
    pub fn add(&mut self, engine: Arc<dyn Engine>) {
        let rank = self.table.load().order.len();
        self.put(Member::embedded(engine, rank)).expect("the first engines have room");
    }

    /// Puts an engine in the place of the one of its name, which is returned.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub fn put(&self, member: Member) -> std::result::Result<Option<Arc<Member>>, FleetFull> {
        let member = Arc::new(member);
        member.enter(&self.fleet, self.member(member.name()).as_deref())?;
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.by_name.insert(member.name().to_owned(), member.clone());
            table.sort();
            table
        });
        let before = before.by_name.get(member.name()).cloned();
        // Plans leave out engines that are not open to the function's organization.
        if before.as_ref().is_some_and(|b| b.spec.organizations != member.spec.organizations) {
            self.fleet.changed();
        }
        Ok(before)
    }

    /// What placement knows of all of them.
    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// Takes an engine out.
    pub fn remove(&self, name: &str) -> Option<Arc<Member>> {
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.by_name.remove(name);
            table.sort();
            table
        });
        before.by_name.get(name).cloned()
    }

    pub fn get(&self, name: &str) -> Option<Arc<dyn Engine>> {
        self.table.load().by_name.get(name).map(|member| member.engine.clone())
    }

    /// The engine with all that is known of it.
    pub fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.table.load().by_name.get(name).cloned()
    }

    /// All engines, the preferred first: the cheaper, then the server's own, then by name.
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.table.load().order.clone()
    }

    /// The same without what is known of them.
    pub fn iter(&self) -> impl Iterator<Item = Arc<dyn Engine>> + use<> {
        self.members().into_iter().map(|member| member.engine.clone())
    }

    /// The engine for functions of a language: the one wanted by name, else the first that runs
    /// the language and takes new deployments.
    ///
    /// # Errors
    /// `Fault::Caller` when there is none, naming what there is.
    pub fn for_language(&self, language: &str, wanted: Option<&str>) -> Result<Arc<dyn Engine>> {
        self.choose(language, wanted, |_| true)
    }

    /// The same among those that are open to an organization; others are not there.
    ///
    /// # Errors
    /// As [`Engines::for_language`].
    pub fn for_organization(
        &self,
        org: &OrgName,
        language: &str,
        wanted: Option<&str>,
    ) -> Result<Arc<dyn Engine>> {
        self.choose(language, wanted, |member| member.spec.open_to(org))
    }

    fn choose(
        &self,
        language: &str,
        wanted: Option<&str>,
        open: impl Fn(&Member) -> bool,
    ) -> Result<Arc<dyn Engine>> {
        let order = self.members().into_iter().filter(|member| open(member)).collect();
        let mut table = Table { order, ..Table::default() };
        let Some(name) = wanted else {
            table.order.retain(|member| member.takes_new());
            let found = table.order.iter().find(|member| member.runs(language));
            return found.map(|m| m.engine.clone()).ok_or_else(|| none(&table.order, language));
        };
        let Some(member) = table.order.iter().find(|member| member.name() == name) else {
            let known = table.names();
            let message = format!("there is no engine {name:?}; this server has: {known}");
            return Err(Error::caller(code::ENGINE001, message));
        };
        if !member.runs(language) {
            let known = member.engine.capabilities().languages.join(", ");
            let needs = member.engine.needs(language).map(|needs| format!(". {needs}"));
            let needs = needs.unwrap_or_default();
            let message = format!(
                "engine {name:?} does not run {language:?}; its languages are: {known}{needs}"
            );
            return Err(Error::caller(code::ENGINE001, message));
        }
        Ok(member.engine.clone())
    }
}

fn none(members: &[Arc<Member>], language: &str) -> Error {
    let engines = || members.iter().map(|member| &member.engine);
    let mut known: Vec<String> = engines().flat_map(|e| e.capabilities().languages).collect();
    known.sort();
    known.dedup();
    let known = known.join(", ");
    let needs = engines().filter_map(|e| e.needs(language)).map(|needs| format!(". {needs}"));
    let needs: String = needs.collect();
    let message = format!("no engine runs {language:?}; languages found here are: {known}{needs}");
    Error::caller(code::ENGINE001, message)
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Engines").field(&self.table.load().names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::engine::EngineSpec;

    use super::super::testing::TestEngine;
    use super::*;

    fn spec(edit: impl FnOnce(&mut EngineSpec)) -> EngineSpec {
        let mut spec = EngineSpec { engine_type: "test".to_owned(), ..EngineSpec::default() };
        edit(&mut spec);
        spec
    }

    fn put(engines: &Engines, name: &str, edit: impl FnOnce(&mut EngineSpec)) -> Arc<dyn Engine> {
        let engine: Arc<dyn Engine> = TestEngine::echo();
        engines.put(Member::new(name, engine.clone(), spec(edit), String::new())).unwrap();
        engine
    }

    #[test]
    fn who_misses_a_language_hears_what_to_install() {
        let mut engines = Engines::default();
        engines.add(TestEngine::echo());
        for wanted in [None, Some("test")] {
            let hinted = engines.for_language("installable", wanted).err().unwrap();
            assert!(hinted.message.ends_with(": test. It needs a tool: install it"), "{hinted}");
            let plain = engines.for_language("other", wanted).err().unwrap();
            assert!(plain.message.ends_with(": test"), "{plain}");
        }
        assert!(engines.for_language("test", None).is_ok());
    }

    #[test]
    fn the_cheaper_comes_first_then_the_servers_own() {
        let mut engines = Engines::default();
        put(&engines, "a-foreign-one", |_| {});
        engines.add(TestEngine::echo());
        put(&engines, "dear", |spec| spec.cost = 9);
        let names = || engines.members().iter().map(|m| m.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(), ["test", "a-foreign-one", "dear"]);
        let own = engines.member("test").unwrap();
        engines.put(own.with_spec(spec(|spec| spec.cost = 5))).unwrap();
        assert_eq!(names(), ["a-foreign-one", "test", "dear"]);
        engines.remove("a-foreign-one");
        assert_eq!(names(), ["test", "dear"]);
    }

    #[test]
    fn a_cordoned_or_draining_engine_is_not_chosen() {
        let engines = Engines::default();
        let second = put(&engines, "b", |spec| spec.cost = 1);
        for edit in [|s: &mut EngineSpec| s.cordoned = true, |s: &mut EngineSpec| s.draining = true]
        {
            put(&engines, "a", edit);
            let chosen = engines.for_language("test", None).unwrap();
            assert!(Arc::ptr_eq(&chosen, &second));
        }
    }

    #[test]
    fn an_engine_of_other_organizations_is_not_there() {
        let engines = Engines::default();
        put(&engines, "theirs", |spec| spec.organizations = vec!["theirs".to_owned()]);
        let (ours, theirs) = (OrgName::new("ours").unwrap(), OrgName::new("theirs").unwrap());
        assert!(engines.for_organization(&theirs, "test", None).is_ok());
        assert!(engines.for_organization(&ours, "test", None).is_err());
        put(&engines, "open", |_| {});
        let error = engines.for_organization(&ours, "test", Some("theirs")).err().unwrap();
        assert_eq!(error.message, "there is no engine \"theirs\"; this server has: open");
    }
}
