//! Use cases of sessions: how one begins, who may see and end it.

use dispatch_driver::identity::{Logout, SecretText, SignedIn};
use dispatch_model::audit::{Actor, Entry};
use dispatch_model::resource::now_ms;
use dispatch_model::session::{Holder, Membership, Session, SessionSpec, SessionStatus};
use dispatch_model::{ListQuery, Name, OrgName, Page, Resource, ResourceKind, State, Tags, code};
use uuid::Uuid;

use super::{App, Caller, Error, Principal, Result};
use crate::authn::session_token::Shown;
use crate::authn::sessions::OVER;
use crate::authz::{Action, IAM, reaches};
use crate::signin::{Opening, Proofs, Provider};

/// The name of the session a request was made with.
pub const CURRENT: &str = "current";
/// Sessions one person may have; the oldest ends.
const MOST_OF_USER: usize = 50;
/// The same of a service account: each job of a CI system begins one, and many run at once.
const MOST_OF_ACCOUNT: usize = 10_000;

/// A session that began, and its token, which is shown this once.
pub struct Began {
    pub token: SecretText,
    pub session: Resource<Session>,
}

impl App {
    /// Begins the session of somebody, if a rule lets them in.
    pub(super) async fn begin_session(
        &self,
        opening: Opening,
        provider: &Provider,
        person: &SignedIn,
    ) -> Result<Began> {
        let memberships = self.memberships(provider, person)?;
        for notice in &person.notices {
            tracing::warn!(
                provider = provider.name,
                notice,
                "somebody signed in, but not all of it"
            );
        }
        let name = provider.subject(person);
        let org = memberships[0].organization.clone();
        let groups = memberships[0].groups.clone();
        let principal = Principal::User {
            org: org.clone(),
            provider: provider.name.clone(),
            name: name.clone(),
        };
        let caller = Caller { groups, ..caller(org, principal, &opening) };
        let methods = provider.driver.methods();
        // A directory is asked about somebody by name; others by what they gave for it.
        let confirmable = methods.refresh && (person.refresh.is_some() || methods.password);
        let holder = Holder::User {
            name,
            display_name: person.display_name.clone(),
            email: person.email.clone(),
        };
        let life_s = self.session_life_s(confirmable);
        let spec = spec(holder, provider, person, &opening, now_ms() + life_s);
        let began = self
            .store_session(&caller, spec, memberships, |id| self.proofs(id, person, confirmable));
        let began = began.await?;
        self.sign_ins.metrics.ended(&provider.name, "ok");
        self.end_oldest(&began.session).await;
        Ok(began)
    }

    /// Begins the session of a service account, for as long as the token holds that was shown.
    pub(super) async fn begin_account(
        &self,
        opening: Opening,
        provider: &Provider,
        person: &SignedIn,
        (account, id): (&str, Uuid),
    ) -> Result<Began> {
        let (org, name) = account.split_once('/').ok_or_else(|| identity005(OVER))?;
        let org = OrgName::new(org)?;
        let principal = Principal::ServiceAccount { org: org.clone(), name: name.to_owned() };
        let caller = caller(org, principal, &opening);
        let holder = Holder::ServiceAccount { name: name.to_owned(), id };
        let until = person.expires_at.and_then(|at| {
            let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(since.as_millis()).ok()
        });
        let expires_ms = now_ms() + self.session_life_s(false);
        let expires_ms = until.map_or(expires_ms, |until| until.min(expires_ms));
        let spec = spec(holder, provider, person, &opening, expires_ms);
        let began = self.store_session(&caller, spec, Vec::new(), |_| Ok((None, None))).await?;
        self.sign_ins.metrics.ended(&provider.name, "ok");
        self.end_oldest(&began.session).await;
        Ok(began)
    }

    /// The organizations somebody is a member of, of those there are.
    pub(super) fn memberships(
        &self,
        provider: &Provider,
        person: &SignedIn,
    ) -> Result<Vec<Membership>> {
        let mut memberships = provider.memberships(person);
        if memberships.is_empty() {
            let subject = provider.subject(person);
            tracing::info!(provider = provider.name, subject, "no rule lets somebody in");
            self.sign_ins.metrics.ended(&provider.name, "refused");
            return Err(identity006(format!(
                "{} knows you as {subject}, but no rule of this server lets you in",
                provider.title
            )));
        }
        let named: Vec<String> = memberships.iter().map(|m| m.organization.to_string()).collect();
        memberships.retain(|own| self.authorizer.has_organization(&own.organization));
        if memberships.is_empty() {
            tracing::warn!(provider = provider.name, ?named, "rules name no organization there is");
            self.sign_ins.metrics.ended(&provider.name, "refused");
            return Err(identity006(format!(
                "the rules make you a member of {}, which is not there yet: its administrator \
                 creates it with `dispatch iam create organization`",
                named.join(", ")
            )));
        }
        Ok(memberships)
    }

