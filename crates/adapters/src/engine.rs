//! Engines that are foreign systems.

use dispatch_driver::EngineType;

/// All that were built in.
pub fn types() -> Vec<Box<dyn EngineType>> {
    Vec::new()
}
