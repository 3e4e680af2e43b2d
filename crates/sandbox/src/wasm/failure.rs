//! Wasmtime's errors as what a run says about them.

use std::time::Duration;

use dispatch_model::{InvocationError, InvocationErrorType};
use wasmtime::{Trap, WasmBacktrace};

/// Frames of a trap that are told.
const MAX_FRAMES: usize = 50;

/// Raised in a guest whose deadline has passed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("timed out")]
pub struct TimedOut;

/// Raised in a guest that asks for more memory than its function may have.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("memory limit exceeded")]
pub struct MemoryLimit;

pub fn function_error(message: impl Into<String>) -> InvocationError {
    let kind = InvocationErrorType::FunctionError;
    InvocationError { kind, message: message.into(), stacktrace: Vec::new() }
}

pub fn timed_out(after: Duration) -> InvocationError {
    function_error(format!("timed out after {} ms", after.as_millis()))
}

/// A call that did not come to an answer, with the guest's frames, the innermost first.
pub fn of_call(error: &wasmtime::Error, timeout: Duration, memory_mib: u64) -> InvocationError {
    let mut failure = if error.is::<TimedOut>() {
        timed_out(timeout)
    } else if error.is::<MemoryLimit>() {
        function_error(format!("memory limit of {memory_mib} MiB exceeded"))
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        function_error(trap.to_string())
    } else {
        function_error(format!("the component failed: {}", error.root_cause()))
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        failure.stacktrace = backtrace.frames().iter().take(MAX_FRAMES).map(frame).collect();
    }
    failure
}

fn frame(frame: &wasmtime::FrameInfo) -> String {
    let function = frame
        .func_name()
        .map_or_else(|| format!("<function {}>", frame.func_index()), |name| name.to_owned());
    match frame.module_offset() {
        Some(offset) => format!("at {function} (wasm offset {offset:#x})"),
        None => format!("at {function}"),
    }
}
