//! Use cases of the audit log, and how acts of callers get there.

use std::net::IpAddr;
use std::sync::Arc;

use dispatch_model::audit::{Actor, Entry, Outcome, Place};
use dispatch_model::engine::Engine;
use dispatch_model::organization::Organization;
use dispatch_model::{Kind, Name, OrgName, Page, Resource, ResourceKind, Violation};
use dispatch_store::{AUDIT_PAGE, AuditQuery, Told};
use futures::Stream;

use super::{App, Caller, Error, Result};
use crate::audit::{Verdict, documents};
use crate::authz::Action;

const RESOURCE: &str = "audit";
/// Entries of an export read at once.
const BATCH: u32 = 200;

/// What a caller does.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    caller: &'a Caller,
    action: &'static str,
    text: &'a str,
}

impl Caller {
    /// An act of this caller, to be told in the audit log.
    pub(super) fn act(&self, action: &'static str) -> Act<'_> {
        Act { caller: self, action, text: "" }
    }

    fn actor(&self) -> Actor {
        Actor {
            kind: self.principal.kind().to_owned(),
            organization: self.principal.home().map(OrgName::to_string),
            name: self.principal.subject().to_owned(),
        }
    }
}

impl<'a> Act<'a> {
    pub(super) fn caller(self) -> &'a Caller {
        self.caller
    }

    /// The right to a thing that it asks for.
    pub(super) fn right(self) -> Action {
        match self.action {
            "create" => Action::Create,
            "delete" => Action::Delete,
            _ => Action::Update,
        }
    }

    /// With a word on what the documents do not show.
    pub(super) fn saying(self, text: &'a str) -> Self {
        Self { text, ..self }
    }

    /// The entry of an act on something that is no resource; without an organization when it is the
    /// installation's.
    pub(super) fn entry(self, org: Option<&OrgName>, resource: &str, name: &str) -> Entry {
        let entry = Entry {
            organization: org.map(OrgName::to_string),
            actor: self.caller.actor(),
            from: self.caller.from.map(|from| from.to_string()),
            action: self.action.to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            request_id: self.caller.request_id.to_string(),
            ..Entry::default()
        };
        entry.saying(self.text)
    }

    /// The entry of a change of a resource.
    fn change<K: Kind>(self, before: Option<&Resource<K>>, after: Option<&Resource<K>>) -> Entry {
        let meta = before.or(after).map(|resource| &resource.meta);
        // Engines are the installation's, wherever their rows lie.
        let org = meta.map(|meta| &meta.org).filter(|_| K::KIND != Engine::KIND);
        let name = meta.map_or("", |meta| meta.name.as_str());
        let [before, after] = documents(before, after);
        Entry { before, after, ..self.entry(org, word(K::KIND), name) }
    }
}

/// What the log calls a kind: the last word of its path.
pub fn word(kind: ResourceKind) -> &'static str {
    kind.path().rsplit('/').next().unwrap_or_default()
}

/// A request that was refused, as the edge knows it.
pub struct Refused<'a> {
    /// `None` for who did not sign in.
    pub caller: Option<&'a Caller>,
    pub from: Option<IpAddr>,
    /// The organization it says it is for.
    pub organization: Option<&'a str>,
    pub method: &'a str,
    /// What was asked for, when that is known better than by the method.
    pub action: Option<&'static str>,
    pub resource: &'a str,
    pub name: &'a str,
    pub request_id: &'a str,
    pub text: &'a str,
}

impl App {
    /// What is told of a change of a resource.
    pub(super) fn told<K: Kind>(
        &self,
        act: Act<'_>,
        before: Option<&Resource<K>>,
        after: Option<&Resource<K>>,
    ) -> Told {
        self.audit.told(act.change(before, after))
    }

    /// Writes down an act before it happens.
    pub(super) async fn tell(&self, entry: Entry) -> Result<()> {
        Ok(self.store.audit_append(&[self.audit.told(entry)]).await?)
    }

