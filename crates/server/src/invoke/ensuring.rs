//! Tells engines of a version they are to have. What an engine has been told is used at once; the
//! rest is seen to beside the calls, so that one engine that hangs holds up nobody.

use std::sync::{Arc, Weak};
use std::time::Duration;

use dispatch_driver::{Deployment, Error, Result};
use dispatch_model::code;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::oneshot;

use super::placed::Placed;
use super::places::{Place, Places};

/// How long the other engines have, when the first knows the version: usually all are told at the
/// same time, and then the first call finds the one it is meant for.
const SETTLE: Duration = Duration::from_millis(250);
/// The longest an engine may take, which may have to fetch an image.
const LONGEST: Duration = Duration::from_secs(300);
/// Pause before an engine is told again, and the longest one. One that is unhealthy is not told.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sees to it that the places of a version are told of it. Returns when calls can be sent to one.
///
/// # Errors
/// When none can be told: what one of the engines said.
pub async fn ensure(places: &Places, deployment: Deployment, placed: &Arc<Placed>) -> Result<()> {
    let deployment = Arc::new(deployment);
    let absent: Vec<&Arc<Place>> = places.all().iter().filter(|p| !p.room.is_open()).collect();
    let any_there = absent.len() < places.all().len();
    // When all look ill, asking is the only way to go on.
    let all_ill = !any_there && absent.iter().all(|place| !place.state.healthy());
    let told = FuturesUnordered::new();
    for place in absent {
        let (tell, first) = oneshot::channel();
        if all_ill || place.state.healthy() {
            told.push(first);
        }
        let telling = Telling {
            place: Arc::downgrade(place),
            deployment: deployment.clone(),
            placed: placed.clone(),
            whatever_health: all_ill,
        };
        tokio::spawn(telling.go_on(tell));
    }
    if any_there { Ok(()) } else { one_of(told).await }
}

/// Waits for the first that goes well, and a moment longer for the others.
async fn one_of(mut told: FuturesUnordered<oneshot::Receiver<Result<()>>>) -> Result<()> {
    let mut last = Error::ours(code::ENGINE006, "no engine was told of the version");
    while let Some(answer) = told.next().await {
        match answer {
            Ok(Ok(())) => {
                let others = async { while told.next().await.is_some() {} };
                let _ = tokio::time::timeout(SETTLE, others).await;
                return Ok(());
            }
            Ok(Err(error)) => last = error,
            // Its task is gone, and with it what it knew.
            Err(_) => {}
        }
    }
    Err(last)
}

/// One engine, until it is told or nobody needs its place any more.
struct Telling {
    place: Weak<Place>,
    deployment: Arc<Deployment>,
    placed: Arc<Placed>,
    /// Whether the first try is made though the engine is unhealthy.
    whatever_health: bool,
}

impl Telling {
    async fn go_on(self, tell: oneshot::Sender<Result<()>>) {
        let (mut tell, mut pause) = (Some(tell), PAUSE);
        let mut anyway = self.whatever_health;
        loop {
            let Some(place) = self.place.upgrade() else { return };
            if std::mem::take(&mut anyway) || place.state.healthy() {
                let done = self.try_once(&place).await;
                let is_done = done.is_ok();
                if let Some(tell) = tell.take() {
                    // Whoever asked may have been answered by another engine.
                    let _ = tell.send(done);
                }
                if is_done {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            drop(place);
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_once(&self, place: &Place) -> Result<()> {
        let ensured = tokio::time::timeout(LONGEST, place.engine.ensure(&self.deployment)).await;
        let ensured = ensured.unwrap_or_else(|_| {
            let text = format!("it was not told of a version within {} s", LONGEST.as_secs());
            Err(Error::ours(code::ENGINE006, text))
        });
        let (engine, deployment) = (place.state.name(), self.deployment.id);
        match &ensured {
            Ok(()) => {
                self.placed.ensured(&place.engine, deployment);
                place.room.open();
            }
            Err(error) => tracing::warn!(engine, %deployment, %error, "an engine lacks a version"),
        }
        ensured
    }
}
