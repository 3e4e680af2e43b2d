//! The sessions of this installation, in memory: whoever shows the token of one is its holder.
//!
//! What other servers begin and end comes by the change log; a token of theirs that is younger than
//! that could take is looked up.

use std::sync::Arc;

use dashmap::DashMap;
use dispatch_model::resource::now_ms;
use dispatch_model::session::{Holder, Membership, Session};
use dispatch_model::{ListQuery, OrgName, Resource};
use dispatch_store::Store;
use uuid::Uuid;

use super::session_token::{Mint, NewToken, Shown};
use crate::app::Principal;

/// One answer for all that is no session's token.
pub const OVER: &str = "the session has ended: sign in again";

/// Within this a change of another server has come here.
const NEWS_MS: i64 = 10_000;
/// Longer than whoever has read a session takes to put it here.
const LATEST_MS: i64 = 600_000;

pub struct Sessions {
    mint: Mint,
    live: DashMap<Uuid, Arc<Resource<Session>>>,
    /// Those that have ended, and when: whoever has read one before that, and is late, does not
    /// bring it back.
    ended: DashMap<Uuid, i64>,
    /// How long one holds that its provider was to confirm and has not.
    unconfirmed_ms: i64,
}

impl Sessions {
    pub async fn load(store: &Store, mint: Mint, unconfirmed_s: u64) -> anyhow::Result<Self> {
        let unconfirmed_ms = i64::try_from(unconfirmed_s)?.saturating_mul(1_000);
        let (live, ended) = (DashMap::new(), DashMap::new());
        let sessions = Self { mint, live, ended, unconfirmed_ms };
        sessions.reload(store).await?;
        Ok(sessions)
    }

    /// A token for a session that begins.
    pub fn token(&self, id: Uuid) -> NewToken {
        self.mint.token(id)
    }

    /// Reads all again.
    pub async fn reload(&self, store: &Store) -> anyhow::Result<()> {
        let all = store.list_all::<Session>(&ListQuery::default()).await?.items;
        let stored: std::collections::HashSet<Uuid> = all.iter().map(|s| s.meta.id).collect();
        for session in all {
            self.put(session);
        }
        // One that was begun here since it was read is younger than what was read.
        let read_ms = now_ms() - NEWS_MS;
        self.live.retain(|id, live| stored.contains(id) || live.meta.created_ms > read_ms);
        Ok(())
    }

    pub fn put(&self, session: Resource<Session>) {
        let id = session.meta.id;
        self.live.insert(id, Arc::new(session));
        if self.ended.contains_key(&id) {
            self.live.remove(&id);
        }
    }

    pub fn remove(&self, id: Uuid) {
        self.ended.insert(id, now_ms());
        self.live.remove(&id);
    }

    /// Forgets what ended so long ago that nobody is late with it.
    pub fn forget_ended(&self) {
        let late_ms = now_ms() - LATEST_MS;
        self.ended.retain(|_, ended_ms| *ended_ms > late_ms);
    }

    pub fn get(&self, id: Uuid) -> Option<Arc<Resource<Session>>> {
        self.live.get(&id).map(|live| live.clone())
    }

    pub fn all(&self) -> Vec<Arc<Resource<Session>>> {
        self.live.iter().map(|live| live.clone()).collect()
    }

    /// Whether a token may be of a session that another server has begun just now.
    pub fn may_be_new(&self, token: &str) -> Option<Uuid> {
        let shown = Shown::read(token)?;
        let (seconds, _) = shown.id.get_timestamp()?.to_unix();
        let age_ms = now_ms().saturating_sub(i64::try_from(seconds).ok()?.saturating_mul(1_000));
        let is_new = age_ms.abs() < NEWS_MS && !self.live.contains_key(&shown.id);
        // One that somebody made up costs the database nothing.
        (is_new && self.mint.made(&shown)).then_some(shown.id)
    }

    /// The session of a token.
    ///
    /// # Errors
    /// What is wrong with it, for its holder.
    pub fn find(&self, token: &str) -> Result<Arc<Resource<Session>>, &'static str> {
        let shown = Shown::read(token).ok_or(OVER)?;
        let session = self.get(shown.id).ok_or(OVER)?;
        let now = now_ms();
        if !shown.is_of(&session.spec.token_digest) || session.spec.expires_ms <= now {
            return Err(OVER);
        }
        let status = &session.status;
        if status.confirm_ms.is_some() && now - status.confirmed_ms > self.unconfirmed_ms {
            return Err("the identity provider has not confirmed the session for too long");
        }
        Ok(session)
    }
}

