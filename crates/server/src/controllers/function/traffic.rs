//! Which versions of a function are to take calls, and so have to be deployed.

use std::collections::{BTreeMap, HashSet};

use dispatch_model::api::Api;
use dispatch_model::engine::Engine;
use dispatch_model::function::{Deployed, Function, FunctionStatus, Serving};
use dispatch_model::function_version::{
    FunctionReference, FunctionVersion, FunctionVersionSpec, Qualifier, version_name,
};
use dispatch_model::placement::{Canary, PlacementSpec};
use dispatch_model::{ListQuery, Name, Resource};

use super::Functions;
use super::newest::New;
use super::obstacle::{Obstacle, Trouble};
use crate::app::Result;
use crate::invoke::engine_maker::operators;
use crate::invoke::{effective, unknown};

/// What is wanted of a function.
#[derive(Default)]
pub struct Wanted {
    /// `None` when there is no version that could.
    pub serving: Option<Serving>,
    /// The version that takes most calls.
    pub stable: Option<FunctionVersionSpec>,
    /// Every version that has to be deployed, and where.
    pub deployments: Vec<Deployed>,
    pub versions: Vec<FunctionVersionSpec>,
    /// Versions that are wanted only as long as an alias cannot move on.
    kept: HashSet<u64>,
    /// Why that is not all that was asked for.
    pub obstacle: Option<Obstacle>,
    /// Engines that are named and not there, in sentences without a full stop.
    pub unknown: Vec<String>,
}

impl Wanted {
    /// Where a version has to be deployed.
    pub fn engines(&self, version: u64) -> &[String] {
        let found = self.deployments.iter().find(|deployed| deployed.version == version);
        found.map_or(&[], |deployed| &deployed.engines)
    }
}

impl Functions {
    /// What is wanted of a function, with a newer version if there is going to be one.
    pub(super) async fn wanted(
        &self,
        function: &Resource<Function>,
        new: Option<&New>,
    ) -> Result<Wanted> {
        let status = &function.status;
        let placement = effective(&self.0.store, function).await?;
        let unknown = self.unknown(function, &placement).await?;
        let mut wanted = Wanted { unknown, ..Wanted::default() };
        let latest = new.map_or(status.latest, |new| new.version.number);
        if latest == 0 {
            return Ok(wanted);
        }
        let rollout = &status.rollout;
        let trial = rollout.trial(placement.canary);
        let Some(stable) = self.stable(function, latest, trial, new, &mut wanted).await? else {
            return Ok(wanted);
        };
        let mut serving = Serving { version: stable.number, ..Serving::default() };
        self.add(function, &stable, &placement, &mut wanted);
        if let Some(canary) = trial.filter(|canary| canary.version != stable.number) {
            match self.find(function, canary.version, new).await? {
                Some(version) => {
                    serving.canary = Some(canary);
                    self.add(function, &version, &placement, &mut wanted);
                }
                None => wanted.lacks(canary.version, "the canary"),
            }
        }
        for (alias, number) in &rollout.aliases {
            serving.aliases.insert(alias.clone(), *number);
            match self.find(function, *number, new).await? {
                Some(version) => self.add(function, &version, &placement, &mut wanted),
                None => wanted.lacks(*number, &format!("the alias {alias}")),
            }
        }
        for number in self.others(function, stable.number, latest).await? {
            if let Some(version) = self.find(function, number, new).await? {
                self.add(function, &version, &placement, &mut wanted);
            }
        }
        self.keep_for_aliases(function, &placement, new, &mut wanted).await?;
        wanted.serving = Some(serving);
        wanted.stable = Some(stable);
        Ok(wanted)
    }

    /// What aliases lead to now stays until it is known that what they are to lead to is there.
    async fn keep_for_aliases(
        &self,
        function: &Resource<Function>,
        placement: &PlacementSpec,
        new: Option<&New>,
        wanted: &mut Wanted,
    ) -> Result<()> {
        let status = &function.status;
        for number in status.rollout.aliases.keys().filter_map(|alias| status.alias(alias)) {
            if wanted.versions.iter().any(|version| version.number == number) {
                continue;
            }
            if let Some(version) = self.find(function, number, new).await? {
                // Where it would fit says nothing of what is asked for.
                let obstacle = wanted.obstacle.take();
                self.add(function, &version, placement, wanted);
                wanted.obstacle = obstacle;
                wanted.kept.insert(number);
            }
        }
        Ok(())
    }

    /// Engines that placement names and nobody has added yet. Those that are there and cannot be
    /// made say so themselves.
    async fn unknown(
        &self,
        function: &Resource<Function>,
        placement: &PlacementSpec,
    ) -> Result<Vec<String>> {
        let org = &function.meta.org;
        let mut sentences = Vec::new();
        for unknown in unknown(&self.0.engines, org, placement) {
            let name = Name::trusted(&unknown.name);
            let stored = self.0.store.by_name::<Engine>(&operators(), &name).await?;
            if !stored.is_some_and(|engine| engine.spec.open_to(org)) {
                sentences.push(unknown.to_string());
            }
        }
        Ok(sentences)
    }

    /// The version that is to take calls: the one asked for, or else the one that does.
    async fn stable(
        &self,
        function: &Resource<Function>,
        latest: u64,
        trial: Option<Canary>,
        new: Option<&New>,
        wanted: &mut Wanted,
    ) -> Result<Option<FunctionVersionSpec>> {
        let status = &function.status;
        let serving = status.serving.as_ref().map(|serving| serving.version);
        // What is on trial takes its share of the calls only: the rest stay where they are.
        let tried = trial.is_some_and(|trial| trial.version == latest);
        let unless_asked = serving.filter(|_| tried).unwrap_or(latest);
        let asked = status.rollout.stable.unwrap_or(unless_asked);
        if let Some(found) = self.find(function, asked, new).await? {
            return Ok(Some(found));
        }
        wanted.lacks(asked, "the rollout");
        match &status.serving {
            Some(serving) => self.find(function, serving.version, new).await,
            None => Ok(None),
        }
    }

