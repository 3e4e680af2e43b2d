//! What can go wrong between a client and a server, with what to do about it.

use crate::ErrorBody;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The server said no. `[Code: 404] function hello not found`, as v1 printed it.
    #[error("[Code: {}] {}", .0.code, .0.message)]
    Answer(Box<ErrorBody>),
    #[error("no answer from {base}: {cause}")]
    Connection { base: String, cause: String },
    /// The server sends on to another address, which nothing is sent to by itself.
    #[error("{base} answers {status}: it sends to {}", .to.as_deref().unwrap_or("nowhere"))]
    Redirect { base: String, status: u16, to: Option<String> },
    /// Something that is not the server's could not be fetched.
    #[error("cannot fetch {url}: {cause}")]
    Download { url: String, cause: String },
    #[error("the server's answer is not the JSON it should be: {0}")]
    NotJson(String),
    #[error("{0}")]
    Credentials(String),
}

impl Error {
    pub(super) fn connection(base: &str, error: &reqwest::Error) -> Self {
        Error::Connection { base: base.to_owned(), cause: innermost(error) }
    }

    pub(super) fn download(url: &str, error: &reqwest::Error) -> Self {
        Error::Download { url: url.to_owned(), cause: innermost(error) }
    }

    /// An answer that is no success; its body may be ours or anything a proxy says.
    pub(super) fn answer(status: u16, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<ErrorBody>(body).ok();
        let body = parsed.unwrap_or_else(|| {
            let message = serde_json::from_slice::<serde_json::Value>(body).ok();
            let message = message.and_then(|body| Some(body["message"].as_str()?.to_owned()));
            let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
            let text: String = text.trim().chars().take(500).collect();
            let message = if text.is_empty() { "the answer is empty".to_owned() } else { text };
            let hint = Some("that is no answer of Dispatch's API: check --host and --port".into());
            ErrorBody { code: status, message, hint, ..ErrorBody::default() }
        });
        Error::Answer(Box::new(body))
    }

    /// The same with when to try again, if the server said that.
    pub(super) fn retry_after(mut self, seconds: Option<u64>) -> Self {
        if let (Error::Answer(body), Some(seconds)) = (&mut self, seconds) {
            let hint = body.hint.take().map(|hint| format!("{hint}; ")).unwrap_or_default();
            body.hint = Some(format!("{hint}try again in {seconds} s"));
        }
        self
    }

    /// The HTTP status, when the server answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Answer(body) => Some(body.code),
            _ => None,
        }
    }

    /// The field the server found at fault.
    pub fn field(&self) -> Option<&str> {
        match self {
            Error::Answer(body) => body.field.as_deref(),
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
            Error::Connection { base, cause } => vec![connection_hint(base, cause)],
            Error::Redirect { to, .. } => vec![redirect_hint(to.as_deref())],
            Error::NotJson(_) => vec!["is this the address of a Dispatch server?".to_owned()],
            Error::Download { .. } => vec!["check the address; it must need no sign-in".to_owned()],
            Error::Credentials(_) => Vec::new(),
        }
    }
}

/// The innermost cause says it: "Connection refused".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The address that was meant, if it is one.
fn redirect_hint(to: Option<&str>) -> String {
    let of_web = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https");
    let url = to.and_then(|to| reqwest::Url::parse(to).ok()).filter(of_web);
    let meant = url.as_ref().and_then(|url| {
        let port = url.port_or_known_default()?;
        Some(format!("--scheme {} --host {} --port {port}", url.scheme(), url.host_str()?))
    });
    match meant {
        Some(meant) => format!("if that is the server: {meant}"),
        None => "is this the address of a Dispatch server, or of something before it?".to_owned(),
    }
}

/// What most likely is wrong, by the words of the cause.
fn connection_hint(base: &str, cause: &str) -> String {
    let says = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    if says(&["UnknownIssuer", "invalid peer certificate", "self-signed", "self signed"]) {
        "the certificate is not trusted here: SSL_CERT_FILE=FILE trusts the one in FILE, \
         --insecure any"
            .to_owned()
    } else if says(&["InvalidContentType", "corrupt message"]) {
        "the server speaks plain http there: --scheme http".to_owned()
    } else if says(&["lookup", "Name or service", "resolve"]) {
        "no host has that name: check --host, DISPATCH_HOST and `dispatch context`".to_owned()
    } else if says(&["message completed", "reset by peer", "HTTP version"])
        && base.starts_with("http:")
    {
        "the server may speak TLS there: --scheme https".to_owned()
    } else {
        format!(
            "is the server running at {base}? `dispatch-server run` starts one on \
             127.0.0.1:8080; --host, --port and --scheme name another"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_fix() {
        for (cause, part) in [
            ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
            ("received corrupt message of type InvalidContentType", "--scheme http"),
            ("failed to lookup address information: Name or service not known", "--host"),
            ("connection closed before message completed", "--scheme https"),
            ("invalid HTTP version parsed", "--scheme https"),
            ("Connection refused (os error 111)", "dispatch-server run"),
        ] {
            let hint = connection_hint("http://h:1", cause);
            assert!(hint.contains(part), "{cause}: {hint}");
        }
    }

    #[test]
    fn an_answer_of_something_else_is_told_apart() {
        let error = Error::answer(404, b"<html>not here</html>");
        assert_eq!(error.to_string(), "[Code: 404] <html>not here</html>");
        assert!(error.hints()[0].contains("--port"), "{:?}", error.hints());
        let error = Error::answer(404, br#"{"message": "no API found"}"#);
        assert_eq!(error.to_string(), "[Code: 404] no API found");
    }

    #[test]
    fn an_answer_says_when_to_try_again() {
        let body = br#"{"code": 429, "message": "too many attempts", "hint": "wait"}"#;
        let hints = |body, seconds| Error::answer(429, body).retry_after(seconds).hints();
        assert_eq!(hints(body, Some(30)), ["wait; try again in 30 s"]);
        assert_eq!(hints(body, None), ["wait"]);
        assert_eq!(hints(br#"{"code": 429, "message": ""}"#, Some(7)), ["try again in 7 s"]);
    }
}
