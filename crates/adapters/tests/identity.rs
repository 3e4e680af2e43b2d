//! Identity providers: real ones, stand-ins that speak the true protocol, and ones that attack.

#[path = "identity/directory.rs"]
mod directory;
#[path = "identity/domain.rs"]
mod domain;
#[path = "identity/forged.rs"]
mod forged;
#[path = "identity/github.rs"]
mod github;
#[path = "identity/hostile.rs"]
mod hostile;
#[path = "identity/kit.rs"]
mod kit;
#[path = "identity/oidc.rs"]
mod oidc;
