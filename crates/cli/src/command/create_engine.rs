//! `dispatch create engine`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::api_object::Waiting;
use crate::complete;
use crate::noun::Noun;
use crate::value;

pub const EXAMPLES: &str = "\
Examples:
  dispatch get engine-type
  dispatch create engine lab --type openfaas --set gateway=http://127.0.0.1:8082 --secret lab \\
      --label region=eu --label gpu=a100 --cost 10 --max-concurrency 200 --wait
  dispatch create engine theirs --type docker --for-organization acme --max-memory-mib 4096";

#[derive(Debug, Args)]
pub struct CreateEngine {
    pub name: String,
    /// Which driver: `dispatch get engine-type` lists them
    #[arg(long = "type", value_name = "TYPE", add = complete::engine_types())]
    engine_type: String,
    /// Label that placement chooses by; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::pair)]
    labels: Vec<String>,
    /// Setting of the type; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = value::pair)]
    settings: Vec<String>,
    /// Secret whose keys are settings too; may be repeated
    #[arg(long = "secret", value_delimiter = ',', add = complete::names(Noun::Secret))]
    secrets: Vec<String>,
    /// Order among engines that fit: the lower, the cheaper
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = value::number::<u32>)]
    cost: u32,
    /// Calls at the same time
    #[arg(long, value_name = "N", value_parser = value::number::<u32>)]
    max_concurrency: Option<u32>,
    /// Memory of one function's worker at most, in MiB
    #[arg(long, value_name = "MIB", value_parser = value::number::<u64>)]
    max_memory_mib: Option<u64>,
    /// Organization whose functions it runs; may be repeated [default: all]
    #[arg(long = "for-organization", value_name = "ORGANIZATION", value_delimiter = ',')]
    organizations: Vec<String>,
    /// Let nothing onto it yet
    #[arg(long)]
    cordoned: bool,
    #[command(flatten)]
    pub waiting: Waiting,
}

impl CreateEngine {
    pub fn body(&self) -> Value {
        json!({
            "name": self.name, "type": self.engine_type, "labels": object(&self.labels),
            "settings": object(&self.settings), "secrets": self.secrets, "cost": self.cost,
            "maxConcurrency": self.max_concurrency, "maxMemoryMib": self.max_memory_mib,
            "organizations": self.organizations, "cordoned": self.cordoned,
        })
    }
}

/// `KEY=VALUE`, as clap has checked them; a key given twice keeps its last value.
fn object(pairs: &[String]) -> Map<String, Value> {
    let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), json!(value))).collect()
}
