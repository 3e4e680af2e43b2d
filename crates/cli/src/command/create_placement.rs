//! Placement as words of `dispatch create function`; YAML says all of it.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::complete;
use crate::noun::Noun;
use crate::value;

/// Which engines calls go to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Placement")]
pub struct Placement {
    /// Engine calls may go to, the first first; may be repeated [default: all that fit]
    #[arg(long = "on", value_name = "ENGINE", value_delimiter = ',', conflicts_with = "engine",
          add = complete::names(Noun::Engine))]
    on: Vec<String>,
    /// Label an engine must have; may be repeated
    #[arg(long = "require", value_name = "KEY=VALUE", value_parser = value::pair)]
    require: Vec<String>,
    /// ordered, weighted, least-loaded or cheapest
    #[arg(long, value_parser = ["ordered", "weighted", "least-loaded", "cheapest"])]
    strategy: Option<String>,
    /// Engine that takes what is too much for the others; may be repeated
    #[arg(long = "burst-to", value_name = "ENGINE", value_delimiter = ',',
          add = complete::names(Noun::Engine))]
    burst_to: Vec<String>,
    /// Burst when more calls of the function than this wait [default: when the others are full]
    #[arg(long, value_name = "N", value_parser = value::number::<u32>, requires = "burst_to")]
    burst_when_queued: Option<u32>,
    /// Let calls fail with their engine rather than go to another
    #[arg(long)]
    no_failover: bool,
    /// A call that may have begun can be made again elsewhere
    #[arg(long)]
    pub idempotent: bool,
}

impl Placement {
    /// `null` when nothing was said.
    pub fn value(&self) -> Value {
        let mut all = Map::new();
        if !self.on.is_empty() {
            all.insert("engines".to_owned(), json!(self.on));
        }
        if !self.require.is_empty() {
            let pairs = self.require.iter().filter_map(|pair| pair.split_once('='));
            let labels: Map<_, _> =
                pairs.map(|(key, value)| (key.to_owned(), json!(value))).collect();
            all.insert("require".to_owned(), json!(labels));
        }
        if let Some(strategy) = &self.strategy {
            all.insert("strategy".to_owned(), json!(strategy));
        }
        if !self.burst_to.is_empty() {
            let mut burst = json!({"to": self.burst_to});
            if let Some(queued) = self.burst_when_queued {
                burst["whenQueued"] = json!(queued);
            }
            all.insert("burst".to_owned(), burst);
        }
        if self.no_failover {
            all.insert("failover".to_owned(), json!(false));
        }
        if all.is_empty() { Value::Null } else { Value::Object(all) }
    }
}
