//! Measures of images over the REST API: built again, functions changed and called on them, what
//! they are made of.
//!
//! The base image is a layout of this machine's Python, packages come from an index on this
//! machine: nothing needs a network.

pub mod bill;
mod crun;
mod mirror;
pub mod users;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Row;
use super::http::{Http, quantile_ms};
use super::measures::{self, Bench};
use crate::server::Server;
use crate::shell;
use crun::Peer;
use mirror::Mirror;

/// Between two looks: what a time may be off by, while the server is mostly left alone.
const PAUSE: Duration = Duration::from_micros(500);
/// Before a call that is measured: what the one before it left to do is then done.
const QUIET: Duration = Duration::from_millis(100);
/// `idleMs` of functions whose workers are to stay, and of those whose are to go.
const STAYS: u64 = 300_000;
const GOES: u64 = 1;

/// A server with the base image `base`, and the image `py` on it that was really built.
struct Bed {
    api: Http,
    mirror: Mirror,
    /// The files that the base image's layer was made of.
    root: PathBuf,
    /// How long the first build took.
    built: Duration,
    name: &'static str,
    settings: Vec<(&'static str, String)>,
    /// There is none for a moment only, between two.
    server: Option<Server>,
}

impl Bed {
    fn new(bench: &Bench, name: &'static str) -> Result<Self> {
        if !Path::new("/bin/busybox").is_file() {
            bail!("busybox is missing: apt-get install -y busybox-static");
        }
        let folder = bench.folder("images-python")?;
        let layout = folder.join("layout");
        // All measures read the same one.
        if !layout.is_dir() {
            let mut make = Command::new(bench.example("python_layout"));
            shell::run_quietly("making a base image", make.arg(&folder))?;
        }
        let mirror = Mirror::start(&folder)?;
        let port = mirror.port;
        let settings = vec![
            ("DISPATCH_IMAGES__FOLDERS", folder.display().to_string()),
            ("DISPATCH_IMAGES__BUILD_EGRESS", format!("127.0.0.1:{port}")),
            ("DISPATCH_IMAGES__BUILD_MIRRORS", format!("python3=http://127.0.0.1:{port}/simple")),
            ("DISPATCH_PROCESS__EGRESS_TO_MACHINE", "true".to_owned()),
        ];
        let server = bench.server_with(name, &settings)?;
        let mut api = Http::connect(&server.api)?;
        let base = json!({"name": "base", "language": "python3",
            "dockerUrl": format!("oci:{}:python", layout.display())});
        api.call("POST", "/v1/baseimage", &base.to_string())?.ok()?;
        wait_ready(&mut api, "/v1/baseimage/base", None)?;
        let root = folder.join("root-12");
        let (built, server) = (Duration::ZERO, Some(server));
        let mut bed = Self { api, mirror, root, built, name, settings, server };
        bed.built = bed.image("py")?.1;
        ensure!(bed.mirror.asked() > 0, "the image was built without its packages");
        Ok(bed)
    }

    /// Stops the server and starts it on the same data.
    fn restart(&mut self, bench: &Bench) -> Result<()> {
        drop(self.server.take());
        let server = bench.server_with(self.name, &self.settings)?;
        self.api = Http::connect(&server.api)?;
        self.server = Some(server);
        Ok(())
    }

    /// Creates an image of the one recipe, and waits: its digest, and how long it took.
    fn image(&mut self, name: &str) -> Result<(String, Duration)> {
        let image = json!({"name": name, "baseImageName": "base",
            "runtimeDependencies": {"manifest": mirror::REQUIREMENT}});
        let began = Instant::now();
        self.api.call("POST", "/v1/image", &image.to_string())?.ok()?;
        let image = wait_ready(&mut self.api, &format!("/v1/image/{name}"), None)?;
        Ok((digest(&image)?, began.elapsed()))
    }

    /// Creates a function that answers with a number, and waits. The worker that its deployment
    /// began with stays for `idle_ms`.
    fn function(&mut self, name: &str, image: &str, answer: usize, idle_ms: u64) -> Result<Value> {
        let function = function(name, image, answer, idle_ms);
        self.api.call("POST", "/v1/function", &function)?.ok()?;
        wait_ready(&mut self.api, &format!("/v1/function/{name}"), None)
    }

    /// Calls a function: how long it took until its answer, which is checked, was here.
    fn call(&mut self, function: &str, answer: usize) -> Result<Duration> {
        let run = json!({"functionName": function, "blocking": true, "input": {}});
        let done = self.api.call("POST", "/v1/runs", &run.to_string())?.ok()?;
        let run: Value = serde_json::from_str(&done.body)?;
        ensure!(run["output"] == answer, "{function} answered {run}");
        Ok(done.took)
    }

    /// The same when nothing that could answer is there, and the server has nothing else to do.
    fn first_call(&mut self, function: &str, answer: usize) -> Result<Duration> {
        measures::wait_no_workers(&mut self.api)?;
        std::thread::sleep(QUIET);
        self.call(function, answer)
    }

