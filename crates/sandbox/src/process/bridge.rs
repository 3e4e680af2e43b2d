//! The host of `binary` functions: carries each call to an executable of the function, in one of
//! two ways. The handler's name says which: `./program` reads and writes its standard streams,
//! `http:./program` serves the Function Runtime API.

mod served;
mod started;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::Deserialize;
use serde_json::{Value, json};

use self::served::Served;
use super::frame;

/// Before the path of an executable that serves the Function Runtime API.
const HTTP: &str = "http:";

type Environment = [(String, String)];

#[derive(Deserialize)]
struct Order {
    handler: String,
    directory: PathBuf,
    max_payload_bytes: usize,
    load_timeout_ms: u64,
    max_address_bytes: Option<u64>,
}

/// What came of a call.
enum Answer {
    Result(Vec<u8>),
    /// The executable failed; this is what the host reports.
    Failed(Value),
    /// The same, and it cannot be called again.
    Gone(Value),
}

/// How the function's executable is called.
enum Program {
    Started(PathBuf, Limit),
    Served(Box<Served>),
}

/// This process runs the server's own binary. Where the server is an ordinary user, the functions'
/// user owns that file, and `/proc/PID/exe` would lead to it out of the sandbox: a handler could
/// change its mode. A process that cannot be dumped keeps that link to itself.
pub fn hide_binary() -> Result<(), String> {
    nix::sys::prctl::set_dumpable(false).map_err(|e| format!("prctl: {e}"))
}

/// Serves calls until the server closes the socket.
#[allow(unsafe_code)]
pub fn run(environment: &Environment) -> Result<Infallible, String> {
    // SAFETY: the plan's executor put the worker's socket at 3, and nothing else owns it.
    let mut server = unsafe { UnixStream::from_raw_fd(3) };
    let sockets = rustix::io::fcntl_setfd(&server, rustix::io::FdFlags::CLOEXEC);
    sockets.map_err(|e| e.to_string())?;
    hide_binary()?;
    send(&mut server, frame::HELLO, &[]);
    let Some((frame::LOAD, body)) = receive(&mut server) else { std::process::exit(0) };
    let order: Order = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    let mut program = match load(&order, environment) {
        Ok(program) => program,
        Err(message) => {
            send(&mut server, frame::LOAD_FAILED, report(&message).to_string().as_bytes());
            std::process::exit(0);
        }
    };
    send(&mut server, frame::LOADED, &[]);
    while let Some((frame::CALL, body)) = receive(&mut server) {
        let Some((token, body)) = body.split_at_checked(frame::TOKEN) else { break };
        let (kind, answer) = match call(&mut program, environment, body, order.max_payload_bytes) {
            Answer::Result(result) => (frame::RESULT, result),
            Answer::Failed(report) => (frame::ERROR, report.to_string().into_bytes()),
            Answer::Gone(report) => (frame::ERROR | frame::LAST, report.to_string().into_bytes()),
        };
        send(&mut server, kind, &[token, &answer].concat());
    }
    std::process::exit(0);
}

/// Bytes of addresses an executable may have; no limit where a cgroup limits its memory.
#[derive(Clone, Copy)]
struct Limit(Option<u64>);

impl Limit {
    #[allow(unsafe_code)]
    fn apply(self, command: &mut Command) {
        let Some(bytes) = self.0 else { return };
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        let set = move || Ok(setrlimit(Resource::As, limit)?);
        // SAFETY: between fork and exec it makes one system call, which allocates nothing.
        unsafe { command.pre_exec(set) };
    }
}

fn load(order: &Order, environment: &Environment) -> Result<Program, String> {
    let limit = Limit(order.max_address_bytes);
    match order.handler.strip_prefix(HTTP) {
        Some(path) => {
            let path = find(&order.directory, path)?;
            // A little less than the server waits, so that it still hears the reason.
            let ready = Duration::from_millis(order.load_timeout_ms) * 9 / 10;
            let served = Served::start(&path, environment, limit, order.max_payload_bytes, ready)?;
            Ok(Program::Served(Box::new(served)))
        }
        None => find(&order.directory, &order.handler).map(|path| Program::Started(path, limit)),
    }
}

fn call(program: &mut Program, environment: &Environment, body: &[u8], max_bytes: usize) -> Answer {
    let Some((context, payload)) = split(body) else {
        return Answer::Failed(report("the call is cut short"));
    };
    let input = [br#"{"context":"#, context, br#","payload":"#, payload, b"}"].concat();
    match program {
        Program::Started(path, limit) => {
            match started::call(path, environment, *limit, input, max_bytes) {
                Ok(result) => Answer::Result(result),
                Err(message) => Answer::Failed(report(&message)),
            }
        }
        Program::Served(served) => served.call(input),
    }
}

/// The context and the payload of a call.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().expect("four bytes are four bytes"));
    rest.split_at_checked(length as usize)
}

/// The handler is a path in the source; without one, the only file there.
fn find(directory: &Path, handler: &str) -> Result<PathBuf, String> {
    let named = directory.join(handler.trim_start_matches("./"));
    let program = if !handler.is_empty() && named.is_file() {
        named
    } else {
        let entries = std::fs::read_dir(directory).map_err(|e| e.to_string())?;
        let files: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| p.is_file()).collect();
        match files.as_slice() {
            [only] => only.clone(),
            _ => return Err(format!("the source has no executable {handler:?}")),
        }
    };
    use std::os::unix::fs::PermissionsExt;
    let mode = program.metadata().map_err(|e| e.to_string())?.permissions().mode();
    match mode & 0o111 {
        0 => Err(format!("{} is not executable", shown(&program))),
        _ => Ok(program),
    }
}

fn shown(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn report(message: &str) -> Value {
    json!({ "message": message, "stacktrace": [] })
}

fn send(server: &mut UnixStream, kind: u8, body: &[u8]) {
    if server.write_all(&frame::encode(kind, body)).is_err() {
        std::process::exit(0);
    }
}

fn receive(server: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 5];
    server.read_exact(&mut header).ok()?;
    let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes are four bytes"));
    let mut body = vec![0; length as usize];
    server.read_exact(&mut body).ok()?;
    Some((header[4], body))
}
