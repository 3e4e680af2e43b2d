//! Endpoints of Services: the ready pods they select.

use serde_json::{Value, json};

use super::super::api::place;
use super::kinds::{ENDPOINTS, PODS, SERVICES};
use super::{Shared, settled, status};

pub async fn round(shared: &Shared) {
    let pods = shared.world.of(PODS);
    for service in shared.world.of(SERVICES) {
        let (namespace, name) = place(&service);
        let selector = &service["spec"]["selector"];
        if !selector.is_object() || !service["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let own = pods.iter().filter(|pod| {
            place(pod).0 == namespace && status::selects(selector, &pod["metadata"]["labels"])
        });
        let port = &service["spec"]["ports"][0]["name"];
        // Each pod has a port of its own, so each is a subset.
        let subsets: Vec<Value> = own
            .filter(|pod| status::is_ready(pod))
            .filter_map(|pod| {
                let number = shared.port(pod)?;
                let mut port_of = json!({"port": number, "protocol": "TCP"});
                if port.is_string() {
                    port_of["name"] = port.clone();
                }
                // The server passes calls on only to pods that it finds by this.
                let pod = json!({
                    "kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace,
                    "uid": pod["metadata"]["uid"],
                });
                let node = super::kubelet::NODE;
                Some(json!({
                    "addresses": [{"ip": shared.host, "nodeName": node, "targetRef": pod}],
                    "ports": [port_of],
                }))
            })
            .collect();
        let known = shared.world.get(ENDPOINTS, namespace, name);
        match known {
            None => {
                let object = json!({
                    "apiVersion": "v1", "kind": "Endpoints", "subsets": subsets,
                    "metadata": {
                        "name": name, "namespace": namespace,
                        "ownerReferences": status::owner(SERVICES, &service),
                    },
                });
                settled(shared.api.create(ENDPOINTS, &object).await);
            }
            Some(mut known) if !alike(&known["subsets"], &subsets) => {
                known["subsets"] = json!(subsets);
                settled(shared.api.replace(ENDPOINTS, &known).await);
            }
            Some(_) => {}
        }
    }
}

/// In any order: the server sorts them.
fn alike(known: &Value, wanted: &[Value]) -> bool {
    let known = known.as_array().map_or(&[][..], Vec::as_slice);
    known.len() == wanted.len() && wanted.iter().all(|subset| known.contains(subset))
}
