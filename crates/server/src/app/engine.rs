//! Use cases of engines. They are the operators', who need rights that hold everywhere; others see
//! those that are open to their organization, and nothing of how these are reached.

use dispatch_model::engine::{Engine, EngineSpec};
use dispatch_model::function::Function;
use dispatch_model::{Kind as _, ListQuery, Name, OrgName, Page, Resource, State, Violation};
use dispatch_placement::Breaker;
use dispatch_store::{ON, Store};
use dispatch_wire as wire;
use dispatch_wire::{FromModel as _, ToModel as _};

use super::audit::Act;
use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Error, Precondition, Result};
use crate::authz::{Action, reaches};
use crate::invoke::engine_maker::operators;

/// The word of policies.
pub const RESOURCE: &str = "engine";
/// Functions on an engine that are named.
const MAX_USERS: u32 = 100;

/// Functions of all organizations that an engine holds something of, as `function acme/hello`; at
/// most a hundred.
pub async fn held(store: &Store, engine: &Name) -> Result<Vec<String>> {
    functions(store, ON, engine).await
}

/// The same with those that only ask for the engine.
async fn users(store: &Store, engine: &Name) -> Result<Vec<String>> {
    functions(store, "engine", engine).await
}

async fn functions(store: &Store, field: &str, engine: &Name) -> Result<Vec<String>> {
    let spec = vec![(field.to_owned(), engine.to_string())];
    let query = ListQuery { spec, limit: Some(MAX_USERS), ..ListQuery::default() };
    let functions = store.list_all::<Function>(&query).await?.items;
    let named = functions.iter().map(|f| format!("function {}/{}", f.meta.org, f.meta.name));
    Ok(named.collect())
}

/// What is to be changed about an engine's service.
#[derive(Debug, Clone, Copy)]
pub enum Service {
    Cordoned(bool),
    Draining(bool),
}

impl App {
    pub async fn engine_create(
        &self,
        caller: &Caller,
        shape: wire::Engine,
    ) -> Result<Resource<Engine>> {
        self.authorizer.authorize_global(caller, Action::Create, RESOURCE)?;
        let (name, tags, spec) = (shape.name()?, shape.tags()?, shape.spec()?);
        let engine: Resource<Engine> =
            Resource::new(operators(), name, tags, State::Initialized, spec);
        self.may(caller, Action::Create, &engine)?;
        self.check_organizations(&engine.spec.organizations, &[])?;
        self.engine_maker.check(engine.meta.name.as_str(), &engine.spec).await?;
        Ok(self.shown(self.insert(caller, engine).await?))
    }

    pub async fn engine_get(&self, caller: &Caller, name: &str) -> Result<Resource<Engine>> {
        self.authorizer.authorize_some(caller, Action::Get, RESOURCE)?;
        let engine = self.find::<Engine>(&operators(), name).await?;
        let missing = || Error::NotFound { kind: Engine::KIND, name: name.to_owned() };
        let engine = self.seen_by(caller, engine).ok_or_else(missing)?;
        self.may(caller, Action::Get, &engine)?;
        Ok(engine)
    }

    pub async fn engine_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Engine>>> {
        let reach = self.authorizer.authorize_some(caller, Action::Get, RESOURCE)?;
        if self.operates(caller) {
            let mut page = self.store.list::<Engine>(&operators(), query).await?;
            page.items = page.items.into_iter().map(|engine| self.shown(engine)).collect();
            return Ok(page);
        }
        let seen = |engine| self.seen_by(caller, engine).filter(|engine| reaches(&reach, engine));
        self.list_seen(Some(&operators()), query, seen).await
    }

