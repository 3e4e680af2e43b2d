//! Use cases of versions: which there are, and which of them take calls.

use dispatch_model::function::{Function, FunctionStatus};
use dispatch_model::function_version::{FunctionVersion, version_name};
use dispatch_model::placement::Canary;
use dispatch_model::{ListQuery, OrgName, Resource, ResourceKind, State, Violation};
use dispatch_wire as wire;

use super::audit::Act;
use super::{App, Caller, Error, Precondition, Result};
use crate::authz::Action;

const RESOURCE: &str = "function";

impl App {
    /// All versions of a function, the newest first.
    pub async fn version_list(
        &self,
        caller: &Caller,
        function: &str,
    ) -> Result<Vec<wire::FunctionVersion>> {
        let function = self.get::<Function>(caller, function).await?;
        let spec = vec![("function".to_owned(), function.meta.name.to_string())];
        let query = ListQuery { spec, ..ListQuery::default() };
        let mut found = self.store.list::<FunctionVersion>(&caller.org, &query).await?.items;
        // One beyond the newest is being made.
        found.retain(|version| version.spec.number <= function.status.latest);
        found.sort_by_key(|version| std::cmp::Reverse(version.spec.number));
        let shape = |version| wire::FunctionVersion::of(version, &function.status);
        Ok(found.iter().map(shape).collect())
    }

    pub async fn version_get(
        &self,
        caller: &Caller,
        function: &str,
        number: u64,
    ) -> Result<wire::FunctionVersion> {
        let function = self.get::<Function>(caller, function).await?;
        let version = self.version(&function, number).await?;
        Ok(wire::FunctionVersion::of(&version, &function.status))
    }

    async fn version(
        &self,
        function: &Resource<Function>,
        number: u64,
    ) -> Result<Resource<FunctionVersion>> {
        let (meta, status) = (&function.meta, &function.status);
        let found = match number <= status.latest {
            true => self.store.by_name(&meta.org, &version_name(&meta.name, number)).await?,
            false => None,
        };
        found.ok_or_else(|| {
            let name = format!("{}:{number}", meta.name);
            Error::NotFound { kind: ResourceKind::FunctionVersion, name }
        })
    }

    /// Has a version take calls, or gives it a name.
    pub async fn rollout(
        &self,
        caller: &Caller,
        name: &str,
        asked: wire::Rollout,
        precondition: Precondition,
    ) -> Result<Resource<Function>> {
        self.authorizer.authorize_some(caller, Action::Update, RESOURCE)?;
        if let Some(version) = asked.version {
            let function = self.found::<Function>(caller, Action::Update, name).await?;
            self.version(&function, version).await?;
        }
        self.steer(caller.act("rollout"), &caller.org, name, precondition, |status, document| {
            apply(status, document, &asked).map_err(Error::Invalid)
        })
        .await
    }

    /// Has everybody get what the canary is.
    pub async fn promote(
        &self,
        caller: &Caller,
        name: &str,
        precondition: Precondition,
    ) -> Result<Resource<Function>> {
        self.authorizer.authorize_some(caller, Action::Update, RESOURCE)?;
        self.steer(caller.act("promote"), &caller.org, name, precondition, |status, document| {
            match status.rollout.promote(document, status.latest) {
                true => Ok(()),
                false => Err(nothing("has no canary to promote: begin with `dispatch rollout`")),
            }
        })
        .await
    }

    /// Takes back the canary, or else the last version that took over.
    pub async fn undo(
        &self,
        caller: &Caller,
        name: &str,
        precondition: Precondition,
    ) -> Result<Resource<Function>> {
        self.authorizer.authorize_some(caller, Action::Update, RESOURCE)?;
        self.steer(caller.act("undo"), &caller.org, name, precondition, |status, document| {
            let serving = status.serving.as_ref().map(|serving| serving.version);
            let (previous, latest) = (status.previous, status.latest);
            match status.rollout.undo(document, serving, previous, latest) {
                true => Ok(()),
                false => Err(nothing("has had one version only: there is nothing to go back to")),
            }
        })
        .await
    }

    /// Changes what is wanted, told the canary of the function's document.
    async fn steer(
        &self,
        act: Act<'_>,
        org: &OrgName,
        name: &str,
        precondition: Precondition,
        mut turn: impl FnMut(&mut FunctionStatus, Option<Canary>) -> Result<()>,
    ) -> Result<Resource<Function>> {
        self.change(act, org, name, precondition, |function: &mut Resource<Function>| {
            let document = function.spec.placement.as_ref().and_then(|placement| placement.canary);
            turn(&mut function.status, document)?;
            function.meta.state = State::Updating;
            Ok(())
        })
        .await
    }
}

fn apply(
    status: &mut FunctionStatus,
    document: Option<Canary>,
    asked: &wire::Rollout,
) -> std::result::Result<(), Violation> {
    let rollout = &mut status.rollout;
    if let Some(alias) = &asked.alias {
        if asked.percent.is_some() {
            return Err(Violation::new("percent", "does not go with `alias`: ask for one of them"));
        }
        return rollout.name(alias, asked.version);
    }
    let Some(version) = asked.version else {
        return Err(Violation::new("version", "is required: the number of a version"));
    };
    match asked.percent {
        None | Some(100) => rollout.settle_on(version, document, status.latest),
        Some(percent) => {
            let canary = Canary { version, percent };
            if !(1..=99).contains(&percent) {
                let rule = format!("is {percent}, must be 1 to 100");
                return Err(Violation::new("percent", rule));
            }
            let serving = status.serving.as_ref().map(|serving| serving.version);
            if serving == Some(version) {
                let rule = format!("is {version}, which takes all calls already");
                return Err(Violation::new("version", rule));
            }
            // Later updates wait for the end of the trial.
            rollout.stable = rollout.stable.or(serving);
            rollout.canary = Some(canary);
        }
    }
    Ok(())
}

fn nothing(rule: &str) -> Error {
    Violation::new("function", rule).into()
}
