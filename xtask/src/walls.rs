//! Which crate may depend on which, kept by a look at `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// What each crate may use of ours. testkit and systems are for tests only, so nobody lists them.
const ALLOWED: &[(&str, &[&str])] = &[
    ("dispatch-model", &[]),
    ("dispatch-wire", &["dispatch-model"]),
    ("dispatch-driver", &["dispatch-model"]),
    ("dispatch-store", &["dispatch-model"]),
    ("dispatch-images", &["dispatch-model", "dispatch-driver"]),
    ("dispatch-sandbox", &["dispatch-model", "dispatch-driver"]),
    ("dispatch-adapters", &["dispatch-model", "dispatch-driver"]),
    ("dispatch-placement", &["dispatch-model"]),
    ("dispatch-access", &["dispatch-model"]),
    ("dispatch-systems", &["dispatch-model", "dispatch-driver", "dispatch-images"]),
    // Adapters: the one of remote engines, to hold a server of somebody's own to the contract.
    ("dispatch-cli", &["dispatch-model", "dispatch-wire", "dispatch-driver", "dispatch-adapters"]),
    (
        "dispatch-server",
        &[
            "dispatch-model",
            "dispatch-wire",
            "dispatch-driver",
            "dispatch-store",
            "dispatch-images",
            "dispatch-sandbox",
            "dispatch-adapters",
            "dispatch-placement",
            "dispatch-access",
        ],
    ),
    (
        "dispatch-testkit",
        &[
            "dispatch-model",
            "dispatch-wire",
            "dispatch-store",
            "dispatch-images",
            "dispatch-server",
        ],
    ),
    // The real placement, against engines that are simulated.
    ("xtask", &["dispatch-model", "dispatch-placement"]),
];

/// What must not be anywhere below the CLI.
const NOT_IN_CLI: &[&str] = &["wasmtime", "sqlx", "axum"];

type Graph = BTreeMap<String, BTreeSet<String>>;

pub fn run() -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(shell::root()).args(["metadata", "--format-version", "1", "--locked"]);
    let metadata: serde_json::Value =
        serde_json::from_str(&shell::run_quietly("reading the crate graph", &mut cargo)?)?;
    let graph = graph(&metadata)?;
    let mut broken = Vec::new();
    for (name, allowed) in ALLOWED {
        let ours = graph.get(*name).with_context(|| format!("no crate {name}"))?;
        for dependency in ours.iter().filter(|d| d.starts_with("dispatch-")) {
            if !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    let below = reachable(&graph, "dispatch-cli");
    for name in NOT_IN_CLI.iter().filter(|name| below.contains(**name)) {
        broken.push(format!("the CLI must not build {name}"));
    }
    if !broken.is_empty() {
        bail!("walls broken:\n  {}", broken.join("\n  "));
    }
    println!("    the walls between {} crates stand", ALLOWED.len());
    Ok(())
}

/// Normal (not dev, not build) dependencies by name.
fn graph(metadata: &serde_json::Value) -> Result<Graph> {
    let nodes = metadata["resolve"]["nodes"].as_array().context("no resolve graph")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let names: BTreeMap<&str, &str> =
        packages.iter().filter_map(|p| p["id"].as_str().zip(p["name"].as_str())).collect();
    let mut graph = Graph::new();
    for node in nodes {
        let id = node["id"].as_str().context("a node without id")?;
        let dependencies = node["deps"].as_array().into_iter().flatten();
        let normal = dependencies.filter(|d| {
            d["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k["kind"].is_null()))
        });
        let of = normal.filter_map(|d| names.get(d["pkg"].as_str()?).map(|n| (*n).to_owned()));
        graph.entry(names.get(id).copied().unwrap_or(id).to_owned()).or_default().extend(of);
    }
    Ok(graph)
}

fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        if seen.insert(name.clone()) {
            open.extend(graph.get(&name).into_iter().flatten().cloned());
        }
    }
    seen
}