    /// Versions that nobody asked for by a rollout: the one to go back to, those that routes name
    /// by number, and the newest, which shows whether it can run before anybody asks for it.
    async fn others(
        &self,
        function: &Resource<Function>,
        stable: u64,
        latest: u64,
    ) -> Result<Vec<u64>> {
        let (meta, status) = (&function.meta, &function.status);
        let before = status.serving.as_ref().map(|serving| serving.version);
        let back = before.filter(|before| *before != stable).or(status.previous);
        let spec = vec![("function".to_owned(), meta.name.to_string())];
        let query = ListQuery { spec, ..ListQuery::default() };
        let apis = self.0.store.list::<Api>(&meta.org, &query).await?.items;
        let named = apis.iter().filter_map(version_named_by).map(|(_, number)| number);
        Ok(back.into_iter().chain(named).chain([latest]).collect())
    }

    pub(super) async fn find(
        &self,
        function: &Resource<Function>,
        number: u64,
        new: Option<&New>,
    ) -> Result<Option<FunctionVersionSpec>> {
        if let Some(new) = new.filter(|new| new.version.number == number) {
            return Ok(Some(new.version.clone()));
        }
        // A number beyond the newest belongs to a try that was interrupted.
        if number > function.status.latest {
            return Ok(None);
        }
        let name = version_name(&function.meta.name, number);
        let found = self.0.store.by_name::<FunctionVersion>(&function.meta.org, &name).await?;
        Ok(found.map(|found| found.spec))
    }

    fn add(
        &self,
        function: &Resource<Function>,
        version: &FunctionVersionSpec,
        placement: &PlacementSpec,
        wanted: &mut Wanted,
    ) {
        if wanted.deployments.iter().any(|deployed| deployed.version == version.number) {
            return;
        }
        let engines = self.targets(function, version, placement).unwrap_or_else(|obstacle| {
            wanted.obstacle.get_or_insert(obstacle);
            // What serves goes on where it is.
            let there = function.status.deployed(version.number);
            there.map(|deployed| deployed.engines.clone()).unwrap_or_default()
        });
        let (version, spec) = (version.number, version);
        wanted.deployments.push(Deployed {
            version,
            faas_id: spec.faas_id,
            engines,
            making: Vec::new(),
        });
        wanted.versions.push(spec.clone());
    }
}

impl Wanted {
    /// Calls go to no version that no engine has: what takes them goes on, a trial does not begin,
    /// an alias stays what it was.
    pub fn settle_for_what_is_there(&mut self, before: &FunctionStatus, trouble: &mut Trouble) {
        let Some(mut serving) = self.serving.take() else { return };
        let there = self.deployments.iter().filter(|deployed| !deployed.engines.is_empty());
        let there: HashSet<u64> = there.map(|deployed| deployed.version).collect();
        let has = |version: u64| there.contains(&version);
        if !has(serving.version) {
            trouble.nowhere(serving.version);
            let before = before.serving.as_ref().map(|before| before.version);
            let mut versions = self.versions.iter();
            let goes_on = before.filter(|version| has(*version));
            if let Some(on) = goes_on.and_then(|on| versions.find(|version| version.number == on)) {
                serving.version = on.number;
                self.stable = Some(on.clone());
            }
        }
        if let Some(canary) = serving.canary.filter(|canary| !has(canary.version)) {
            trouble.nowhere(canary.version);
            serving.canary = None;
        }
        serving.canary = serving.canary.filter(|canary| canary.version != serving.version);
        for (alias, version) in &mut serving.aliases {
            if has(*version) {
                continue;
            }
            trouble.nowhere(*version);
            if let Some(on) = before.alias(alias).filter(|on| has(*on)) {
                *version = on;
                trouble.stays.push(format!("alias {alias} stays with version {on}"));
            }
        }
        serving.aliases.retain(|_, version| has(*version));
        self.forget_kept(&serving.aliases, trouble);
        self.serving = Some(serving);
    }

    /// Versions kept for aliases that have moved on are wanted no more.
    fn forget_kept(&mut self, aliases: &BTreeMap<String, u64>, trouble: &mut Trouble) {
        let kept = std::mem::take(&mut self.kept);
        let gone = |version: u64| {
            kept.contains(&version) && !aliases.values().any(|named| *named == version)
        };
        self.deployments.retain(|deployed| !gone(deployed.version));
        self.versions.retain(|version| !gone(version.number));
        trouble.lacking.retain(|lacking| !gone(lacking.version));
    }

    fn lacks(&mut self, version: u64, what: &str) {
        let text = format!("{what} names version {version}, which does not exist");
        self.obstacle.get_or_insert(Obstacle::Final(text));
    }
}

/// Says that the newest version takes no calls, which nobody sees who updates a function.
pub fn waiting(status: &FunctionStatus) -> Option<String> {
    let (serving, latest) = (status.serving.as_ref()?, status.latest);
    let tried = serving.canary.is_some_and(|canary| canary.version == latest);
    let waits = serving.version < latest && !tried;
    let stable = serving.version;
    waits.then(|| {
        format!("version {latest} waits for its rollout; version {stable} takes the calls")
    })
}

/// The function and the version that an API names by its number.
pub fn version_named_by(api: &Resource<Api>) -> Option<(Name, u64)> {
    match FunctionReference::parse(&api.spec.function).ok()? {
        FunctionReference { function, qualifier: Some(Qualifier::Version(version)) } => {
            Some((function, version))
        }
        _ => None,
    }
}
