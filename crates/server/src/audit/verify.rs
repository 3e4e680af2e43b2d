//! The whole log held against itself, some hundred entries at a time.

use std::sync::Arc;

use dispatch_model::audit::{Place, Sealer};
use dispatch_store::{AuditRow, End, Error, Result};

use super::Audit;

/// Entries read at once.
const BATCH: u32 = 200;

/// How the log was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that are right: all, or those before the first that is not.
    pub entries: u64,
    /// What the first entry follows: the beginning, or what was let go.
    pub start: Place,
    /// The last entry that is right.
    pub last: Place,
    /// The first that is not, and what is wrong with it.
    pub broken: Option<(i64, String)>,
}

/// A walk along the log.
struct Walk {
    verdict: Verdict,
    /// What somebody wrote down of an earlier look.
    expected: Option<Place>,
}

impl Audit {
    /// Walks along the whole log. An entry that is `expected`, because somebody kept its number and
    /// link elsewhere, must be there as it was.
    pub async fn verify(&self, expected: Option<Place>) -> Result<Verdict> {
        let _one = self.verifying.lock().await;
        loop {
            let start = self.store.audit_start(&*self.sealer).await?;
            let verdict = self.walk(start.clone(), expected).await?;
            // What was let go meanwhile is not missing.
            if verdict.broken.is_none() || self.store.audit_start(&*self.sealer).await? == start {
                return Ok(verdict);
            }
        }
    }

    async fn walk(&self, start: End, expected: Option<Place>) -> Result<Verdict> {
        let (start, broken) = match start {
            Ok(start) => (start, None),
            Err(why) => (Place::START, Some((1, why))),
        };
        let verdict = Verdict { entries: 0, start, last: start, broken };
        let mut walk = Walk { verdict, expected };
        walk.meet(start);
        while walk.verdict.broken.is_none() {
            let rows = self.store.audit_rows(walk.verdict.last.seq, BATCH).await?;
            if rows.is_empty() {
                // Rows and head are written together; those after the last reading are looked for.
                let head = self.store.audit_head(&*self.sealer).await?;
                let more = self.store.audit_rows(walk.verdict.last.seq, 1).await?;
                if !more.is_empty() {
                    continue;
                }
                walk.end(head);
                break;
            }
            let sealer = self.sealer.clone();
            let walked = tokio::task::spawn_blocking(move || walk.along(&rows, sealer));
            walk = walked.await.map_err(|error| Error::Database(error.to_string()))?;
        }
        Ok(walk.verdict)
    }
}

impl Walk {
    fn along(mut self, rows: &[AuditRow], sealer: Arc<dyn Sealer>) -> Self {
        for row in rows {
            match row.follows(self.verdict.last, &*sealer) {
                Ok(place) => {
                    self.meet(place);
                    if self.verdict.broken.is_some() {
                        return self;
                    }
                    self.verdict.last = place;
                    self.verdict.entries += 1;
                }
                Err(broken) => {
                    self.verdict.broken = Some(broken);
                    return self;
                }
            }
        }
        self
    }

    fn meet(&mut self, place: Place) {
        if self.expected.is_some_and(|kept| kept.seq == place.seq && kept.link != place.link) {
            let why = "is another one than the one whose link was kept".to_owned();
            self.verdict.broken = Some((place.seq, why));
        }
    }

    /// After the last row there is.
    fn end(&mut self, head: End) {
        let last = self.verdict.last;
        let wrong = |seq: i64, why: String| Some((seq, why));
        self.verdict.broken = match head {
            Err(why) => wrong(last.seq + 1, format!("may have been there: {why}")),
            Ok(head) if head.seq > last.seq => {
                wrong(last.seq + 1, format!("is missing: the log ended with {}", head.seq))
            }
            Ok(head) if head != last => {
                wrong(head.seq, "is not the one the log ended with".to_owned())
            }
            Ok(_) => self.expected.filter(|kept| kept.seq > last.seq).and_then(|kept| {
                let why = format!("is missing: the one whose link was kept is {}", kept.seq);
                wrong(last.seq + 1, why)
            }),
        };
    }
}
