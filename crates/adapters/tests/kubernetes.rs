//! The drivers of Kubernetes, against a real `kube-apiserver`.

#[path = "kubernetes/ground.rs"]
mod ground;
#[path = "kubernetes/plain.rs"]
mod plain;
