//! The context a handler gets: one JSON object, spliced together from text that is JSON already.

use bytes::{BufMut, Bytes, BytesMut};
use dispatch_model::RawJson;
use uuid::Uuid;

use super::timestamp::write_rfc3339;

/// What goes into a context. Every `&[u8]` is JSON text.
pub struct Context<'a> {
    /// An object of all secrets' keys and values.
    pub secrets: &'a [u8],
    pub http_context: Option<&'a RawJson>,
    pub event: Option<&'a RawJson>,
    /// Unix milliseconds.
    pub deadline_ms: i64,
    pub timeout_ms: u64,
    pub run_id: Uuid,
    pub request_id: &'a str,
    /// 1 for the first.
    pub attempt: u32,
}

/// Room for everything but the spliced parts.
const FIXED_BYTES: usize = 256;

impl Context<'_> {
    /// Writes the object into one buffer of the right size.
    pub fn to_bytes(&self) -> Bytes {
        let spliced = self.secrets.len()
            + self.http_context.map_or(0, |j| j.get().len())
            + self.event.map_or(0, |j| j.get().len())
            + self.request_id.len();
        let mut out = BytesMut::with_capacity(FIXED_BYTES + spliced);
        out.put_slice(br#"{"secrets":"#);
        out.put_slice(self.secrets);
        out.put_slice(br#","serviceBindings":{}"#);
        if let Some(json) = self.http_context {
            out.put_slice(br#","httpContext":"#);
            out.put_slice(json.get().as_bytes());
        }
        if let Some(json) = self.event {
            out.put_slice(br#","event":"#);
            out.put_slice(json.get().as_bytes());
        }
        out.put_slice(br#","deadline":""#);
        write_rfc3339(&mut out, self.deadline_ms);
        out.put_slice(br#"","timeout":"#);
        put_number(&mut out, self.timeout_ms);
        out.put_slice(br#","runId":""#);
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        out.put_slice(self.run_id.hyphenated().encode_lower(&mut id).as_bytes());
        out.put_slice(br#"","requestId":"#);
        put_string(&mut out, self.request_id);
        out.put_slice(br#","attempt":"#);
        put_number(&mut out, u64::from(self.attempt));
        out.put_u8(b'}');
        out.freeze()
    }
}

fn put_number(out: &mut BytesMut, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).expect("a digit is below ten");
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

fn put_string(out: &mut BytesMut, text: &str) {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.put_u8(b'"');
        out.put_slice(text.as_bytes());
        out.put_u8(b'"');
        return;
    }
    let quoted = serde_json::to_string(text).expect("a string is always JSON");
    out.put_slice(quoted.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::invoke::json::raw;

    fn parse(context: &Context<'_>) -> Value {
        serde_json::from_slice(&context.to_bytes()).unwrap()
    }

    #[test]
    fn holds_what_v1_handlers_read() {
        let http = raw(Bytes::from_static(br#"{"method":"GET"}"#)).unwrap();
        let event = raw(Bytes::from_static(br#"{"eventType":"a.b"}"#)).unwrap();
        let run_id = Uuid::now_v7();
        let context = Context {
            secrets: br#"{"key":"value"}"#,
            http_context: Some(&http),
            event: Some(&event),
            deadline_ms: 1_795_471_200_123,
            timeout_ms: 300_000,
            run_id,
            request_id: "r-1",
            attempt: 2,
        };
        let expected = json!({
            "secrets": {"key": "value"},
            "serviceBindings": {},
            "httpContext": {"method": "GET"},
            "event": {"eventType": "a.b"},
            "deadline": "2026-11-23T22:00:00.123Z",
            "timeout": 300_000,
            "runId": run_id.to_string(),
            "requestId": "r-1",
            "attempt": 2,
        });
        assert_eq!(parse(&context), expected);
    }

    #[test]
    fn a_hostile_request_id_stays_a_string() {
        let context = Context {
            secrets: b"{}",
            http_context: None,
            event: None,
            deadline_ms: 0,
            timeout_ms: 0,
            run_id: Uuid::nil(),
            request_id: "\",\"secrets\":{\"a\":\"\u{1}ü",
            attempt: 1,
        };
        let value = parse(&context);
        assert_eq!(value["requestId"], context.request_id);
        assert_eq!(value["timeout"], 0);
        assert_eq!(value.get("httpContext"), None);
    }
}
