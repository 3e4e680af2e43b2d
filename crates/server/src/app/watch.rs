//! Watching a list: what is there, then what changes. Nobody pays for it but the watcher.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use dispatch_access::Reach;
use dispatch_model::{Kind, ListQuery, Name, OrgName, Resource};
use dispatch_store::{Change, Store};
use futures::Stream;
use uuid::Uuid;

use super::feed::Feed;
use super::{App, Caller, Result};
use crate::authz::{Action, Authorizer, reaches};

/// Something that happened to a list.
#[derive(Debug, Clone)]
pub enum Event<K: Kind> {
    Added(Resource<K>),
    Modified(Resource<K>),
    /// It is gone, or no longer in the list.
    Deleted {
        name: Name,
        id: Uuid,
    },
}

/// An event, and by which number of the change log a watch is taken up again after it. Within the
/// state at the beginning there is no such number but at its end.
pub type Numbered<K> = (Option<i64>, Event<K>);

struct Watch<K: Kind> {
    store: Store,
    org: OrgName,
    query: ListQuery,
    feed: Feed,
    sight: Sight,
    /// What the watcher knows of, by name.
    known: HashMap<Name, Uuid>,
    /// Whether `known` is all the watcher knows: not when it resumed.
    complete: bool,
    waiting: VecDeque<Numbered<K>>,
}

/// What the watcher may see, which changes with its rights and with what there is.
struct Sight {
    authorizer: Arc<Authorizer>,
    caller: Caller,
}

impl Sight {
    fn reach<K: Kind>(&self) -> Reach {
        self.authorizer.reach(&self.caller, Action::Get, K::KIND.policy_resource())
    }
}

impl App {
    /// Follows a list. Without `from` the present state comes first, as additions; with the number
    /// of the last event seen, only what happened since; but one who does not see all always begins
    /// with the present state, as of what it saw before nothing is known here.
    pub async fn watch<K: Kind>(
        &self,
        caller: &Caller,
        query: ListQuery,
        from: Option<i64>,
    ) -> Result<impl Stream<Item = Result<Numbered<K>>> + Send + use<K>> {
        self.watch_in(caller, caller.org.clone(), query, from).await
    }

    /// The same for what lies in another organization than the caller's. Who may see which part of
    /// it is not looked at here.
    pub(super) async fn watch_in<K: Kind>(
        &self,
        caller: &Caller,
        org: OrgName,
        query: ListQuery,
        from: Option<i64>,
    ) -> Result<impl Stream<Item = Result<Numbered<K>>> + Send + use<K>> {
        let resource = K::KIND.policy_resource();
        let reach = self.authorizer.authorize_some(caller, Action::Get, resource)?;
        let store = self.store.clone();
        let from = match from.filter(|_| matches!(reach, Reach::All)) {
            Some(seq) if self.log_reaches(seq).await? => Some(seq),
            _ => None,
        };
        let feed = Feed::new(store.clone(), Some(org.clone()), &[K::KIND], from).await?;
        let mut watch = Watch::<K> {
            store,
            org,
            query: ListQuery { limit: None, continue_token: None, ..query },
            feed,
            sight: Sight { authorizer: self.authorizer.clone(), caller: caller.clone() },
            known: HashMap::new(),
            complete: from.is_none(),
            waiting: VecDeque::new(),
        };
        if from.is_none() {
            watch.begin().await?;
        }
        Ok(futures::stream::unfold(watch, |mut watch| async {
            let next = watch.next().await;
            Some((next, watch))
        }))
    }

    /// Whether the log still holds everything after a line.
    async fn log_reaches(&self, seq: i64) -> Result<bool> {
        let first = self.store.changes_since(None, &[], 0, 1).await?;
        let last = self.store.last_change().await?;
        Ok(seq <= last && first.first().is_none_or(|change| change.seq <= seq + 1))
    }
}

impl<K: Kind> Watch<K> {
    async fn begin(&mut self) -> Result<()> {
        let page = self.store.list::<K>(&self.org, &self.query).await?;
        let reach = self.sight.reach::<K>();
        for resource in page.items.into_iter().filter(|item| reaches(&reach, item)) {
            self.known.insert(resource.meta.name.clone(), resource.meta.id);
            self.waiting.push_back((None, Event::Added(resource)));
        }
        if let Some((number, _)) = self.waiting.back_mut() {
            *number = Some(self.feed.seq());
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Numbered<K>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            // Only the last of several changes of one thing matters: its state is read now.
            let mut last: Vec<Change> = Vec::new();
            for change in self.feed.next().await? {
                last.retain(|c| c.name != change.name);
                last.push(change);
            }
            for change in last {
                let seq = change.seq;
                if let Some(event) = self.event(change).await? {
                    self.waiting.push_back((Some(seq), event));
                }
            }
        }
    }

    async fn event(&mut self, change: Change) -> Result<Option<Event<K>>> {
        let name = change.name;
        if self.query.name.as_ref().is_some_and(|wanted| wanted != name.as_str()) {
            return Ok(None);
        }
        let query = ListQuery { name: Some(name.to_string()), ..self.query.clone() };
        let found = self.store.list::<K>(&self.org, &query).await?.items.pop();
        let reach = self.sight.reach::<K>();
        let Some(resource) = found.filter(|found| reaches(&reach, found)) else {
            let known = self.known.remove(&name);
            let may_know = !self.complete && matches!(reach, Reach::All);
            let id = known.or(may_know.then_some(change.id));
            return Ok(id.map(|id| Event::Deleted { name, id }));
        };
        let before = self.known.insert(name, resource.meta.id);
        let new = before != Some(resource.meta.id)
            && (self.complete || change.op == dispatch_store::Op::Inserted);
        Ok(Some(if new { Event::Added(resource) } else { Event::Modified(resource) }))
    }
}