    /// Replaces all that may be changed, but for a cordon or a draining that is not named. A type
    /// stays: what is on the engine is of its kind.
    pub async fn engine_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::Engine,
        precondition: Precondition,
    ) -> Result<Resource<Engine>> {
        self.authorizer.authorize_global(caller, Action::Update, RESOURCE)?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        let before = self.find::<Engine>(&operators(), name).await?;
        if spec.engine_type != before.spec.engine_type {
            let (is, wanted) = (&before.spec.engine_type, &spec.engine_type);
            let rule = format!("is {is:?} and cannot become {wanted:?}: make another engine");
            return Err(Violation::new("type", rule).into());
        }
        self.check_organizations(&spec.organizations, &before.spec.organizations)?;
        match self.is_embedded(&before) {
            true => self.engine_maker.check_embedded(name, &spec)?,
            false => drop(self.engine_maker.check(name, &spec).await?),
        }
        // A document says what an engine is; whether it is out of service just now is said apart.
        let (cordoned, draining) = (shape.cordoned, shape.draining);
        let edit = |engine: &mut EngineSpec| {
            let cordoned = cordoned.unwrap_or(engine.cordoned);
            let draining = draining.unwrap_or(engine.draining);
            *engine = EngineSpec { cordoned, draining, ..spec.clone() };
        };
        let beside = |engine: &mut Resource<Engine>| engine.meta.tags = tags.clone();
        self.engine_change(caller.act("update"), name, precondition, edit, beside).await
    }

    /// Takes an engine out of service, or back into it.
    pub async fn engine_service(
        &self,
        caller: &Caller,
        name: &str,
        service: Service,
        precondition: Precondition,
    ) -> Result<Resource<Engine>> {
        self.authorizer.authorize_global(caller, Action::Update, RESOURCE)?;
        let edit = |spec: &mut EngineSpec| match service {
            Service::Cordoned(cordoned) => spec.cordoned = cordoned,
            Service::Draining(draining) => spec.draining = draining,
        };
        let act = caller.act(match service {
            Service::Cordoned(true) => "cordon",
            Service::Cordoned(false) => "uncordon",
            Service::Draining(true) => "drain",
            Service::Draining(false) => "undrain",
        });
        self.engine_change(act, name, precondition, edit, |_| ()).await
    }

    /// Marks an engine for deletion. It goes when no function is on it any more; at once when that
    /// is forced.
    pub async fn engine_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Engine>> {
        self.authorizer.authorize_global(caller, Action::Delete, RESOURCE)?;
        let engine = self.find::<Engine>(&operators(), name).await?;
        self.may(caller, Action::Delete, &engine)?;
        check(how.precondition, &engine)?;
        if self.is_embedded(&engine) {
            let rule = format!(
                "engine {name} is a part of the server and cannot be deleted; cordon it instead: \
                 dispatch cordon engine {name}"
            );
            return Err(Violation::new("name", rule).into());
        }
        if engine.meta.state == State::Deleting && !how.force {
            return Ok(self.shown(engine));
        }
        let users = users(&self.store, &engine.meta.name).await?.join(", ");
        if !users.is_empty() && (how.protect || self.protects(&operators()).await?) {
            return Err(Error::InUse { kind: Engine::KIND, name: engine.meta.name, users });
        }
        let used = (!users.is_empty()).then(|| format!("engine {name} is used by {users}"));
        if how.force {
            self.remove(caller.act("delete").saying("forced"), &engine).await?;
            let mut gone = self.shown(engine);
            (gone.meta.state, gone.meta.reason) = (State::Deleted, used.into_iter().collect());
            return Ok(gone);
        }
        let edit = |engine: &mut Resource<Engine>| {
            engine.meta.state = State::Deleting;
            engine.meta.reason = used.iter().cloned().collect();
            Ok(())
        };
        let deleted =
            self.change(caller.act("delete"), &operators(), name, how.precondition, edit).await?;
        Ok(self.shown(deleted))
    }

    /// The types of engines, by name.
    pub fn engine_type_list(&self, caller: &Caller) -> Result<Vec<wire::EngineType>> {
        self.authorizer.authorize_some(caller, Action::Get, RESOURCE)?;
        let own = self.engine_maker.embedded.iter().map(|own| wire::EngineType {
            name: own.name.clone(),
            about: own.about.to_owned(),
            embedded: true,
            settings: Vec::new(),
        });
        let foreign = self.engine_maker.types.iter().map(|t| wire::EngineType {
            name: t.name().to_owned(),
            about: t.about().to_owned(),
            embedded: false,
            settings: t.settings().iter().map(setting).collect(),
        });
        let mut all: Vec<_> = own.chain(foreign).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    pub fn engine_type_get(&self, caller: &Caller, name: &str) -> Result<wire::EngineType> {
        let mut all = self.engine_type_list(caller)?;
        match all.iter().position(|known| known.name == name) {
            Some(at) => Ok(all.swap_remove(at)),
            None => {
                let known: Vec<_> = all.into_iter().map(|known| known.name).collect();
                Err(Error::NoEngineType { name: name.to_owned(), known: known.join(", ") })
            }
        }
    }

    /// An engine as a caller sees it; `None` when it is not open to the caller's organization.
    pub fn seen_by(&self, caller: &Caller, engine: Resource<Engine>) -> Option<Resource<Engine>> {
        let operates = self.operates(caller);
        if !operates && !engine.spec.open_to(&caller.org) {
            return None;
        }
        let embedded = self.is_embedded(&engine);
        let mut engine = self.shown(engine);
        if !operates {
            engine.spec.settings.clear();
            engine.spec.secrets.clear();
            engine.spec.organizations.clear();
            // Reasons name secrets, addresses and other organizations' functions.
            engine.meta.reason.clear();
            if !embedded {
                engine.status.message.clear();
            }
        }
        Some(engine)
    }

    /// The shape of an engine, with what only this server knows.
    pub fn engine_shape(&self, engine: &Resource<Engine>) -> wire::Engine {
        let member = self.engines.member(engine.meta.name.as_str());
        let in_flight = member.as_ref().map(|member| member.in_flight());
        let breaker = member.and_then(|member| match member.breaker() {
            Breaker::Closed => None,
            Breaker::HalfOpen => Some("half-open".to_owned()),
            Breaker::Open { .. } => Some("open".to_owned()),
        });
        wire::Engine { in_flight, breaker, ..wire::Engine::from_model(engine) }
    }

    /// Puts into the status what this server sees now.
    fn shown(&self, mut engine: Resource<Engine>) -> Resource<Engine> {
        let Some(member) = self.engines.member(engine.meta.name.as_str()) else { return engine };
        let (status, can) = (&mut engine.status, member.engine.capabilities());
        (status.languages, status.missing) = (can.languages, can.missing);
        status.pulls_images = can.pulls_images;
        if let Some(seen) = member.seen() {
            status.healthy = Some(seen.health.ok);
            status.message = seen.health.message.clone();
            status.checked_ms = seen.at_ms;
        }
        engine
    }

    /// Whether the caller sees all of all engines.
    pub fn operates(&self, caller: &Caller) -> bool {
        self.authorizer.everywhere(caller, Action::Get, RESOURCE)
    }

    fn is_embedded(&self, engine: &Resource<Engine>) -> bool {
        self.engine_maker.is_embedded(&engine.spec.engine_type)
    }

    async fn engine_change(
        &self,
        act: Act<'_>,
        name: &str,
        precondition: Precondition,
        edit: impl Fn(&mut EngineSpec),
        beside: impl Fn(&mut Resource<Engine>),
    ) -> Result<Resource<Engine>> {
        let edit = |engine: &mut Resource<Engine>| {
            edit(&mut engine.spec);
            beside(engine);
            engine.meta.state = State::Updating;
            Ok(())
        };
        let changed = self.change(act, &operators(), name, precondition, edit).await?;
        Ok(self.shown(changed))
    }

    /// Organizations that are named for the first time must exist.
    fn check_organizations(&self, named: &[String], before: &[String]) -> Result<()> {
        let missing = |org: &str| !self.authorizer.has_organization(&OrgName::trusted(org));
        let new = |org: &String| !before.contains(org) && missing(org);
        match named.iter().position(new) {
            Some(at) => {
                let rule = format!("organization {:?} does not exist", named[at]);
                Err(Violation::new(format!("organizations[{at}]"), rule).into())
            }
            None => Ok(()),
        }
    }
}

fn setting(setting: &dispatch_driver::Setting) -> wire::EngineSetting {
    use dispatch_driver::Value;
    let (value, choices) = match setting.value {
        Value::Text => ("text", [].as_slice()),
        Value::Url => ("url", [].as_slice()),
        Value::Duration => ("duration", [].as_slice()),
        Value::Number => ("number", [].as_slice()),
        Value::Flag => ("flag", [].as_slice()),
        Value::List => ("list", [].as_slice()),
        Value::Choice(of) => ("choice", of),
    };
    wire::EngineSetting {
        name: setting.name.to_owned(),
        value: value.to_owned(),
        choices: choices.iter().map(|&choice| choice.to_owned()).collect(),
        required: setting.required,
        secret: setting.secret,
        default: setting.default.to_owned(),
        help: setting.help.to_owned(),
    }
}