    fn delete(&mut self, path: &str) -> Result<()> {
        self.api.call("DELETE", path, "")?.ok()?;
        let began = Instant::now();
        while self.api.call("GET", path, "")?.status != 404 {
            ensure!(began.elapsed() < Duration::from_secs(60), "{path} does not go");
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

fn function(name: &str, image: &str, answer: usize, idle_ms: u64) -> String {
    let source = format!("import greet\n\ndef handle(context, payload):\n    return {answer}\n");
    let function = json!({"name": name, "image": image, "handler": "made.handle", "idleMs": idle_ms,
        "source": STANDARD.encode(source)});
    function.to_string()
}

fn digest(resource: &Value) -> Result<String> {
    let digest = resource["digest"].as_str().map(str::to_owned);
    digest.with_context(|| format!("no digest: {resource}"))
}

/// Waits until a resource is READY, with another digest than `before`.
fn wait_ready(api: &mut Http, path: &str, before: Option<&str>) -> Result<Value> {
    let began = Instant::now();
    loop {
        let body = api.call("GET", path, "")?.ok()?.body;
        let resource: Value = serde_json::from_str(&body)?;
        match resource["status"].as_str() {
            Some("READY") if before.is_none() || resource["digest"].as_str() != before => {
                return Ok(resource);
            }
            Some("ERROR") => bail!("{body}"),
            _ if began.elapsed() > Duration::from_secs(300) => bail!("never READY: {body}"),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// The same recipe again, under a name that is free again.
pub fn rebuild(bench: &Bench) -> Result<Vec<Row>> {
    let mut bed = Bed::new(bench, "images-rebuild")?;
    let asked = bed.mirror.asked();
    let mut times = Vec::new();
    for _ in 0..bench.samples.clamp(30, 100) {
        times.push(bed.image("again")?.1);
        bed.delete("/v1/image/again")?;
    }
    ensure!(bed.mirror.asked() == asked, "an unchanged image was built, not found");
    let (p50, p99) = (quantile_ms(&mut times, 0.5), quantile_ms(&mut times, 0.99));
    let (count, built) = (times.len(), bed.built.as_secs_f64());
    Ok(vec![Row {
        measure: "image with packages built again unchanged → READY, p50 / p99",
        bar: "≤ 50 ms",
        seen: format!("{p50:.1} ms / {p99:.1} ms of {count} (the first time {built:.1} s)"),
        reached: p50 <= 50.0 && p99 <= 50.0,
    }])
}

/// A function on a built image gets another source, again and again, and serves between.
pub fn update(bench: &Bench) -> Result<Vec<Row>> {
    let mut bed = Bed::new(bench, "images-update")?;
    let mut last = digest(&bed.function("changing", "py", 0, STAYS)?)?;
    bed.call("changing", 0)?;
    let path = "/v1/function/changing";
    let mut times = Vec::new();
    for i in 1..=bench.samples.clamp(50, 100) {
        let body = function("changing", "py", i, STAYS);
        let began = Instant::now();
        bed.api.call("PUT", path, &body)?.ok()?;
        let changed = wait_ready(&mut bed.api, path, Some(&last))?;
        times.push(began.elapsed());
        last = digest(&changed)?;
        bed.call("changing", i)?;
    }
    let (p50, p99) = (quantile_ms(&mut times, 0.5), quantile_ms(&mut times, 0.99));
    Ok(vec![Row {
        measure: "source of a function on a built image changed → READY, p50 / p99",
        bar: "≤ 300 ms",
        seen: format!("{p50:.1} ms / {p99:.1} ms of {}", times.len()),
        reached: p50 <= 300.0 && p99 <= 300.0,
    }])
}

/// First calls of functions, each on an image of its own whose layers are here: as soon as they
/// are READY, without a worker, and after a restart, when nothing runs that could be forked.
pub fn call(bench: &Bench) -> Result<Vec<Row>> {
    let mut bed = Bed::new(bench, "images-call")?;
    let mut peer = Peer::new(&bench.folder("images-crun")?, &bed.root)?;
    let (mut ready, mut forked, mut started) = (Vec::new(), Vec::new(), Vec::new());
    let mut images = HashSet::new();
    let count = bench.samples.clamp(50, 100);
    for i in 0..count {
        let (image, function) = (format!("own-{i}"), format!("ready-{i}"));
        // Its name is in its configuration: an image of its own, on the layers of all of them.
        ensure!(images.insert(bed.image(&image)?.0), "{image} is the same as another");
        bed.function(&function, &image, i, STAYS)?;
        ready.push(bed.call(&function, i)?);
        bed.delete(&format!("/v1/function/{function}"))?;
        let function = format!("first-{i}");
        bed.function(&function, &image, i, GOES)?;
        forked.push(bed.first_call(&function, i)?);
    }
    bed.restart(bench)?;
    for i in 0..count {
        started.push(bed.first_call(&format!("first-{i}"), i)?);
        peer.run()?;
    }
    let row = |measure, times: &mut Vec<Duration>, beside: &str| {
        let (p50, p99) = (quantile_ms(times, 0.5), quantile_ms(times, 0.99));
        Row {
            measure,
            bar: "p50 ≤ 25 ms",
            seen: format!("{p50:.1} ms / {p99:.1} ms of {}{beside}", times.len()),
            reached: p50 <= 25.0,
        }
    };
    let beside = format!(" ({})", peer.describe());
    Ok(vec![
        row("first call on an image, once the function is READY, p50 / p99", &mut ready, ""),
        row("the same with no worker left, p50 / p99", &mut forked, ""),
        row("the same after a restart: layers, nothing running, p50 / p99", &mut started, &beside),
    ])
}
