//! A call on its way to a container, which goes on when its caller leaves: the container is busy
//! until it answers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dispatch_driver::{Call, Result};
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::pool::Slot;
use crate::runtime::{self, Reply};

/// Time beyond a call's own in which its container may still answer: hosts of languages end a call
/// that is late by themselves. A container that does not is replaced.
const LATE: Duration = Duration::from_secs(1);

type Answer = (Slot, Result<Reply>);

/// Resolves to the answer, and the room that the call took.
pub struct Underway(Option<Pin<Box<dyn Future<Output = Answer> + Send>>>);

impl Underway {
    /// `limit` is what the host gives a call, which it counts from when the call came to it: after
    /// a cold start that ends later than the caller waits.
    pub fn new(http: &reqwest::Client, slot: Slot, call: &Call, limit: Duration) -> Self {
        let request = http
            .post(slot.container.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(runtime::body(call));
        let ends = call.deadline.max(Instant::now() + limit);
        let call = Call { deadline: ends + LATE, ..call.clone() };
        Self(Some(Box::pin(async move {
            let answer = runtime::send(request, &call).await;
            (slot, answer)
        })))
    }
}

impl Future for Underway {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let future = self.0.as_mut().expect("it is not polled after it is ready");
        let answer = std::task::ready!(future.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(answer)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let Some(rest) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let (slot, Err(_)) = rest.await {
                slot.retire();
            }
        });
    }
}
