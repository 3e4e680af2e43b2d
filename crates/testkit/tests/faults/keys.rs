//! Root keys: where they come from, how they are replaced, and what is said when they are not
//! there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use dispatch_testkit::{Database, Environment, Process, server_binary};
use serde_json::json;

const KEY: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
const OTHER: &str = "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28=";
const GIVEN: Environment<'static> = &[("DISPATCH_SEAL__ROOT_KEY", KEY)];

fn rotate(data: &Path) -> Command {
    let mut command = Command::new(server_binary());
    command.args(["rotate-root-key", "--data-dir"]).arg(data);
    command
}

fn rotated(data: &Path) -> Output {
    rotate(data).output().unwrap()
}

async fn put_secrets(server: &Process, count: usize) {
    for n in 0..count {
        let shape = json!({"name": format!("s{n}"), "secrets": {"k": format!("value {n}")}});
        server.post("/v1/secret", shape).await.expect(201);
    }
}

async fn all_open(server: &Process, count: usize) {
    for n in 0..count {
        let secret = server.get(&format!("/v1/secret/s{n}")).await.expect(200).json();
        assert_eq!(secret["secrets"]["k"], format!("value {n}"));
    }
}

/// Keeps the first key of the file only.
fn drop_old_keys(data: &Path) {
    let file = data.join("root.key");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.lines().count() > 1, "there is no old key");
    std::fs::write(&file, text.lines().next().unwrap()).unwrap();
}

#[tokio::test]
async fn a_key_is_replaced_while_the_server_is_stopped() {
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path());
    put_secrets(&server, 5).await;
    let running = rotated(data.path());
    let said = String::from_utf8_lossy(&running.stderr).into_owned();
    assert!(!running.status.success() && said.contains("another dispatch-server"), "{said}");
    assert!(said.contains(&server.pid().to_string()), "{said}");
    assert!(server.terminate().success());

    let stopped = rotated(data.path());
    assert!(stopped.status.success(), "{stopped:?}");
    let said = String::from_utf8_lossy(&stopped.stdout).into_owned();
    assert!(said.contains("5 secrets"), "{said}");
    let mode = std::fs::metadata(data.path().join("root.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop_old_keys(data.path());
    all_open(&Process::start(data.path()), 5).await;
}

/// Killed at ever later times, until it comes to its end by itself.
#[tokio::test]
async fn a_replacement_that_is_killed_is_repeated() {
    const SECRETS: usize = 100;
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path());
    put_secrets(&server, SECRETS).await;
    assert!(server.terminate().success());
    let keys = || std::fs::read_to_string(data.path().join("root.key")).unwrap().lines().count();
    // Time from the new key to the end; it ends each time a bit later in it.
    let mut killed_after_new_key = 0;
    for step in 0.. {
        let before = keys();
        let mut child = rotate(data.path()).stdout(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while keys() == before && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "no new key");
            std::thread::yield_now();
        }
        let new_key = Instant::now();
        while new_key.elapsed() < Duration::from_millis(15 * step) {
            std::thread::yield_now();
        }
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        killed_after_new_key += u32::from(!ended.success());
        if step == 3 {
            // In between it also serves.
            all_open(&Process::start(data.path()), SECRETS).await;
        }
    }
    assert!(killed_after_new_key > 0, "it was never killed in the middle");
    let last = rotated(data.path());
    assert!(last.status.success(), "{last:?}");
    drop_old_keys(data.path());
    all_open(&Process::start(data.path()), SECRETS).await;
}

