//! Use cases of runs and of dead letters.

use std::time::Duration;

use dispatch_model::function::MAX_TIMEOUT_MS;
use dispatch_model::function_version::{FunctionReference, Qualifier};
use dispatch_model::{ListQuery, Name, OrgName, Page, RawJson, ResourceKind, Run, Sort, Violation};
use dispatch_store::RunQuery;
use dispatch_wire as wire;
use futures::{Stream, StreamExt as _};
use tokio_stream::wrappers::BroadcastStream;
use uuid::Uuid;

use super::audit::Act;
use super::{App, Caller, Error, Result};
use crate::authz::Action;
pub use crate::invoke::IDEMPOTENCY_KEY;
use crate::invoke::{RunRequest, json};

/// The word policies use for runs.
pub const RESOURCE: &str = "runs";
/// Longest time a reader waits for runs that are on their way into the store.
const SETTLE: Duration = Duration::from_millis(200);

/// What a list of runs may be narrowed by beside what every list takes.
pub const FUNCTION_NAME: &str = "functionName";
pub const SINCE: &str = "since";

impl App {
    /// Runs a function. Blocking, the run returned has ended; else it is accepted durably.
    pub async fn run_create(
        &self,
        caller: &Caller,
        shape: wire::Run,
        function: Option<&str>,
        idempotency_key: Option<String>,
    ) -> Result<Run> {
        let reach = self.authorizer.authorize_some(caller, Action::Create, RESOURCE)?;
        let request = request(caller, shape, function, idempotency_key)?;
        self.may_run(caller, &reach, Action::Create, &request.function, None).await?;
        match request.blocking {
            true => self.invoker.run(request).await,
            false => self.invoker.accept(request).await,
        }
    }

    pub async fn run_get(&self, caller: &Caller, id: &str) -> Result<Run> {
        let reach = self.authorizer.authorize_some(caller, Action::Get, RESOURCE)?;
        let run = self.run_find(&caller.org, id).await?;
        self.may_run(caller, &reach, Action::Get, &run.function_name, Some(run.function_id))
            .await?;
        Ok(run)
    }

    async fn run_find(&self, org: &OrgName, id: &str) -> Result<Run> {
        let missing = || Error::RunNotFound(id.to_owned());
        let uuid = Uuid::try_parse(id).map_err(|_| missing())?;
        let mut found = self.store.run_get(org, uuid).await?;
        if found.is_none() {
            // A blocking run is answered before it is written.
            self.settle().await;
            found = self.store.run_get(org, uuid).await?;
        }
        let mut run = found.ok_or_else(missing)?;
        self.invoker.overlay(&mut run);
        Ok(run)
    }

    /// A run once it has ended, if the caller may still have it then.
    pub async fn run_wait(&self, caller: &Caller, id: &str) -> Result<Run> {
        let run = self.run_get(caller, id).await?;
        let ended = self.invoker.wait_for(run, Duration::from_millis(MAX_TIMEOUT_MS)).await?;
        self.authn.confirm(caller)?;
        let reach = self.authorizer.authorize_some(caller, Action::Get, RESOURCE)?;
        self.may_run(caller, &reach, Action::Get, &ended.function_name, Some(ended.function_id))
            .await?;
        Ok(ended)
    }

    /// Runs, the newest first unless asked otherwise: those of functions whose runs the caller may
    /// read. A page may hold fewer than its limit.
    pub async fn run_list(&self, caller: &Caller, query: &ListQuery) -> Result<Page<Run>> {
        let reach = self.authorizer.authorize_some(caller, Action::Get, RESOURCE)?;
        let query = run_query(query, false)?;
        self.settle().await;
        let mut page = self.store.run_list(&caller.org, &query).await?;
        page.items.iter_mut().for_each(|run| self.invoker.overlay(run));
        self.keep_seen(&caller.org, &reach, &mut page.items).await?;
        Ok(page)
    }

