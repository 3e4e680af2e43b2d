//! A PostgreSQL server for tests: its own data directory and a unix socket. It ends with the
//! process that started it, however that ends.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longest time the server may take to answer.
const START: Duration = Duration::from_secs(60);

/// Runs the server until its standard input ends, which it does when the test process is gone;
/// then stops it the fast way and removes its folder.
const GUARD: &str = r#"folder=$1; shift
"$@" </dev/null >"$folder/log" 2>&1 & server=$!
read -r _
kill -INT "$server"; wait "$server"; rm -rf "$folder""#;

/// One server for all tests of this process; it ends with the process.
static SHARED: LazyLock<Result<Postgres, String>> = LazyLock::new(Postgres::start);

/// The server that all tests of this process share; none, said loudly, where it cannot be had.
/// `DISPATCH_TEST_REQUIRE_POSTGRES` makes that a failure.
pub fn postgres() -> Option<&'static Postgres> {
    match &*SHARED {
        Ok(server) => Some(server),
        Err(missing) => {
            let required = std::env::var_os("DISPATCH_TEST_REQUIRE_POSTGRES").is_some();
            assert!(!required, "{missing}");
            eprintln!("could not run on PostgreSQL: {missing}");
            None
        }
    }
}

/// A running server with a superuser `dispatch` that needs no password on its socket.
pub struct Postgres {
    guard: Child,
    lifeline: Option<ChildStdin>,
    folder: tempfile::TempDir,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a server; `Err` says what is missing or failed.
    pub fn start() -> Result<Self, String> {
        let programs = programs().ok_or("PostgreSQL is not installed (Debian: postgresql)")?;
        let folder = tempfile::Builder::new().prefix("dispatch-postgres-").tempdir();
        let folder = folder.map_err(|e| e.to_string())?;
        let data = folder.path().join("data");
        let is_root = std::fs::metadata("/proc/self")
            .is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        if is_root {
            // PostgreSQL refuses to run as root.
            run(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        let as_postgres = |program: &Path| {
            if !is_root {
                return Command::new(program);
            }
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command.current_dir("/");
            command
        };
        let mut initdb = as_postgres(&programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=dispatch", "--no-sync", "-E", "UTF8", "-D"]);
        run(initdb.arg(&data))?;
        let mut guard = as_postgres(Path::new("/bin/sh"));
        guard.args(["-c", GUARD, "guard"]).arg(folder.path()).arg(programs.join("postgres"));
        guard.arg("-D").arg(&data).arg("-k").arg(folder.path());
        guard.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=400"]);
        let mut guard = guard.stdin(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
        let lifeline = guard.stdin.take();
        let started = Self { guard, lifeline, folder, databases: AtomicU32::new(0) };
        started.wait()?;
        Ok(started)
    }

    fn wait(&self) -> Result<(), String> {
        let socket = self.folder.path().join(".s.PGSQL.5432");
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if began.elapsed() > START {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                return Err(format!("PostgreSQL did not start: {}", log.unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The URL of a fresh database of this server.
    pub async fn database(&self) -> String {
        use sqlx::{Connection, PgConnection};
        let n = self.databases.fetch_add(1, Ordering::Relaxed);
        let host = self.folder.path().display();
        let url = |name: &str| format!("postgres://dispatch@localhost/{name}?host={host}");
        let began = Instant::now();
        loop {
            // The socket is there a moment before the server takes connections.
            match PgConnection::connect(&url("postgres")).await {
                Ok(mut connection) => {
                    let sql = format!("CREATE DATABASE test{n}");
                    let made = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
                    made.expect("a fresh database can be made");
                    return url(&format!("test{n}"));
                }
                Err(error) if began.elapsed() > START => panic!("no connection: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // How it exited says nothing more about the tests.
        let _ = self.guard.wait();
    }
}

/// Where initdb and postgres are: Debian keeps them out of PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH")?;
    debian.chain(std::env::split_paths(&path)).find(|dir| has_both(dir))
}

fn has_both(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}
