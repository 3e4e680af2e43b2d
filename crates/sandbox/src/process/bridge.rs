//! The host of `binary` functions: carries each call to an executable of the function.
//!
//! For every call the executable is started anew with `{"context": …, "payload": …}` on its
//! standard input; what it writes to its standard output is the result, what it writes to its
//! standard error is the log. An exit status other than 0 is a failure.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::Deserialize;

use super::frame;

#[derive(Deserialize)]
struct Order {
    handler: String,
    directory: PathBuf,
    max_payload_bytes: usize,
}

/// Serves calls until the server closes the socket.
#[allow(unsafe_code)]
pub fn run(environment: &[(String, String)]) -> Result<Infallible, String> {
    // SAFETY: the plan's executor put the worker's socket at 3, and nothing else owns it.
    let mut server = unsafe { UnixStream::from_raw_fd(3) };
    let sockets = rustix::io::fcntl_setfd(&server, rustix::io::FdFlags::CLOEXEC);
    sockets.map_err(|e| e.to_string())?;
    send(&mut server, frame::HELLO, b"");
    let Some((frame::LOAD, body)) = receive(&mut server) else { std::process::exit(0) };
    let order: Order = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    let program = match find(&order) {
        Ok(program) => program,
        Err(message) => {
            send(&mut server, frame::LOAD_FAILED, &report(&message));
            std::process::exit(0);
        }
    };
    send(&mut server, frame::LOADED, b"");
    while let Some((frame::CALL, body)) = receive(&mut server) {
        let Some((token, body)) = body.split_at_checked(frame::TOKEN) else { break };
        let answer = call(&program, environment, body, order.max_payload_bytes);
        sweep();
        let (kind, answer) = match answer {
            Ok(result) => (frame::RESULT, result),
            Err(message) => (frame::ERROR, report(&message)),
        };
        send(&mut server, kind, &[token, &answer].concat());
    }
    std::process::exit(0);
}

/// The handler is a path in the source; without one, the only file there.
fn find(order: &Order) -> Result<PathBuf, String> {
    let named = order.directory.join(order.handler.trim_start_matches("./"));
    let program = if !order.handler.is_empty() && named.is_file() {
        named
    } else {
        let entries = std::fs::read_dir(&order.directory).map_err(|e| e.to_string())?;
        let files: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| p.is_file()).collect();
        match files.as_slice() {
            [only] => only.clone(),
            _ => return Err(format!("the source has no executable {:?}", order.handler)),
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

fn call(
    program: &Path,
    environment: &[(String, String)],
    body: &[u8],
    max_bytes: usize,
) -> Result<Vec<u8>, String> {
    let (length, rest) = body.split_at_checked(4).ok_or("the call is cut short")?;
    let length = u32::from_le_bytes(length.try_into().expect("four bytes are four bytes"));
    let (context, payload) =
        rest.split_at_checked(length as usize).ok_or("the call is cut short")?;
    let mut command = Command::new(program);
    command.env_clear().envs(environment.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let started = command.spawn();
    let mut child = started.map_err(|e| format!("{} does not start: {e}", shown(program)))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let input = [br#"{"context":"#, context, br#","payload":"#, payload, b"}"].concat();
    // Of its own, because a program may answer before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let mut result = Vec::new();
    let stdout = child.stdout.take().expect("it was asked for");
    let read = stdout.take(max_bytes as u64 + 1).read_to_end(&mut result);
    read.map_err(|e| format!("its output cannot be read: {e}"))?;
    if result.len() > max_bytes {
        return Err(format!("the result is larger than {max_bytes} bytes"));
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    sweep();
    // A program need not read its input.
    let _ = writer.join();
    match status.success() {
        true if result.trim_ascii().is_empty() => Ok(b"null".to_vec()),
        true => Ok(result),
        false => Err(format!("{} ended with {status}", shown(program))),
    }
}

/// Ends what the executable left behind: this is process 1, so that is everything else.
fn sweep() {
    if kill(Pid::from_raw(-1), Signal::SIGKILL).is_ok() {
        while waitpid(Pid::from_raw(-1), None).is_ok() {}
    }
}

fn report(message: &str) -> Vec<u8> {
    serde_json::json!({ "message": message, "stacktrace": [] }).to_string().into_bytes()
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
