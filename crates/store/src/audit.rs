//! The audit log as it is written: a change that a caller made and its entry are one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use dispatch_model::audit::{Entry, Link, Place, Purpose, Sealer};
use dispatch_model::organization::Organization;
use dispatch_model::resource::now_ms;
use dispatch_model::{Kind, OrgName, Resource, ResourceKind};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::database::write;
use crate::setting::PUT;
use crate::{Result, Store};

/// Orders the entries of all servers on PostgreSQL. Taken after the lock of the change log.
pub(crate) const LOCK: &str = "SELECT pg_advisory_xact_lock(7355609)";
/// The end of the log as it is stored, and the last line there is.
pub(crate) const END: &str = "SELECT (SELECT value FROM setting WHERE name = 'audit.head'), \
                              COALESCE((SELECT MAX(seq) FROM audit), 0)";
/// The setting of the end.
pub(crate) const HEAD: &str = "audit.head";

/// What is to be told of a change, and who seals it.
#[derive(Clone)]
pub struct Told {
    pub entry: Entry,
    pub sealer: Arc<dyn Sealer>,
}

/// What this server has written since it started.
#[derive(Debug, Default)]
pub(crate) struct Written {
    entries: AtomicU64,
    last: AtomicI64,
}

/// A place in the log that cannot be made up: where it ends, or up to where it was let go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mark {
    seq: i64,
    time_ms: i64,
    link: Link,
    seal: String,
}

impl Mark {
    pub fn new(place: Place, time_ms: i64, purpose: Purpose, sealer: &dyn Sealer) -> Self {
        let Place { seq, link } = place;
        Self { seq, time_ms, link, seal: sealer.seal(&place.words(purpose)) }
    }

    /// Reads one that was sealed for this purpose; `None` for any other.
    pub fn read(text: &str, purpose: Purpose, sealer: &dyn Sealer) -> Option<Self> {
        let mark: Self = serde_json::from_str(text).ok()?;
        sealer.holds(&mark.place().words(purpose), &mark.seal).then_some(mark)
    }

    pub fn place(&self) -> Place {
        Place { seq: self.seq, link: self.link }
    }
}

/// How far ahead of the clock the last entry's time may be.
const AHEAD_MS: i64 = 3_600_000;

/// An entry in its place, ready to be stored.
pub(crate) struct Next {
    pub entry: Entry,
    pub body: String,
    pub link: Link,
    pub seal: String,
    pub head: String,
}

impl Next {
    /// The entry after the end of the log. An end that was tampered with heals nothing: the entry
    /// then follows a link that no other has, and the break stays visible.
    pub fn after((head, last): (Option<String>, i64), told: &Told) -> Result<Self> {
        let sealer = &*told.sealer;
        let head = head.and_then(|text| Mark::read(&text, Purpose::Head, sealer));
        let before = head.as_ref().map_or(Link::LOST, |head| head.link);
        let (seq, time_ms) = head.map_or((0, 0), |head| (head.seq, head.time_ms));
        let mut entry = told.entry.clone();
        entry.link = None;
        entry.seq = seq.max(last) + 1;
        // Never older than the one before; the head's time is not sealed, and a clock that was set
        // far ahead for a moment must not hold all that comes.
        entry.time_ms = now_ms().max(time_ms.min(now_ms() + AHEAD_MS));
        entry.count = entry.count.max(1);
        let body = entry.canonical()?;
        let place = Place { seq: entry.seq, link: before.then(&body) };
        let head = Mark::new(place, entry.time_ms, Purpose::Head, sealer);
        Ok(Self {
            body,
            link: place.link,
            seal: sealer.seal(&place.words(Purpose::Entry)),
            head: serde_json::to_string(&head)?,
            entry,
        })
    }
}

