//! On PostgreSQL the changes of all servers are signalled: each commit notifies, and whoever is
//! notified reads the log. A lost notification costs a second.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::broadcast::Sender;

use crate::change::{Row, change};
use crate::{Change, Result};

/// The channel that is notified.
const CHANNEL: &str = "dispatch_change";
/// How often the log is read without a notification.
const LOOK: Duration = Duration::from_secs(1);
/// Lines read at once.
const BATCH: usize = 512;

/// Sends every change after `seq`, until it is aborted.
pub(crate) async fn follow(pool: PgPool, signal: Sender<Change>, mut seq: i64) {
    let mut listener = None;
    loop {
        if listener.is_none() {
            listener = listen(&pool).await;
        }
        if let Err(error) = read_on(&pool, &signal, &mut seq).await {
            tracing::warn!(%error, "changes of other servers cannot be read");
        }
        let notified = async {
            match &mut listener {
                // None: the connection was lost, and with it perhaps a notification.
                Some(listener) => listener.try_recv().await.is_ok_and(|told| told.is_some()),
                None => std::future::pending().await,
            }
        };
        if let Ok(false) = tokio::time::timeout(LOOK, notified).await {
            listener = None;
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn listen(pool: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen(CHANNEL).await.ok()?;
    Some(listener)
}

async fn read_on(pool: &PgPool, signal: &Sender<Change>, seq: &mut i64) -> Result<()> {
    loop {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT seq, org, kind, name, id, op, revision FROM change WHERE seq > $1 \
             ORDER BY seq LIMIT $2",
        )
        .bind(*seq)
        .bind(BATCH as i64)
        .fetch_all(pool)
        .await?;
        let full = rows.len() == BATCH;
        for row in rows {
            *seq = row.0;
            // Nobody listening is not an error: the log has the line.
            let _ = signal.send(change(row)?);
        }
        if !full {
            return Ok(());
        }
    }
}
