//! Opened secrets in memory, and the object of their values that goes into a context.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatch_model::secret::Sealed;
use dispatch_model::{Name, OrgName};
use zeroize::Zeroizing;

/// The keys and values of one secret. Overwritten when dropped.
pub type Values = BTreeMap<String, Zeroizing<String>>;

/// Opens what the `seal` room has sealed.
pub trait OpenSealed: Send + Sync + 'static {
    fn open_sealed(&self, org: &OrgName, name: &Name, sealed: &Sealed) -> anyhow::Result<Values>;
}

/// What a function always gets: its own secrets, opened, and merged to JSON text once.
#[derive(Default)]
pub struct OwnSecrets {
    opened: Vec<Arc<Values>>,
    json: Zeroizing<Vec<u8>>,
}

impl OwnSecrets {
    pub fn new(opened: Vec<Arc<Values>>) -> Self {
        let json = merge(opened.iter());
        Self { opened, json }
    }

    /// A JSON object of all keys and values.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The same with more secrets merged in; where keys are equal, the later secret wins.
    pub fn json_with(&self, more: &[Arc<Values>]) -> Zeroizing<Vec<u8>> {
        merge(self.opened.iter().chain(more))
    }
}

fn merge<'a>(secrets: impl Iterator<Item = &'a Arc<Values>>) -> Zeroizing<Vec<u8>> {
    let pairs = secrets.flat_map(|values| values.iter());
    let merged: BTreeMap<&str, &str> =
        pairs.map(|(key, value)| (key.as_str(), value.as_str())).collect();
    // Written at its full size at once: a buffer that grows leaves copies behind.
    let escaped = |text: &str| text.len() * 6 + 3;
    let size = merged.iter().map(|(k, v)| escaped(k) + escaped(v)).sum::<usize>() + 2;
    let mut json = Zeroizing::new(Vec::with_capacity(size));
    serde_json::to_writer(&mut *json, &merged).expect("strings are always JSON");
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(pairs: &[(&str, &str)]) -> Arc<Values> {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), Zeroizing::new((*v).to_owned()));
        Arc::new(pairs.iter().map(owned).collect())
    }

    #[test]
    fn later_secrets_win_and_text_is_escaped() {
        let own =
            OwnSecrets::new(vec![secret(&[("a", "1"), ("b", "2")]), secret(&[("b", "\"\n")])]);
        assert_eq!(own.json(), br#"{"a":"1","b":"\"\n"}"#);
        let more = own.json_with(&[secret(&[("a", "9"), ("c", "")])]);
        assert_eq!(*more, br#"{"a":"9","b":"\"\n","c":""}"#.to_vec());
    }

    #[test]
    fn none_is_an_empty_object_and_nothing_outgrows_its_buffer() {
        assert_eq!(OwnSecrets::new(Vec::new()).json(), b"{}");
        let worst = "\u{1}".repeat(1_000);
        let json = merge([secret(&[(&worst, &worst)])].iter());
        assert!(json.len() <= 12_000 + 8 && json.len() > 12_000, "{}", json.len());
    }
}