/// Appends an entry to the log inside a transaction and yields its number.
macro_rules! append {
    ($store:expr, $tx:ident, $told:expr) => {{
        if !$store.is_sqlite() {
            sqlx::query($crate::audit::LOCK).execute(&mut *$tx).await?;
        }
        let end: (Option<String>, i64) =
            sqlx::query_as($crate::audit::END).fetch_one(&mut *$tx).await?;
        let next = $crate::audit::Next::after(end, $told)?;
        sqlx::query(
            "INSERT INTO audit (seq, time_ms, org, actor, action, resource, name, outcome, \
             request_id, body, link, seal) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(next.entry.seq)
        .bind(next.entry.time_ms)
        .bind(next.entry.organization.as_deref().unwrap_or_default())
        .bind(next.entry.actor.to_string())
        .bind(&next.entry.action)
        .bind(&next.entry.resource)
        .bind(&next.entry.name)
        .bind(next.entry.outcome.as_str())
        .bind(&next.entry.request_id)
        .bind(&next.body)
        .bind(next.link.to_string())
        .bind(&next.seal)
        .execute(&mut *$tx)
        .await?;
        sqlx::query($crate::setting::PUT)
            .bind($crate::audit::HEAD)
            .bind(&next.head)
            .execute(&mut *$tx)
            .await?;
        next.entry.seq
    }};
}
pub(crate) use append;

/// Appends an entry if something is to be told.
macro_rules! append_told {
    ($store:expr, $tx:ident, $told:expr) => {
        match $told {
            Some(told) => Some($crate::audit::append!($store, $tx, told)),
            None => None,
        }
    };
}
pub(crate) use append_told;

impl Store {
    /// The store as changes of callers go through it: a change and what is told of it happen both
    /// or not at all.
    pub fn audited<'a>(&'a self, told: &'a Told) -> Audited<'a> {
        Audited { store: self, told }
    }

    /// Appends entries that belong to no change, in one transaction.
    pub async fn audit_append(&self, told: &[Told]) -> Result<()> {
        if told.is_empty() {
            return Ok(());
        }
        let last = write!(&self.0.database, |tx| {
            let mut last = None;
            for one in told {
                last = Some(append!(self, tx, one));
            }
            last
        });
        self.audit_written(last, told.len());
        Ok(())
    }

    /// Begins the log: stores the key that seals it (under its own seal, as the setting `name`) and
    /// the end of a log without entries. Does nothing where there is a key already, so that a lost
    /// end is not taken for a new log.
    pub async fn audit_begin(&self, name: &str, key: &str, sealer: &dyn Sealer) -> Result<()> {
        let head = serde_json::to_string(&Mark::new(Place::START, 0, Purpose::Head, sealer))?;
        write!(&self.0.database, |tx| {
            let made = sqlx::query(
                "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(name)
            .bind(key)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if made == 1 {
                sqlx::query(PUT).bind(HEAD).bind(&head).execute(&mut *tx).await?;
            }
        });
        Ok(())
    }

    /// Entries this server has written since it started, and the number of the last one.
    pub fn audit_stats(&self) -> (u64, i64) {
        let written = &self.0.audited;
        (written.entries.load(Ordering::Relaxed), written.last.load(Ordering::Relaxed))
    }

    pub(crate) fn audit_written(&self, last: Option<i64>, count: usize) {
        let Some(last) = last else { return };
        self.0.audited.entries.fetch_add(count as u64, Ordering::Relaxed);
        self.0.audited.last.fetch_max(last, Ordering::Relaxed);
    }
}

/// See [`Store::audited`]. Each of these is the store's own, and may fail as that may.
pub struct Audited<'a> {
    store: &'a Store,
    told: &'a Told,
}

impl Audited<'_> {
    pub async fn insert<K: Kind>(&self, resource: &Resource<K>) -> Result<()> {
        self.store.insert_into(resource, None, Some(self.told)).await
    }

    pub async fn insert_in_organization<K: Kind>(&self, resource: &Resource<K>) -> Result<()> {
        let hold = crate::organization::hold(self.store.is_sqlite());
        self.store.insert_into(resource, Some(hold), Some(self.told)).await
    }

    pub async fn update<K: Kind>(&self, resource: &mut Resource<K>) -> Result<()> {
        self.store.update_within(resource, None, Some(self.told)).await
    }

    pub async fn update_in_organization<K: Kind>(&self, resource: &mut Resource<K>) -> Result<()> {
        let hold = crate::organization::hold(self.store.is_sqlite());
        self.store.update_within(resource, Some(hold), Some(self.told)).await
    }

    pub async fn remove<K: Kind>(&self, resource: &Resource<K>) -> Result<bool> {
        self.store.remove_told(resource, Some(self.told)).await
    }

    pub async fn organization_remove(
        &self,
        organization: &Resource<Organization>,
    ) -> Result<Vec<(ResourceKind, u64)>> {
        self.store.organization_remove(organization, Some(self.told)).await
    }

    pub async fn setting_put(&self, name: &str, value: &str) -> Result<()> {
        self.store.setting_put_told(name, value, Some(self.told)).await
    }

    pub async fn setting_swap(&self, name: &str, read: &str, value: &str) -> Result<bool> {
        self.store.setting_swap(name, read, value, self.told).await
    }

    pub async fn dead_letter_settle(&self, org: &OrgName, id: Uuid) -> Result<bool> {
        self.store.dead_letter_settle(org, id, self.told).await
    }

    pub async fn vulnerability_database_put(&self, digest: &str, body: &str) -> Result<()> {
        self.store.vulnerability_database_put(digest, body, self.told).await
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").field("entry", &self.entry).finish()
    }
}
