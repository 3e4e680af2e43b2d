//! Engines that are foreign systems.

#[cfg(feature = "docker")]
pub mod docker;

use dispatch_driver::EngineType;

/// All that were built in.
pub fn types() -> Vec<Box<dyn EngineType>> {
    vec![
        #[cfg(feature = "docker")]
        Box::new(docker::DockerType),
    ]
}
