//! A version of a function as the deployment an engine is given.

use std::time::Duration;

use dispatch_driver::Deployment;
use dispatch_model::function::{DEFAULT_CONCURRENCY, DEFAULT_IDLE_MS, DEFAULT_MEMORY_MIB};
use dispatch_model::function_version::FunctionVersionSpec;
use dispatch_model::{Name, OrgName};

/// The deployment of a version.
pub fn deployment(org: &OrgName, version: &FunctionVersionSpec) -> Deployment {
    let spec = &version.spec;
    // As it was when the version was made: where it is placed later is another matter.
    let mut require = spec.placement.as_ref().map(|p| p.require.clone()).unwrap_or_default();
    require.retain(|_, value| !value.is_empty());
    Deployment {
        id: version.faas_id,
        org: org.clone(),
        function: Name::trusted(&version.function),
        version: version.number,
        language: version.language.clone(),
        image_url: version.image_url.clone(),
        image_digest: version.image_digest.clone(),
        function_image: version.pulled_from(),
        handler: spec.handler.clone(),
        source_digest: spec.source.as_ref().map(|s| s.digest.clone()).unwrap_or_default(),
        environment: spec.environment.clone(),
        timeout: Duration::from_millis(spec.timeout_ms_or_default()),
        memory_mib: spec.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB),
        concurrency: spec.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
        idle: Duration::from_millis(spec.idle_ms.unwrap_or(DEFAULT_IDLE_MS)),
        egress: spec.egress.clone(),
        require,
    }
}
