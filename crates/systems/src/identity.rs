//! Identity providers: real ones where a package carries them, and a browser that signs in there.

pub mod browser;
pub mod chromium;
pub mod directory;
pub mod domain;
pub mod github;
mod node;
pub mod oidc_provider;
pub mod token_forge;

pub use browser::Browser;
pub use chromium::Chromium;
