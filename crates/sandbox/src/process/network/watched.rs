//! A stream that knows when it was used last.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Both sides of what is carried pass through the one stream that is watched.
pub struct Watched {
    stream: TcpStream,
    use_: Arc<Use>,
}

/// When a stream was used last, in milliseconds since it was made.
pub struct Use {
    made: Instant,
    last_ms: AtomicU64,
}

impl Watched {
    pub fn new(stream: TcpStream) -> (Self, Arc<Use>) {
        let use_ = Arc::new(Use { made: Instant::now(), last_ms: AtomicU64::new(0) });
        (Self { stream, use_: use_.clone() }, use_)
    }
}

impl Use {
    fn now(&self) {
        self.last_ms.store(self.made.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Waits until nothing came or went for so long.
    pub async fn silence(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            let ends = self.made + last + limit;
            if Instant::now() >= ends {
                return;
            }
            tokio::time::sleep_until(ends).await;
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        self.use_.now();
        Poll::Ready(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.use_.now();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
