//! JSON Schemas of functions: compiled once, without a way out to other documents.

use dispatch_model::Violation;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::json::check_depth;

/// Largest schema text, in bytes.
const MAX_SCHEMA_BYTES: usize = 256 * 1024;
/// Steps a pattern may try on one string, so that no pattern can hold a thread for long.
const PATTERN_STEPS: usize = 100_000;
/// Errors named in one message; the rest are counted.
const ERRORS_NAMED: usize = 3;
/// Longest description of one error, in characters: it may quote the schema.
const ERROR_CHARS: usize = 240;

/// A compiled schema.
pub struct Schema(Validator);

impl Schema {
    /// Compiles a schema. One without `$schema` is read as 2020-12, or else as draft 4, which is
    /// what v1 took.
    ///
    /// # Errors
    /// Names `field` when the schema is not valid, too large, or refers to another document.
    pub fn compile(field: &str, schema: &Value) -> Result<Self, Violation> {
        let text = schema.to_string();
        if text.len() > MAX_SCHEMA_BYTES {
            let rule = format!("is {} bytes long, at most {MAX_SCHEMA_BYTES}", text.len());
            return Err(Violation::new(field, rule));
        }
        check_depth(text.as_bytes()).map_err(|v| Violation::new(field, v.rule))?;
        let build = |draft: Option<Draft>| {
            let mut options = jsonschema::options()
                .offline()
                .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(PATTERN_STEPS));
            if let Some(draft) = draft {
                options = options.with_draft(draft);
            }
            options.build(schema)
        };
        let compiled = build(None).or_else(|error| match schema.get("$schema") {
            Some(_) => Err(error),
            None => build(Some(Draft::Draft4)).map_err(|_| error),
        });
        compiled.map(Schema).map_err(|e| Violation::new(field, clip(&e.to_string())))
    }

    /// Checks a JSON text; the error names the places and the rules broken there.
    pub fn check(&self, json: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
        if self.0.is_valid(&value) {
            return Ok(());
        }
        let mut message = String::new();
        let mut errors = self.0.iter_errors(&value);
        for error in errors.by_ref().take(ERRORS_NAMED) {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            if !message.is_empty() {
                message.push_str("; ");
            }
            // Values are left out: an output may hold what its handler got as a secret.
            message.push_str(&format!("{place}: {}", clip(&error.masked().to_string())));
        }
        match errors.count() {
            0 => {}
            more => message.push_str(&format!("; and {more} more")),
        }
        Err(message)
    }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(ERROR_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_place_and_the_rule() {
        let schema = json!({
            "type": "object",
            "properties": {"name": {"type": "string"}, "n": {"minimum": 1}},
            "required": ["name"],
        });
        let schema = Schema::compile("schema.in", &schema).unwrap();
        assert_eq!(schema.check(r#"{"name":"x","n":1}"#), Ok(()));
        let message = schema.check(r#"{"name":7,"n":0}"#).unwrap_err();
        assert!(message.contains("/name") && message.contains("/n"), "{message}");
    }

    #[test]
    fn draft_4_of_v1_still_compiles() {
        let schema = json!({"type": "number", "minimum": 1, "exclusiveMinimum": true});
        let schema = Schema::compile("schema.in", &schema).unwrap();
        assert!(schema.check("1").is_err());
        assert!(schema.check("2").is_ok());
    }

    #[test]
    fn references_to_other_documents_are_refused() {
        for url in ["http://127.0.0.1/x.json", "https://example.org/x", "file:///etc/passwd"] {
            let violation = Schema::compile("schema.out", &json!({"$ref": url})).err().unwrap();
            assert_eq!(violation.field, "schema.out");
        }
        let inside = json!({"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"});
        assert!(Schema::compile("schema.in", &inside).is_ok());
    }

    #[test]
    fn a_costly_pattern_ends() {
        let schema = json!({"type": "string", "pattern": "^(a+)+(?=b)$"});
        let schema = Schema::compile("schema.in", &schema).unwrap();
        let text = format!("\"{}\"", "a".repeat(5_000));
        assert!(schema.check(&text).is_err());
    }

    #[test]
    fn messages_are_short_and_hold_no_value() {
        let schema = Schema::compile("schema.out", &json!({"type": "integer"})).unwrap();
        let message = schema.check("\"canary\"").unwrap_err();
        assert!(message.contains("integer") && !message.contains("canary"), "{message}");
        let schema = json!({"enum": ["x".repeat(100_000)]});
        let schema = Schema::compile("schema.out", &schema).unwrap();
        let message = schema.check("1").unwrap_err();
        assert!(message.len() < 1_000, "{}", message.len());
    }
}
