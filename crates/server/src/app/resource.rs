//! What creating, reading, changing and deleting have in common for every kind of resource.

use std::time::Duration;

use dispatch_access::Reach;
use dispatch_model::list::MAX_LIMIT;
use dispatch_model::organization::Organization;
use dispatch_model::{
    Kind, ListQuery, Name, OrgName, Page, Resource, ResourceKind, State, Violation,
};
use dispatch_wire::ToModel;
use tokio::time::Instant;

use super::audit::Act;
use super::{App, Caller, Error, Result};
use crate::authz::{Action, reaches};

/// How often a change is tried again when somebody else changed the resource in between.
const ATTEMPTS: u32 = 16;
/// How long a create waits for a resource of its name that is being deleted.
const GONE_WAIT: Duration = Duration::from_secs(3);
const GONE_LOOK: Duration = Duration::from_millis(10);

/// What must hold for a change to happen: `If-Match`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precondition {
    #[default]
    None,
    /// The stored revision is this one.
    Revision(i64),
}

/// How a resource is to be deleted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deletion {
    pub precondition: Precondition,
    /// Refuse when others use it.
    pub protect: bool,
    /// Keep the runs of a function.
    pub keep_runs: bool,
    /// Forget an engine that is gone for good, with what is on it.
    pub force: bool,
    /// Delete an organization with all that is in it.
    pub all: bool,
}

impl App {
    /// Makes a resource that is all in its shape.
    pub(super) async fn create<S: ToModel>(
        &self,
        caller: &Caller,
        shape: &S,
    ) -> Result<Resource<S::Kind>> {
        let state = match <S::Kind as Kind>::KIND {
            // As v1 shows them from the first.
            ResourceKind::Api | ResourceKind::Application => State::Creating,
            _ => State::Initialized,
        };
        self.insert(caller, self.admitted(caller, shape, state)?).await
    }

    /// What a shape asks for, if the caller may make it.
    pub(super) fn admitted<S: ToModel>(
        &self,
        caller: &Caller,
        shape: &S,
        state: State,
    ) -> Result<Resource<S::Kind>> {
        let kind = <S::Kind as Kind>::KIND;
        self.authorizer.authorize_some(caller, Action::Create, kind.policy_resource())?;
        let (name, tags) = (shape.name()?, shape.tags()?);
        self.authorizer.authorize_one(caller, Action::Create, kind, name.as_str(), &tags)?;
        Ok(Resource::new(caller.org.clone(), name, tags, state, shape.spec()?))
    }

    /// Replaces a resource that is all in its shape.
    pub(super) async fn replace<S: ToModel>(
        &self,
        caller: &Caller,
        name: &str,
        shape: &S,
        precondition: Precondition,
    ) -> Result<Resource<S::Kind>> {
        let kind = <S::Kind as Kind>::KIND;
        self.authorizer.authorize_some(caller, Action::Update, kind.policy_resource())?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        let edit = |resource: &mut Resource<S::Kind>| {
            resource.meta.tags = tags.clone();
            resource.meta.state = State::Updating;
            resource.spec = spec.clone();
            Ok(())
        };
        self.change(caller.act("update"), &caller.org, name, precondition, edit).await
    }

    /// Stores a new resource. Waits a little for one of its name that is on its way out.
    pub(super) async fn insert<K: Kind>(
        &self,
        caller: &Caller,
        resource: Resource<K>,
    ) -> Result<Resource<K>> {
        self.insert_by(caller.act("create"), resource).await
    }

    /// The same, with a word on what its document does not show.
    pub(super) async fn insert_by<K: Kind>(
        &self,
        act: Act<'_>,
        resource: Resource<K>,
    ) -> Result<Resource<K>> {
        let told = self.told(act, None, Some(&resource));
        let store = self.store.audited(&told);
        let deadline = Instant::now() + GONE_WAIT;
        let (org, name) = (&resource.meta.org, &resource.meta.name);
        loop {
            let inserted = match K::KIND {
                ResourceKind::Organization | ResourceKind::Engine => store.insert(&resource).await,
                _ => store.insert_in_organization(&resource).await,
            };
            match inserted {
                Ok(()) => return Ok(resource),
                Err(dispatch_store::Error::Exists) => {}
                // It was deleted after the caller was let in.
                Err(dispatch_store::Error::Missing) => {
                    let (kind, name) = (ResourceKind::Organization, org.to_string());
                    return Err(Error::NotFound { kind, name });
                }
                Err(error) => return Err(self.refused(error)),
            }
            let there = self.store.by_name::<K>(org, name).await?;
            let stays = there.is_some_and(|r| r.meta.state != State::Deleting);
            if stays || Instant::now() > deadline {
                return Err(Error::Exists { kind: K::KIND, name: name.clone() });
            }
            tokio::time::sleep(GONE_LOOK).await;
        }
    }

