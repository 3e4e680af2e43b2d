//! What can go wrong between a client and a server, with what to do about it.

use crate::ErrorBody;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The server said no. `[Code: 404] function hello not found`, as v1 printed it.
    #[error("[Code: {}] {}", .0.code, .0.message)]
    Answer(Box<ErrorBody>),
    #[error("no answer from {base}: {cause}")]
    Connection { base: String, cause: String },
    #[error("the server's answer is not the JSON it should be: {0}")]
    NotJson(String),
    #[error("{0}")]
    Credentials(String),
}

impl Error {
    pub(super) fn connection(base: &str, error: &reqwest::Error) -> Self {
        // The innermost cause says it: "Connection refused".
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Error::Connection { base: base.to_owned(), cause: cause.to_string() }
    }

    /// An answer that is no success; its body may be ours or anything a proxy says.
    pub(super) fn answer(status: u16, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<ErrorBody>(body).ok();
        let body = parsed.unwrap_or_else(|| {
            let text = String::from_utf8_lossy(body);
            let text: String = text.trim().chars().take(500).collect();
            let message = if text.is_empty() { "the answer is empty".to_owned() } else { text };
            ErrorBody { code: status, message, ..ErrorBody::default() }
        });
        Error::Answer(Box::new(body))
    }

    /// The HTTP status, when the server answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Answer(body) => Some(body.code),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Error::Answer(body) => {
                let explain = |code: &String| format!("dispatch explain {code}");
                body.hint.iter().cloned().chain(body.error_code.as_ref().map(explain)).collect()
            }
            Error::Connection { base, .. } => {
                let mut hints = vec![format!("is the server running at {base}?")];
                if base.starts_with("https:") {
                    hints.push(
                        "an embedded server speaks http: --scheme http --port 8080".to_owned(),
                    );
                }
                hints
            }
            Error::NotJson(_) => vec!["is this the address of a Dispatch server?".to_owned()],
            Error::Credentials(_) => Vec::new(),
        }
    }
}
