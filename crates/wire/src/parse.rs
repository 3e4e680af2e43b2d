//! JSON from outside, read with errors that name the field.

use dispatch_model::Violation;
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
        Violation::new(field, error.inner().to_string())
    })?;
    deserializer.end().map_err(|error| Violation::new("body", error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_and_an_unknown_field_are_named() {
        let wrong = parse::<crate::Function>(br#"{"name":"f","timeout":"soon"}"#).unwrap_err();
        assert_eq!(wrong.field, "timeout");
        let unknown = parse::<crate::Function>(br#"{"name":"f","tiemout":1}"#).unwrap_err();
        assert!(unknown.rule.contains("tiemout"), "{unknown}");
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