    pub(super) async fn get<K: Kind>(&self, caller: &Caller, name: &str) -> Result<Resource<K>> {
        self.found(caller, Action::Get, name).await
    }

    /// One resource of the caller's organization, if it may do that with it.
    pub(super) async fn found<K: Kind>(
        &self,
        caller: &Caller,
        action: Action,
        name: &str,
    ) -> Result<Resource<K>> {
        self.authorizer.authorize_some(caller, action, K::KIND.policy_resource())?;
        let resource = self.find::<K>(&caller.org, name).await?;
        self.may(caller, action, &resource)?;
        Ok(resource)
    }

    /// Whether the caller may do that with a thing as it is.
    pub(super) fn may<K: Kind>(
        &self,
        caller: &Caller,
        action: Action,
        resource: &Resource<K>,
    ) -> Result<()> {
        let (name, tags) = (resource.meta.name.as_str(), &resource.meta.tags);
        self.authorizer.authorize_one(caller, action, K::KIND, name, tags)
    }

    /// One resource of an organization. A name no resource can have is not there either.
    pub(super) async fn find<K: Kind>(&self, org: &OrgName, name: &str) -> Result<Resource<K>> {
        let missing = || Error::NotFound { kind: K::KIND, name: name.to_owned() };
        let checked = Name::dotted(name).map_err(|_| missing())?;
        self.store.by_name::<K>(org, &checked).await?.ok_or_else(missing)
    }

