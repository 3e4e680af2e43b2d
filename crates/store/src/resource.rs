//! Resources, one at a time: insert, get, compare-and-swap, remove.

use dispatch_model::{Kind, Name, OrgName, Resource, ResourceKind, resource::now_ms};
use uuid::Uuid;

use crate::audit::append_told;
use crate::database::{read, write};
use crate::row::{COLUMNS, ResourceRow};
use crate::secret_version::{drop_versions, keep_version};
use crate::{Change, Error, Op, Result, Store, Told, label, organization, quota, secret_version};

/// Most users of a resource that are named.
const MAX_USERS: i64 = 100;

/// PostgreSQL hands out sequence numbers before commit; this lock makes their order that of the
/// commits, so that a reader of the log misses none. SQLite has one writer anyway. All servers are
/// told at the commit.
pub(crate) const CHANGE_LOCK: &str =
    "SELECT pg_advisory_xact_lock(7355608), pg_notify('dispatch_change', '')";

/// Appends to the change log inside a transaction and yields the line's number.
macro_rules! log_change {
    ($store:expr, $tx:ident, $row:expr, $kind:expr, $op:expr) => {{
        if !$store.is_sqlite() {
            sqlx::query($crate::resource::CHANGE_LOCK).execute(&mut *$tx).await?;
        }
        let (seq,): (i64,) = sqlx::query_as(
            "INSERT INTO change (org, kind, name, id, op, revision) \
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING seq",
        )
        .bind(&$row.org)
        .bind($kind.as_str())
        .bind(&$row.name)
        .bind($row.id)
        .bind($op.as_str())
        .bind($row.revision)
        .fetch_one(&mut *$tx)
        .await?;
        seq
    }};
}
pub(crate) use log_change;

