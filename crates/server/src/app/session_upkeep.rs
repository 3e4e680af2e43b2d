//! What becomes of sessions by themselves: what other servers begin and end, the end of their life,
//! and the question to their provider whether it still vouches for their holders.

use std::sync::Arc;
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
        for change in feed.next().await? {
            match change.op {
                Op::Removed => app.authn.sessions.remove(change.id),
                _ => match app.store.by_id::<Session>(change.id).await? {
                    Some(session) => app.authn.sessions.put(session),
                    None => app.authn.sessions.remove(change.id),
                },
            }
        }
        app.access.send_replace(());
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
        let due: Vec<_> = all.into_iter().filter(|session| due(session)).collect();
        let work = futures::stream::iter(due).for_each_concurrent(AT_ONCE, |session| {
            let app = app.clone();
            async move {
                let done = match session.spec.expires_ms <= now {
                    true => app.end_quietly(&session).await,
                    false => app.confirm_session(&session).await,
                };
                if let Err(error) = done {
                    tracing::warn!(%error, "a session that is due was not looked after");
                }
            }
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = work => {}
        }
    }
}

impl App {
    /// Asks a session's provider about its holder. One server asks: the one that first writes down
    /// when it is asked next.
    pub async fn confirm_session(&self, session: &Resource<Session>) -> Result<()> {
        let Holder::User { .. } = &session.spec.holder else { return Ok(()) };
        let (id, name) = (session.meta.id, &session.spec.provider);
        let Some(provider) = self.sign_ins.providers.get(name) else {
            tracing::info!(provider = name, "a session of a provider that is no more ended");
            return self.end_quietly(session).await;
        };
        let mut claimed = session.clone();
        let every_ms = i64::try_from(self.authn.settings().confirm_s).unwrap_or(600) * 1_000;
        claimed.status.confirm_ms = Some(now_ms() + every_ms);
        if self.store.update(&mut claimed).await.is_err() {
            return Ok(());
        }
        self.authn.sessions.put(claimed.clone());
        let token = self.proofs_of(session).refresh;
        let refresh = Refresh { subject: session.spec.subject.clone(), token };
        let person = match provider.driver.refresh(refresh).await {
            Ok(person) => person,
            Err(error) if error.fault == Fault::Caller => {
                let subject = session.spec.name();
                tracing::info!(provider = name, subject, %error, "a session was not confirmed");
                return self.end_quietly(&claimed).await;
            }
            Err(error) => {
                tracing::warn!(provider = name, %error, "sessions cannot be confirmed");
                return Ok(());
            }
        };
        // Another name is somebody else to policies, and one nobody lets in is nobody.
        let same = provider.subject(&person) == session.spec.name();
        let Some(memberships) = self.memberships(provider, &person).ok().filter(|_| same) else {
            return self.end_quietly(&claimed).await;
        };
        let (sealed, confirm_ms) = self.proofs(id, &person, true)?;
        // It belongs to an organization its holder has left: a new one begins elsewhere.
        if memberships.iter().all(|own| own.organization != session.meta.org) {
            return self.end_quietly(&claimed).await;
        }
        let status = &mut claimed.status;
        status.memberships = memberships;
        status.confirmed_ms = now_ms();
        status.confirm_ms = confirm_ms;
        status.sealed = sealed.or(status.sealed.take());
        if self.store.update(&mut claimed).await.is_ok() {
            self.authn.sessions.put(claimed);
            self.access.send_replace(());
        }
        Ok(())
    }
}
