//! JSON text from outside: checked once, then passed on as it is.

use std::sync::Arc;

use bytes::Bytes;
use dispatch_model::{RawJson, Violation};
use serde_json::value::RawValue;

/// Deepest nesting of arrays and objects a payload may have, as the parsers of handlers and
/// schemas allow at least this much.
pub const MAX_DEPTH: usize = 128;

/// Checks that `text` is one JSON value of bearable depth, and keeps a copy of it.
pub fn raw(text: &[u8]) -> Result<RawJson, Violation> {
    let value: Box<RawValue> =
        serde_json::from_slice(text).map_err(|e| Violation::new("input", e.to_string()))?;
    check_depth(value.get().as_bytes())?;
    Ok(Arc::from(value))
}

/// Refuses a checked JSON text that is nested deeper than [`MAX_DEPTH`].
pub fn check_depth(json: &[u8]) -> Result<(), Violation> {
    // A text with few brackets cannot be deep; counting them is many times faster than
    // following strings and escapes, so nearly every payload ends here.
    let openings = json.iter().filter(|b| matches!(b, b'[' | b'{')).count();
    if openings <= MAX_DEPTH || depth(json) <= MAX_DEPTH {
        return Ok(());
    }
    Err(Violation::new("input", format!("is nested deeper than {MAX_DEPTH} levels")))
}

fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

/// The same text as shared bytes, without copying it.
pub fn bytes(json: &RawJson) -> Bytes {
    Bytes::from_owner(Text(json.clone()))
}

struct Text(RawJson);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.get().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_as_it_was_sent() {
        let json = raw(br#" {"b": 1.50,  "a": [1e3]} "#).unwrap();
        assert_eq!(json.get(), r#"{"b": 1.50,  "a": [1e3]}"#);
        assert_eq!(bytes(&json), json.get());
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for bad in ["", "{", "nul", "1 2", "{\"a\":NaN}", "\u{feff}1"] {
            assert!(raw(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(raw(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(raw(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(raw(nested(10_000).as_bytes()).is_err());
        let wide = format!("[{}]", vec!["[]"; 10_000].join(","));
        assert!(raw(wide.as_bytes()).is_ok());
        let quoted = format!("\"\\\"{}\"", "[".repeat(10_000));
        assert!(raw(quoted.as_bytes()).is_ok());
    }
}
