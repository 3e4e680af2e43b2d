//! Measures of calls: rates against baselines, times of cold and warm calls, acknowledgements.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::http::{Http, quantile_ms};
use super::{Row, baseline, load, machine};
use crate::server::Server;
use crate::shell;

/// How long to measure, and a server to measure.
pub struct Bench {
    /// To see that it works, not to judge by.
    pub quick: bool,
    pub seconds: u32,
    pub rounds: usize,
    pub samples: usize,
    /// Where the binaries to measure are.
    built: PathBuf,
    data: tempfile::TempDir,
}

impl Bench {
    pub fn new(quick: bool, built: PathBuf) -> Result<Self> {
        let (seconds, rounds, samples) = if quick { (1, 1, 20) } else { (5, 5, 200) };
        let data = tempfile::Builder::new().prefix("dispatch-bench-").tempdir()?;
        Ok(Self { quick, seconds, rounds, samples, built, data })
    }

    /// A folder of its own for one measure.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.data.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A built example.
    pub fn example(&self, name: &str) -> PathBuf {
        self.built.join("examples").join(name)
    }

    /// A server pinned to the first core.
    pub fn server(&self, name: &str) -> Result<Server> {
        self.server_with(name, &[])
    }

    /// The same with settings: `DISPATCH_SECTION__KEY` and a value.
    pub fn server_with(&self, name: &str, settings: &[(&str, String)]) -> Result<Server> {
        let folder = self.folder(name)?;
        Server::start_pinned(&self.built.join("dispatch-server"), &folder, settings)
    }

    /// A server with the examples of one language.
    fn with_examples(&self, language: &str) -> Result<Server> {
        let server = self.server(language)?;
        let folder = format!("examples/{language}");
        let file = format!("{folder}/dispatch.yaml");
        let mut apply = server.dispatch(&["apply", "-f", &file, "-w", &folder, "--wait"]);
        shell::run_quietly("deploying", &mut apply)?;
        Ok(server)
    }
}

const HELLO: &str = r#"{"name": "Ada", "place": "London"}"#;

pub fn wasm(bench: &Bench) -> Result<Vec<Row>> {
    let server = bench.with_examples("wasm")?;
    let hyper = baseline::hyper(&bench.example("bare_hyper"))?;
    let ours = format!("http://{}/dispatch/wasm/hello", server.gateway_http);
    let (mine, bare) = load::alternate(
        bench.rounds,
        || load::requests_per_second(&ours, 64, bench.seconds, Some(HELLO)),
        || load::requests_per_second(&hyper.url, 64, bench.seconds, None),
    )?;
    let ratio = mine / bare;
    Ok(vec![Row {
        measure: "gateway → wasm component, fresh instance per call ÷ bare hyper",
        bar: "≥ 0.35",
        seen: format!("{ratio:.2} ({mine:.0}/s ÷ {bare:.0}/s)"),
        reached: ratio >= 0.35,
    }])
}

pub fn python(bench: &Bench) -> Result<Vec<Row>> {
    let server = bench.with_examples("python3")?;
    let flask = baseline::flask()?;
    let ours = format!("http://{}/dispatch/python3/hello", server.gateway_http);
    let (mine, theirs) = load::alternate(
        bench.rounds,
        || load::requests_per_second(&ours, 16, bench.seconds, Some(HELLO)),
        || load::requests_per_second(&flask.url, 16, bench.seconds, Some(HELLO)),
    )?;
    drop(flask);
    let ratio = mine / theirs;
    let mut rows = vec![Row {
        measure: "gateway → warm Python handler ÷ Flask on waitress",
        bar: "≥ 5",
        seen: format!("{ratio:.1} ({mine:.0}/s ÷ {theirs:.0}/s)"),
        reached: ratio >= 5.0,
    }];
    rows.push(own_share(bench, &server)?);
    Ok(rows)
}

/// Everything of a warm blocking call but the handler: what a client sees, less the mean time the
/// server counted inside the handler meanwhile.
fn own_share(bench: &Bench, server: &Server) -> Result<Row> {
    let mut gateway = Http::connect(&server.gateway_http)?;
    let mut api = Http::connect(&server.api)?;
    let before = handler_seconds(&mut api)?;
    let mut own = Vec::new();
    for _ in 0..bench.samples * 20 {
        own.push(gateway.call("POST", "/dispatch/python3/hello", HELLO)?.ok()?.took);
    }
    let after = handler_seconds(&mut api)?;
    let mean = (after.0 - before.0) / (after.1 - before.1);
    let handler = Duration::from_secs_f64(mean);
    own.iter_mut().for_each(|took| *took = took.saturating_sub(handler));
    let (p50, p99) = (quantile_ms(&mut own, 0.5), quantile_ms(&mut own, 0.99));
    Ok(Row {
        measure: "Dispatch's own share of a warm blocking call, p50 / p99",
        bar: "≤ 0.25 ms / ≤ 2 ms",
        seen: format!("{p50:.3} ms / {p99:.3} ms (handler {:.3} ms)", mean * 1e3),
        reached: p50 <= 0.25 && p99 <= 2.0,
    })
}

