//! Starts everything and stops it again. The only room that names concrete engines.

use std::sync::OnceLock;

use dispatch_wire::Version;

mod engines;
mod first;
mod housekeeping;
mod lock;
mod rotate;
mod running;
pub(crate) mod secret_stores;
mod start;
#[cfg(test)]
mod tests;

pub use rotate::rotate_root_key;
pub use running::Running;
pub use start::{check, prepare, start};

/// What the binary was built from; unknown where this runs in another, such as a test.
static COMMIT: OnceLock<&'static str> = OnceLock::new();

/// Tells what commit the binary was built from. Only the binary knows, so that a commit makes
/// nothing else stale.
pub fn built_from(commit: &'static str) {
    // Said twice it is the same.
    let _ = COMMIT.set(commit);
}

/// What this server is.
pub fn version() -> Version {
    let mut version = dispatch_wire::version!();
    if let Some(commit) = COMMIT.get() {
        (*commit).clone_into(&mut version.commit);
    }
    version
}