/// Who its holder is in a request for an organization, and in which groups: of those it is a member
/// of that one, else the first.
pub fn principal(session: &Resource<Session>, org: Option<&OrgName>) -> (Principal, Vec<String>) {
    let home = session.meta.org.clone();
    let name = session.spec.name().to_owned();
    if let Holder::ServiceAccount { .. } = &session.spec.holder {
        return (Principal::ServiceAccount { org: home, name }, Vec::new());
    }
    let provider = session.spec.provider.clone();
    let memberships = &session.status.memberships;
    let asked = memberships.iter().find(|own| Some(&own.organization) == org);
    match asked.or(memberships.first()) {
        Some(Membership { organization, groups }) => {
            let org = organization.clone();
            (Principal::User { org, provider, name }, groups.clone())
        }
        None => (Principal::User { org: home, provider, name }, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac;
    use dispatch_model::session::{SessionClient, SessionSpec, SessionStatus};
    use dispatch_model::{Name, State, Tags};

    fn sessions() -> Sessions {
        let (live, ended) = (DashMap::new(), DashMap::new());
        Sessions { mint: mint(1), live, ended, unconfirmed_ms: 60_000 }
    }

    fn mint(key: u8) -> Mint {
        Mint::new(hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]))
    }

    fn session() -> (Resource<Session>, NewToken) {
        let spec = SessionSpec {
            holder: Holder::User {
                name: "ada@acme.example".into(),
                display_name: "Ada".into(),
                email: None,
            },
            provider: "corp".into(),
            subject: "1".into(),
            client: SessionClient::Browser,
            from: None,
            token_digest: String::new(),
            expires_ms: now_ms() + 60_000,
        };
        let (org, name) = (OrgName::trusted("acme"), Name::trusted("s"));
        let mut made = Resource::<Session>::new(org, name, Tags::new(), State::Ready, spec);
        let member = |org: &str, group: &str| Membership {
            organization: OrgName::trusted(org),
            groups: vec![group.to_owned()],
        };
        made.status = SessionStatus {
            memberships: vec![member("acme", "dev"), member("other", "ops")],
            confirmed_ms: now_ms(),
            ..SessionStatus::default()
        };
        let token = mint(1).token(made.meta.id);
        made.spec.token_digest.clone_from(&token.digest);
        (made, token)
    }

    #[test]
    fn only_the_token_of_a_session_that_lasts_is_one() {
        let (sessions, (made, token)) = (sessions(), session());
        let text = token.text.reveal();
        assert_eq!(sessions.find(text).unwrap_err(), OVER, "not begun");
        sessions.put(made.clone());
        assert_eq!(sessions.find(text).unwrap().meta.id, made.meta.id);
        let other = mint(1).token(made.meta.id);
        assert_eq!(sessions.find(other.text.reveal()).unwrap_err(), OVER, "another secret");
        assert_eq!(sessions.find("").unwrap_err(), OVER);
        let mut late = made.clone();
        late.spec.expires_ms = now_ms() - 1;
        sessions.put(late);
        assert_eq!(sessions.find(text).unwrap_err(), OVER, "expired");
        let mut unheard = made.clone();
        unheard.status.confirm_ms = Some(now_ms());
        unheard.status.confirmed_ms = now_ms() - 60_001;
        sessions.put(unheard);
        assert!(sessions.find(text).unwrap_err().contains("confirmed"));
        sessions.remove(made.meta.id);
        assert_eq!(sessions.find(text).unwrap_err(), OVER, "revoked");
        sessions.put(made);
        sessions.forget_ended();
        assert_eq!(sessions.find(text).unwrap_err(), OVER, "who is late brings nothing back");
    }

    #[test]
    fn a_user_is_a_member_of_what_the_request_is_for_or_of_the_first() {
        let (made, _) = session();
        let seen = |org: Option<&str>| {
            let (principal, groups) = principal(&made, org.map(OrgName::trusted).as_ref());
            format!("{} {}", principal.home().unwrap(), groups.join(","))
        };
        assert_eq!(seen(None), "acme dev");
        assert_eq!(seen(Some("other")), "other ops");
        assert_eq!(seen(Some("strange")), "acme dev");
    }

    #[test]
    fn only_what_says_it_is_new_is_looked_up() {
        let (sessions, (made, token)) = (sessions(), session());
        assert_eq!(sessions.may_be_new(token.text.reveal()), Some(made.meta.id));
        let old = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 1_600_000_000, 0));
        for (key, id) in [(1, old), (1, Uuid::new_v4()), (2, Uuid::now_v7())] {
            assert_eq!(sessions.may_be_new(mint(key).token(id).text.reveal()), None, "{key} {id}");
        }
        sessions.put(made);
        assert_eq!(sessions.may_be_new(token.text.reveal()), None, "it is known");
    }
}
