//! APIs as v1 writes them.

use dispatch_model::api::{Api as Marker, ApiSpec};
use dispatch_model::{Kind, Resource, Violation};

use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::{is_false, resource_shape};

fn yes() -> bool {
    true
}

fn public() -> String {
    "public".to_owned()
}

resource_shape! {
    /// A route of the gateway.
    Api {
        #[serde(default)]
        function: String,
        /// GET when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        methods: Vec<String>,
        /// `/exact`, `/with/{parameter}`, `/prefix/*`; `/` when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        uris: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hosts: Vec<String>,
        /// `http`, `https`; both when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        protocols: Vec<String>,
        /// `public`, `basic`, `oauth2`.
        #[serde(default = "public")]
        authentication: String,
        #[serde(default = "yes")]
        enabled: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        cors: bool,
        /// Name of a secret with `tls.crt` and `tls.key`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<String>,
    }
}

impl ToModel for Api {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<ApiSpec, Violation> {
        let upper = |m: &String| m.to_ascii_uppercase();
        let lower = |h: &String| h.to_ascii_lowercase();
        let authentication =
            if self.authentication.is_empty() { public() } else { self.authentication.clone() };
        let spec = ApiSpec {
            function: self.function.clone(),
            methods: self.methods.iter().map(upper).collect(),
            uris: self.uris.clone(),
            hosts: self.hosts.iter().map(lower).collect(),
            protocols: self.protocols.iter().map(lower).collect(),
            authentication,
            enabled: self.enabled,
            cors: self.cors,
            tls: self.tls.clone().filter(|t| !t.is_empty()),
        };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for Api {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let spec = resource.spec.clone();
        let shape = Api {
            function: spec.function,
            methods: spec.methods,
            uris: spec.uris,
            hosts: spec.hosts,
            protocols: spec.protocols,
            authentication: spec.authentication,
            enabled: spec.enabled,
            cors: spec.cors,
            tls: spec.tls,
            ..Api::default()
        };
        shape.with_meta(Marker::KIND, &resource.meta)
    }
}
