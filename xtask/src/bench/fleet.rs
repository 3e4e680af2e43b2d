//! Measures of several engines under one function: one of three killed under load, and more calls
//! than the first has room for.
//!
//! The engines are the example of a remote engine, in Python, each a process of its own.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Row;
use super::http::{Http, quantile_ms};
use super::measures::Bench;
use crate::server::Server;
use crate::shell;

/// Takes as long as its payload says, in milliseconds.
const SOURCE: &str = "import time\ndef handle(ctx, payload):\n    time.sleep(payload / 1000)\n";
/// What a call takes in its handler, in milliseconds.
const CALL_MS: u64 = 10;
const CLIENTS: usize = 6;
/// Time over which a p99 is taken.
const WINDOW: Duration = Duration::from_millis(500);
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// Calls the local engine takes at once in the measure of bursts.
const LOCAL: usize = 4;
const BURST_MS: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// A remote engine; ended when dropped.
struct Remote {
    child: Child,
    url: String,
}

impl Remote {
    fn start() -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let program = shell::root().join("examples/engines/remote-python/engine.py");
        let mut command = Command::new("python3");
        command.arg(program).args(["--port", &port.to_string()]);
        let child = command.spawn().context("python3 starts the example of an engine")?;
        let engine = Self { child, url: format!("http://127.0.0.1:{port}") };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(began.elapsed() < PATIENCE, "the example of an engine does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(engine)
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server with engines and the function `f` on them.
struct Fleet {
    server: Server,
    engines: Vec<Remote>,
}

impl Fleet {
    fn start(
        bench: &Bench,
        name: &str,
        engines: &[(&str, Value)],
        placement: Value,
    ) -> Result<Self> {
        let server = bench.server(name)?;
        let mut api = Http::connect(&server.api)?;
        let mut remotes = Vec::new();
        for (name, more) in engines {
            let remote = Remote::start()?;
            let mut shape =
                json!({"name": name, "type": "remote", "settings": {"url": remote.url}});
            for (field, value) in more.as_object().into_iter().flatten() {
                shape[field] = value.clone();
            }
            api.call("POST", "/v1/engine", &shape.to_string())?.ok()?;
            until(&mut api, &format!("/v1/engine/{name}"), |e| e["healthy"] == true)?;
            remotes.push(remote);
        }
        let base = json!({"name": "base", "dockerUrl": "host:python3", "language": "python3"});
        api.call("POST", "/v1/baseimage", &base.to_string())?.ok()?;
        let image = json!({"name": "python3", "baseImageName": "base"}).to_string();
        api.call("POST", "/v1/image", &image)?.ok()?;
        until(&mut api, "/v1/image/python3", |image| image["status"] == "READY")?;
        let function = json!({"name": "f", "image": "python3", "handler": "f.handle",
            "source": STANDARD.encode(SOURCE), "placement": placement, "idempotent": true,
            "concurrency": 32});
        api.call("POST", "/v1/function", &function.to_string())?.ok()?;
        let all = engines.len();
        until(&mut api, "/v1/function/f", |function| {
            let there = function["engines"].as_array().map_or(0, Vec::len);
            function["status"] == "READY" && there == all
        })?;
        Ok(Self { server, engines: remotes })
    }
}

fn until(api: &mut Http, path: &str, is: impl Fn(&Value) -> bool) -> Result<()> {
    let began = Instant::now();
    loop {
        let answer = api.call("GET", path, "")?.ok()?;
        if is(&serde_json::from_str(&answer.body)?) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("{path} is not as it should be: {}", answer.body);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One call: when it began, how long it took, and the engine that served it, if it did.
struct Seen {
    at: Duration,
    took: Duration,
    engine: Option<String>,
}

/// Calls by some clients at once until `end`, counted from `began`.
fn calls(api: &str, clients: usize, ms: u64, began: Instant, end: Duration) -> Result<Vec<Seen>> {
    let path = "/v1/runs?functionName=f";
    let body = json!({"blocking": true, "input": ms}).to_string();
    let client = || -> Result<Vec<Seen>> {
        let (mut http, mut all) = (Http::connect(api)?, Vec::new());
        while began.elapsed() < end {
            let at = began.elapsed();
            let answer = http.call("POST", path, &body)?;
            let run: Value = serde_json::from_str(&answer.body)?;
            let well = answer.status == 200 && run["status"] == "READY";
            let engine = well.then(|| run["engine"].as_str().unwrap_or_default().to_owned());
            all.push(Seen { at, took: answer.took, engine });
        }
        Ok(all)
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let mut seen = Vec::new();
        for one in all {
            seen.extend(one.join().expect("a client does not panic")?);
        }
        Ok(seen)
    })
}

/// One of three engines killed under load.
pub fn failover(bench: &Bench) -> Result<Vec<Row>> {
    let none = json!({});
    let engines = [("a", none.clone()), ("b", none.clone()), ("c", none)];
    let placement = json!({"engines": ["a", "b", "c"], "strategy": "least-loaded"});
    let mut fleet = Fleet::start(bench, "fleet-failover", &engines, placement)?;
    let side = Duration::from_secs(u64::from(bench.seconds));
    // The first calls start workers.
    calls(&fleet.server.api, CLIENTS, CALL_MS, Instant::now(), Duration::from_secs(2))?;
    let began = Instant::now();
    let api = fleet.server.api.clone();
    let load = std::thread::spawn(move || calls(&api, CLIENTS, CALL_MS, began, side * 2));
    std::thread::sleep(side.saturating_sub(began.elapsed()));
    let killed = began.elapsed();
    fleet.engines[0].kill();
    let seen = load.join().expect("the load does not panic")?;
    let failed = seen.iter().filter(|call| call.engine.is_none()).count();
    let before = p99_ms(seen.iter().filter(|call| call.at + call.took < killed));
    let back = back_after(&seen, killed, began.elapsed(), before);
    let shown = back.map_or("never".to_owned(), |back| format!("{:.1} s", back.as_secs_f64()));
    Ok(vec![
        Row {
            measure: "failed idempotent calls when one of three engines is killed under load",
            bar: "0",
            seen: format!("{failed} of {}", seen.len()),
            reached: failed == 0,
        },
        Row {
            measure: "time until p99 is within 20 % of what it was before",
            bar: "≤ 2 s",
            seen: format!("{shown} ({before:.1} ms before)"),
            reached: back.is_some_and(|back| back <= BACK_WITHIN),
        },
    ])
}

fn p99_ms<'a>(calls: impl Iterator<Item = &'a Seen>) -> f64 {
    let mut times: Vec<Duration> = calls.map(|call| call.took).collect();
    quantile_ms(&mut times, 0.99)
}

/// The end of the last window after the kill whose p99 was worse.
fn back_after(seen: &[Seen], killed: Duration, end: Duration, before: f64) -> Option<Duration> {
    let windows = ((end - killed).as_secs_f64() / WINDOW.as_secs_f64()) as u32;
    let worse = |n: u32| {
        let (from, to) = (killed + WINDOW * n, killed + WINDOW * (n + 1));
        let inside = seen.iter().filter(|call| (from..to).contains(&(call.at + call.took)));
        p99_ms(inside) > before * 1.2
    };
    match (0..windows).rev().find(|n| worse(*n)) {
        None => Some(Duration::ZERO),
        Some(last) if last + 1 == windows => None,
        Some(last) => Some(WINDOW * (last + 1)),
    }
}

/// Three times the calls that the local engine has room for.
pub fn burst(bench: &Bench) -> Result<Vec<Row>> {
    let engines = [("local", json!({"maxConcurrency": LOCAL})), ("cloud", json!({"cost": 100}))];
    let placement = json!({"engines": ["local"], "burst": {"to": ["cloud"]}});
    let fleet = Fleet::start(bench, "fleet-burst", &engines, placement)?;
    let api = &fleet.server.api;
    let seconds = Duration::from_secs(u64::from(bench.seconds));
    // As many as fit, for what a call takes that never waits; the first start workers.
    calls(api, LOCAL * 3, BURST_MS, Instant::now(), Duration::from_secs(3))?;
    let alone = p99_ms(calls(api, LOCAL, BURST_MS, Instant::now(), seconds)?.iter());
    let seen = calls(api, LOCAL * 3, BURST_MS, Instant::now(), seconds)?;
    let failed = seen.iter().filter(|call| call.engine.is_none()).count();
    ensure!(failed == 0, "{failed} calls failed");
    let worst = seen.iter().map(|call| call.took).max().unwrap_or_default();
    let worst = worst.as_secs_f64() * 1e3;
    let cloud = seen.iter().filter(|call| call.engine.as_deref() == Some("cloud")).count();
    let share = cloud as f64 / seen.len() as f64 * 100.0;
    // A call that waited for another would have taken twice as long.
    let waited = seen.iter().filter(|call| call.took > Duration::from_millis(BURST_MS * 2)).count();
    Ok(vec![Row {
        measure: "calls that waited at 3× the local capacity while the other engine had room",
        bar: "0",
        seen: format!(
            "{waited} of {} ({share:.0} % on the other; worst {worst:.0} ms, p99 without load \
             {alone:.0} ms)",
            seen.len()
        ),
        reached: waited == 0,
    }])
}
