//! A line now and then while something takes long.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::printer;

/// When the first line is printed, and how long after it the next.
const FIRST: Duration = Duration::from_secs(2);
const NEXT: Duration = Duration::from_secs(5);

/// Knows when it is time for a line.
pub struct Progress {
    began: Instant,
    next: Duration,
}

impl Progress {
    pub fn begin() -> Self {
        Self { began: Instant::now(), next: FIRST }
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Prints what is waited for, if it is time for that.
    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        let elapsed = self.elapsed();
        if elapsed >= self.next {
            printer::progress(&format!("{} ({} s)", what(), elapsed.as_secs()));
            self.next = elapsed + NEXT;
        }
    }
}

/// Waits for a future, and says so when it takes long.
pub async fn waiting<T>(what: &str, future: impl Future<Output = T>) -> T {
    let mut progress = Progress::begin();
    tokio::pin!(future);
    loop {
        let pause = progress.next.saturating_sub(progress.elapsed());
        match tokio::time::timeout(pause, &mut future).await {
            Ok(done) => return done,
            Err(_) => progress.tell(|| what.to_owned()),
        }
    }
}
