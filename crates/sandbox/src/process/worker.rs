//! One worker: a sandboxed process that answers one call at a time.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitStatus;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use dispatch_driver::Call;
use dispatch_model::{InvocationError, Logs, RawJson};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::cgroup::Cgroup;
use super::control::Control;
use super::ending;
use super::failure::{self, Ended};
use super::frame::{self, Frame, FrameSocket};
use super::log::LogPipe;
use super::network::{self, Carrier};

/// How long the kernel may take to end a killed worker.
const DEATH_WAIT: Duration = Duration::from_millis(500);
/// Longest reason a worker gives for not starting.
const MAX_REASON_BYTES: usize = 4_096;
/// Looks for the status of a worker that has ended, where the kernel can tell it.
const STATUS_LOOKS: u32 = 5;
const STATUS_PAUSE: Duration = Duration::from_millis(1);

/// Killed when it is dropped, with everything it started.
#[derive(Debug)]
pub struct Worker {
    pub socket: FrameSocket,
    pub stdout: LogPipe,
    pub stderr: LogPipe,
    /// Known from its first message on.
    process: Option<OwnedFd>,
    /// How it ended, when the kernel tells.
    status: Option<ExitStatus>,
    cgroup: Option<Cgroup>,
    graves: mpsc::UnboundedSender<Cgroup>,
    /// Of a worker that has egress.
    pub carrier: Option<Carrier>,
    /// Of a worker with an init process of its own.
    control: Option<Control>,
    _slot: OwnedSemaphorePermit,
    pub idle_since: Instant,
}

/// What came of a call.
pub enum Answer {
    /// The worker may have more calls.
    Reusable(Result<RawJson, InvocationError>),
    /// It must not be used again.
    Final(Result<RawJson, InvocationError>),
    /// The worker was gone before it could have seen the call.
    NotReached,
}

/// Why a worker says no hello.
pub enum NoHello {
    /// Its sandbox was there, and then its program ended.
    Ended(Ended),
    Broken(io::Error),
}

impl From<io::Error> for NoHello {
    fn from(error: io::Error) -> Self {
        NoHello::Broken(error)
    }
}

/// What a worker is made of.
pub struct Parts {
    pub socket: FrameSocket,
    pub stdout: LogPipe,
    pub stderr: LogPipe,
    pub cgroup: Option<Cgroup>,
    pub graves: mpsc::UnboundedSender<Cgroup>,
    pub control: Option<Control>,
    pub slot: OwnedSemaphorePermit,
}

impl Worker {
    pub fn new(parts: Parts) -> Self {
        Self {
            socket: parts.socket,
            stdout: parts.stdout,
            stderr: parts.stderr,
            process: None,
            status: None,
            cgroup: parts.cgroup,
            graves: parts.graves,
            carrier: None,
            control: parts.control,
            _slot: parts.slot,
            idle_since: Instant::now(),
        }
    }

