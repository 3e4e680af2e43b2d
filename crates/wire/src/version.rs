//! What a server or client is.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Version {
    pub version: String,
    pub commit: String,
    pub build_date: String,
    pub platform: String,
    pub compiler: String,
}
