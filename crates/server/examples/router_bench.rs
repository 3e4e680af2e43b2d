//! What a look into the route table costs with 10, 1,000 and 100,000 routes, and a change of it.
//!
//! `cargo run --release -p dispatch-server --example router_bench` prints nanoseconds a lookup:
//! of one route again and again, of ten spread over the table in turn, and of all in random
//! order; the last shows the caches of the machine more than the table, as the paths asked for
//! are a hundred thousand texts themselves.

use std::hint::black_box;
use std::time::Instant;

use dispatch_model::api::ApiSpec;
use dispatch_model::{Name, OrgName};
use dispatch_server::gateway::{Found, Methods, Rank, Table};
use http::Method;
use rand::seq::SliceRandom as _;
use uuid::Uuid;

/// Short, so that some rounds have the processor for themselves.
const LOOKUPS: usize = 5_000;
const ROUNDS: usize = 400;

fn spec(uri: String) -> ApiSpec {
    ApiSpec {
        function: "hello".to_owned(),
        methods: vec!["POST".to_owned()],
        uris: vec![uri],
        hosts: Vec::new(),
        protocols: Vec::new(),
        authentication: "public".to_owned(),
        enabled: true,
        cors: false,
        tls: None,
    }
}

/// Nanoseconds to look up each path in turn, again and again; the best round.
fn lookup(table: &Table, paths: &[&str]) -> anyhow::Result<f64> {
    let method = Methods::one(&Method::POST);
    let mut best = f64::MAX;
    let mut paths = paths.iter().cycle();
    for _ in 0..ROUNDS {
        let (mut found, begun) = (0, Instant::now());
        for path in paths.by_ref().take(LOOKUPS) {
            let answer = table.find(black_box("localhost"), black_box(path), method);
            found += usize::from(matches!(answer, Found::Route { .. }));
        }
        best = best.min(begun.elapsed().as_nanos() as f64 / LOOKUPS as f64);
        anyhow::ensure!(found == LOOKUPS, "only {found} of {LOOKUPS} were found");
    }
    Ok(best)
}

fn measure(kind: &str, size: usize, uri: impl Fn(usize) -> (String, String)) -> anyhow::Result<()> {
    let (table, org) = (Table::default(), OrgName::new("dispatch")?);
    let uris: Vec<(String, String)> = (0..size).map(uri).collect();
    let begun = Instant::now();
    for (at, (uri, _)) in uris.iter().enumerate() {
        let rank = Rank { created_ms: at as i64, id: Uuid::nil() };
        table.put(&org, &Name::new(&format!("api-{at}"))?, rank, &spec(uri.clone()))?;
    }
    let put_us = begun.elapsed().as_micros() as f64 / size as f64;
    let mut paths: Vec<String> = uris.iter().map(|(_, path)| format!("/dispatch{path}")).collect();
    let all: Vec<&str> = paths.iter().map(String::as_str).collect();
    let one = lookup(&table, &all[size / 2..=size / 2])?;
    let ten: Vec<&str> = all.iter().step_by(size / 10).copied().collect();
    let ten = lookup(&table, &ten)?;
    paths.shuffle(&mut rand::rng());
    let random: Vec<&str> = paths.iter().map(String::as_str).collect();
    let random = lookup(&table, &random)?;
    println!("{kind:<10} {size:>8} {one:>8.0} {ten:>8.0} {random:>8.0} {put_us:>10.1}");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    println!("paths        routes      one      ten   random    put, µs");
    for size in [10, 1_000, 100_000] {
        let same = |n: usize| (format!("/v1/users/{n:06}"), format!("/v1/users/{n:06}"));
        measure("exact", size, same)?;
        let with = |n: usize| (format!("/v1/{n:06}/{{id}}"), format!("/v1/{n:06}/77"));
        measure("parameter", size, with)?;
        let prefix = |n: usize| (format!("/v1/{n:06}/*"), format!("/v1/{n:06}/a/b"));
        measure("prefix", size, prefix)?;
    }
    Ok(())
}
