//! What is done for images now and then: tags are looked after, new vulnerability databases are
//! held against all content, content nobody needs is let go.

use std::sync::Arc;
use std::time::Duration;

use dispatch_model::base_image::BaseImage;
use dispatch_model::image_policy::ImagePolicy;
use dispatch_model::resource::now_ms;
use dispatch_model::{ListQuery, Resource, State};
use dispatch_store::Store;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;

use super::reconcile::write;
use crate::app::{Error, Result};
use crate::content::{Contents, Moved};

/// How often content is swept.
const SWEEP: Duration = Duration::from_secs(600);
/// How often a database that another server imported is looked for.
const SCAN: Duration = Duration::from_secs(30);
/// The setting that remembers [`Judged`].
const JUDGED: &str = "image_policy.judged";
/// How often policies with grace periods are held against images again.
const GRACE_LOOK_MS: i64 = 3_600_000;

/// Runs until the server stops.
pub async fn run(store: Store, contents: Arc<Contents>, stop: CancellationToken) {
    let unused = contents.unused();
    let mut looks = ticks(contents.refresh());
    let mut scans = ticks(SCAN);
    let mut sweeps = ticks(if unused.is_zero() { unused } else { SWEEP });
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tick(&mut looks) => {
                if let Err(error) = look(&store, &contents).await {
                    tracing::warn!(%error, "base images' tags could not be looked at");
                }
            }
            () = tick(&mut scans) => scan(&store, &contents).await,
            () = contents.vulnerabilities.imported() => scan(&store, &contents).await,
            () = tick(&mut sweeps) => sweep(&contents, unused).await,
        }
    }
}

/// Ticks from the first pause on; none when there is no pause.
fn ticks(pause: Duration) -> Option<Interval> {
    (!pause.is_zero()).then(|| tokio::time::interval_at(Instant::now() + pause, pause))
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

/// Says on base images that their tag leads elsewhere now. Nothing is fetched.
async fn look(store: &Store, contents: &Contents) -> Result<()> {
    let query = ListQuery { state: Some(State::Ready), ..ListQuery::default() };
    for mut base in store.list_all::<BaseImage>(&query).await?.items {
        if base.spec.is_host() {
            continue;
        }
        match contents.base_signatures(&base).await {
            // Images follow their base.
            Ok(Some(now)) => {
                base.status.signatures = Some(now);
                write(store, &mut base).await?;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::info!(base = %base.meta.name, %error, "signatures cannot be looked at");
            }
        }
        let moved = match contents.base_moved(&base).await {
            Ok(Moved::No) => None,
            Ok(Moved::To(digest)) => Some(digest),
            // A registry that does not answer says nothing about the tag.
            Err(error) => {
                tracing::info!(base = %base.meta.name, %error, "a tag could not be looked at");
                continue;
            }
        };
        if base.status.moved_to != moved {
            note(&mut base, moved);
            write(store, &mut base).await?;
        }
    }
    Ok(())
}

fn note(base: &mut Resource<BaseImage>, moved: Option<String>) {
    let text = |digest: &String| {
        format!("{} leads to {digest} now; an update takes it", base.spec.docker_url)
    };
    base.meta.reason = moved.iter().map(text).collect();
    base.status.moved_to = moved;
}

/// Holds the vulnerability database against content that it was not held against, and lets
/// policies know of a new one.
async fn scan(store: &Store, contents: &Contents) {
    let scanned = match contents.vulnerabilities.scan_all().await {
        Ok(scanned) => scanned,
        Err(error) => {
            tracing::warn!(%error, "content could not be held against known vulnerabilities");
            return;
        }
    };
    if let Some((database, count)) = scanned.as_ref().filter(|(_, count)| *count > 0) {
        tracing::info!(%database, count, "content was held against known vulnerabilities");
    }
    if let Err(error) = judge_again(store, scanned.map(|(database, _)| database)).await {
        tracing::warn!(%error, "image policies could not be held against images again");
    }
}

/// What images were last held against policies with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Judged {
    /// Digest of the vulnerability database.
    database: Option<String>,
    at_ms: i64,
}

/// Touches the policies that may decide otherwise now; images follow them. One server does it for
/// all, or each of them once.
async fn judge_again(store: &Store, database: Option<String>) -> Result<()> {
    let before = store.setting_get(JUDGED).await?.unwrap_or_default();
    let before: Judged = serde_json::from_str(&before).unwrap_or_default();
    let now = now_ms();
    let (other, waited) = (before.database != database, now - before.at_ms >= GRACE_LOOK_MS);
    if !other && !waited {
        return Ok(());
    }
    let judged = Judged { database, at_ms: now };
    let text = serde_json::to_string(&judged).map_err(Error::internal)?;
    store.setting_put(JUDGED, &text).await?;
    for policy in store.list_all::<ImagePolicy>(&ListQuery::default()).await?.items {
        let grace = policy.spec.rules.iter().any(|rule| rule.grace_days > 0);
        if other || grace {
            store.touch(&policy).await?;
        }
    }
    Ok(())
}

async fn sweep(contents: &Contents, unused: Duration) {
    match contents.prune(unused, false).await {
        Ok(pruned) if pruned.blobs + pruned.layers > 0 => {
            let (blobs, layers, bytes) = (pruned.blobs, pruned.layers, pruned.bytes);
            tracing::info!(blobs, layers, bytes, "content that nothing needs was deleted");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "unused content could not be deleted"),
    }
}
