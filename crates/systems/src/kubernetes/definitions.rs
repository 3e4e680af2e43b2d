//! The kinds of Knative Serving and riff, as far as drivers use them: names, versions and fields
//! as in the definitions that these projects publish under the Apache License 2.0
//! (knative/serving, `config/core/300-resources`, and projectriff/system, `config/*/crd/bases`).
//! Descriptions are left out, and what a 1.20 server cannot load: `default: ""` and map keys of
//! lists. Fields that nobody here writes are open where the projects list them one by one.

use serde_json::{Value, json};

/// All, ready to be created.
pub fn all() -> Vec<Value> {
    let serving = |kind: &str, plural: &str, spec: Value, status: Value| {
        definition("serving.knative.dev", "v1", (kind, plural), spec, status)
    };
    let mut service = configuration_spec();
    service["properties"]["traffic"] = list(traffic());
    let route = object(json!({"traffic": list(traffic())}));
    let riff = |group: &str, kind: (&str, &str), spec: Value| {
        definition(group, "v1alpha1", kind, spec, open())
    };
    let deployer = ("Deployer", "deployers");
    let processor = object(json!({
        "build": open(), "template": open(), "inputs": list(open()), "outputs": list(open()),
    }));
    let mut scaled = deployer_spec();
    scaled["properties"]["containerConcurrency"] = whole();
    scaled["properties"]["scale"] = object(json!({"min": whole(), "max": whole()}));
    vec![
        serving("Service", "services", service, status(&["url", "address", "traffic"])),
        serving("Configuration", "configurations", configuration_spec(), status(&[])),
        serving("Revision", "revisions", revision_spec(), status(&[])),
        serving("Route", "routes", route, status(&["url", "address", "traffic"])),
        riff("core.projectriff.io", deployer, deployer_spec()),
        riff("knative.projectriff.io", deployer, scaled),
        riff("streaming.projectriff.io", ("Processor", "processors"), processor),
    ]
}

fn definition(
    group: &str,
    version: &str,
    (kind, plural): (&str, &str),
    spec: Value,
    status: Value,
) -> Value {
    let schema = object(json!({"spec": spec, "status": status}));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": version, "served": true, "storage": true,
                "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn whole() -> Value {
    json!({"type": "integer", "format": "int64"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

/// An object whose fields are not told here.
fn open() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn texts() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

fn configuration_spec() -> Value {
    let template = object(json!({"metadata": open(), "spec": revision_spec()}));
    object(json!({"template": template}))
}

/// `PodSpec` as Serving allows it; what is not here is pruned, as it is there.
fn revision_spec() -> Value {
    let mut spec = object(json!({
        "containerConcurrency": whole(),
        "timeoutSeconds": whole(),
        "responseStartTimeoutSeconds": whole(),
        "idleTimeoutSeconds": whole(),
        "automountServiceAccountToken": flag(),
        "enableServiceLinks": flag(),
        "serviceAccountName": text(),
        "imagePullSecrets": list(object(json!({"name": text()}))),
        "nodeSelector": texts(),
        "tolerations": list(open()),
        "affinity": open(),
        "volumes": list(open()),
        "containers": list(container()),
    }));
    spec["required"] = json!(["containers"]);
    spec
}

fn container() -> Value {
    let quantity = json!({
        "anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true,
    });
    let quantities = json!({"type": "object", "additionalProperties": quantity});
    let port = object(json!({
        "name": text(), "containerPort": {"type": "integer", "format": "int32"}, "protocol": text(),
    }));
    object(json!({
        "name": text(), "image": text(), "imagePullPolicy": text(), "workingDir": text(),
        "args": list(text()), "command": list(text()),
        "env": list(object(json!({"name": text(), "value": text(), "valueFrom": open()}))),
        "envFrom": list(open()),
        "ports": list(port),
        "resources": object(json!({"limits": quantities, "requests": quantities})),
        "readinessProbe": open(), "livenessProbe": open(), "startupProbe": open(),
        "securityContext": open(),
        "terminationMessagePath": text(), "terminationMessagePolicy": text(),
        "volumeMounts": list(open()),
    }))
}

fn traffic() -> Value {
    object(json!({
        "configurationName": text(), "revisionName": text(), "latestRevision": flag(),
        "percent": whole(), "tag": text(), "url": text(),
    }))
}

fn status(more: &[&str]) -> Value {
    let condition = object(json!({
        "type": text(), "status": text(), "reason": text(), "message": text(),
        "severity": text(), "lastTransitionTime": text(),
    }));
    let mut status = object(json!({
        "observedGeneration": whole(), "annotations": texts(), "conditions": list(condition),
        "latestCreatedRevisionName": text(), "latestReadyRevisionName": text(),
        "actualReplicas": whole(), "desiredReplicas": whole(), "logUrl": text(),
        "containerStatuses": list(open()),
    }));
    for name in more {
        status["properties"][*name] = match *name {
            "traffic" => list(traffic()),
            "address" => object(json!({"url": text()})),
            _ => text(),
        };
    }
    status
}

fn deployer_spec() -> Value {
    object(json!({
        "build": object(json!({
            "applicationRef": text(), "containerRef": text(), "functionRef": text(),
        })),
        "template": object(json!({"metadata": open(), "spec": open()})),
        "ingressPolicy": text(),
    }))
}
