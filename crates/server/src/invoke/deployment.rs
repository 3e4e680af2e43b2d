//! A stored function and its image as the deployment an engine is given.

use std::time::Duration;

use dispatch_driver::Deployment;
use dispatch_model::Resource;
use dispatch_model::base_image::HOST_SCHEME;
use dispatch_model::function::{
    DEFAULT_CONCURRENCY, DEFAULT_IDLE_MS, DEFAULT_MEMORY_MIB, Function, FunctionSpec,
};
use dispatch_model::image::Image;
use uuid::Uuid;

/// What `spec` says (the function's own, or the one that serves until that is made), as the
/// deployment `id`. A function outlives its image: without one, the language is read from the
/// image's URL, which the function's status keeps.
pub fn deployment(
    id: Uuid,
    function: &Resource<Function>,
    spec: &FunctionSpec,
    image: Option<&Resource<Image>>,
) -> Deployment {
    let status = image.map(|i| &i.status);
    let kept = function.status.function_image_url.clone();
    let image_url = status.and_then(|s| s.docker_url.clone()).or(kept).unwrap_or_default();
    let of_url = || image_url.strip_prefix(HOST_SCHEME).unwrap_or_default().to_owned();
    let language = status.and_then(|s| s.language.clone()).unwrap_or_else(of_url);
    Deployment {
        id,
        org: function.meta.org.clone(),
        function: function.meta.name.clone(),
        language,
        image_url,
        image_digest: None,
        handler: spec.handler.clone(),
        source_digest: spec.source.as_ref().map(|s| s.digest.clone()).unwrap_or_default(),
        environment: spec.environment.clone(),
        timeout: Duration::from_millis(spec.timeout_ms_or_default()),
        memory_mib: spec.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB),
        concurrency: spec.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
        idle: Duration::from_millis(spec.idle_ms.unwrap_or(DEFAULT_IDLE_MS)),
        egress: spec.egress.clone(),
    }
}
