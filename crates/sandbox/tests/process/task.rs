//! Commands of the workshop: what they change, and what they cannot.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch_driver::{Fault, Task, TaskOutput};

use crate::bed::{Bed, until};
use crate::layers::Layer;

/// A task over layers, whose changes go to `upper` in a directory of its own.
pub fn task(layers: &[&Layer], upper: Option<&Path>, command: &[&str]) -> Task {
    Task {
        layers: layers.iter().map(|layer| layer.owned()).collect(),
        upper: upper.map(Path::to_owned),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        directory: "/".to_owned(),
        environment: vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())],
        memory_mib: 256,
        timeout: Duration::from_secs(30),
        max_output_bytes: 64 << 10,
        ..Task::default()
    }
}

pub async fn run(bed: &Bed, task: Task) -> TaskOutput {
    bed.engine.workshop().run(task).await.unwrap()
}

fn upper(directory: &tempfile::TempDir) -> PathBuf {
    let upper = directory.path().join("upper");
    fs::create_dir(&upper).unwrap();
    upper
}

/// Everything below a directory, with a mark for what is no plain file or directory.
pub fn entries(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap().flatten() {
            let path = entry.path();
            let shown = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let data = entry.metadata().unwrap();
            let whiteout = data.file_type().is_char_device() && data.rdev() == 0;
            let pipe = data.file_type().is_fifo();
            found.push(format!(
                "{shown}{}",
                if whiteout {
                    " -"
                } else if pipe {
                    " |"
                } else {
                    ""
                }
            ));
            if data.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

const CHANGES: &str = "
set -e
test $(id -u) = 0
echo new > /data/new
echo more >> /data/changed
rm /data/gone
rm -r /data/replaced && mkdir /data/replaced && echo inside > /data/replaced/own
chown 33:33 /data/new && mknod /data/device b 8 0 && test ! -e /data/device
mkfifo /data/pipe
mkdir -p /etc/deep && echo x > /etc/deep/file
echo x > /tmp/left && cat /etc/hosts > /tmp/hosts && cat < /dev/null
test ! -e /data/low-only
";

async fn changes(bed: &Bed) {
    let (shell, low, high) = (Layer::busybox(), Layer::new(), Layer::new());
    for name in ["changed", "gone", "kept", "replaced/old", "low-only"] {
        low.file(&format!("/data/{name}"), "low\n");
    }
    high.whiteout("/data/low-only");
    let directory = tempfile::tempdir().unwrap();
    let upper = upper(&directory);
    let task = task(&[&shell, &low, &high], Some(&upper), &["sh", "-c", CHANGES]);
    let output = run(bed, task).await;
    assert_eq!((output.status, output.output.as_str()), (0, ""));
    let expected = [
        "data",
        "data/changed",
        "data/gone -",
        "data/new",
        "data/pipe |",
        "data/replaced",
        "data/replaced/own",
        "etc",
        "etc/deep",
        "etc/deep/file",
    ];
    assert_eq!(entries(&upper), expected);
    assert_eq!(fs::read_to_string(upper.join("data/changed")).unwrap(), "low\nmore\n");
    let attribute = opaque(&upper.join("data/replaced"));
    assert_eq!(attribute.as_deref(), Some("y"));
    assert_eq!(opaque(&upper.join("data")), None);
    let owner = fs::metadata(upper.join("data/new")).unwrap().uid();
    let own = nix::unistd::geteuid();
    assert_eq!(owner, if own.is_root() { 64_201 } else { own.as_raw() });
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "something was left beside upper: {left:?}");
}

fn opaque(path: &Path) -> Option<String> {
    let mut value = [0; 8];
    let length = rustix::fs::lgetxattr(path, "user.overlay.opaque", &mut value).ok()?;
    Some(String::from_utf8_lossy(&value[..length]).into_owned())
}

#[tokio::test]
async fn what_a_command_changes_is_in_upper() {
    changes(&Bed::new().await).await;
}

#[tokio::test]
async fn the_same_where_overlays_are_not_allowed() {
    changes(&Bed::with(|config| config.overlays = false).await).await;
}

#[tokio::test]
async fn the_status_and_the_end_of_the_output_come_back() {
    let (bed, shell) = (Bed::new().await, Layer::busybox());
    let script = "echo out; echo err >&2; echo out again; exit 3";
    let output = run(&bed, task(&[&shell], None, &["sh", "-c", script])).await;
    assert_eq!((output.status, output.output.as_str()), (3, "out\nerr\nout again\n"));
    let script = "i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done";
    let mut long = task(&[&shell], None, &["sh", "-c", script]);
    long.max_output_bytes = 20;
    assert_eq!(run(&bed, long).await.output, "line 8998\nline 8999\n");
    let missing = run(&bed, task(&[&shell], None, &["no-such-program"])).await;
    assert_eq!(missing.status, 127);
    assert!(missing.output.starts_with("no-such-program: No such file"), "{missing:?}");
    let killed = run(&bed, task(&[&shell], None, &["sh", "-c", "kill -9 $$"])).await;
    assert_eq!(killed.status, 137);
}

#[tokio::test]
async fn nothing_is_written_but_upper_and_outputs() {
    let (bed, shell) = (Bed::new().await, Layer::busybox());
    let directory = tempfile::tempdir().unwrap();
    for name in ["in", "out"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    fs::write(directory.path().join("in/file"), "given").unwrap();
    let script = "cat /work/in/file /one > /work/out/copy
        for place in /x /work/in/x /work/in/file /one /dev/x /proc/x /bin/x; do
            (echo x > $place) 2> /dev/null && echo written: $place; done
        mount -t tmpfs none /tmp 2> /dev/null && echo mounted
        true";
    let mut task = task(&[&shell], None, &["sh", "-c", script]);
    let inside = |name: &str| directory.path().join(name);
    task.inputs.push((inside("in"), "/work/in".to_owned()));
    task.inputs.push((inside("in/file"), "/one".to_owned()));
    task.outputs.push((inside("out"), "/work/out".to_owned()));
    let output = run(&bed, task).await;
    assert_eq!((output.status, output.output.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(inside("out/copy")).unwrap(), "givengiven");
}

#[tokio::test]
async fn without_layers_the_machines_programs_run() {
    let bed = Bed::new().await;
    if !bed.has("python3") {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let script = "import os, json\nopen('/out/seen', 'w').write(json.dumps([os.getuid(), \
                  os.path.exists('/etc/shadow'), os.path.exists('/var')]))\n\
                  try: open('/usr/x', 'w')\nexcept OSError: print('read-only')";
    let mut task = task(&[], None, &["python3", "-c", script]);
    task.environment[0].1 = "/usr/local/bin:/usr/bin:/bin".to_owned();
    if let Some(found) = std::env::var_os("PATH") {
        task.environment[0].1 = found.to_str().unwrap().to_owned();
    }
    task.outputs.push((out.path().to_owned(), "/out".to_owned()));
    let output = run(&bed, task).await;
    assert_eq!((output.status, output.output.as_str()), (0, "read-only\n"));
    let seen = fs::read_to_string(out.path().join("seen")).unwrap();
    assert_eq!(seen, "[0, false, false]");
}

#[tokio::test]
async fn a_command_reaches_the_hosts_it_names_and_no_other() {
    let (bed, shell) = (Bed::new().await, Layer::busybox());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 512]);
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.0 200 OK\r\n\r\nhello");
        }
    });
    let script = format!("wget -q -O - http://127.0.0.1:{port}/");
    let directory = tempfile::tempdir().unwrap();
    let upper = upper(&directory);
    let mut named = task(&[&shell], Some(&upper), &["sh", "-c", &script]);
    let closed = run(&bed, named.clone()).await;
    assert!(closed.status != 0 && closed.output.contains("refused"), "{closed:?}");
    named.egress = vec![format!("127.0.0.1:{port}"), "deb.example.org".to_owned()];
    named.command[2] += "; cat /etc/hosts";
    let output = run(&bed, named.clone()).await;
    assert!(output.output.starts_with("hello"), "{output:?}");
    assert!(output.output.contains(" deb.example.org\n"), "{output:?}");
    assert_eq!(entries(&upper), [""; 0]);
    named.egress = vec!["not a host".to_owned()];
    let error = bed.engine.workshop().run(named).await.unwrap_err();
    assert_eq!(error.fault, Fault::Caller, "{error}");
}

