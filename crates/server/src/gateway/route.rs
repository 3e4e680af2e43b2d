//! What a route leads to.

use dispatch_model::api::ApiSpec;
use dispatch_model::function_version::FunctionReference;
use dispatch_model::{Name, OrgName, Violation};

use super::method::Methods;
use super::rank::Rank;

/// An API as its routes see it: everything a request needs, prepared once.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    pub org: OrgName,
    pub api: Name,
    pub rank: Rank,
    pub function: FunctionReference,
    pub methods: Methods,
    pub http: bool,
    pub https: bool,
    pub cors: bool,
}

impl Route {
    /// # Errors
    /// When the function's name cannot be one, so that nothing can be called.
    pub fn new(org: &OrgName, api: &Name, rank: Rank, spec: &ApiSpec) -> Result<Self, Violation> {
        let serves = |protocol: &str| {
            spec.protocols.is_empty() || spec.protocols.iter().any(|p| p == protocol)
        };
        let function = |v: Violation| Violation::new("function", v.rule);
        Ok(Self {
            org: org.clone(),
            api: api.clone(),
            rank,
            function: FunctionReference::parse(&spec.function).map_err(function)?,
            methods: Methods::of_api(&spec.methods),
            http: serves("http"),
            https: serves("https"),
            cors: spec.cors,
        })
    }
}