/// Seconds spent in handlers of the process engine so far, and in how many calls.
fn handler_seconds(api: &mut Http) -> Result<(f64, f64)> {
    let metrics = api.call("GET", "/metrics", "")?.ok()?.body;
    let value = |name: &str| {
        let fits = |line: &&str| {
            line.starts_with(name)
                && line.contains(r#"engine="process""#)
                && line.contains(r#"phase="handler""#)
        };
        let line = metrics.lines().find(fits).and_then(|line| line.rsplit_once(' '));
        line.and_then(|(_, value)| value.parse().ok()).with_context(|| format!("no {name}"))
    };
    Ok((value("dispatch_run_seconds_sum")?, value("dispatch_run_seconds_count")?))
}

pub fn cold(bench: &Bench) -> Result<Vec<Row>> {
    let server = bench.with_examples("python3")?;
    let mut api = Http::connect(&server.api)?;
    let function = r#"{"idleMs": 1, "name": "python3-hello", "image": "python3",
        "handler": "hello.handle"}"#;
    api.call("PUT", "/v1/function/python3-hello", function)?.ok()?;
    wait_ready(&mut api, "python3-hello")?;
    let mut gateway = Http::connect(&server.gateway_http)?;
    let mut times = Vec::new();
    for _ in 0..bench.samples {
        wait_no_workers(&mut api)?;
        let answer = gateway.call("POST", "/dispatch/python3/hello", HELLO)?.ok()?;
        times.push(answer.took);
    }
    let (p50, p99) = (quantile_ms(&mut times, 0.5), quantile_ms(&mut times, 0.99));
    Ok(vec![Row {
        measure: "first call of a Python function with no worker, p50 / p99",
        bar: "≤ 6 ms / ≤ 25 ms",
        seen: format!("{p50:.1} ms / {p99:.1} ms of {}", times.len()),
        reached: p50 <= 6.0 && p99 <= 25.0,
    }])
}

/// Waits until no function has a worker.
pub fn wait_no_workers(api: &mut Http) -> Result<()> {
    let began = Instant::now();
    loop {
        let metrics = api.call("GET", "/metrics", "")?.ok()?.body;
        let busy = metrics
            .lines()
            .filter(|line| line.starts_with("dispatch_workers"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum::<f64>();
        if busy == 0.0 {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(30) {
            bail!("workers stay alive: {metrics}");
        }
    }
}

fn wait_ready(api: &mut Http, function: &str) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let body = api.call("GET", &format!("/v1/function/{function}"), "")?.ok()?.body;
        let function: serde_json::Value = serde_json::from_str(&body)?;
        match function["status"].as_str() {
            Some("READY") => return Ok(began.elapsed()),
            Some("ERROR") => bail!("{body}"),
            _ if began.elapsed() > Duration::from_secs(30) => bail!("never READY: {body}"),
            _ => {}
        }
    }
}

pub fn memory(bench: &Bench) -> Result<Vec<Row>> {
    let server = bench.with_examples("python3")?;
    let mut gateway = Http::connect(&server.gateway_http)?;
    gateway.call("POST", "/dispatch/python3/hello", HELLO)?.ok()?;
    // Workers are the youngest processes: leaves of the tree below the server.
    let all = machine::descendants(server.pid());
    let leaves = all.iter().filter(|(pid, _)| machine::descendants(*pid).is_empty());
    let python = leaves.filter(|(_, name)| name.contains("python"));
    let sizes: Vec<f64> = python.filter_map(|(pid, _)| machine::private_mib(*pid).ok()).collect();
    let most = sizes.iter().copied().fold(f64::NAN, f64::max);
    if sizes.is_empty() {
        bail!("found no Python worker among {all:?}");
    }
    Ok(vec![Row {
        measure: "private memory of an idle warm Python worker",
        bar: "≤ 6 MiB",
        seen: format!("{most:.1} MiB (largest of {})", sizes.len()),
        reached: most <= 6.0,
    }])
}

pub fn create(bench: &Bench) -> Result<Vec<Row>> {
    let server = bench.with_examples("python3")?;
    let mut api = Http::connect(&server.api)?;
    // Base64 of a handler in one file.
    let source = "ZGVmIGhhbmRsZShjb250ZXh0LCBwYXlsb2FkKToKICAgIHJldHVybiBwYXlsb2FkCg==";
    let mut times = Vec::new();
    for i in 0..bench.samples.min(50) {
        let body = format!(
            r#"{{"name": "made-{i}", "image": "python3", "handler": "made.handle",
                "source": "{source}"}}"#
        );
        let began = Instant::now();
        api.call("POST", "/v1/function", &body)?.ok()?;
        wait_ready(&mut api, &format!("made-{i}"))?;
        times.push(began.elapsed());
    }
    let (p50, worst) = (quantile_ms(&mut times, 0.5), quantile_ms(&mut times, 1.0));
    Ok(vec![Row {
        measure: "create function (source only, image ready) → READY, p50 / worst",
        bar: "≤ 150 ms",
        seen: format!("{p50:.0} ms / {worst:.0} ms of {}", times.len()),
        reached: worst <= 150.0,
    }])
}

pub fn accept(bench: &Bench) -> Result<Vec<Row>> {
    let server = bench.with_examples("wasm")?;
    let url = format!("http://{}/v1/runs?functionName=wasm-hello", server.api);
    let body = r#"{"input": {"name": "Ada"}}"#;
    let rate = load::requests_per_second(&url, 64, bench.seconds, Some(body))?;
    Ok(vec![Row {
        measure: "non-blocking runs acknowledged durably, 64 clients",
        bar: "≥ 5,000/s",
        seen: format!("{rate:.0}/s"),
        reached: rate >= 5_000.0,
    }])
}
