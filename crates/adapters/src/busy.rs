//! What systems and the proxies before them say when they have no room for a call.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

/// Sentences by which they say that nothing was sent on. Others answer 503 also when a connection
/// broke after the call was sent: it may have reached its handler.
const UNSENT: [&str; 6] = [
    "no endpoints available",
    "connection refused",
    "no route to host",
    "no healthy upstream",
    "overload",
    "queue full",
];
/// Longest wait that a foreign system is believed.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Whether an answer says that the call surely was not sent on.
pub fn is_unsent(status: StatusCode, said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        // What is told of the last attempt says nothing of the first.
        StatusCode::SERVICE_UNAVAILABLE if said.contains("retried") => false,
        StatusCode::SERVICE_UNAVAILABLE => UNSENT.iter().any(|sentence| said.contains(sentence)),
        _ => false,
    }
}

/// `Retry-After` in seconds, as far as it is sensible.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_sentences_say_that_nothing_was_sent() {
        let reset = "upstream connect error or disconnect/reset before headers. reset reason: \
                     connection termination";
        for (status, said, unsent) in [
            (503, "no healthy upstream", true),
            (503, "No endpoints available for: dispatch-1.", true),
            (503, reset, false),
            (503, "", false),
            (503, "retried and the latest reset reason: Connection refused", false),
            (429, "", true),
            (502, "no healthy upstream", false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_unsent(status, said), unsent, "{status} {said}");
        }
    }

    #[test]
    fn no_header_makes_a_wait_without_end() {
        let after = |value: &str| {
            let headers = [(header::RETRY_AFTER, value.parse().unwrap())].into_iter().collect();
            retry_after(&headers)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("18446744073709551615"), Some(LONGEST));
        assert_eq!(after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
