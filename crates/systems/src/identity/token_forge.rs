//! `oauth2-mock-server`, which gives any token: those that must not be taken too.

use super::node::Node;

/// A running provider; ended when dropped. What is wrong with an ID token is chosen by the query
/// of the redirect address: `https://dispatch.example/back?wrong=expired`.
pub struct TokenForge(Node);

impl TokenForge {
    /// None, plainly said, where it is not here.
    pub fn start() -> Option<Self> {
        Node::start("oauth2-mock-server", include_str!("token_forge.mjs"), &[]).map(Self)
    }

    pub fn issuer(&self) -> &str {
        &self.0.url
    }
}
