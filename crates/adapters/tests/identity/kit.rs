//! What tests of providers have in common.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use dispatch_adapters::identity::types;
use dispatch_driver::identity::{Answer, IdentityProvider, SecretText};
use dispatch_driver::{Config, Error, Result};

pub type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A provider named `tested`.
pub fn make(kind: &str, settings: Pairs, secrets: Pairs) -> Result<Arc<dyn IdentityProvider>> {
    let types = types();
    let found = types.iter().find(|found| found.name() == kind).expect("a known type");
    let owned = |pairs: Pairs| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    };
    let config = Config::check("tested", found.known(), owned(settings), owned(secrets));
    found.make(config.expect("readable settings"))
}

/// The query that a browser came back with.
pub fn answer(query: &BTreeMap<String, String>) -> Answer {
    let text = |name: &str| query.get(name).cloned();
    Answer {
        code: text("code").map(SecretText::new),
        state: text("state"),
        iss: text("iss"),
        error: text("error"),
        error_description: text("error_description"),
    }
}

/// The error of what must fail, with its code held against what it must be.
#[track_caller]
pub fn fails<T: Debug>(result: Result<T>, code: &str) -> Error {
    let error = result.expect_err(code);
    assert_eq!(error.code, code, "{error}");
    error
}
