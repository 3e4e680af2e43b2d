//! Frames between the server and a worker; `runtimes/PROTOCOL.md` has the whole protocol.

use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

/// Server to worker.
pub const LOAD: u8 = 1;
pub const CALL: u8 = 2;
/// Worker to server.
pub const HELLO: u8 = 16;
pub const LOADED: u8 = 17;
pub const LOAD_FAILED: u8 = 18;
pub const RESULT: u8 = 19;
pub const ERROR: u8 = 20;
/// The sandbox could not be made; the body says why, in words.
pub const START_FAILED: u8 = 21;
/// Brings the listening sockets of the worker's namespace, before hello.
pub const LISTENING: u8 = 22;
/// Brings what is to be kept for later workers of the deployment, before loaded.
pub const KEEP: u8 = 23;
/// Added to the kind of an answer: the worker must not be used again.
pub const LAST: u8 = 0x80;

/// Bytes before the body of a call and of its answer: what a call is known by. Nobody can guess
/// that of the next call, so an answer that came too late, or was forged, is never taken for one
/// to it.
pub const TOKEN: usize = 8;

pub const HEADER: usize = 5;
const READ_BYTES: usize = 16 << 10;

/// What came from a worker.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    /// Whether the worker said it must not be used again.
    pub last: bool,
    pub body: Bytes,
}

pub fn encode(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.push(kind);
    frame.extend_from_slice(body);
    frame
}

/// The server's end of a worker's socket.
#[derive(Debug)]
pub struct FrameSocket {
    stream: UnixStream,
    buffer: BytesMut,
    max_bytes: usize,
}

impl FrameSocket {
    pub fn new(stream: UnixStream, max_bytes: usize) -> Self {
        Self { stream, buffer: BytesMut::new(), max_bytes }
    }

    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub async fn send(&self, kind: u8, body: &[u8]) -> io::Result<()> {
        let frame = encode(kind, body);
        self.write(&mut [IoSlice::new(&frame)]).await
    }

    /// Sends a call from where its two bodies lie.
    pub async fn send_call(
        &self,
        token: [u8; TOKEN],
        context: &[u8],
        payload: &[u8],
    ) -> io::Result<()> {
        let length = (TOKEN + 4 + context.len() + payload.len()) as u32;
        let mut header = [0; HEADER + TOKEN + 4];
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4] = CALL;
        header[HEADER..HEADER + TOKEN].copy_from_slice(&token);
        header[HEADER + TOKEN..].copy_from_slice(&(context.len() as u32).to_le_bytes());
        let mut parts = [IoSlice::new(&header), IoSlice::new(context), IoSlice::new(payload)];
        self.write(&mut parts).await
    }

    async fn write(&self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        while parts.iter().any(|p| !p.is_empty()) {
            match self.stream.try_write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The next frame, or nothing when the worker closed its end. May be dropped and called again.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if self.buffer.capacity() == self.buffer.len() {
                self.buffer.reserve(READ_BYTES);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Forgets what came that nobody asked for; the answer is whether there was anything.
    pub fn discard(&mut self) -> bool {
        let any = !self.buffer.is_empty();
        self.buffer.clear();
        any
    }

    fn take(&mut self) -> io::Result<Option<Frame>> {
        if self.buffer.len() < HEADER {
            return Ok(None);
        }
        let length = self.buffer[..4].try_into().expect("four bytes are four bytes");
        let length = u32::from_le_bytes(length) as usize;
        if length > self.max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.buffer.len() < HEADER + length {
            self.buffer.reserve(HEADER + length - self.buffer.len());
            return Ok(None);
        }
        let kind = self.buffer[4];
        self.buffer.advance(HEADER);
        let body = self.buffer.split_to(length).freeze();
        Ok(Some(Frame { kind: kind & !LAST, last: kind & LAST != 0, body }))
    }
}