    /// In milliseconds.
    fn session_life_s(&self, confirmable: bool) -> i64 {
        let settings = self.authn.settings();
        let seconds = match confirmable {
            true => settings.session_s,
            false => settings.session_s.min(settings.unconfirmed_s),
        };
        i64::try_from(seconds).unwrap_or(i64::MAX / 2_000).saturating_mul(1_000)
    }

    /// What a session is confirmed by, sealed, and when that is next.
    pub(super) fn proofs(
        &self,
        id: Uuid,
        person: &SignedIn,
        confirmable: bool,
    ) -> Result<(Option<String>, Option<i64>)> {
        let refresh = person.refresh.clone().filter(|_| confirmable);
        let proofs = Proofs { refresh, id_token: person.id_token.clone() };
        let some = proofs.refresh.is_some() || proofs.id_token.is_some();
        let sealed = match some {
            true => Some(self.sign_ins.key.seal(&purpose(id), &proofs).map_err(Error::internal)?),
            false => None,
        };
        let every_ms = i64::try_from(self.authn.settings().confirm_s).unwrap_or(600) * 1_000;
        Ok((sealed, confirmable.then(|| now_ms() + every_ms)))
    }

    async fn store_session(
        &self,
        caller: &Caller,
        mut spec: SessionSpec,
        memberships: Vec<Membership>,
        proofs: impl FnOnce(Uuid) -> Result<(Option<String>, Option<i64>)>,
    ) -> Result<Began> {
        let org = caller.org.clone();
        let mut session = Resource::<Session>::new(
            org,
            Name::trusted(""),
            Tags::new(),
            State::Ready,
            spec.clone(),
        );
        let id = session.meta.id;
        // The id's random end: nobody has to type a whole one.
        let digits = id.simple().to_string();
        session.meta.name = Name::trusted(&digits[digits.len() - 12..]);
        let token = self.authn.sessions.token(id);
        spec.token_digest.clone_from(&token.digest);
        session.spec = spec;
        let (sealed, confirm_ms) = proofs(id)?;
        session.status = SessionStatus { memberships, confirmed_ms: now_ms(), confirm_ms, sealed };
        let session = self.insert(caller, session).await?;
        self.authn.sessions.put(session.clone());
        Ok(Began { token: token.text, session })
    }

    /// Ends the oldest sessions of whoever has too many.
    async fn end_oldest(&self, newest: &Resource<Session>) {
        // An account is one whoever vouches for it, and under whatever name.
        let account = |session: &Resource<Session>| match session.spec.holder {
            Holder::ServiceAccount { id, .. } => Some(id),
            Holder::User { .. } => None,
        };
        let own = account(newest);
        let most = if own.is_some() { MOST_OF_ACCOUNT } else { MOST_OF_USER };
        let mut theirs = self.authn.sessions.all();
        theirs
            .retain(|session| account(session) == own && (own.is_some() || same(session, newest)));
        if theirs.len() <= most {
            return;
        }
        theirs.sort_unstable_by_key(|session| std::cmp::Reverse(session.meta.created_ms));
        for old in theirs.iter().skip(most) {
            let why = format!("they have more than {most}");
            if let Err(error) = self.end_for(old, &why).await {
                tracing::warn!(%error, "a session too many could not be deleted");
            }
        }
    }

    /// Ends a session for a reason that its holder did not give; the audit log tells it.
    pub(super) async fn end_for(&self, session: &Resource<Session>, why: &str) -> Result<()> {
        let entry = Entry {
            organization: Some(session.meta.org.to_string()),
            actor: Actor::server(),
            action: "delete".to_owned(),
            resource: "session".to_owned(),
            name: session.meta.name.to_string(),
            ..Entry::default()
        };
        let subject = session.spec.name();
        let told = self.audit.told(entry.saying(format!("of {subject}: {why}")));
        self.store.audit_append(&[told]).await?;
        self.end_quietly(session).await
    }

    /// Ends a session that nobody asked to end, however it was changed meanwhile.
    pub async fn end_quietly(&self, session: &Resource<Session>) -> Result<()> {
        let id = session.meta.id;
        self.authn.sessions.remove(id);
        self.access.send_replace(());
        let mut now = session.clone();
        loop {
            match self.store.remove(&now).await {
                Err(dispatch_store::Error::Stale { .. }) => {}
                removed => return Ok(removed.map(drop)?),
            }
            match self.store.by_id::<Session>(id).await? {
                Some(there) => now = there,
                None => return Ok(()),
            }
        }
    }

    /// Ends sessions that belong to an organization.
    pub(super) async fn end_sessions(
        &self,
        org: &OrgName,
        which: impl Fn(&SessionSpec) -> bool,
    ) -> Result<()> {
        let all = self.store.list::<Session>(org, &ListQuery::default()).await?.items;
        for session in all.iter().filter(|session| which(&session.spec)) {
            self.end_quietly(session).await?;
        }
        Ok(())
    }

