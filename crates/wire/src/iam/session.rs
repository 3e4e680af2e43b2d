//! Sessions, as they are listed. An addition to v1.

use dispatch_model::session::{Holder, Session as Marker};
use dispatch_model::{Kind, Resource};
use serde::{Deserialize, Serialize};

use crate::convert::FromModel;
use crate::shared::{resource_shape, seconds};

resource_shape! {
    /// A sign-in that holds until it ends. All of it is read-only.
    Session {
        /// Whose it is, as policies name them.
        #[serde(default)]
        subject: String,
        /// user or service-account.
        #[serde(default)]
        subject_kind: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display_name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<String>,
        /// The identity provider that vouches for them.
        #[serde(default)]
        provider: String,
        /// The organizations a user is a member of, and the groups there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        memberships: Vec<Membership>,
        /// browser, command-line or program.
        #[serde(default)]
        client: String,
        /// The address it was begun from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// When it ends, in unix seconds.
        #[serde(default)]
        expires: i64,
        /// When the provider last vouched for them, in unix seconds.
        #[serde(default)]
        confirmed: i64,
        /// Whether the request was made with it.
        #[serde(default, skip_serializing_if = "crate::shared::is_false")]
        current: bool,
    }
}

/// A user in one organization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Membership {
    pub organization: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

impl FromModel for Session {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let (spec, status) = (&resource.spec, &resource.status);
        let memberships = status.memberships.iter().map(|membership| Membership {
            organization: membership.organization.to_string(),
            groups: membership.groups.clone(),
        });
        let (display_name, email) = match &spec.holder {
            Holder::User { display_name, email, .. } => (Some(display_name.clone()), email.clone()),
            Holder::ServiceAccount { .. } => (None, None),
        };
        Session {
            subject: spec.name().to_owned(),
            subject_kind: spec.holder_kind().to_owned(),
            display_name,
            email,
            provider: spec.provider.clone(),
            memberships: memberships.collect(),
            client: spec.client.as_str().to_owned(),
            from: spec.from.clone(),
            expires: seconds(spec.expires_ms),
            confirmed: seconds(status.confirmed_ms),
            ..Session::default()
        }
        .with_meta(Marker::KIND, &resource.meta)
    }
}
