//! The configured engines, by name and by language.

use std::collections::HashMap;
use std::sync::Arc;

use dispatch_driver::{Engine, Error, Result};
use dispatch_model::code;

/// Every engine of this server. `boot` fills it; nothing changes it afterwards.
#[derive(Clone, Default)]
pub struct Engines {
    by_name: HashMap<String, Arc<dyn Engine>>,
    /// Order of preference among engines that run the same language.
    order: Vec<String>,
}

impl Engines {
    /// Adds an engine under its own name; earlier ones are preferred for a language.
    pub fn add(&mut self, engine: Arc<dyn Engine>) {
        let name = engine.name().to_owned();
        if self.by_name.insert(name.clone(), engine).is_none() {
            self.order.push(name);
        }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn Engine>> {
        self.by_name.get(name)
    }

    /// All engines, the preferred first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Engine>> {
        self.order.iter().filter_map(|name| self.by_name.get(name))
    }

    /// The engine for functions of a language: the one wanted by name, else the first that runs
    /// the language.
    ///
    /// # Errors
    /// `Fault::Caller` when there is none, naming what there is.
    pub fn for_language(&self, language: &str, wanted: Option<&str>) -> Result<Arc<dyn Engine>> {
        let runs = |engine: &Arc<dyn Engine>| {
            engine.capabilities().languages.iter().any(|l| l.eq_ignore_ascii_case(language))
        };
        let Some(name) = wanted else {
            return self.iter().find(|e| runs(e)).cloned().ok_or_else(|| self.none(language));
        };
        let Some(engine) = self.get(name) else {
            let known = self.order.join(", ");
            let message = format!("there is no engine {name:?}; this server has: {known}");
            return Err(Error::caller(code::ENGINE001, message));
        };
        if !runs(engine) {
            let known = engine.capabilities().languages.join(", ");
            let needs = engine.needs(language).map(|needs| format!(". {needs}"));
            let needs = needs.unwrap_or_default();
            let message = format!(
                "engine {name:?} does not run {language:?}; its languages are: {known}{needs}"
            );
            return Err(Error::caller(code::ENGINE001, message));
        }
        Ok(engine.clone())
    }

    fn none(&self, language: &str) -> Error {
        let mut known: Vec<String> = self.iter().flat_map(|e| e.capabilities().languages).collect();
        known.sort();
        known.dedup();
        let known = known.join(", ");
        let needs = self.iter().filter_map(|e| e.needs(language)).map(|needs| format!(". {needs}"));
        let needs: String = needs.collect();
        let message =
            format!("no engine runs {language:?}; languages found here are: {known}{needs}");
        Error::caller(code::ENGINE001, message)
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.order).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestEngine;
    use super::*;

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
}
