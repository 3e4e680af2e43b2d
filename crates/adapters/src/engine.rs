//! Engines that are foreign systems.

use dispatch_driver::EngineType;

#[cfg(feature = "kubernetes")]
pub mod kubernetes;

/// All that were built in.
pub fn types() -> Vec<Box<dyn EngineType>> {
    vec![
        #[cfg(feature = "kubernetes")]
        Box::new(kubernetes::Kubernetes),
    ]
}
