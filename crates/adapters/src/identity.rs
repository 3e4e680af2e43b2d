//! Identity providers that are foreign systems.

#[cfg(any(feature = "github", feature = "oidc"))]
mod browser;
#[cfg(feature = "github")]
pub mod github;
#[cfg(any(feature = "github", feature = "oidc"))]
mod http;
#[cfg(feature = "ldap")]
pub mod ldap;
#[cfg(feature = "oidc")]
pub mod oidc;

use dispatch_driver::Error;
use dispatch_driver::identity::IdentityType;
use dispatch_model::code;

/// All that were built in.
pub fn types() -> Vec<Box<dyn IdentityType>> {
    vec![
        #[cfg(feature = "github")]
        Box::new(github::GithubType),
        #[cfg(feature = "ldap")]
        Box::new(ldap::LdapType),
        #[cfg(feature = "oidc")]
        Box::new(oidc::OidcType),
    ]
}

/// The error of a sign-in that a provider, or time, has ended.
fn over(why: &str) -> Error {
    Error::caller(code::IDENTITY005, why)
}
