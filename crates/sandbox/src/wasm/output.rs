//! What a guest prints: kept up to a limit, with a mark where it was cut.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes a guest may write at once; what it writes beyond the limit is taken and dropped, so that
/// a chatty guest runs on.
const PERMIT_BYTES: usize = 64 << 10;

/// One of stdout and stderr. Clones share what is kept.
#[derive(Clone)]
pub struct Output {
    kept: Arc<Mutex<Kept>>,
    max: usize,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    /// Keeps at most `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { kept: Arc::default(), max }
    }

    fn write_bytes(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.max - kept.bytes.len();
        kept.cut |= bytes.len() > room;
        kept.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The lines so far. The last says so when something was dropped.
    pub fn lines(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept.bytes);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if kept.cut {
            lines.push(format!("[dispatch: log cut after {} bytes]", self.max));
        }
        lines
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_bytes(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.write_bytes(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_lines_and_marks_what_was_cut() {
        let output = Output::new(8);
        output.write_bytes(b"one\n");
        assert_eq!(output.lines(), ["one"]);
        output.write_bytes(b"two\nthree");
        let lines = output.lines();
        assert_eq!(lines[..2], ["one", "two"]);
        assert_eq!(lines[2], "[dispatch: log cut after 8 bytes]");
        output.write_bytes(b"four");
        assert_eq!(output.lines().len(), 3);
    }
}
