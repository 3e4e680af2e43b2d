//! Errors of the command itself that say what to do about them.

/// What went wrong, and the fix.
#[derive(Debug)]
pub struct Wrong {
    message: String,
    pub hint: String,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl Wrong {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    /// The same with where it is in front.
    pub fn at(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

/// An error with its fix.
pub fn wrong(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Wrong::new(message, hint).into()
}

/// A word that is none of the known ones; names the nearest, or else all.
pub fn unknown<'a>(what: &str, word: &str, known: impl IntoIterator<Item = &'a str>) -> Wrong {
    let known: Vec<&str> = known.into_iter().collect();
    let hint = match dispatch_model::nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("there are: {}", known.join(", ")),
    };
    Wrong::new(format!("{what} {word:?} is not known"), hint)
}
