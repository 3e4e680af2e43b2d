//! A stored function as the deployment an engine is given.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_driver::Deployment;
use dispatch_model::Resource;
use dispatch_model::base_image::HOST_SCHEME;
use dispatch_model::function::{
    DEFAULT_CONCURRENCY, DEFAULT_IDLE_MS, DEFAULT_MEMORY_MIB, Function, FunctionSpec,
    FunctionStatus,
};
use dispatch_model::image::ImageStatus;
use uuid::Uuid;

/// What a function runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    pub language: String,
    pub image_url: String,
    /// `None`: the machine's own programs.
    pub image_digest: Option<String>,
}

impl From<&ImageStatus> for Platform {
    /// As its image is now: for a new deployment.
    fn from(image: &ImageStatus) -> Self {
        Self {
            language: image.language.clone().unwrap_or_default(),
            image_url: image.docker_url.clone().unwrap_or_default(),
            image_digest: image.digest.clone(),
        }
    }
}

impl From<&FunctionStatus> for Platform {
    /// As it was deployed, whatever became of its image.
    fn from(function: &FunctionStatus) -> Self {
        let image_url = function.function_image_url.clone().unwrap_or_default();
        let of_url = || image_url.strip_prefix(HOST_SCHEME).unwrap_or_default().to_owned();
        let language = function.language.clone().unwrap_or_else(of_url);
        Self { language, image_url, image_digest: function.image_digest.clone() }
    }
}

/// What `spec` says (the function's own, or the one that serves until that is made), as the
/// deployment `id`.
pub fn deployment(
    id: Uuid,
    function: &Resource<Function>,
    spec: &FunctionSpec,
    platform: Platform,
) -> Deployment {
    let Platform { language, image_url, image_digest } = platform;
    Deployment {
        id,
        org: function.meta.org.clone(),
        function: function.meta.name.clone(),
        version: 1,
        language,
        image_url,
        image_digest,
        function_image: None,
        handler: spec.handler.clone(),
        source_digest: spec.source.as_ref().map(|s| s.digest.clone()).unwrap_or_default(),
        environment: spec.environment.clone(),
        timeout: Duration::from_millis(spec.timeout_ms_or_default()),
        memory_mib: spec.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB),
        concurrency: spec.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
        idle: Duration::from_millis(spec.idle_ms.unwrap_or(DEFAULT_IDLE_MS)),
        egress: spec.egress.clone(),
        require: BTreeMap::new(),
    }
}
