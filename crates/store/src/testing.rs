//! A PostgreSQL server for tests: its own data directory, a unix socket, gone when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server with a superuser `dispatch` that needs no password on its socket.
pub struct Postgres {
    child: Child,
    folder: tempfile::TempDir,
    databases: std::sync::atomic::AtomicU32,
}

/// Longest time the server may take to answer.
const START: Duration = Duration::from_secs(60);

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
        let as_postgres = |program: &str| {
            let program = programs.join(program);
            if !is_root {
                return Command::new(program);
            }
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command.current_dir("/");
            command
        };
        let mut initdb = as_postgres("initdb");
        initdb.args(["--auth=trust", "--username=dispatch", "--no-sync", "-E", "UTF8", "-D"]);
        run(initdb.arg(&data))?;
        let mut server = as_postgres("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"]);
        let child = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|e| e.to_string())?;
        let started = Self { child, folder, databases: 0.into() };
        let socket = started.folder.path().join(".s.PGSQL.5432");
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if began.elapsed() > START {
                return Err("PostgreSQL did not start".to_owned());
            }
            std::thread::yield_now();
        }
        Ok(started)
    }

    /// The URL of a fresh database of this server.
    pub async fn database(&self) -> String {
        use sqlx::{Connection, PgConnection};
        let n = self.databases.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
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
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// Where initdb and postgres are: Debian keeps them out of PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH")?;
    let found = debian.chain(std::env::split_paths(&path)).find(|dir| has_both(dir));
    found
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
