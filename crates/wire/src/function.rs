//! Functions as v1 writes them, with the fields Dispatch added.

use std::collections::BTreeMap;

use dispatch_model::function::{Function as Marker, FunctionSpec};
use dispatch_model::{Kind, Resource, Violation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::placement::{Canary, Placement};
use crate::shared::{is_false, is_zero, is_zero_u32, resource_shape};

resource_shape! {
    /// Code with a handler, and how it is run.
    Function {
        #[serde(default)]
        image: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        handler: String,
        /// Base64 of a tar.gz or of one file. Never returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        #[serde(default, rename = "sourceURL", skip_serializing_if = "Option::is_none")]
        source_url: Option<String>,
        /// In YAML: file or directory beside the document; the CLI reads it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_path: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<Schema>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        services: Vec<String>,
        /// Milliseconds; 0 is the server's default.
        #[serde(default, skip_serializing_if = "is_zero")]
        timeout: u64,
        /// Read-only: where the function's image is.
        #[serde(default, rename = "functionImageURL", skip_serializing_if = "Option::is_none")]
        function_image_url: Option<String>,
        /// Read-only: digest of the function's image, `sha256:<hex>`; none on `host:LANGUAGE`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        /// Read-only: the deployment that serves now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        faas_id: Option<Uuid>,
        /// Memory of one worker, in MiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory_mib: Option<u64>,
        /// Calls that may run at the same time on one server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        concurrency: Option<u32>,
        /// Environment variables of the handler.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: BTreeMap<String, String>,
        /// Further attempts of a non-blocking run whose first failed.
        #[serde(default, skip_serializing_if = "is_zero_u32")]
        retries: u32,
        /// Milliseconds before the first retry; doubles with each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backoff_ms: Option<u64>,
        /// Milliseconds after which an idle worker is stopped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idle_ms: Option<u64>,
        /// Hosts the handler may connect to; none when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        egress: Vec<String>,
        /// Engine to run on; chosen by language when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engine: Option<String>,
        /// Whether a call that may have begun can be made again elsewhere.
        #[serde(default, skip_serializing_if = "is_false")]
        idempotent: bool,
        /// Which engines calls go to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        placement: Option<Placement>,
        /// Read-only: the version that takes calls.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
        /// Read-only: the newest version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latest_version: Option<u64>,
        /// Read-only: the version that takes a share of the calls.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        canary: Option<Canary>,
        /// Read-only: names of versions.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        aliases: BTreeMap<String, u64>,
        /// Read-only: the engines that have a deployment of the version that takes calls.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        engines: Vec<String>,
        /// Read-only: `sha256:<hex>` of the source.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_digest: Option<String>,
    }
}

/// JSON Schemas of what goes in and comes out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Schema {
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub input: Option<serde_json::Value>,
    #[serde(default, rename = "out", skip_serializing_if = "Option::is_none")]
    pub output: Option<serde_json::Value>,
}

impl ToModel for Function {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<FunctionSpec, Violation> {
        let schema = self.schema.clone().unwrap_or_default();
        let given = |v: &serde_json::Value| !v.is_null();
        let spec = FunctionSpec {
            image: self.image.clone(),
            handler: self.handler.clone(),
            source: None,
            source_url: self.source_url.clone().filter(|u| !u.is_empty()),
            schema_in: schema.input.filter(given),
            schema_out: schema.output.filter(given),
            secrets: self.secrets.clone(),
            services: self.services.clone(),
            timeout_ms: self.timeout,
            memory_mib: self.memory_mib,
            concurrency: self.concurrency,
            environment: self.environment.clone(),
            retries: self.retries,
            backoff_ms: self.backoff_ms,
            idle_ms: self.idle_ms,
            egress: self.egress.clone(),
            engine: self.engine.clone().filter(|e| !e.is_empty()),
            idempotent: self.idempotent,
            placement: self.placement.as_ref().map(Placement::to_model).transpose()?,
        };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for Function {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let spec = &resource.spec;
        let schema = Schema { input: spec.schema_in.clone(), output: spec.schema_out.clone() };
        let status = &resource.status;
        let serving = status.serving.as_ref();
        let engines = serving.and_then(|s| status.deployed(s.version)).map(|d| &d.engines);
        let has_schema = schema.input.is_some() || schema.output.is_some();
        let shape = Function {
            image: spec.image.clone(),
            handler: spec.handler.clone(),
            source_url: spec.source_url.clone(),
            schema: has_schema.then_some(schema),
            secrets: spec.secrets.clone(),
            services: spec.services.clone(),
            timeout: spec.timeout_ms,
            function_image_url: resource.status.function_image_url.clone(),
            digest: resource.status.digest.clone(),
            faas_id: resource.status.faas_id,
            memory_mib: spec.memory_mib,
            concurrency: spec.concurrency,
            environment: spec.environment.clone(),
            retries: spec.retries,
            backoff_ms: spec.backoff_ms,
            idle_ms: spec.idle_ms,
            egress: spec.egress.clone(),
            engine: resource.status.engine.clone().or_else(|| spec.engine.clone()),
            idempotent: spec.idempotent,
            placement: spec.placement.as_ref().map(Placement::from_model),
            version: serving.map(|serving| serving.version),
            latest_version: Some(status.latest).filter(|latest| *latest > 0),
            canary: serving.and_then(|serving| serving.canary).map(Canary::from_model),
            aliases: serving.map(|serving| serving.aliases.clone()).unwrap_or_default(),
            engines: engines.cloned().unwrap_or_default(),
            source_digest: spec.source.as_ref().map(|s| s.digest.clone()),
            ..Function::default()
        };
        shape.with_meta(Marker::KIND, &resource.meta)
    }
}
