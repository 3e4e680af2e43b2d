//! An executable that is started anew for every call, with `{"context": …, "payload": …}` on its
//! standard input. What it writes to its standard output is the result, what it writes to its
//! standard error is the log. An exit status other than 0 is a failure.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::{Environment, Limit, shown};

pub fn call(
    program: &Path,
    environment: &Environment,
    limit: Limit,
    input: Vec<u8>,
    max_bytes: usize,
) -> Result<Vec<u8>, String> {
    let answer = run(program, environment, limit, input, max_bytes);
    sweep();
    answer
}

fn run(
    program: &Path,
    environment: &Environment,
    limit: Limit,
    input: Vec<u8>,
    max_bytes: usize,
) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.env_clear().envs(environment.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    limit.apply(&mut command);
    let started = command.spawn();
    let mut child = started.map_err(|e| format!("{} does not start: {e}", shown(program)))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
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
