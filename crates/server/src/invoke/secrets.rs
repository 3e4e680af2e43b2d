//! Secrets as functions keep them, and the object of their values that goes into a context.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use dispatch_model::secret::{Sealed, SecretUses};
use dispatch_model::{InvocationError, Name, OrgName};
use zeroize::Zeroizing;

use super::callable::system_error;
use crate::secrets::{Cached, OpenError, Opened};

/// The keys and values of one secret. Overwritten when dropped.
pub type Values = BTreeMap<String, Zeroizing<String>>;

/// Opens what the `seal` room has sealed.
pub trait OpenSealed: Send + Sync + 'static {
    fn open_sealed(&self, org: &OrgName, name: &Name, sealed: &Sealed) -> anyhow::Result<Values>;
}

/// A secret in memory.
pub enum Held {
    /// One that is kept here, opened.
    Opened(Arc<Opened>),
    /// One that is kept elsewhere, and read again from time to time.
    Cached(Arc<Cached>),
}

impl Held {
    /// What it holds now.
    pub async fn now(&self) -> Result<Arc<Opened>, OpenError> {
        match self {
            Held::Opened(opened) => Ok(opened.clone()),
            Held::Cached(cached) => cached.get().await,
        }
    }
}

/// Secrets together: merged to JSON text once, with what a run records of them.
#[derive(Default)]
pub struct Merged {
    opened: Vec<Arc<Opened>>,
    json: Zeroizing<Vec<u8>>,
    uses: SecretUses,
}

impl Merged {
    pub fn new(opened: Vec<Arc<Opened>>) -> Self {
        let (json, uses) = (merge(opened.iter()), uses(opened.iter()));
        Self { opened, json, uses }
    }

    /// A JSON object of all keys and values.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    pub fn uses(&self) -> SecretUses {
        self.uses.clone()
    }

    /// The same with more secrets merged in; where keys are equal, the later secret wins.
    pub fn with(&self, more: &[Arc<Opened>]) -> Self {
        Self::new(self.opened.iter().chain(more).cloned().collect())
    }

    fn is_of(&self, opened: &[Arc<Opened>]) -> bool {
        self.opened.len() == opened.len()
            && self.opened.iter().zip(opened).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

/// What a function always gets: its own secrets.
pub enum OwnSecrets {
    /// All are kept here, and stay as they are.
    Fixed(Merged),
    /// Some are kept elsewhere; as they were merged last.
    Read { held: Vec<Arc<Held>>, last: ArcSwapOption<Merged> },
}

/// A function's own secrets at one moment.
pub enum Own<'a> {
    Fixed(&'a Merged),
    Read(Arc<Merged>),
}

impl Deref for Own<'_> {
    type Target = Merged;

    fn deref(&self) -> &Merged {
        match self {
            Own::Fixed(merged) => merged,
            Own::Read(merged) => merged,
        }
    }
}

impl OwnSecrets {
    pub fn new(held: Vec<Arc<Held>>) -> Self {
        let opened = held.iter().map(|held| match &**held {
            Held::Opened(opened) => Some(opened.clone()),
            Held::Cached(_) => None,
        });
        match opened.collect() {
            Some(opened) => OwnSecrets::Fixed(Merged::new(opened)),
            None => OwnSecrets::Read { held, last: ArcSwapOption::empty() },
        }
    }

    /// As they are now; reads nothing while what was read is fresh.
    ///
    /// # Errors
    /// A SystemError that names the secret that cannot be read.
    pub async fn now(&self) -> Result<Own<'_>, InvocationError> {
        let (held, last) = match self {
            OwnSecrets::Fixed(merged) => return Ok(Own::Fixed(merged)),
            OwnSecrets::Read { held, last } => (held, last),
        };
        let opened = all_now(held).await?;
        if let Some(merged) = last.load_full()
            && merged.is_of(&opened)
        {
            return Ok(Own::Read(merged));
        }
        let merged = Arc::new(Merged::new(opened));
        last.store(Some(merged.clone()));
        Ok(Own::Read(merged))
    }
}

/// What secrets hold now.
///
/// # Errors
/// A SystemError that names the first that cannot be read.
pub async fn all_now(held: &[Arc<Held>]) -> Result<Vec<Arc<Opened>>, InvocationError> {
    let mut opened = Vec::with_capacity(held.len());
    for held in held {
        opened.push(held.now().await.map_err(|error| system_error(error.to_string()))?);
    }
    Ok(opened)
}

/// Each secret once, as its name was read last.
fn uses<'a>(secrets: impl Iterator<Item = &'a Arc<Opened>>) -> SecretUses {
    let by_name: BTreeMap<_, _> =
        secrets.map(|opened| (opened.used.name.clone(), &opened.used)).collect();
    by_name.into_values().cloned().collect()
}

fn merge<'a>(secrets: impl Iterator<Item = &'a Arc<Opened>>) -> Zeroizing<Vec<u8>> {
    let pairs = secrets.flat_map(|opened| opened.values.iter());
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
pub mod tests {
    use dispatch_model::secret::SecretUse;

    use super::*;

    pub fn secret(name: &str, pairs: &[(&str, &str)]) -> Arc<Opened> {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), Zeroizing::new((*v).to_owned()));
        let used = SecretUse { name: name.to_owned(), version: 1, source_version: None };
        Arc::new(Opened { used, values: pairs.iter().map(owned).collect(), lease: None })
    }

    #[test]
    fn later_secrets_win_and_text_is_escaped() {
        let own = Merged::new(vec![
            secret("x", &[("a", "1"), ("b", "2")]),
            secret("y", &[("b", "\"\n")]),
        ]);
        assert_eq!(own.json(), br#"{"a":"1","b":"\"\n"}"#);
        let more = own.with(&[secret("z", &[("a", "9"), ("c", "")])]);
        assert_eq!(more.json(), br#"{"a":"9","b":"\"\n","c":""}"#);
        let names = |merged: &Merged| -> Vec<String> {
            merged.uses().as_slice().iter().map(|used| used.name.clone()).collect()
        };
        assert_eq!((names(&own).join(""), names(&more).join("")), ("xy".into(), "xyz".into()));
    }

    #[test]
    fn none_is_an_empty_object_and_nothing_outgrows_its_buffer() {
        let none = Merged::new(Vec::new());
        assert_eq!((none.json(), none.uses()), (&b"{}"[..], SecretUses::default()));
        let worst = "\u{1}".repeat(1_000);
        let json = merge([secret("x", &[(&worst, &worst)])].iter());
        assert!(json.len() <= 12_000 + 8 && json.len() > 12_000, "{}", json.len());
    }
}
