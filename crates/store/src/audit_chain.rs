//! The audit log held against itself: each entry against the one before it, the whole against its
//! ends. And the cut that lets the oldest entries go without breaking the chain.

use std::sync::Arc;

use dispatch_model::audit::{Actor, Entry, Link, Place, Purpose, Sealer};

use crate::audit::{HEAD, LOCK, Mark, Told, append};
use crate::database::{read, write};
use crate::setting::PUT;
use crate::{Result, Store};

/// Where what is left of the log begins.
const CUT: &str = "audit.cut";
/// All of a row.
const COLUMNS: &str = "seq, time_ms, org, actor, action, resource, name, outcome, request_id, \
    body, link, seal";
/// Entries let go in one transaction.
const STEP: i64 = 10_000;

/// A row of the log as it is stored, true or not.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditRow {
    pub seq: i64,
    time_ms: i64,
    org: String,
    actor: String,
    action: String,
    resource: String,
    name: String,
    outcome: String,
    request_id: String,
    body: String,
    link: String,
    seal: String,
}

/// The ends of the log; `Err` says how one was tampered with.
pub type End = std::result::Result<Place, String>;

impl AuditRow {
    /// The place of this row, if it is what was written after that place.
    ///
    /// # Errors
    /// The number that is wrong, and why.
    pub fn follows(
        &self,
        before: Place,
        sealer: &dyn Sealer,
    ) -> std::result::Result<Place, (i64, String)> {
        let expected = before.seq + 1;
        if self.seq != expected {
            return Err((expected, format!("is missing: the next there is {}", self.seq)));
        }
        let wrong = |why: &str| Err((self.seq, why.to_owned()));
        let place = Place { seq: self.seq, link: before.link.then(&self.body) };
        if Link::parse(&self.link) != Some(place.link) {
            return wrong("was changed, or is not what followed the entry before it");
        }
        if !sealer.holds(&place.words(Purpose::Entry), &self.seal) {
            return wrong("was written by somebody who has not the key of the log");
        }
        match serde_json::from_str(&self.body) {
            Ok(entry) if self.shows(&entry) => Ok(place),
            _ => wrong("is hidden: the columns it is found by say something else than it does"),
        }
    }

    fn shows(&self, entry: &Entry) -> bool {
        (self.seq, self.time_ms) == (entry.seq, entry.time_ms)
            && self.org == entry.organization.as_deref().unwrap_or_default()
            && self.actor == entry.actor.to_string()
            && self.outcome == entry.outcome.as_str()
            && [&self.action, &self.resource, &self.name, &self.request_id]
                == [&entry.action, &entry.resource, &entry.name, &entry.request_id]
    }
}

impl Store {
    /// Rows after a number, in their order.
    pub async fn audit_rows(&self, after: i64, limit: u32) -> Result<Vec<AuditRow>> {
        Ok(read!(self, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2"
            )))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await?
        }))
    }

    /// Where the log ends.
    pub async fn audit_head(&self, sealer: &dyn Sealer) -> Result<End> {
        let Some(text) = self.setting_get(HEAD).await? else {
            return Ok(Err("the end of the log is missing".to_owned()));
        };
        let head = Mark::read(&text, Purpose::Head, sealer).map(|mark| mark.place());
        Ok(head.ok_or_else(|| "the end of the log was changed".to_owned()))
    }

    /// What the first entry that is left follows.
    pub async fn audit_start(&self, sealer: &dyn Sealer) -> Result<End> {
        let Some(text) = self.setting_get(CUT).await? else { return Ok(Ok(Place::START)) };
        let cut = Mark::read(&text, Purpose::Cut, sealer).map(|mark| mark.place());
        Ok(cut.ok_or_else(|| "the beginning of the log was changed".to_owned()))
    }

    /// Lets go of entries written before a time (unix milliseconds), at most ten thousand; an entry
    /// tells of it. Returns how many went.
    pub async fn audit_cut(&self, before_ms: i64, sealer: Arc<dyn Sealer>) -> Result<u64> {
        let cut = write!(&self.0.database, |tx| {
            if !self.is_sqlite() {
                sqlx::query(LOCK).execute(&mut *tx).await?;
            }
            let oldest: Option<(i64,)> = sqlx::query_as(
                "SELECT seq FROM audit WHERE time_ms < $1 ORDER BY time_ms, seq LIMIT 1",
            )
            .bind(before_ms)
            .fetch_optional(&mut *tx)
            .await?;
            // The last to go, and the one before it.
            let last: Vec<AuditRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM audit WHERE time_ms < $1 AND seq < $2 \
                 ORDER BY seq DESC LIMIT 2"
            )))
            .bind(before_ms)
            .bind(oldest.map_or(0, |(oldest,)| oldest + STEP))
            .fetch_all(&mut *tx)
            .await?;
            let cut: Option<(String,)> =
                sqlx::query_as("SELECT value FROM setting WHERE name = $1")
                    .bind(CUT)
                    .fetch_optional(&mut *tx)
                    .await?;
            match old(&last, cut.as_ref().map(|(text,)| text.as_str()), &*sealer) {
                None => None,
                Some(place) => {
                    let seq = place.seq;
                    let told = Told { entry: of_cut(place), sealer: sealer.clone() };
                    let last = append!(self, tx, &told);
                    let mark = Mark::new(place, before_ms, Purpose::Cut, &*sealer);
                    sqlx::query(PUT)
                        .bind(CUT)
                        .bind(serde_json::to_string(&mark)?)
                        .execute(&mut *tx)
                        .await?;
                    let gone = sqlx::query("DELETE FROM audit WHERE seq <= $1")
                        .bind(seq)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    Some((gone, last))
                }
            }
        });
        let Some((gone, last)) = cut else { return Ok(0) };
        self.audit_written(Some(last), 1);
        Ok(gone)
    }
}

/// The place of the last row to go, if it is as it was written: else somebody made an entry older
/// than it is, and the log shall not let it go for them. Entries are never older than the one
/// before, so that this holds for all before it.
fn old(last: &[AuditRow], cut: Option<&str>, sealer: &dyn Sealer) -> Option<Place> {
    let [last, more @ ..] = last else { return None };
    let before = match more.first() {
        Some(row) => Place { seq: row.seq, link: Link::parse(&row.link)? },
        None => match cut {
            Some(text) => Mark::read(text, Purpose::Cut, sealer)?.place(),
            None => Place::START,
        },
    };
    match last.follows(before, sealer) {
        Ok(place) => Some(place),
        Err((entry, why)) => {
            tracing::error!(entry, why, "the audit log is not let go of: it was tampered with");
            None
        }
    }
}

fn of_cut(place: Place) -> Entry {
    let entry = Entry {
        actor: Actor::server(),
        action: "cut".to_owned(),
        resource: "audit".to_owned(),
        ..Entry::default()
    };
    let Place { seq, link } = place;
    entry.saying(format!(
        "entries up to {seq}, whose link is {link}, are older than audit.max_age_s"
    ))
}
