//! The section `images` of the configuration.

use serde::Deserialize;

/// Explained key by key in `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Empty: `images` in the data directory.
    pub dir: std::path::PathBuf,
    pub registry: String,
    pub registry_user: String,
    pub registry_password: String,
    pub plain_http: Vec<String>,
    pub ca_file: String,
    pub folders: Vec<std::path::PathBuf>,
    pub connect_timeout_s: u64,
    pub stall_timeout_s: u64,
    pub max_image_mib: u64,
    pub max_unpacked_mib: u64,
    pub max_entries: u64,
    pub refresh_s: u64,
    pub max_builds: usize,
    pub build_egress: Vec<String>,
    #[serde(deserialize_with = "pairs")]
    pub build_mirrors: Vec<(String, String)>,
    #[serde(deserialize_with = "pairs")]
    pub build_environment: Vec<(String, String)>,
    pub build_memory_mib: u64,
    pub build_max_cpus: f64,
    pub build_timeout_s: u64,
    pub unused_s: u64,
    pub max_database_mib: u64,
}

/// `NAME=value`, as many as there are.
fn pairs<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let pair = |text: String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(serde::de::Error::custom(format!("{text:?} is not NAME=value"))),
    };
    texts.into_iter().map(pair).collect()
}
