//! Drivers of foreign systems: one module and one cargo feature each. A driver implements one
//! contract of `dispatch-driver` and passes that contract's conformance suite.

#[cfg(any(
    feature = "aws-lambda",
    feature = "kubernetes",
    feature = "openfaas",
    feature = "openwhisk",
    feature = "remote"
))]
mod busy;
mod client;
pub mod engine;
#[cfg(any(feature = "github", feature = "ldap", feature = "oidc"))]
mod guard;
#[cfg(any(feature = "github", feature = "ldap", feature = "oidc"))]
pub mod identity;
#[cfg(feature = "kubernetes")]
mod kubernetes;
#[cfg(any(feature = "kubernetes", feature = "openfaas", feature = "remote"))]
mod making;
mod runtime;
pub mod secret_store;
#[cfg(any(feature = "kubernetes", feature = "openfaas"))]
mod words;
