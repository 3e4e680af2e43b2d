//! The action of a deployment.

use dispatch_driver::{Deployment, Error, Result};
use dispatch_model::code;
use serde_json::{Value, json};
use uuid::Uuid;

/// Digits of the digest that the server tags a published image with.
const TAG: usize = 12;
/// Shortest time of an action, in milliseconds.
const LEAST_TIMEOUT_MS: u64 = 100;

pub fn name(id: Uuid) -> String {
    format!("dispatch-{}", id.simple())
}

/// # Errors
/// Where the function has no image.
pub fn body(deployment: &Deployment, least_memory_mib: u64) -> Result<Value> {
    let image = deployment.function_image.as_deref().ok_or_else(|| {
        let text = format!(
            "the function {} has no image in a registry, which OpenWhisk pulls; \
             set images.registry, or give the function an image",
            deployment.function
        );
        Error::caller(code::ENGINE001, text)
    })?;
    let timeout_ms = u64::try_from(deployment.timeout.as_millis()).unwrap_or(u64::MAX);
    let annotation = |key: &str, value: Value| json!({"key": key, "value": value});
    Ok(json!({
        "exec": {"kind": "blackbox", "image": tagged(image)},
        "limits": {
            "timeout": timeout_ms.max(LEAST_TIMEOUT_MS),
            "memory": deployment.memory_mib.max(least_memory_mib),
        },
        "annotations": [
            annotation("app.kubernetes.io/managed-by", json!("dispatch")),
            annotation("io.dispatch/organization", json!(deployment.org)),
            annotation("io.dispatch/function", json!(deployment.function)),
            annotation("io.dispatch/version", json!(deployment.version)),
            annotation("io.dispatch/deployment", json!(deployment.id)),
            // Functions need no key of the namespace they happen to run in.
            annotation("provide-api-key", json!(false)),
        ],
    }))
}

/// With the tag that the server gave it. OpenWhisk reads references with digests, but pulls by the
/// tag only: without one it would be `latest`.
fn tagged(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((repository, hex)) if hex.len() >= TAG => {
            format!("{repository}:{}@sha256:{hex}", &hex[..TAG])
        }
        _ => image.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_by_their_tag_too() {
        let hex = "0123456789abcdef".repeat(4);
        let image = format!("registry.example.org:5000/a/b@sha256:{hex}");
        let tagged = tagged(&image);
        assert_eq!(tagged, format!("registry.example.org:5000/a/b:0123456789ab@sha256:{hex}"));
    }
}
