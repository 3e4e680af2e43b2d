//! What is said about a command line that cannot be read. As in v1 every failure exits 1.

use clap::CommandFactory as _;
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};

use crate::arguments::Arguments;
use crate::{later, printer};

/// Prints the error, or the help that was asked for, and returns the exit code.
pub fn report(error: &clap::Error) -> i32 {
    if !error.use_stderr() {
        // A reader that left is no reason to fail.
        let _ = error.print();
        return 0;
    }
    match unknown_word(error).and_then(later::answer) {
        Some(answer) => printer::error(&answer.into()),
        None => {
            let _ = of_the_line_alone().as_ref().unwrap_or(error).print();
        }
    }
    1
}

/// The error as it is without the variables of the environment: clap lists what they gave as if it
/// had been typed. None when they are what is wrong.
fn of_the_line_alone() -> Option<clap::Error> {
    let command = Arguments::command().mut_args(|arg| arg.env(Resettable::Reset));
    command.try_get_matches().err()
}

/// The command or kind that is not known, if that is what is wrong.
fn unknown_word(error: &clap::Error) -> Option<&str> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if let Some(word) = text(ContextKind::InvalidSubcommand) {
        return Some(word);
    }
    match text(ContextKind::InvalidArg)? {
        argument if argument.contains("KIND") => text(ContextKind::InvalidValue),
        word if !word.starts_with('-') => Some(word),
        _ => None,
    }
}
