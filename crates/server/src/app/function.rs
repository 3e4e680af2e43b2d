//! Use cases of functions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_model::function::{Function, FunctionSpec, SourceRef};
use dispatch_model::{Kind as _, ListQuery, Page, Resource, State, Violation};
use dispatch_wire::{self as wire, ToModel};
use sha2::{Digest, Sha256};

use super::resource::check_same_name;
use super::{App, Caller, Deletion, Error, Precondition, Result};
use crate::authz::Action;
use crate::invoke::Schema;

/// The setting that bounds a source.
pub const SOURCE_SETTING: &str = "limits.max_source_bytes";
/// Sources up to this size are decoded where the request is handled.
const DECODE_INLINE: usize = 64 << 10;

impl App {
    pub async fn function_create(
        &self,
        caller: &Caller,
        mut shape: wire::Function,
    ) -> Result<Resource<Function>> {
        let mut function = self.admitted(caller, &shape, State::Initialized)?;
        check_schemas(&function.spec)?;
        function.spec.source = self.keep_source(shape.source.take()).await?;
        if function.spec.source.is_none() {
            return Err(no_source(&function.spec).into());
        }
        self.insert(caller, function).await
    }

    pub async fn function_get(&self, caller: &Caller, name: &str) -> Result<Resource<Function>> {
        self.get(caller, name).await
    }

    pub async fn function_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<Function>>> {
        self.list(caller, query).await
    }

    /// Replaces a function. Without a source in the request the stored one stays. What runs goes
    /// on running until the new version is ready.
    pub async fn function_update(
        &self,
        caller: &Caller,
        name: &str,
        mut shape: wire::Function,
        precondition: Precondition,
    ) -> Result<Resource<Function>> {
        self.authorizer.authorize_some(caller, Action::Update, Function::KIND.policy_resource())?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        check_schemas(&spec)?;
        // Nothing is stored for a function that is not there, or another's.
        self.found::<Function>(caller, Action::Update, name).await?;
        let source = self.keep_source(shape.source.take()).await?;
        let edit = |function: &mut Resource<Function>| {
            let mut spec = spec.clone();
            spec.source = source.clone().or_else(|| function.spec.source.clone());
            if spec.source.is_none() {
                return Err(no_source(&spec).into());
            }
            function.spec = spec;
            function.meta.tags = tags.clone();
            function.meta.state = State::Updating;
            Ok(())
        };
        self.change(caller.act("update"), &caller.org, name, precondition, edit).await
    }

    pub async fn function_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<Function>> {
        let keep_runs = how.keep_runs;
        let mark = |f: &mut Resource<Function>| f.status.keep_runs = keep_runs;
        self.delete(caller, name, how, mark).await
    }

    /// Checks a source and puts it into the store under its digest.
    async fn keep_source(&self, source: Option<String>) -> Result<Option<SourceRef>> {
        let Some(text) = source.filter(|s| !s.is_empty()) else { return Ok(None) };
        let limit = self.limits.max_source_bytes;
        let (digest, bytes) = if text.len() <= DECODE_INLINE {
            decode(&text, limit)?
        } else {
            let decoded = tokio::task::spawn_blocking(move || decode(&text, limit)).await;
            decoded.map_err(Error::internal)??
        };
        self.store.blob_put(&digest, &bytes).await?;
        Ok(Some(SourceRef { digest, size: bytes.len() as u64 }))
    }
}

/// Compiles the schemas once, so that nothing that cannot work is stored.
fn check_schemas(spec: &FunctionSpec) -> Result<()> {
    for (field, schema) in [("schema.in", &spec.schema_in), ("schema.out", &spec.schema_out)] {
        if let Some(schema) = schema {
            Schema::compile(field, schema)?;
        }
    }
    Ok(())
}

/// `sha256:<hex>` and the bytes of a source.
fn decode(text: &str, limit: u64) -> Result<(String, Vec<u8>)> {
    let compact: String;
    let text = if text.contains(char::is_whitespace) {
        compact = text.split_whitespace().collect();
        &compact
    } else {
        text
    };
    let bytes = STANDARD
        .decode(text)
        .map_err(|e| Violation::new("source", format!("is not base64: {e}")))?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { what: "the source", limit, setting: SOURCE_SETTING });
    }
    let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    Ok((format!("sha256:{digest}"), bytes))
}

fn no_source(spec: &FunctionSpec) -> Violation {
    match spec.source_url {
        Some(_) => Violation::new("sourceURL", "is not fetched by this version: send `source`"),
        None => Violation::new("source", "is required: the base64 of a tar.gz or of one file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_measured_after_decoding() {
        let (digest, bytes) = decode("aGVs\nbG8=", 5).unwrap();
        assert_eq!(bytes, b"hello");
        assert!(digest.starts_with("sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e"), "{digest}");
        assert!(matches!(decode("aGVsbG8=", 4), Err(Error::TooLarge { limit: 4, .. })));
        assert!(matches!(decode("%%%", 4), Err(Error::Invalid(v)) if v.field == "source"));
    }
}
