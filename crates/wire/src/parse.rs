//! JSON from outside, read with errors that name the field.

use dispatch_model::{Violation, nearest};
use serde::de::DeserializeOwned;

/// Deepest nesting accepted in a body. serde_json stops at 128 by itself.
pub const MAX_DEPTH: usize = 128;

/// Reads a shape; the violation names the path of the field at fault and what was wrong with it.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Violation> {
    // Left to itself, serde reads a shape from an array too, field by field.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Violation::new("body", "must be an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "body".to_owned() } else { path };
        Violation::new(field, rule(error.inner()))
    })?;
    deserializer.end().map_err(|error| Violation::new("body", error.to_string()))?;
    Ok(value)
}

/// What serde says, in fewer words: the path tells where, and of all the fields there are, the
/// nearest was meant.
fn rule(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !error.is_data() {
        return text;
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let Some(rest) = text.strip_prefix("unknown field `") else { return text.to_owned() };
    let mut quoted = rest.split('`').step_by(2);
    let given = quoted.next().unwrap_or_default();
    match nearest(given, quoted) {
        Some(meant) => format!("unknown field `{given}`; did you mean `{meant}`?"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_and_an_unknown_field_are_named() {
        let wrong = parse::<crate::Function>(br#"{"name":"f","timeout":"soon"}"#).unwrap_err();
        assert_eq!(wrong.field, "timeout");
        let unknown = parse::<crate::Function>(br#"{"name":"f","tiemout":1}"#).unwrap_err();
        assert_eq!(unknown.rule, "unknown field `tiemout`; did you mean `timeout`?");
        let unknown = parse::<crate::Function>(br#"{"name":"f","colour":1}"#).unwrap_err();
        assert!(unknown.rule.contains("expected one of `id`, `kind`"), "{unknown}");
    }

    #[test]
    fn an_array_is_no_shape() {
        for body in ["[]", " [{}]", "7", "\"x\"", ""] {
            assert_eq!(parse::<crate::Run>(body.as_bytes()).unwrap_err().field, "body");
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_fatal() {
        let deep = format!("{{\"name\":\"f\",\"schema\":{{\"in\":{}", "[".repeat(10_000));
        assert!(parse::<crate::Function>(deep.as_bytes()).is_err());
    }
}
