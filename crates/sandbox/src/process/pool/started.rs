//! Starts a pool, and hears what it says when it does not get ready.
//!
//! A pool has no streams of its own as workers have: what it writes to its standard error comes
//! here, so that the server's own log is not open to what is in an image.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use dispatch_driver::Error;
use tokio::time::timeout;

use super::Kind;
use crate::process::control::Control;
use crate::process::failure::{self, Ended};
use crate::process::language;
use crate::process::log::LogPipe;
use crate::process::plan::Launch;
use crate::process::start::{Starter, base_environment, merged};

/// Kept of what a pool writes: its end.
const MAX_WORDS: usize = 4 << 10;

impl Starter {
    /// A pool that is ready.
    pub(super) async fn started(&self, kind: &Kind) -> Result<Control, Error> {
        let failed = |e: io::Error| failure::engine("the pool", e);
        let launch = Launch {
            steps: self.site.pool(kind.base()),
            program: language::program(&kind.host, 0, None),
            environment: merged([base_environment(), kind.environment().to_vec()]),
        };
        let (mut words, stderr) = pipe().map_err(failed)?;
        let mut pool = self.launch_into(&launch, &[], stderr.into()).await?;
        let limit = Duration::from_millis(self.config.load_timeout_ms);
        let first = timeout(limit, first(&pool, &mut words)).await;
        let Ok(first) = first else {
            let words = words.text();
            let text = format!("it did not get ready; it said: {}", failure::last_words(&words));
            return Err(failure::engine("the pool", text));
        };
        match first.map_err(failed)?.as_slice() {
            b"ready" => {}
            [] => {
                let ended = Ended { status: pool.status().await, words: words.text() };
                return Err(failure::not_ready("the pool", kind.program_of_image(), &ended));
            }
            text => return Err(failure::engine("the pool", String::from_utf8_lossy(text))),
        }
        tokio::spawn(hear(words, kind.host.language.clone()));
        Ok(pool)
    }
}

/// Our end, and the pool's.
fn pipe() -> io::Result<(LogPipe, OwnedFd)> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((LogPipe::ending(ours, MAX_WORDS)?, theirs))
}

/// Its first message; a pool that writes a lot before that is not kept waiting.
async fn first(pool: &Control, words: &mut LogPipe) -> io::Result<Vec<u8>> {
    tokio::select! {
        first = pool.receive() => first,
        never = words.follow() => match never {},
    }
}

/// Hears a pool to its end, which nobody may be there to be told of.
async fn hear(mut words: LogPipe, language: String) {
    words.ended().await;
    let all = words.text();
    if !all.is_empty() {
        let words = failure::last_words(&all);
        tracing::warn!(language, words, "a pool of warm interpreters wrote");
    }
}