#[tokio::test]
async fn a_command_that_wants_to_go_further_says_what_it_was_told() {
    let (bed, shell) = (Bed::new().await, Layer::busybox());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let cases = [
        (format!("wget -q -Y off -O - http://127.0.0.1:{port}/"), "Connection refused"),
        (format!("wget -q -Y off -O - http://localhost:{port}/"), "Connection refused"),
        (format!("wget -q -O - http://localhost:{port}/"), "403 Forbidden"),
        ("wget -q -O - http://other.example.org/".to_owned(), "403 Forbidden"),
        ("wget -q -Y off -O - http://other.example.org/".to_owned(), "bad address"),
    ];
    for (script, words) in cases {
        let mut named = task(&[&shell], None, &["sh", "-c", &script]);
        named.egress = vec!["*.example.com".to_owned(), "deb.example.org".to_owned()];
        let output = run(&bed, named).await;
        assert_ne!(output.status, 0, "{script}: {output:?}");
        assert!(output.output.contains(words), "{script}: {output:?}");
    }
    let reached = listener.accept().map(drop).unwrap_err().kind();
    assert_eq!(reached, std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn too_much_of_anything_ends_a_command() {
    let (bed, shell) = (Bed::new().await, Layer::busybox());
    let script = "x=xxxxxxxxxxxxxxxx; while true; do x=$x$x$x$x; done";
    let mut greedy = task(&[&shell], None, &["sh", "-c", script]);
    greedy.memory_mib = 64;
    let output = run(&bed, greedy).await;
    assert_ne!(output.status, 0, "{output:?}");
    let bomb = "bomb() { bomb | bomb & }; bomb; echo started; sleep 600";
    let mut forks = task(&[&shell], None, &["sh", "-c", bomb]);
    forks.timeout = Duration::from_secs(3);
    let error = bed.engine.workshop().run(forks).await.unwrap_err();
    assert_eq!(error.fault, Fault::Backend);
    assert!(error.message.contains("went over its 3 s"), "{error}");
    // The machine is well, and nothing of it is left.
    assert_eq!(run(&bed, task(&[&shell], None, &["echo", "well"])).await.output, "well\n");
}

#[tokio::test]
async fn what_is_left_behind_and_what_is_dropped_ends() {
    let (bed, shell) = (Bed::new().await, Layer::busybox());
    let alive = |mark: &str| {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|p| fs::read(p.path().join("cmdline")).ok())
            .any(|line| String::from_utf8_lossy(&line).contains(&format!("sleep\0{mark}")))
    };
    let mark = format!("9{}1", std::process::id());
    let script = format!("sleep {mark} & echo done");
    let output = run(&bed, task(&[&shell], None, &["sh", "-c", &script])).await;
    assert_eq!(output.output, "done\n");
    assert!(!alive(&mark));
    let mark = format!("9{}2", std::process::id());
    let shop = bed.engine.workshop();
    let mut running = shop.run(task(&[&shell], None, &["sleep", &mark]));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !alive(&mark) {
        let wait = tokio::time::timeout(Duration::from_millis(20), &mut running).await;
        assert!(wait.is_err() && tokio::time::Instant::now() < deadline, "it does not run");
    }
    drop(running);
    // Not a moment later: `upper` is its owner's from here on.
    assert!(!alive(&mark));
}

#[tokio::test]
async fn upper_of_a_dropped_task_can_be_thrown_away_at_once() {
    let (bed, shell) = (Bed::new().await, Layer::busybox());
    let script = "mkdir /data; write() { n=0; while true; do n=$((n+1)); mkdir -p /data/$1/$n
        echo x > /data/$1/$n/file; done; }; write a & write b & write c & write d";
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let upper = upper(&directory);
        let shop = bed.engine.workshop();
        let mut running = shop.run(task(&[&shell], Some(&upper), &["sh", "-c", script]));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !upper.join("data/d").exists() {
            let wait = tokio::time::timeout(Duration::from_millis(5), &mut running).await;
            assert!(wait.is_err() && tokio::time::Instant::now() < deadline, "it does not run");
        }
        drop(running);
        fs::remove_dir_all(&upper).unwrap();
        // What is the workshop's own goes a moment later.
        until("nothing is left", || fs::read_dir(directory.path()).unwrap().count() == 0).await;
    }
}

