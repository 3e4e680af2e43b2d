//! Failures of functions and of the engine, in their words.

use dispatch_driver::{Error, Retry};
use dispatch_model::{InvocationError, InvocationErrorType, code};
use serde::Deserialize;

/// What a host says about an error of the handler.
#[derive(Deserialize)]
struct Report {
    message: String,
    #[serde(default)]
    stacktrace: Vec<String>,
}

/// A host's report; what cannot be read as one is shown as it is.
pub fn reported(body: &[u8]) -> InvocationError {
    match serde_json::from_slice::<Report>(body) {
        Ok(report) => InvocationError { stacktrace: report.stacktrace, ..function(report.message) },
        Err(_) => function(String::from_utf8_lossy(body)),
    }
}

pub fn function(message: impl Into<String>) -> InvocationError {
    let kind = InvocationErrorType::FunctionError;
    InvocationError { kind, message: message.into(), stacktrace: Vec::new() }
}

/// Longest end of what a program wrote that goes into an error: programs say last why they end.
const MAX_LAST_WORDS: usize = 2 << 10;

/// A program that ended before it was ready.
#[derive(Debug)]
pub struct Ended {
    /// As [`Control::status`](super::control::Control::status) tells it.
    pub status: Option<i32>,
    /// What it wrote to its standard error.
    pub words: String,
}

impl Ended {
    /// Whether the program did it: it went, or did what no program may do. Others may end it for
    /// reasons of theirs, like a machine without memory.
    fn by_itself(&self) -> bool {
        use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        let own = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];
        self.status.is_some_and(|status| status < 128 || own.contains(&(status - 128)))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status @ 129..) => write!(f, "signal {}", status - 128)?,
            Some(status) => write!(f, "status {status}")?,
            None => f.write_str("its status is not known")?,
        }
        match last_words(&self.words) {
            "" => f.write_str("; it said nothing"),
            words => write!(f, "; it last said: {words}"),
        }
    }
}

/// A program that did not get ready. When it is an image's, which is named then, whoever made the
/// image has to change something; else it is the engine's to get it going.
pub fn not_ready(what: &str, of_image: Option<&str>, ended: &Ended) -> Error {
    match of_image.filter(|_| ended.by_itself()) {
        Some(program) => {
            let text = format!("the image's {program:?} ended as it started: {ended}");
            Error::caller(code::ENGINE001, text)
        }
        None => engine(what, format!("it ended as it started: {ended}")),
    }
}

/// The end of what a program wrote, short enough for an error.
pub fn last_words(all: &str) -> &str {
    let all = all.trim_end();
    let mut from = all.len().saturating_sub(MAX_LAST_WORDS);
    while !all.is_char_boundary(from) {
        from += 1;
    }
    &all[from..]
}

/// The engine could not do its part.
pub fn engine(what: &str, error: impl std::fmt::Display) -> Error {
    Error::backend(code::ENGINE006, Retry::Now, format!("{what}: {error}"))
}

/// A handler that does not load, for the author of the function.
pub fn not_loaded(error: &InvocationError) -> Error {
    let mut text = error.message.clone();
    for line in &error.stacktrace {
        text.push('\n');
        text.push_str(line);
    }
    Error::caller(code::ENGINE003, text)
}

#[cfg(test)]
mod tests {
    use dispatch_driver::Fault;

    use super::*;

    fn fault(of_image: Option<&str>, status: Option<i32>) -> Fault {
        let ended = Ended { status, words: String::new() };
        not_ready("the pool", of_image, &ended).fault
    }

    #[test]
    fn an_image_is_blamed_for_what_its_program_does_itself() {
        for status in [0, 1, 127, 128 + libc::SIGSEGV, 128 + libc::SIGILL] {
            assert_eq!(fault(Some("python3"), Some(status)), Fault::Caller, "{status}");
            assert_eq!(fault(None, Some(status)), Fault::Backend, "{status}");
        }
        for status in [None, Some(128 + libc::SIGKILL), Some(128 + libc::SIGTERM)] {
            assert_eq!(fault(Some("python3"), status), Fault::Backend, "{status:?}");
        }
    }

    #[test]
    fn last_words_are_the_end_and_whole_characters() {
        let long = "ä".repeat(MAX_LAST_WORDS) + "x";
        let words = last_words(&long);
        assert!(words.len() < MAX_LAST_WORDS && words.ends_with("äx") && words.starts_with('ä'));
        assert_eq!(last_words("said\n\n"), "said");
    }
}
