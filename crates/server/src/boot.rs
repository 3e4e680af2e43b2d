//! Starts everything and stops it again. The only room that names concrete engines.

use dispatch_wire::Version;

mod engines;
mod first;
mod housekeeping;
mod lock;
mod rotate;
mod running;
mod start;
#[cfg(test)]
mod tests;

pub use rotate::rotate_root_key;
pub use running::Running;
pub use start::{check, prepare, start};

/// What this server is.
pub fn version() -> Version {
    Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("DISPATCH_COMMIT").unwrap_or("unknown").to_owned(),
        build_date: option_env!("DISPATCH_BUILD_DATE").unwrap_or("unknown").to_owned(),
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        compiler: format!("rustc {}", env!("CARGO_PKG_RUST_VERSION")),
    }
}