#[tokio::test]
async fn tasks_that_cannot_be_are_refused() {
    let (bed, shell) = (Bed::new().await, Layer::busybox());
    shell.link("/lib", "usr/lib");
    let of = |change: &dyn Fn(&mut Task)| {
        let mut task = task(&[&shell], None, &["echo"]);
        change(&mut task);
        task
    };
    let here = bed.directory.path().to_owned();
    let cases = [
        (of(&|t| t.command.clear()), "command is empty"),
        (of(&|t| t.directory = "tmp".to_owned()), "\"tmp\" is not absolute"),
        (of(&|t| t.max_output_bytes = usize::MAX), "max_output_bytes"),
        (of(&|t| t.layers = vec![here.clone(); 200]), "layers: 200; 128 are allowed"),
        (of(&|t| t.inputs.push((here.clone(), "/proc/x".into()))), "/proc is not for"),
        (of(&|t| t.inputs.push((here.clone(), "/a/../etc".into()))), "no plain absolute path"),
        (of(&|t| t.inputs.push((here.clone(), "/lib/x".into()))), "through a link"),
        (of(&|t| t.environment.push(("A".into(), "\0".into()))), "zero byte"),
    ];
    for (task, expected) in cases {
        let error = bed.engine.workshop().run(task).await.unwrap_err();
        assert_eq!(error.fault, Fault::Caller, "{error}");
        assert!(error.message.contains(expected), "{error}");
    }
}
