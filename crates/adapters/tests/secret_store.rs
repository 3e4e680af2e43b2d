//! Stores of secrets, on systems that speak their true protocols.

#[path = "secret_store/kubernetes.rs"]
mod kubernetes;
#[path = "secret_store/vault.rs"]
mod vault;
