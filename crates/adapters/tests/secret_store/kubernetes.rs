//! The Kubernetes adapter, against a real `kube-apiserver`.

use std::sync::Arc;

use dispatch_adapters::secret_store::Settings;
use dispatch_driver::{Error, Fault, Result, SecretRead, SecretReference, SecretStore};
use dispatch_systems::kubernetes::api::Kind;
use dispatch_systems::kubernetes::{Kubernetes, LIMITED};
use serde_json::{Value, json};

const CANARY: &str = "c4n4ry-of-the-cluster";
const SECRETS: Kind = Kind { version: "v1", name: "Secret", plural: "secrets" };
const NAMESPACES: Kind = Kind { version: "v1", name: "Namespace", plural: "namespaces" };

fn made(more: Value) -> Result<Arc<dyn SecretStore>> {
    let mut settings = json!({"type": "kubernetes"});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value::<Settings>(settings).unwrap().make(None)
}

async fn read(store: &Arc<dyn SecretStore>, path: &str) -> Result<SecretRead> {
    store.read(&SecretReference { path: path.to_owned(), version: None }).await
}

async fn failure(store: &Arc<dyn SecretStore>, path: &str) -> Error {
    let error = read(store, path).await.err().expect("it is not given");
    assert!(!error.message.contains(CANARY) && !error.message.contains("127.0.0.1"), "{error}");
    assert_eq!(error.code, "SECRET003");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_a_cluster_are_read() {
    let Some(cluster) = tokio::task::spawn_blocking(Kubernetes::start).await.unwrap() else {
        return;
    };
    let api = cluster.api();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "dispatch-shop"}});
    api.create(NAMESPACES, &namespace).await.unwrap();
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "db", "namespace": "dispatch-shop"},
        "stringData": {"password": CANARY, "user": "ada"}, "data": {"key.der": "/wD+"}});
    let stored = api.create(SECRETS, &secret).await.unwrap();
    let file = cluster.kubeconfig();
    let store = made(json!({"kubeconfig_file": file})).unwrap();
    let found = read(&store, "dispatch-shop/db").await.unwrap();
    let texts: Vec<_> =
        found.values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [("key.der", "/wD+"), ("password", CANARY), ("user", "ada")];
    assert_eq!(texts, expected, "what is no text is given as it is written");
    assert_eq!(found.version.as_deref(), stored["metadata"]["resourceVersion"].as_str());
    for path in ["dispatch-shop/none", "dispatch-none/db"] {
        let error = failure(&store, path).await;
        assert!(error.message.contains("no such secret"), "{error}");
        assert_eq!(error.fault, Fault::Caller);
    }
    let limited = made(json!({"kubeconfig_file": file, "context": LIMITED})).unwrap();
    let error = failure(&limited, "dispatch-shop/db").await;
    assert!(error.message.contains("does not let this server read it"), "{error}");
    assert_eq!(error.fault, Fault::Caller);
    tokio::task::block_in_place(|| cluster.stop());
    assert_eq!(failure(&store, "dispatch-shop/db").await.fault, Fault::Backend);
    tokio::task::block_in_place(|| cluster.go_on());
    read(&store, "dispatch-shop/db").await.unwrap();
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let refused = |settings: Value| made(settings).err().expect("it is refused").message;
    assert!(refused(json!({})).contains("runs in no pod"));
    assert!(refused(json!({"context": "a"})).contains("needs a kubeconfig_file"));
    assert!(refused(json!({"kubeconfig_file": "/nowhere"})).contains("/nowhere"));
}
