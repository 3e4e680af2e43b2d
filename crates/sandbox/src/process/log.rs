//! One output stream of a worker, read while calls run and cut at a limit.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe::Receiver;

const READ_BYTES: usize = 16 << 10;
/// A pipe holds 64 KiB; more than this cannot be what a run printed before its answer.
const MAX_DRAIN_READS: usize = 64;

#[derive(Debug)]
pub struct LogPipe {
    pipe: Receiver,
    kept: Vec<u8>,
    max_bytes: usize,
    cut: bool,
    closed: bool,
    /// Whether it is the end that is kept.
    end: bool,
}

impl LogPipe {
    pub fn new(pipe: OwnedFd, max_bytes: usize) -> io::Result<Self> {
        let pipe = Receiver::from_owned_fd(pipe)?;
        Ok(Self { pipe, kept: Vec::new(), max_bytes, cut: false, closed: false, end: false })
    }

    /// Of what is too long, keeps the end.
    pub fn ending(pipe: OwnedFd, max_bytes: usize) -> io::Result<Self> {
        Ok(Self { end: true, ..Self::new(pipe, max_bytes)? })
    }

    /// All that is kept, as text; what is in the pipe now included.
    pub fn text(&mut self) -> String {
        self.drain();
        let excess = self.kept.len().saturating_sub(self.max_bytes);
        String::from_utf8_lossy(&self.kept[excess..]).into_owned()
    }

    /// Reads what comes, for ever. To be raced against the answer; may be dropped at any time.
    pub async fn follow(&mut self) -> std::convert::Infallible {
        self.ended().await;
        std::future::pending().await
    }

    /// Reads until nobody can write any more; may be dropped at any time.
    pub async fn ended(&mut self) {
        while !self.closed {
            if self.pipe.readable().await.is_err() {
                self.closed = true;
            } else {
                let mut buffer = [0; READ_BYTES];
                match self.pipe.try_read(&mut buffer) {
                    Ok(length) => self.keep(&buffer[..length]),
                    Err(e) => self.closed = e.kind() != io::ErrorKind::WouldBlock,
                }
            }
        }
    }

    /// Everything since the last time, as lines; what is in the pipe now included.
    pub fn take(&mut self) -> Vec<String> {
        self.drain();
        if self.kept.is_empty() && !self.cut {
            return Vec::new();
        }
        let text = String::from_utf8_lossy(&self.kept);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if self.cut {
            lines.push(format!("[dispatch: log cut after {} bytes]", self.max_bytes));
        }
        self.kept = Vec::new();
        self.cut = false;
        lines
    }

    /// What is in the pipe now.
    fn drain(&mut self) {
        // Read directly: the runtime may not have heard yet that there is something to read. Mostly
        // there is nothing, so the buffer is not cleared for it.
        let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
        for _ in 0..MAX_DRAIN_READS {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Ok(([], _)) => break,
                Ok((bytes, _)) => self.keep(bytes),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.closed |= bytes.is_empty();
        if self.end {
            self.kept.extend_from_slice(bytes);
            // Not at every read, since it moves what stays.
            if self.kept.len() > 2 * self.max_bytes + READ_BYTES {
                self.kept.drain(..self.kept.len() - self.max_bytes);
            }
            return;
        }
        let room = self.max_bytes - self.kept.len();
        self.cut |= bytes.len() > room;
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
