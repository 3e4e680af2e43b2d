//! What a caller got wrong: the field, the value and the rule it broke.

/// A rule broken by input. Shown to the caller; never holds a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Violation {
    /// JSON path of the field, as the caller wrote it (`schema.in`, `tags[0].key`).
    pub field: String,
    /// The rule in words, with the offending value where that is safe to show.
    pub rule: String,
}

impl Violation {
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }

    /// The same, of a field that lies in another: `weight` under `placement` is
    /// `placement.weight`.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), ..self }
    }
}
