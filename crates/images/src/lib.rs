//! Everything up to a function's code: base images, what is installed on them, what is in them.
//!
//! Content is OCI's: blobs by their digest, manifests, layers. It comes from registries, from
//! layouts on disk and from builds, is kept in the content store, and is looked into: packages,
//! licences, vulnerabilities, signatures. Nothing here knows resources, SQL or HTTP servers; a
//! build's commands run in a [`dispatch_driver::Workshop`].

pub mod base;
pub mod build;
pub mod built;
pub mod content;
pub mod digest;
pub mod error;
pub mod function;
pub mod inventory;
pub mod layer;
pub mod layout;
pub mod manifest;
pub mod policy;
pub mod registry;
pub mod rootfs;
pub mod sbom;
pub mod sign;
pub mod system;
pub mod vulnerability;

pub use base::Base;
pub use build::Builder;
pub use content::Content;
pub use digest::Digest;
pub use dispatch_driver::ImageRoot;
pub use error::{Error, Result};
pub use manifest::Image;
pub use manifest::artifact::Artifact;
pub use rootfs::Rootfs;
pub use system::PackageManager;
