//! What is done for images now and then: tags are looked after, content nobody needs is let go.

use std::sync::Arc;
use std::time::Duration;

use dispatch_model::base_image::BaseImage;
use dispatch_model::resource::now_ms;
use dispatch_model::{ListQuery, Resource, State};
use dispatch_store::Store;
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;

use super::reconcile::write;
use crate::app::Result;
use crate::content::{Contents, Moved};

/// How often content is swept.
const SWEEP: Duration = Duration::from_secs(600);

/// Runs until the server stops.
pub async fn run(store: Store, contents: Arc<Contents>, stop: CancellationToken) {
    let (refresh_s, unused_s) = (contents.settings().refresh_s, contents.settings().unused_s);
    let mut looks = ticks(Duration::from_secs(refresh_s));
    let mut sweeps = ticks(if unused_s > 0 { SWEEP } else { Duration::ZERO });
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tick(&mut looks) => {
                if let Err(error) = look(&store, &contents).await {
                    tracing::warn!(%error, "base images' tags could not be looked at");
                }
            }
            () = tick(&mut sweeps) => {
                if let Err(error) = sweep(&store, &contents, unused_s).await {
                    tracing::warn!(%error, "unused content could not be deleted");
                }
            }
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

async fn sweep(store: &Store, contents: &Contents, unused_s: u64) -> anyhow::Result<()> {
    let kept = store.content_in_use().await?;
    let kept: Vec<_> = kept.iter().filter_map(|digest| digest.parse().ok()).collect();
    let pruned = contents.content.prune(&kept, Duration::from_secs(unused_s), false).await?;
    if pruned.blobs + pruned.layers > 0 {
        let (blobs, layers, bytes) = (pruned.blobs, pruned.layers, pruned.bytes);
        tracing::info!(blobs, layers, bytes, "content that nothing needs was deleted");
    }
    let age_ms = i64::try_from(unused_s).unwrap_or(i64::MAX).saturating_mul(1_000);
    store.content_collect(now_ms().saturating_sub(age_ms)).await?;
    Ok(())
}