    /// Waits for the first message and learns from it which process the worker is. With it come
    /// the listening sockets of a worker that has egress.
    pub async fn greet(&mut self) -> Result<Vec<OwnedFd>, NoHello> {
        let (mut kind, pid, listeners) = self.first().await?;
        if kind == Some(frame::LISTENING) {
            (kind, ..) = self.first().await?;
        }
        let pid = Pid::from_raw(pid);
        if let Some(pid) = pid {
            self.process = match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(process) => Some(process),
                // It has ended since, which its socket shows to whoever waits for the next message.
                Err(Errno::SRCH) => None,
                Err(error) => return Err(io::Error::from(error).into()),
            };
        }
        match kind {
            Some(frame::HELLO) if pid.is_some() => Ok(listeners),
            Some(frame::START_FAILED) => {
                let mut words = vec![0; MAX_REASON_BYTES];
                // It was written together with its header.
                let length = self.socket.stream().try_read(&mut words)?;
                let words = String::from_utf8_lossy(&words[..length]).into_owned();
                Err(io::Error::other(words).into())
            }
            Some(_) => Err(io::Error::other("the worker began with an unknown message").into()),
            None => Err(self.silent().await),
        }
    }

    /// The header of the next message, while what the worker prints is read.
    async fn first(&mut self) -> io::Result<(Option<u8>, i32, Vec<OwnedFd>)> {
        let stream = self.socket.stream();
        let receive = stream.async_io(Interest::READABLE, || receive_hello(stream.as_raw_fd()));
        let received = tokio::select! {
            biased;
            received = receive => received,
            never = self.stdout.follow() => match never {},
            never = self.stderr.follow() => match never {},
        };
        match received {
            // It has ended with what it was to load unread.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok((None, 0, Vec::new())),
            other => other,
        }
    }

    /// Why a worker closed its socket at once.
    async fn silent(&mut self) -> NoHello {
        let words = self.stderr.take().join("\n");
        match &mut self.control {
            Some(control) => NoHello::Ended(Ended { status: control.status().await, words }),
            // Its pool forked it, and nothing has replaced that.
            None => {
                let none = words.is_empty();
                let words = if none { "the worker ended as it started" } else { &words };
                NoHello::Broken(io::Error::other(failure::last_words(words)))
            }
        }
    }

    /// Tells the worker what to load, which it may do as soon as it is there. When it is gone,
    /// whoever waits for its first message hears of it.
    pub async fn order(&self, order: &[u8]) {
        let _ = self.socket.send(frame::LOAD, order).await;
    }

    /// Waits until the handler is loaded; output of that is dropped. The bytes are what the host
    /// wants to be kept for later workers.
    pub async fn loaded(&mut self) -> Result<Option<Bytes>, InvocationError> {
        let (mut answer, mut kept) = (self.next().await, None);
        if let Ok(Some(Frame { kind: frame::KEEP, body, .. })) = answer {
            kept = Some(body);
            answer = self.next().await;
        }
        let mut words = self.stdout.take();
        words.extend(self.stderr.take());
        match answer {
            Ok(Some(Frame { kind: frame::LOADED, .. })) => Ok(kept),
            Ok(Some(Frame { kind: frame::LOAD_FAILED, body, .. })) => Err(failure::reported(&body)),
            _ => {
                self.settle().await;
                let mut error = failure::function(self.reason_of_death("while it was loaded"));
                error.stacktrace = words;
                Err(error)
            }
        }
    }

    /// Runs the handler once, until `ends` at the latest.
    pub async fn call(&mut self, call: &Call, ends: Instant, max_bytes: usize) -> (Answer, Logs) {
        let begun = Instant::now();
        let token = rand::random::<u64>().to_le_bytes();
        let send = self.socket.send_call(token, &call.context, &call.payload);
        let mut forged = false;
        let answer = match tokio::time::timeout_at(ends, send).await {
            Ok(Ok(())) => tokio::time::timeout_at(ends, self.answer(token, &mut forged)).await,
            Ok(Err(_)) => return (Answer::NotReached, Logs::default()),
            Err(elapsed) => Err(elapsed),
        };
        let answer = match answer {
            Err(_) => {
                let limit = ends.duration_since(begun).as_secs_f64() * 1000.0;
                self.kill();
                let text = format!("the function timed out after {limit:.0} ms");
                Answer::Final(Err(failure::function(text)))
            }
            Ok(Ok(Some(frame))) => judge(frame, max_bytes),
            Ok(Ok(None)) => {
                self.settle().await;
                let text = self.reason_of_death("before it answered");
                Answer::Final(Err(failure::function(text)))
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                let text = format!("the result is larger than {max_bytes} bytes");
                Answer::Final(Err(failure::function(text)))
            }
            Ok(Err(error)) => {
                Answer::Final(Err(failure::function(format!("the worker broke: {error}"))))
            }
        };
        let logs = Logs { stdout: self.stdout.take(), stderr: self.stderr.take() };
        match answer {
            // Bytes beyond the answer can only come from a handler that wrote to our socket.
            Answer::Reusable(result) if forged || self.socket.discard() => {
                (Answer::Final(result), logs)
            }
            answer => (answer, logs),
        }
    }

    /// The answer to the call with this token. What a handler wrote to the socket itself is left
    /// out, and shows in `forged`.
    async fn answer(
        &mut self,
        token: [u8; frame::TOKEN],
        forged: &mut bool,
    ) -> io::Result<Option<Frame>> {
        while let Some(mut frame) = self.next().await? {
            if frame.body.starts_with(&token) {
                frame.body.advance(frame::TOKEN);
                return Ok(Some(frame));
            }
            *forged = true;
        }
        Ok(None)
    }

    /// Waits until everything it started is gone, and its mounts with it.
    pub async fn ended(&mut self) {
        let Some(control) = &self.control else { return };
        // Its init process says nothing, unless it failed; it closes the socket when it ends.
        let gone = async { while control.receive().await.is_ok_and(|words| !words.is_empty()) {} };
        // A command that still writes must not be kept waiting.
        tokio::select! {
            () = gone => {}
            never = self.stdout.follow() => match never {},
        }
    }

    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        tokio::select! {
            biased;
            frame = self.socket.next() => frame,
            never = self.stdout.follow() => match never {},
            never = self.stderr.follow() => match never {},
        }
    }

    pub fn kill(&mut self) {
        if let Some(process) = &self.process {
            // It may have ended by itself already.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }

    /// Ends it, and waits until everything it started is gone, or for so long. The thread waits,
    /// for a drop can do nothing else.
    pub fn end(&mut self, limit: Duration) {
        self.kill();
        if let Some(control) = &self.control {
            control.end(limit);
        }
    }

    /// Waits until a worker that closed its socket is gone, so that the reason can be known.
    #[allow(unsafe_code)]
    async fn settle(&mut self) {
        let Some(process) = self.process.as_ref().and_then(|p| p.try_clone().ok()) else { return };
        // SAFETY: an owned descriptor stays the same and open for as long as it is registered.
        let ended = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
        let Ok(ended) = ended else { return };
        let limit = Instant::now() + DEATH_WAIT;
        if tokio::time::timeout_at(limit, ended.readable()).await.is_err() {
            return;
        }
        // Its status is known a moment later, when its parent has waited for it.
        for _ in 0..STATUS_LOOKS {
            self.status = ending::of(ended.get_ref());
            if self.status.is_some() {
                return;
            }
            tokio::time::sleep(STATUS_PAUSE).await;
        }
    }

    pub fn out_of_memory(&self) -> bool {
        self.cgroup.as_ref().is_some_and(Cgroup::out_of_memory)
    }

    fn reason_of_death(&self, when: &str) -> String {
        if self.out_of_memory() {
            return format!("the function ran out of memory {when}");
        }
        match self.status {
            Some(status) => format!("the function's process ended {when}: {status}"),
            None => format!("the function's process ended {when}"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        if let Some(group) = self.cgroup.take() {
            // Fails only when the engine is gone, which removes the whole directory.
            let _ = self.graves.send(group);
        }
    }
}

fn judge(frame: Frame, max_bytes: usize) -> Answer {
    let result = match frame.kind {
        frame::RESULT if frame.body.len() > max_bytes => {
            let length = frame.body.len();
            let text = format!("the result has {length} bytes; {max_bytes} are allowed");
            Err(failure::function(text))
        }
        frame::RESULT => RawJson::parse(frame.body)
            .map_err(|error| failure::function(format!("the result is not valid JSON: {error}"))),
        frame::ERROR => Err(failure::reported(&frame.body)),
        kind => {
            let text = format!("the worker sent an unknown message ({kind})");
            return Answer::Final(Err(failure::function(text)));
        }
    };
    if frame.last { Answer::Final(result) } else { Answer::Reusable(result) }
}

/// The kind of the first message, if one came, who sent it, and listening sockets that came along.
/// Reads no further than its header: the next message may be there already.
fn receive_hello(socket: i32) -> io::Result<(Option<u8>, i32, Vec<OwnedFd>)> {
    let mut bytes = [0; frame::HEADER];
    let mut space = network::space();
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), flags)?;
    let (mut pid, mut listeners) = (0, Vec::new());
    for control in message.cmsgs()? {
        listeners.extend(network::received(&control));
        if let ControlMessageOwned::ScmCredentials(credentials) = control {
            pid = credentials.pid();
        }
    }
    let whole = message.bytes == frame::HEADER;
    Ok((whole.then_some(bytes[frame::HEADER - 1]), pid, listeners))
}