/// Killed at ever later times, while secrets are written, until it comes to its end by itself.
#[tokio::test]
async fn a_replacement_while_the_server_runs_survives_kills() {
    const SECRETS: usize = 200;
    let data = tempfile::tempdir().unwrap();
    let mut server = Process::start(data.path());
    put_secrets(&server, SECRETS).await;
    let mut killed_in_the_middle = 0;
    for step in 0.. {
        server.post("/v1/rootkey/rotate", json!(null)).await.expect(202);
        let begun = Instant::now();
        // Acknowledged during the change; then it is the state that must be found again.
        let kept = format!("/v1/secret/s{}", step % SECRETS);
        let shape = json!({"secrets": {"k": format!("value {}", step % SECRETS)}});
        server.put(&kept, shape).await.expect(201);
        while begun.elapsed() < Duration::from_millis(4 * step as u64) {
            std::thread::yield_now();
        }
        let keys = server.get("/v1/rootkey").await.expect(200).json();
        if keys["rotation"]["state"] == "done" {
            break;
        }
        killed_in_the_middle += 1;
        server.kill();
        server = Process::start(data.path());
        all_open(&server, SECRETS).await;
    }
    assert!(killed_in_the_middle > 0, "it was never killed in the middle");
    all_open(&server, SECRETS).await;
    server.delete("/v1/rootkey/old").await.expect(200);
    let file = std::fs::read_to_string(data.path().join("root.key")).unwrap();
    assert_eq!(file.lines().count(), 1);
    server.kill();
    all_open(&Process::start(data.path()), SECRETS).await;
}

#[tokio::test]
async fn a_key_from_the_environment_is_all_there_is() {
    let data = tempfile::tempdir().unwrap();
    let start = |given: Environment<'_>| Process::start_on(data.path(), &Database::sqlite(), given);
    let server = start(GIVEN);
    put_secrets(&server, 2).await;
    drop(server);
    assert!(!data.path().join("root.key").exists());
    let without = Process::refused(data.path(), &[]);
    assert!(without.contains("SECRET002") && without.contains("root.key"), "{without}");
    let wrong = Process::refused(data.path(), &[("DISPATCH_SEAL__ROOT_KEY", OTHER)]);
    assert!(wrong.contains("SECRET002") && !wrong.contains(OTHER), "{wrong}");
    let short = Process::refused(data.path(), &[("DISPATCH_SEAL__ROOT_KEY", "c2hvcnQ=")]);
    assert!(short.contains("seal.root_key") && short.contains("32 bytes"), "{short}");

    // Replaced: the new one first, a start, and the old one is needed no more.
    let both = format!("{OTHER},{KEY}");
    let server = start(&[("DISPATCH_SEAL__ROOT_KEY", &both)]);
    all_open(&server, 2).await;
    drop(server);
    all_open(&start(&[("DISPATCH_SEAL__ROOT_KEY", OTHER)]), 2).await;
}

#[tokio::test]
async fn a_key_others_can_read_or_that_is_lost_is_refused() {
    let data = tempfile::tempdir().unwrap();
    drop(Process::start(data.path()));
    let file = data.path().join("root.key");
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let said = Process::refused(data.path(), &[]);
        assert!(said.contains(&format!("chmod 600 {}", file.display())), "{said}");
    }
    std::fs::remove_file(&file).unwrap();
    let said = Process::refused(data.path(), &[]);
    assert!(said.contains("SECRET002") && said.contains("root.key"), "{said}");
    assert!(!file.exists(), "another key was made in its place");
}

/// Walks all that a handler can see of processes for what must not be there.
const LOOK_AROUND: &[u8] = b"import glob, os\n\
    def handle(context, payload):\n    found = []\n    \
    for name in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline'):\n        \
    try:\n            text = open(name, 'rb').read().decode('utf-8', 'replace')\n        \
    except OSError:\n            continue\n        \
    found.append([name, text])\n    return [dict(os.environ), found]\n";

#[tokio::test]
async fn a_key_from_the_environment_does_not_reach_handlers() {
    let data = tempfile::tempdir().unwrap();
    let server = Process::start_on(data.path(), &Database::sqlite(), GIVEN);
    server.image("python3").await;
    server.function("look", "python3", LOOK_AROUND, json!({})).await;
    let body = json!({"blocking": true});
    let run = server.post("/v1/runs?functionName=look", body).await.expect(200);
    let seen = &run.json()["output"][1];
    assert!(seen.as_array().is_some_and(|seen| !seen.is_empty()), "it saw nothing: {}", run.text);
    assert!(!run.text.contains(KEY) && !run.text.contains("ROOT_KEY"), "{}", run.text);
}
