//! A compiled component, ready to be instantiated.

use dispatch_driver::{Error, Result};
use dispatch_model::code;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use super::bindings::FunctionPre;
use super::guest::Guest;
use super::runtime::TABLES_PER_MEMORY;

/// What the component exports, and so how it is called.
pub enum Entry {
    Function(FunctionPre<Guest>),
    Http(ProxyPre<Guest>),
}

/// Shared by all deployments of the same source.
pub struct Compiled {
    /// Names it in the cache.
    pub key: String,
    pub entry: Entry,
    weight: u32,
}

impl Compiled {
    /// # Errors
    /// `Fault::Caller` when it imports what nobody offers or exports nothing that can be called.
    pub fn new(key: &str, component: &Component, linker: &Linker<Guest>) -> Result<Self> {
        let pre = linker
            .instantiate_pre(component)
            .map_err(|e| Error::caller(code::ENGINE003, format!("the component: {e:#}")))?;
        let entry = entry(pre, component)?;
        Ok(Self { key: key.to_owned(), entry, weight: weight(component) })
    }

    pub fn engine(&self) -> &wasmtime::Engine {
        match &self.entry {
            Entry::Function(pre) => pre.engine(),
            Entry::Http(pre) => pre.engine(),
        }
    }

    /// Memories of the pool that one instance takes, its tables counted with them.
    pub fn weight(&self) -> u32 {
        self.weight
    }
}

fn entry(pre: InstancePre<Guest>, component: &Component) -> Result<Entry> {
    if let Ok(function) = FunctionPre::new(pre.clone()) {
        return Ok(Entry::Function(function));
    }
    if let Ok(proxy) = ProxyPre::new(pre) {
        return Ok(Entry::Http(proxy));
    }
    let exports = component.component_type();
    let names: Vec<String> =
        exports.exports(component.engine()).map(|(name, _)| name.to_owned()).collect();
    let message = format!(
        "the component exports neither \"handle\" of dispatch:function/function nor \
         wasi:http/incoming-handler@0.2; its exports: [{}]",
        names.join(", ")
    );
    Err(Error::caller(code::ENGINE003, message))
}

fn weight(component: &Component) -> u32 {
    let Some(needs) = component.resources_required() else { return 1 };
    needs.num_memories.max(needs.num_tables.div_ceil(TABLES_PER_MEMORY)).max(1)
}
