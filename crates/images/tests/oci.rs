//! Images against the tools that others read and write them with: Debian's docker-registry, skopeo
//! and umoci.

mod oci {
    pub mod attached;
    pub mod bed;
    pub mod elsewhere;
    pub mod hostile;
    pub mod killed;
    pub mod layers;
    pub mod layouts;
    pub mod registry;
    pub mod signatures;
    pub mod wrong_registry;
}
