//! `dispatch create secret`: values from a file, or where they are kept.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};

use super::create::{Common, object_of_strings};
use crate::value;

pub const EXAMPLES: &str = "\
Examples:
  dispatch create secret open-sesame open-sesame.json
  dispatch create secret db --vault corp --path shop/db --key password=DB_PASSWORD --cache 30s
  dispatch create secret db --kubernetes cluster --path shop-db";

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("values").required(true).args(["file", "vault", "kubernetes"])))]
pub struct CreateSecret {
    pub name: String,
    /// JSON object of strings
    file: Option<PathBuf>,
    /// Keep the values in a Vault: name of a store that is open to the organization
    #[arg(long, value_name = "STORE", requires = "path")]
    vault: Option<String>,
    /// Keep the values in a Kubernetes cluster: name of a store
    #[arg(long, value_name = "STORE", requires = "path")]
    kubernetes: Option<String>,
    /// Path in the Vault, below what is the organization's; name of the secret in Kubernetes
    #[arg(long, conflicts_with = "file")]
    path: Option<String>,
    /// Version in the Vault [default: the newest]
    #[arg(long, value_name = "N", requires = "vault")]
    at_version: Option<u64>,
    /// Key that handlers get, and the name they get it as; may be repeated [default: all]
    #[arg(long = "key", value_name = "KEY[=NAME]", conflicts_with = "file")]
    keys: Vec<String>,
    /// How long what was read is used: 30s, 5m
    #[arg(long, value_name = "DURATION", value_parser = value::seconds, conflicts_with = "file")]
    cache: Option<u64>,
    #[command(flatten)]
    pub common: Common,
}

impl CreateSecret {
    pub fn body(&self) -> Result<Value> {
        if let Some(file) = &self.file {
            return Ok(json!({"name": self.name, "secrets": object_of_strings(file)?}));
        }
        let pair = |text: &String| {
            let (key, name) = text.split_once('=').unwrap_or((text, text));
            (key.to_owned(), json!(name))
        };
        let keys: Map<String, Value> = self.keys.iter().map(pair).collect();
        let mut source = json!({"keys": keys});
        match (&self.vault, &self.kubernetes) {
            (Some(store), _) => {
                source["type"] = json!("vault");
                source["store"] = json!(store);
                source["path"] = json!(self.path);
                if let Some(version) = self.at_version {
                    source["version"] = json!(version);
                }
            }
            (None, store) => {
                source["type"] = json!("kubernetes");
                source["store"] = json!(store);
                source["name"] = json!(self.path);
            }
        }
        if let Some(cache) = self.cache {
            source["cacheSeconds"] = json!(cache);
        }
        Ok(json!({"name": self.name, "source": source}))
    }
}