    /// Those the caller may read.
    pub(super) async fn list<K: Kind>(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<K>>> {
        let resource = K::KIND.policy_resource();
        let reach = self.authorizer.authorize_some(caller, Action::Get, resource)?;
        match reach {
            Reach::All => Ok(self.store.list::<K>(&caller.org, query).await?),
            _ => {
                let seen = |item| reaches(&reach, &item).then_some(item);
                self.list_seen(Some(&caller.org), query, seen).await
            }
        }
    }

    /// A page is cut from those that are seen, so that neither its length nor its token tells of
    /// the others.
    pub(super) async fn list_seen<K: Kind>(
        &self,
        org: Option<&OrgName>,
        query: &ListQuery,
        mut seen: impl FnMut(Resource<K>) -> Option<Resource<K>>,
    ) -> Result<Page<Resource<K>>> {
        let limit = query.limit.map(|limit| limit.clamp(1, MAX_LIMIT) as usize);
        let mut query = query.clone();
        query.limit = limit.map(|_| MAX_LIMIT);
        let (mut items, mut more) = (Vec::new(), false);
        loop {
            let page = match org {
                Some(org) => self.store.list::<K>(org, &query).await?,
                None => self.store.list_all::<K>(&query).await?,
            };
            items.extend(page.items.into_iter().filter_map(&mut seen));
            if let Some(limit) = limit.filter(|limit| items.len() > *limit) {
                items.truncate(limit);
                more = true;
            }
            query.continue_token = page.continue_token;
            if more || query.continue_token.is_none() {
                break;
            }
        }
        let last = items.last().filter(|_| more);
        let last = last.map(|last| dispatch_store::token_after(last, query.sort));
        Ok(Page { continue_token: last.transpose()?, items })
    }

    /// Changes a resource: reads it, lets `edit` change it, and stores it if nobody was faster;
    /// then it begins anew, unless the caller named the revision it saw. It must be one that the
    /// caller may change, both as it is and as it will be.
    pub(super) async fn change<K: Kind>(
        &self,
        act: Act<'_>,
        org: &OrgName,
        name: &str,
        precondition: Precondition,
        mut edit: impl FnMut(&mut Resource<K>) -> Result<()>,
    ) -> Result<Resource<K>> {
        for _ in 0..ATTEMPTS {
            let mut resource = self.find::<K>(org, name).await?;
            if resource.meta.state == State::Deleting {
                return Err(Error::NotFound { kind: K::KIND, name: name.to_owned() });
            }
            self.may(act.caller(), act.right(), &resource)?;
            check(precondition, &resource)?;
            let before = resource.clone();
            edit(&mut resource)?;
            if resource.meta.tags != before.meta.tags {
                self.may(act.caller(), act.right(), &resource)?;
            }
            let told = self.told(act, Some(&before), Some(&resource));
            let audited = self.store.audited(&told);
            let stored = match K::KIND {
                ResourceKind::Organization | ResourceKind::Engine => {
                    audited.update(&mut resource).await
                }
                _ => audited.update_in_organization(&mut resource).await,
            };
            match stored {
                Ok(()) => return Ok(resource),
                Err(dispatch_store::Error::Stale { .. }) => {}
                Err(dispatch_store::Error::Missing) => {
                    return Err(Error::NotFound { kind: K::KIND, name: name.to_owned() });
                }
                Err(error) => return Err(self.refused(error)),
            }
        }
        let text = format!("{} {name} changes too often to be changed", K::KIND.words());
        Err(Error::Busy(text))
    }

    /// An error of the store; what a quota refused is counted.
    fn refused(&self, error: dispatch_store::Error) -> Error {
        if let dispatch_store::Error::Quota(exceeded) = &error {
            self.invoker.metrics().refused(exceeded.limit);
        }
        error.into()
    }

    /// Marks a resource for deletion; a controller does the rest. Its `reason` names the users it
    /// leaves behind. Deleting what is being deleted already changes nothing.
    pub(super) async fn delete<K: Kind>(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
        mut edit: impl FnMut(&mut Resource<K>),
    ) -> Result<Resource<K>> {
        let resource = self.found::<K>(caller, Action::Delete, name).await?;
        check(how.precondition, &resource)?;
        if resource.meta.state == State::Deleting {
            return Ok(resource);
        }
        let used = self.used_by(&resource, how.protect).await?;
        let edit = |resource: &mut Resource<K>| {
            resource.meta.state = State::Deleting;
            resource.meta.reason = used.iter().cloned().collect();
            edit(resource);
            Ok(())
        };
        self.change(caller.act("delete"), &caller.org, name, how.precondition, edit).await
    }

    /// Deletes a resource at once, of a kind no controller looks after.
    pub(super) async fn remove<K: Kind>(&self, act: Act<'_>, resource: &Resource<K>) -> Result<()> {
        let told = self.told(act, Some(resource), None);
        let mut now = resource.clone();
        for _ in 0..ATTEMPTS {
            match self.store.audited(&told).remove(&now).await {
                Err(dispatch_store::Error::Stale { .. }) => {}
                removed => return Ok(removed.map(drop)?),
            }
            now = self.find(&resource.meta.org, resource.meta.name.as_str()).await?;
            // The right to delete it was the right to what it was. How it is may change.
            if now.spec != resource.spec || now.meta.tags != resource.meta.tags {
                break;
            }
        }
        let (kind, name) = (K::KIND.words(), &resource.meta.name);
        Err(Error::Busy(format!("{kind} {name} was changed meanwhile: try again")))
    }

    /// Who uses a resource, as the sentence `used by function hello, function world`.
    ///
    /// # Errors
    /// [`Error::InUse`] when somebody does, and the caller or the organization wants it protected.
    pub(super) async fn used_by<K: Kind>(
        &self,
        resource: &Resource<K>,
        protect: bool,
    ) -> Result<Option<String>> {
        let meta = &resource.meta;
        let users = self.store.users_of(&meta.org, K::KIND, &meta.name).await?;
        if users.is_empty() {
            return Ok(None);
        }
        let named: Vec<_> =
            users.iter().map(|(kind, name)| format!("{} {name}", kind.words())).collect();
        let users = named.join(", ");
        if protect || self.protects(&meta.org).await? {
            return Err(Error::InUse { kind: K::KIND, name: meta.name.clone(), users });
        }
        Ok(Some(format!("{} {} is used by {users}", K::KIND.words(), meta.name)))
    }
}

impl App {
    /// Whether an organization wants what is in use protected from all.
    pub(super) async fn protects(&self, org: &OrgName) -> Result<bool> {
        let found = self.store.by_name::<Organization>(org, &Name::trusted(org.as_str())).await?;
        Ok(found.is_some_and(|found| found.spec.protect_in_use))
    }
}

pub(super) fn check<K: Kind>(precondition: Precondition, resource: &Resource<K>) -> Result<()> {
    let current = resource.meta.revision;
    match precondition {
        Precondition::Revision(wanted) if wanted != current => {
            Err(Error::Stale { kind: K::KIND, name: resource.meta.name.clone(), current })
        }
        _ => Ok(()),
    }
}

/// The name in the body may be left out of an update; if it is there it must be that of the path.
pub fn check_same_name(body: &str, path: &str) -> Result<()> {
    if body.is_empty() || body == path {
        return Ok(());
    }
    let rule = format!("is {body:?}, but the request is for {path:?}; names cannot be changed");
    Err(Violation::new("name", rule).into())
}

/// The error for a kind that a caller names and that is not there: 400, as in v1.
pub fn missing_reference(field: &str, kind: ResourceKind, name: &str) -> Error {
    Violation::new(field, format!("{} {name:?} does not exist", kind.words())).into()
}
