//! Everything up to a function's code: base images, what is installed on them, what is in them.
//!
//! Content is OCI's: blobs by their digest, manifests, layers. It comes from registries, from
//! layouts on disk and from builds, is kept in the content store, and is looked into: packages,
//! licences, vulnerabilities, signatures. Nothing here knows resources, SQL or HTTP servers; a
//! build's commands run in a [`dispatch_driver::Workshop`].

pub mod digest;
pub mod inventory;
pub mod policy;
pub mod rootfs;
pub mod sbom;
pub mod sign;
pub mod vulnerability;

pub use digest::Digest;
pub use rootfs::Rootfs;
