//! `oidc-provider`, a certified OpenID provider, with its own pages for signing in.

use super::node::Node;

/// Clients that are registered there. Both secrets have characters that have to be encoded.
pub const BASIC: (&str, &str) = ("dispatch basic", "a:secret/of+basic %");
pub const POST: (&str, &str) = ("dispatch-post", "a:secret/of+post %");
pub const PUBLIC: &str = "dispatch-public";
/// Where browsers come back to, after signing in and out. Nobody listens there.
pub const BACK: &str = "https://dispatch.example/back";
pub const OUT: &str = "https://dispatch.example/out";
/// Somebody who signs in there, with any password.
pub const ANN: &str = "ann";

/// A running provider; ended when dropped.
pub struct OidcProvider(Node);

impl OidcProvider {
    /// None, plainly said, where it is not here.
    pub fn start() -> Option<Self> {
        Self::start_for(&[])
    }

    /// One that also sends browsers back to these addresses.
    pub fn start_for(back: &[&str]) -> Option<Self> {
        Node::start("oidc-provider", include_str!("oidc_provider.mjs"), back).map(Self)
    }

    pub fn issuer(&self) -> &str {
        &self.0.url
    }
}
