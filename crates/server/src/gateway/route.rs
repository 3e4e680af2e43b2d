//! What a route leads to.

use dispatch_model::api::ApiSpec;
use dispatch_model::{Name, OrgName};

use super::method::Methods;

/// An API as its routes see it: everything a request needs, prepared once.
#[derive(Debug)]
pub struct Route {
    pub org: OrgName,
    pub api: Name,
    pub function: Name,
    pub methods: Methods,
    pub http: bool,
    pub https: bool,
    pub cors: bool,
}

impl Route {
    /// `None` when the function's name cannot be one, so that nothing can be called.
    pub fn new(org: &OrgName, api: &Name, spec: &ApiSpec) -> Option<Self> {
        let serves = |protocol: &str| {
            spec.protocols.is_empty() || spec.protocols.iter().any(|p| p == protocol)
        };
        Some(Self {
            org: org.clone(),
            api: api.clone(),
            function: Name::new(&spec.function).ok()?,
            methods: Methods::of_api(&spec.methods),
            http: serves("http"),
            https: serves("https"),
            cors: spec.cors,
        })
    }
}
