//! The text that is signed: "simple signing" of container images
//! (<https://github.com/containers/image/blob/main/docs/containers-signature.5.md>).

use serde::{Deserialize, Serialize};

use crate::Digest;

const TYPE: &str = "cosign container image signature";

#[derive(Serialize, Deserialize)]
struct Payload {
    critical: Critical,
    /// Whatever the signer adds.
    optional: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// What a payload says.
pub struct Signed {
    pub digest: String,
    pub reference: String,
}

pub fn write(digest: &Digest, reference: &str) -> Vec<u8> {
    let payload = Payload {
        critical: Critical {
            identity: Identity { reference: reference.to_owned() },
            image: Image { digest: digest.to_string() },
            kind: TYPE.to_owned(),
        },
        optional: None,
    };
    serde_json::to_vec(&payload).expect("texts are written to memory")
}

pub fn read(bytes: &[u8]) -> Result<Signed, String> {
    let payload: Payload = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let critical = payload.critical;
    if critical.kind != TYPE {
        let start: String = critical.kind.chars().take(60).collect();
        return Err(format!("its type is {start:?}, not {TYPE:?}"));
    }
    let digest = critical.image.digest.chars().take(100).collect();
    Ok(Signed { digest, reference: critical.identity.reference })
}
