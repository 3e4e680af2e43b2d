//! Limits of the JSON that comes from outside.

use bytes::Bytes;
use dispatch_model::{RawJson, Violation};

/// Deepest nesting of arrays and objects a payload may have, as the parsers of handlers and
/// schemas allow at least this much.
pub const MAX_DEPTH: usize = 128;

/// Checks that `text` is one JSON value of bearable depth, and shares it.
pub fn raw(text: Bytes) -> Result<RawJson, Violation> {
    let value = RawJson::parse(text).map_err(|e| Violation::new("input", e.to_string()))?;
    check_depth(value.get().as_bytes())?;
    Ok(value)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(raw(nested(MAX_DEPTH).into()).is_ok());
        assert!(raw(nested(MAX_DEPTH + 1).into()).is_err());
        assert!(raw(nested(10_000).into()).is_err());
        let wide = format!("[{}]", vec!["[]"; 10_000].join(","));
        assert!(raw(wide.into()).is_ok());
        let quoted = format!("\"\\\"{}\"", "[".repeat(10_000));
        assert!(raw(quoted.into()).is_ok());
    }
}