    /// Follows runs: those there are since the time the query names, if it names one, then every
    /// run that this server accepts, tries again or ends.
    pub async fn run_follow(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<impl Stream<Item = Run> + Send + use<>> {
        let reach = self.authorizer.authorize_some(caller, Action::Get, RESOURCE)?;
        let query = RunQuery { oldest_first: true, ..run_query(query, false)? };
        // Listening begins first: a run between the two is shown twice rather than never.
        let news = self.invoker.follow();
        let mut past = match query.since_us {
            Some(_) => self.store.run_list(&caller.org, &query).await?.items,
            None => Vec::new(),
        };
        self.keep_seen(&caller.org, &reach, &mut past).await?;
        let org = caller.org.clone();
        let wanted = move |run: &Run| run.org == org && fits(&query, run);
        let sight = self.sight_of_runs(caller);
        // What a follower that is too slow misses is in the list.
        let news = BroadcastStream::new(news).filter_map(move |run| {
            let run = run.ok().filter(|run| wanted(run));
            let sight = sight.clone();
            async move {
                let run = run?;
                sight.sees(&run).await.then(|| (*run).clone())
            }
        });
        Ok(futures::stream::iter(past).chain(news))
    }

    pub async fn dead_letter_list(&self, caller: &Caller, query: &ListQuery) -> Result<Page<Run>> {
        let reach = self.authorizer.authorize_some(caller, Action::Get, RESOURCE)?;
        let mut page = self.store.run_list(&caller.org, &run_query(query, true)?).await?;
        self.keep_seen(&caller.org, &reach, &mut page.items).await?;
        Ok(page)
    }

    pub async fn dead_letter_get(&self, caller: &Caller, id: &str) -> Result<Run> {
        self.dead_letter(caller, Action::Get, id).await
    }

    /// Takes a run off the dead letters. Its record stays among the runs.
    pub async fn dead_letter_delete(&self, caller: &Caller, id: &str) -> Result<Run> {
        let run = self.dead_letter(caller, Action::Delete, id).await?;
        self.dead_letter_settle(caller.act("delete"), &run.org, run.id).await?;
        Ok(run)
    }

    /// Queues a new run like the dead one, which then is a dead letter no more. Repeating it while
    /// the first answer was lost makes no second run.
    pub async fn dead_letter_replay(&self, caller: &Caller, id: &str) -> Result<Run> {
        let dead = self.dead_letter(caller, Action::Create, id).await?;
        let request = RunRequest {
            qualifier: dead.qualifier.as_deref().map(Qualifier::parse).transpose()?,
            blocking: false,
            input: dead.input,
            secrets: dead.secrets,
            services: dead.services,
            http_context: dead.http_context,
            event: dead.event,
            tags: dead.tags,
            idempotency_key: Some(format!("replay of {}", dead.id)),
            ..RunRequest::new(dead.org, dead.function_name, caller.request_id.clone())
        };
        let run = self.invoker.accept(request).await?;
        self.dead_letter_settle(caller.act("replay"), &caller.org, dead.id).await?;
        Ok(run)
    }

    async fn dead_letter_settle(&self, act: Act<'_>, org: &OrgName, id: Uuid) -> Result<()> {
        let told = self.audit.told(act.entry(Some(org), "deadletters", &id.to_string()));
        self.store.audited(&told).dead_letter_settle(org, id).await?;
        Ok(())
    }

    async fn dead_letter(&self, caller: &Caller, action: Action, id: &str) -> Result<Run> {
        let reach = self.authorizer.authorize_some(caller, action, RESOURCE)?;
        let missing = || Error::RunNotFound(id.to_owned());
        let uuid = Uuid::try_parse(id).map_err(|_| missing())?;
        let dead = self.store.dead_letter_get(&caller.org, uuid).await?.ok_or_else(missing)?;
        self.may_run(caller, &reach, action, &dead.function_name, Some(dead.function_id)).await?;
        Ok(dead)
    }

    /// Lets runs that have just ended reach the store; a store that takes long is not waited for.
    pub(super) async fn settle(&self) {
        let flushed = tokio::time::timeout(SETTLE, self.store.flush()).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "runs cannot be written");
        }
    }
}

fn request(
    caller: &Caller,
    shape: wire::Run,
    function: Option<&str>,
    idempotency_key: Option<String>,
) -> Result<RunRequest> {
    let function = function.or(shape.function_name.as_deref()).unwrap_or_default();
    if function.is_empty() {
        let rule = "is required, in the query or in the body: the name of a function";
        return Err(Violation::new(FUNCTION_NAME, rule).into());
    }
    // A name no function can have is of a function that is not there.
    let missing = |_| Error::NotFound { kind: ResourceKind::Function, name: function.to_owned() };
    let FunctionReference { function, qualifier } =
        FunctionReference::parse(function).map_err(missing)?;
    if let Some(input) = &shape.input {
        json::check_depth(input.get().as_bytes())?;
    }
    Ok(RunRequest {
        qualifier,
        blocking: shape.blocking,
        tags: wire::shared::tags_to_model(&shape.tags)?,
        input: shape.input,
        secrets: shape.secrets,
        services: shape.services,
        http_context: object("httpContext", shape.http_context)?,
        event: object("event", shape.event)?,
        idempotency_key,
        ..RunRequest::new(caller.org.clone(), function, caller.request_id.clone())
    })
}

fn object(field: &str, value: Option<RawJson>) -> Result<Option<RawJson>> {
    let Some(value) = value else { return Ok(None) };
    if !value.get().starts_with('{') {
        return Err(Violation::new(field, "must be an object").into());
    }
    json::check_depth(value.get().as_bytes()).map_err(|v| Violation::new(field, v.rule))?;
    Ok(Some(value))
}

fn run_query(list: &ListQuery, dead: bool) -> Result<RunQuery> {
    let mut query = RunQuery {
        state: list.state,
        tags: list.tags.clone(),
        limit: list.limit,
        dead,
        oldest_first: match list.sort {
            Sort::Created | Sort::Modified => true,
            Sort::Name | Sort::CreatedDescending | Sort::ModifiedDescending => false,
            Sort::NameDescending => {
                let rule = "is not possible for runs: created or -created";
                return Err(Violation::new("sort", rule).into());
            }
        },
        ..RunQuery::default()
    };
    if list.name.is_some() {
        let rule = "is no parameter of this list: get a run by its id, at /v1/runs/{id}";
        return Err(Violation::new("name", rule).into());
    }
    if let Some(token) = &list.continue_token {
        let id = Uuid::try_parse(token);
        query.after = Some(id.map_err(|_| Violation::new("continue", "is not a token of ours"))?);
    }
    for (field, value) in &list.spec {
        match field.as_str() {
            FUNCTION_NAME => query.function = Some(Name::new(value)?),
            _ => {
                let seconds = value.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
                let us = seconds.and_then(|seconds| seconds.checked_mul(1_000_000));
                let rule = "must be a number: unix seconds";
                query.since_us = Some(us.ok_or_else(|| Violation::new(SINCE, rule))?);
            }
        }
    }
    Ok(query)
}

fn fits(query: &RunQuery, run: &Run) -> bool {
    let tagged = |(key, value): &(String, String)| run.tags.get(key) == Some(value);
    query.function.as_ref().is_none_or(|name| *name == run.function_name)
        && query.state.is_none_or(|state| state == run.state)
        && query.tags.iter().all(tagged)
}