    /// Those the caller may see: its own, and those of the organization it may read.
    pub async fn session_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Session>>> {
        self.authorizer.authorize_organization(caller)?;
        let reach = self.authorizer.reach(caller, Action::Get, IAM);
        let own = self.own(caller);
        let seen = |item: Resource<Session>| {
            let its_own = own.as_ref().is_some_and(|own| same(own, &item));
            (its_own || reaches(&reach, &item)).then_some(item)
        };
        let mut page = self.list_seen(Some(&caller.org), query, seen).await?;
        // One that belongs to another organization is its holder's all the same.
        if let Some(own) = own
            && own.meta.org != caller.org
            && query.continue_token.is_none()
        {
            page.items.insert(0, own);
        }
        Ok(page)
    }

    pub async fn session_get(&self, caller: &Caller, name: &str) -> Result<Resource<Session>> {
        self.session(caller, Action::Get, name).await
    }

    /// Whether a session is the one the request is made with.
    pub fn is_current(&self, caller: &Caller, session: &Resource<Session>) -> bool {
        let shown = caller.token.as_ref().and_then(|token| Shown::read(token.text()));
        shown.is_some_and(|shown| shown.id == session.meta.id)
    }

    /// Ends a session. Returns where a browser is sent to be signed out at the provider too.
    pub async fn session_delete(&self, caller: &Caller, name: &str) -> Result<Option<String>> {
        let session = self.session(caller, Action::Delete, name).await?;
        let own = self.own(caller).is_some_and(|own| same(&own, &session));
        self.remove(caller.act("delete"), &session).await?;
        self.authn.sessions.remove(session.meta.id);
        self.access.send_replace(());
        Ok(if own { self.logout_url(&session).await } else { None })
    }

    async fn session(
        &self,
        caller: &Caller,
        action: Action,
        name: &str,
    ) -> Result<Resource<Session>> {
        let own = self.own(caller);
        if name == CURRENT {
            let missing = || Error::NotFound { kind: ResourceKind::Session, name: name.to_owned() };
            return own.ok_or_else(missing);
        }
        if let Ok(checked) = Name::new(name)
            && let Some(own) = own
        {
            // Its own others may be of another organization than the request.
            let found = self.store.by_name::<Session>(&own.meta.org, &checked).await?;
            if let Some(found) = found.filter(|found| same(&own, found)) {
                return Ok(found);
            }
        }
        self.found(caller, action, name).await
    }

    /// The session a request is made with.
    fn own(&self, caller: &Caller) -> Option<Resource<Session>> {
        let token = caller.token.as_ref()?;
        self.authn.sessions.find(token.text()).ok().map(|own| (*own).clone())
    }

    async fn logout_url(&self, session: &Resource<Session>) -> Option<String> {
        let provider = self.sign_ins.providers.get(&session.spec.provider)?;
        if !provider.driver.methods().logout {
            return None;
        }
        let proofs = self.proofs_of(session);
        let redirect_url = Some(format!("{}/", self.authn.public_url()));
        let logout = Logout { id_token: proofs.id_token, redirect_url, state: None };
        let url = provider.driver.logout_url(logout).await;
        url.inspect_err(|error| tracing::info!(%error, "no way to sign out at the provider"))
            .ok()
            .flatten()
    }

    /// What a session is confirmed by.
    pub(super) fn proofs_of(&self, session: &Resource<Session>) -> Proofs {
        let sealed = session.status.sealed.as_deref();
        let opened = sealed
            .and_then(|text| self.sign_ins.key.open::<Proofs>(&purpose(session.meta.id), text));
        opened.unwrap_or_default()
    }
}

/// Whether two sessions are of the same holder.
fn same(one: &Resource<Session>, other: &Resource<Session>) -> bool {
    one.spec.provider == other.spec.provider
        && one.spec.subject == other.spec.subject
        && one.spec.holder_kind() == other.spec.holder_kind()
        && one.spec.name() == other.spec.name()
}

fn spec(
    holder: Holder,
    provider: &Provider,
    person: &SignedIn,
    opening: &Opening,
    expires_ms: i64,
) -> SessionSpec {
    SessionSpec {
        holder,
        provider: provider.name.clone(),
        subject: person.subject.clone(),
        client: opening.client,
        from: Some(opening.from.to_string()),
        token_digest: String::new(),
        expires_ms,
    }
}

/// Who signs in, as the maker of the session.
fn caller(org: OrgName, principal: Principal, opening: &Opening) -> Caller {
    Caller {
        org,
        principal,
        groups: Vec::new(),
        from: Some(opening.from),
        token: None,
        request_id: opening.request_id.clone(),
    }
}

/// What is sealed for one session opens for no other.
fn purpose(id: Uuid) -> String {
    format!("session {id}")
}

fn identity005(message: &str) -> Error {
    Error::Identity { code: code::IDENTITY005, message: message.to_owned() }
}

fn identity006(message: String) -> Error {
    Error::Identity { code: code::IDENTITY006, message }
}
