//! The drivers of Kubernetes, against a real `kube-apiserver`.

#[path = "kubernetes/access.rs"]
mod access;
#[path = "kubernetes/ground.rs"]
mod ground;
#[path = "kubernetes/knative.rs"]
mod knative;
#[path = "kubernetes/live.rs"]
mod live;
#[path = "kubernetes/plain.rs"]
mod plain;
#[path = "kubernetes/riff.rs"]
mod riff;