/// Writes those labels of a resource that are not there yet.
macro_rules! insert_labels {
    ($tx:ident, $row:expr, $kind:expr, $labels:expr) => {
        for (label, value) in $labels {
            sqlx::query(
                "INSERT INTO resource_label (org, kind, label, value, name, id) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(&$row.org)
            .bind($kind.as_str())
            .bind(label)
            .bind(value)
            .bind(&$row.name)
            .bind($row.id)
            .execute(&mut *$tx)
            .await?;
        }
    };
}

/// Makes the stored labels of a resource those given; most updates change few.
macro_rules! update_labels {
    ($tx:ident, $row:expr, $kind:expr, $labels:expr) => {{
        let stored: Vec<(String, String)> =
            sqlx::query_as("SELECT label, value FROM resource_label WHERE id = $1")
                .bind($row.id)
                .fetch_all(&mut *$tx)
                .await?;
        for (label, value) in stored.iter().filter(|label| !$labels.contains(label)) {
            sqlx::query("DELETE FROM resource_label WHERE id = $1 AND label = $2 AND value = $3")
                .bind($row.id)
                .bind(label)
                .bind(value)
                .execute(&mut *$tx)
                .await?;
        }
        let new = $labels.iter().filter(|label| !stored.contains(label));
        insert_labels!($tx, $row, $kind, new);
    }};
}

/// Lets one change after the other count towards the limits of an organization. Taken before any
/// row of a resource, and [`CHANGE_LOCK`] after them, so that nobody waits in a circle.
const QUOTA_LOCK: &str = "SELECT pg_advisory_xact_lock(7355610, hashtext($1))";

/// What is used, before a change, of the limits it counts towards. From here on nobody else makes
/// one.
macro_rules! used_before {
    ($store:expr, $tx:ident, $row:expr, $limits:expr) => {{
        if !$limits.is_empty() && !$store.is_sqlite() {
            sqlx::query(QUOTA_LOCK).bind(&$row.org).execute(&mut *$tx).await?;
        }
        quota::used(&mut *$tx, &$limits, &$row.org).await?
    }};
}

/// Takes hold of the organization something is stored in; yields the limits it counts towards.
macro_rules! hold {
    ($tx:ident, $hold:expr, $row:expr, $kind:expr) => {
        match $hold {
            Some(hold) => {
                let held = sqlx::query_as(hold).bind(&$row.org).fetch_optional(&mut *$tx).await?;
                quota::limits(&quota::of(held)?, $kind)
            }
            None => Vec::new(),
        }
    };
}

impl Store {
    /// Stores a new resource.
    ///
    /// # Errors
    /// [`Error::Exists`] when its organization has one of the kind and name.
    pub async fn insert<K: Kind>(&self, resource: &Resource<K>) -> Result<()> {
        self.insert_into(resource, None, None).await
    }

    /// Stores a new resource in an organization that exists, and goes on existing until then.
    ///
    /// # Errors
    /// As [`Store::insert`]; [`Error::Missing`] when there is no such organization or it is being
    /// deleted; [`Error::Quota`] when it may have no more.
    pub async fn insert_in_organization<K: Kind>(&self, resource: &Resource<K>) -> Result<()> {
        self.insert_into(resource, Some(organization::hold(self.is_sqlite())), None).await
    }

    /// `hold` is a statement that finds the organization, and keeps it.
    pub(crate) async fn insert_into<K: Kind>(
        &self,
        resource: &Resource<K>,
        hold: Option<&'static str>,
        told: Option<&Told>,
    ) -> Result<()> {
        let row = ResourceRow::from_resource(resource)?;
        let labels = label::labels(K::KIND, &resource.meta.tags, &row)?;
        let (seq, entry) = write!(&self.0.database, |tx| {
            let limits = hold!(tx, hold, row, K::KIND);
            let before = used_before!(self, tx, row, limits);
            sqlx::query(
                "INSERT INTO resource (id, org, kind, name, revision, state, reason, tags, spec, \
                 status, created_ms, modified_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            )
            .bind(row.id)
            .bind(&row.org)
            .bind(K::KIND.as_str())
            .bind(&row.name)
            .bind(row.revision)
            .bind(&row.state)
            .bind(&row.reason)
            .bind(&row.tags)
            .bind(&row.spec)
            .bind(&row.status)
            .bind(row.created_ms)
            .bind(row.modified_ms)
            .execute(&mut *tx)
            .await?;
            insert_labels!(tx, row, K::KIND, &labels);
            quota::check(&before, &quota::used(&mut *tx, &limits, &row.org).await?, true)?;
            let seq = log_change!(self, tx, row, K::KIND, Op::Inserted);
            (seq, append_told!(self, tx, told))
        });
        self.audit_written(entry, 1);
        self.signal(resource, seq, Op::Inserted);
        Ok(())
    }

    /// Lets whoever follows a resource look at it again, although it is as it was.
    pub async fn touch<K: Kind>(&self, resource: &Resource<K>) -> Result<()> {
        let row = ResourceRow::from_resource(resource)?;
        let seq = write!(&self.0.database, |tx| log_change!(self, tx, row, K::KIND, Op::Updated));
        self.signal(resource, seq, Op::Updated);
        Ok(())
    }

    pub async fn by_name<K: Kind>(
        &self,
        org: &OrgName,
        name: &Name,
    ) -> Result<Option<Resource<K>>> {
        let sql =
            format!("SELECT {COLUMNS} FROM resource WHERE org = $1 AND kind = $2 AND name = $3");
        let row: Option<ResourceRow> = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(org.as_str())
                .bind(K::KIND.as_str())
                .bind(name.as_str())
                .fetch_optional(pool)
                .await?
        });
        row.map(ResourceRow::into_resource).transpose()
    }

    pub async fn by_id<K: Kind>(&self, id: Uuid) -> Result<Option<Resource<K>>> {
        let sql = format!("SELECT {COLUMNS} FROM resource WHERE id = $1 AND kind = $2");
        let row: Option<ResourceRow> = read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .bind(id)
                .bind(K::KIND.as_str())
                .fetch_optional(pool)
                .await?
        });
        row.map(ResourceRow::into_resource).transpose()
    }

    /// Stores a change of a resource that was read at `resource.meta.revision`; on success the
    /// revision and the time of change in `resource` are the new ones.
    ///
    /// # Errors
    /// [`Error::Stale`] when someone else changed it since, [`Error::Missing`] when it is gone.
    pub async fn update<K: Kind>(&self, resource: &mut Resource<K>) -> Result<()> {
        self.update_within(resource, None, None).await
    }

    /// Stores a change that somebody made, in an organization that exists and is not being deleted.
    ///
    /// # Errors
    /// As [`Store::update`]; [`Error::Missing`] without such an organization; [`Error::Quota`] when
    /// it may have no more.
    pub async fn update_in_organization<K: Kind>(&self, resource: &mut Resource<K>) -> Result<()> {
        self.update_within(resource, Some(organization::hold(self.is_sqlite())), None).await
    }

    pub(crate) async fn update_within<K: Kind>(
        &self,
        resource: &mut Resource<K>,
        hold: Option<&'static str>,
        told: Option<&Told>,
    ) -> Result<()> {
        let mut row = ResourceRow::from_resource(resource)?;
        let labels = label::labels(K::KIND, &resource.meta.tags, &row)?;
        row.revision += 1;
        row.modified_ms = now_ms();
        let version = secret_version::number(K::KIND, &row)?;
        let (seq, entry) = write!(&self.0.database, |tx| {
            let limits = hold!(tx, hold, row, K::KIND);
            let before = used_before!(self, tx, row, limits);
            keep_version!(tx, row.id, resource.meta.revision, version);
            let changed = sqlx::query(
                "UPDATE resource SET revision = $1, state = $2, reason = $3, tags = $4, \
                 spec = $5, status = $6, modified_ms = $7 WHERE id = $8 AND revision = $9",
            )
            .bind(row.revision)
            .bind(&row.state)
            .bind(&row.reason)
            .bind(&row.tags)
            .bind(&row.spec)
            .bind(&row.status)
            .bind(row.modified_ms)
            .bind(row.id)
            .bind(resource.meta.revision)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if changed == 0 {
                let current: Option<(i64,)> =
                    sqlx::query_as("SELECT revision FROM resource WHERE id = $1")
                        .bind(row.id)
                        .fetch_optional(&mut *tx)
                        .await?;
                return Err(current.map_or(Error::Missing, |(current,)| Error::Stale { current }));
            }
            drop_versions!(self, tx, row.id, version);
            update_labels!(tx, row, K::KIND, labels);
            quota::check(&before, &quota::used(&mut *tx, &limits, &row.org).await?, false)?;
            let seq = log_change!(self, tx, row, K::KIND, Op::Updated);
            (seq, append_told!(self, tx, told))
        });
        self.audit_written(entry, 1);
        resource.meta.revision = row.revision;
        resource.meta.modified_ms = row.modified_ms;
        self.signal(resource, seq, Op::Updated);
        Ok(())
    }

    /// Deletes the row of exactly this resource; false when it was gone.
    pub async fn remove<K: Kind>(&self, resource: &Resource<K>) -> Result<bool> {
        self.remove_told(resource, None).await
    }

    pub(crate) async fn remove_told<K: Kind>(
        &self,
        resource: &Resource<K>,
        told: Option<&Told>,
    ) -> Result<bool> {
        let row = ResourceRow::from_resource(resource)?;
        let gone = write!(&self.0.database, |tx| {
            // The row before its labels, as a change has it: in another order two wait for each
            // other. What somebody asked for was asked of what they saw; controllers take it as it
            // is.
            let gone = sqlx::query("DELETE FROM resource WHERE id = $1 AND ($2 OR revision = $3)")
                .bind(row.id)
                .bind(told.is_none())
                .bind(row.revision)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if gone == 0 {
                let current: Option<(i64,)> =
                    sqlx::query_as("SELECT revision FROM resource WHERE id = $1")
                        .bind(row.id)
                        .fetch_optional(&mut *tx)
                        .await?;
                if let Some((current,)) = current {
                    return Err(Error::Stale { current });
                }
            }
            sqlx::query("DELETE FROM resource_label WHERE id = $1")
                .bind(row.id)
                .execute(&mut *tx)
                .await?;
            if K::KIND == ResourceKind::Secret {
                sqlx::query("DELETE FROM secret_version WHERE secret = $1")
                    .bind(row.id)
                    .execute(&mut *tx)
                    .await?;
            }
            match gone {
                0 => None,
                _ => {
                    let seq = log_change!(self, tx, row, K::KIND, Op::Removed);
                    Some((seq, append_told!(self, tx, told)))
                }
            }
        });
        let Some((seq, entry)) = gone else { return Ok(false) };
        self.audit_written(entry, 1);
        self.signal(resource, seq, Op::Removed);
        Ok(true)
    }

    /// What refers to a resource, by kind and name; at most a hundred.
    pub async fn users_of(
        &self,
        org: &OrgName,
        kind: ResourceKind,
        name: &Name,
    ) -> Result<Vec<(ResourceKind, Name)>> {
        let mut users = Vec::new();
        for (user, field) in label::references(kind) {
            let rows: Vec<(String,)> = read!(self, |pool| {
                sqlx::query_as(
                    "SELECT name FROM resource_label WHERE org = $1 AND kind = $2 AND label = $3 \
                     AND value = $4 ORDER BY name LIMIT $5",
                )
                .bind(org.as_str())
                .bind(user.as_str())
                .bind(label::field(field))
                .bind(name.as_str())
                .bind(MAX_USERS)
                .fetch_all(pool)
                .await?
            });
            users.extend(rows.into_iter().map(|(name,)| (*user, Name::trusted(&name))));
        }
        Ok(users)
    }

    /// How many resources of a kind there are in all organizations.
    pub async fn count(&self, kind: ResourceKind) -> Result<u64> {
        let (count,): (i64,) = read!(self, |pool| {
            sqlx::query_as("SELECT COUNT(*) FROM resource WHERE kind = $1")
                .bind(kind.as_str())
                .fetch_one(pool)
                .await?
        });
        Ok(u64::try_from(count).unwrap_or(0))
    }

    pub(crate) fn signal<K: Kind>(&self, resource: &Resource<K>, seq: i64, op: Op) {
        if !self.is_sqlite() {
            // The one who follows the log signals it, with those of other servers and in order.
            return;
        }
        let meta = &resource.meta;
        let change = Change {
            seq,
            org: meta.org.clone(),
            kind: K::KIND,
            name: meta.name.clone(),
            id: meta.id,
            op,
            revision: meta.revision,
        };
        // Nobody listening is not an error: the log has the line.
        let _ = self.0.signal.send(change);
    }
}
