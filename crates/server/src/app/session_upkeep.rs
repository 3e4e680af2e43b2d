//! What becomes of sessions by themselves: what other servers begin and end, the end of their life,
//! and the question to their provider whether it still vouches for their holders.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatch_driver::Fault;
use dispatch_driver::identity::Refresh;
use dispatch_model::resource::now_ms;
use dispatch_model::session::{Holder, Session};
use dispatch_model::{Resource, ResourceKind};
use dispatch_store::Op;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::{App, Result};

/// How often sessions are looked through.
const LOOK: Duration = Duration::from_secs(5);
/// Pause after a failed reading.
const RETRY: Duration = Duration::from_secs(1);
/// Questions to providers at the same time.
const AT_ONCE: usize = 8;

/// Keeps sessions in memory true to the store, until the server stops.
pub async fn follow(app: Arc<App>, stop: CancellationToken) {
    let following = async {
        while let Err(error) = read(&app).await {
            tracing::error!(%error, "sessions cannot be read");
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = following => {}
    }
}

async fn read(app: &App) -> Result<()> {
    let mut feed = Feed::new(app.store.clone(), None, &[ResourceKind::Session], None).await?;
    app.authn.sessions.reload(&app.store).await.map_err(super::Error::internal)?;
    loop {
        // Answers under way are looked at again only when somebody may have lost something.
        let mut lost = false;
        for change in feed.next().await? {
            let there = match change.op {
                Op::Removed => None,
                _ => app.store.by_id::<Session>(change.id).await?,
            };
            let before = app.authn.sessions.get(change.id);
            match there {
                Some(session) => {
                    let same = |old: &Resource<Session>| {
                        old.status.memberships == session.status.memberships
                    };
                    lost |= before.is_some_and(|before| !same(&before));
                    app.authn.sessions.put(session);
                }
                None => {
                    lost |= before.is_some();
                    app.authn.sessions.remove(change.id);
                }
            }
        }
        if lost {
            app.access.send_replace(());
        }
    }
}

/// Ends sessions that are over and confirms those that are due, until the server stops.
pub async fn keep(app: Arc<App>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let all = app.authn.sessions.all();
        app.authn.sessions.forget_ended();
        app.sign_ins.metrics.there(all.len());
        let now = now_ms();
        let due = |session: &Resource<Session>| {
            session.spec.expires_ms <= now
                || session.status.confirm_ms.is_some_and(|confirm| confirm <= now)
        };
        let mut due_of: HashMap<String, Vec<_>> = HashMap::new();
        for session in all.into_iter().filter(|session| due(session)) {
            due_of.entry(session.spec.provider.clone()).or_default().push(session);
        }
        // One provider that does not answer keeps the sessions of no other waiting.
        let work = due_of.into_values().map(|due| look_after(&app, due, now));
        tokio::select! {
            () = stop.cancelled() => return,
            _ = futures::future::join_all(work) => {}
        }
    }
}

/// The sessions of one provider that are due. Once it does not answer it is asked no more.
async fn look_after(app: &App, due: Vec<Arc<Resource<Session>>>, now: i64) {
    let away = AtomicBool::new(false);
    let work = futures::stream::iter(due).for_each_concurrent(AT_ONCE, |session| {
        let away = &away;
        async move {
            let done = match session.spec.expires_ms <= now {
                true => app.end_quietly(&session).await.map(|()| true),
                false if away.load(Ordering::Relaxed) => return,
                false => app.confirm_session(&session).await,
            };
            match done {
                Ok(answered) => drop(away.fetch_or(!answered, Ordering::Relaxed)),
                Err(error) => tracing::warn!(%error, "a session that is due was not looked after"),
            }
        }
    });
    work.await;
}

impl App {
    /// Asks a session's provider about its holder. One server asks: the one that first writes down
    /// when it is asked next. Returns whether the provider answered.
    pub async fn confirm_session(&self, session: &Resource<Session>) -> Result<bool> {
        let Holder::User { .. } = &session.spec.holder else { return Ok(true) };
        let (id, name) = (session.meta.id, &session.spec.provider);
        let Some(provider) = self.sign_ins.providers.get(name) else {
            return self
                .end_for(session, &format!("there is no provider {name} any more"))
                .await
                .map(|()| true);
        };
        let mut claimed = session.clone();
        let every_ms = i64::try_from(self.authn.settings().confirm_s).unwrap_or(600) * 1_000;
        claimed.status.confirm_ms = Some(now_ms() + every_ms);
        match self.store.update(&mut claimed).await {
            Ok(()) => {}
            Err(dispatch_store::Error::Missing) => {
                self.authn.sessions.remove(id);
                return Ok(true);
            }
            Err(dispatch_store::Error::Stale { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        self.authn.sessions.put(claimed.clone());
        let token = self.proofs_of(session).refresh;
        let refresh = Refresh { subject: session.spec.subject.clone(), token };
        let person = match provider.driver.refresh(refresh).await {
            Ok(person) => person,
            Err(error) if error.fault == Fault::Caller => {
                return self
                    .end_for(&claimed, &format!("{name} did not confirm it: {error}"))
                    .await
                    .map(|()| true);
            }
            Err(error) => {
                tracing::warn!(provider = name, %error, "sessions cannot be confirmed");
                return Ok(false);
            }
        };
        // Another name is somebody else to policies, and one nobody lets in is nobody.
        let same = provider.subject(&person) == session.spec.name();
        let Some(mut memberships) = self.memberships(provider, &person).ok().filter(|_| same)
        else {
            let why = "no rule lets them in any more, or their name is another";
            return self.end_for(&claimed, why).await.map(|()| true);
        };
        let (sealed, confirm_ms) = self.proofs(id, &person, true)?;
        // It belongs to an organization its holder has left: a new one begins elsewhere.
        if memberships.iter().all(|own| own.organization != session.meta.org) {
            return self.end_for(&claimed, "they have left the organization").await.map(|()| true);
        }
        // Whatever rules fit now: requests that name no organization stay where they were.
        memberships.sort_by_key(|own| own.organization != session.meta.org);
        let status = &mut claimed.status;
        status.memberships = memberships;
        status.confirmed_ms = now_ms();
        status.confirm_ms = confirm_ms;
        status.sealed = sealed.or(status.sealed.take());
        if self.store.update(&mut claimed).await.is_ok() {
            self.authn.sessions.put(claimed);
            self.access.send_replace(());
        }
        Ok(true)
    }
}
