//! A server and somebody at a terminal, and what tests have in common.

use std::time::{Duration, Instant};

use dispatch_systems::image::python_layout;
use dispatch_testkit::{Cli, Database, Process};
use regex::Regex;
use tempfile::TempDir;

/// Longest anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An empty server, and a user whose environment names it.
pub struct Bench {
    pub cli: Cli,
    pub server: Process,
    pub data: TempDir,
}

impl Bench {
    pub fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Process::start(data.path());
        Self { cli: Cli::of(&server.api), server, data }
    }

    /// With an image to run WebAssembly on, and the functions `echo` and `hello`.
    pub fn with_functions() -> Self {
        let bench = Self::start();
        bench.image();
        for name in ["echo", "hello"] {
            bench.cli.file(&format!("{name}.wat"), &example(&format!("wasm/{name}.wat")));
            let line = format!("create function {name} {name}.wat --image wasm --wait");
            assert_eq!(bench.cli.ok(&line), format!("Created function: {name}\n"));
        }
        bench
    }

    /// With a layout it may read, whose URL is the second: this machine's Python, and what says
    /// that Debian's openssl is in it.
    pub fn with_layouts() -> (Self, String) {
        let data = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let layout = runtime.block_on(python_layout(data.path(), "12"));
        let folders = data.path().display().to_string();
        let settings = [("DISPATCH_IMAGES__FOLDERS", folders.as_str())];
        let server = Process::start_on(data.path(), &Database::sqlite(), &settings);
        let url = format!("oci:{}:python", layout.display());
        (Self { cli: Cli::of(&server.api), server, data }, url)
    }

    /// With images of all languages, if Python is among them.
    pub fn with_python() -> Option<Self> {
        let bench = Self::start();
        if !bench.cli.ok("get engines").contains("python3") {
            println!("could not run: needs python3");
            return None;
        }
        bench.cli.ok("create seed-images");
        Some(bench)
    }

    /// An image to run WebAssembly on.
    pub fn image(&self) {
        self.cli.ok("create base-image wasm-base host:wasm --language wasm --wait");
        self.cli.ok("create image wasm wasm-base --wait");
    }

    /// Waits until a command prints a text.
    #[track_caller]
    pub fn until(&self, line: &str, text: &str) -> String {
        let began = Instant::now();
        loop {
            let printed = self.cli.ok(line);
            if printed.contains(text) {
                return printed;
            }
            assert!(began.elapsed() < PATIENCE, "`dispatch {line}` never prints {text}: {printed}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// An answer of the gateway to a GET, once it is 200.
    pub async fn route(&self, path: &str) -> String {
        let began = Instant::now();
        loop {
            let url = format!("{}{path}", self.server.gateway);
            let answer = reqwest::get(url).await.unwrap();
            let status = answer.status();
            if status == 200 {
                return answer.text().await.unwrap();
            }
            assert!(began.elapsed() < PATIENCE, "{path} never answers: {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The text of an example.
pub fn example(name: &str) -> String {
    let file = format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Output with what is another at every run taken out: times, ids, ports, temporary folders.
pub fn stable(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, with) in [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
        (r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID"),
        (r"127\.0\.0\.1:\d{4,5}", "ADDRESS"),
        (r"--port \d+", "--port PORT"),
        (r"/\S*\.tmp\w+", "HOME"),
        (r"\d+(\.\d+)? [mµ]s", "DURATION"),
        (r" +\n", "\n"),
        // Columns are as wide as what stood in them.
        (r"  +", "  "),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}