    /// Takes down a request that was refused.
    pub fn audit_refused(&self, refused: &Refused<'_>) {
        let named = refused.organization.and_then(|text| OrgName::new(text).ok());
        let org = refused.caller.map(|caller| caller.org.clone()).or(named);
        // Of an organization that is not there only the operators learn.
        let org = org.filter(|org| self.authorizer.has_organization(org));
        let by_method = || Action::of_method(refused.method).map(Action::as_str);
        let entry = Entry {
            organization: org.map(|org| org.to_string()),
            actor: refused.caller.map_or_else(Actor::anonymous, Caller::actor),
            from: refused.from.map(|from| from.to_canonical().to_string()),
            action: refused.action.or_else(by_method).unwrap_or("(unknown)").to_owned(),
            resource: refused.resource.to_owned(),
            name: refused.name.to_owned(),
            outcome: Outcome::Refused,
            request_id: refused.request_id.to_owned(),
            ..Entry::default()
        };
        self.audit.refuse(entry.saying(refused.text));
    }

    /// Entries, the newest first: of the caller's organization, or of all and of the installation
    /// itself to one whose rights hold everywhere.
    pub async fn audit_list(
        &self,
        caller: &Caller,
        everywhere: bool,
        query: AuditQuery,
    ) -> Result<Page<Entry>> {
        let query = self.audit_scope(caller, everywhere, query).await?;
        self.audit_settle().await;
        let limit = query.limit.clamp(1, AUDIT_PAGE) as usize;
        let items = self.store.audit_list(&query).await?;
        let last = items.last().filter(|_| items.len() == limit);
        let continue_token = last.map(|last| last.seq.to_string());
        Ok(Page { items, continue_token })
    }

    /// All entries asked for, the oldest first, for as long as the caller may have them. Entries
    /// that are written meanwhile may come too.
    pub async fn audit_export(
        self: &Arc<Self>,
        caller: &Caller,
        everywhere: bool,
        query: AuditQuery,
    ) -> Result<impl Stream<Item = Result<Vec<Entry>>> + Send + use<>> {
        let query = self.audit_scope(caller, everywhere, query).await?;
        self.audit_settle().await;
        let query = AuditQuery { oldest_first: true, limit: BATCH, ..query };
        let (app, caller) = (self.clone(), caller.clone());
        Ok(futures::stream::try_unfold(Some(query), move |query| {
            let (app, caller) = (app.clone(), caller.clone());
            async move {
                let Some(query) = query else { return Ok(None) };
                app.authn.confirm(&caller)?;
                app.may_audit(&caller, everywhere)?;
                let items = app.store.audit_list(&query).await?;
                let full = items.len() == BATCH as usize;
                let after = items.last().map(|last| last.seq).filter(|_| full);
                let next = after.map(|seq| AuditQuery { after: Some(seq), ..query });
                Ok(Some((items, next)))
            }
        }))
    }

    /// Whether the log is as it was written.
    pub async fn audit_verify(&self, caller: &Caller, expected: Option<Place>) -> Result<Verdict> {
        self.may_audit(caller, true)?;
        self.audit_settle().await;
        let verdict = self.audit.verify(expected).await?;
        match expected {
            Some(kept) if kept.seq < verdict.start.seq => {
                let rule = format!(
                    "entry {} was let go (audit.max_age_s): entries begin after {}",
                    kept.seq, verdict.start.seq
                );
                Err(Violation::new("expect", rule).into())
            }
            _ => Ok(verdict),
        }
    }

    fn may_audit(&self, caller: &Caller, everywhere: bool) -> Result<()> {
        match everywhere {
            true => self.authorizer.authorize_global(caller, Action::Get, RESOURCE),
            false => self.authorizer.authorize(caller, Action::Get, RESOURCE),
        }
    }

    /// What the caller may see of what is asked for.
    async fn audit_scope(
        &self,
        caller: &Caller,
        everywhere: bool,
        query: AuditQuery,
    ) -> Result<AuditQuery> {
        self.may_audit(caller, everywhere)?;
        if everywhere {
            return Ok(query);
        }
        let org = &caller.org;
        let found = self.store.by_name::<Organization>(org, &Name::trusted(org.as_str())).await?;
        let missing = || Error::NotFound { kind: Organization::KIND, name: org.to_string() };
        // Another organization had the name before: what happened there is none of this one's.
        let began = found.ok_or_else(missing)?.meta.created_ms;
        let since_ms = Some(query.since_ms.map_or(began, |since| since.max(began)));
        Ok(AuditQuery { org: Some(org.to_string()), since_ms, ..query })
    }

    /// Lets what was refused just now be seen; a store that fails is not waited for.
    async fn audit_settle(&self) {
        // It was logged, and is tried again.
        let _ = self.audit.flush().await;
    }
}
