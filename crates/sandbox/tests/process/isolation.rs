//! What a sandboxed handler must not be able to do.

use serde_json::json;

use crate::bed::Bed;

#[tokio::test]
async fn nothing_of_the_machine_is_there() {
    let bed = Bed::new().await;
    std::fs::write(bed.directory.path().join("secret"), "s").unwrap();
    let source = format!(
        r#"
import os
def handle(context, payload):
    seen = [p for p in ["/root/.ssh", "/home", "/run", "/var", "/sys", "/etc/shadow", {:?}]
            for p in (p, "/proc/1/root" + p, "/proc/1/cwd/.." + p) if os.path.exists(p)]
    try: seen += os.listdir("/.sources")
    except PermissionError: pass
    return [seen, os.listdir("/function"), sorted(p for p in os.listdir("/proc") if p.isdigit()),
            os.getuid() != 0, os.getpid()]
"#,
        bed.directory.path()
    );
    let seen = bed.run(&source).await;
    assert_eq!(seen, json!([[], ["handler.py"], ["1"], true, 1]));
}

/// Process 1 of such a worker is the engine's own binary, which a root outside could be running.
#[tokio::test]
async fn the_engines_own_binary_is_out_of_reach() {
    let bed = Bed::new().await;
    let source = r#"#!/usr/bin/env python3
import json, os
def fails(call):
    try: call()
    except OSError: return True
allowed = {
    "write": lambda: open("/proc/1/exe", "r+b"),
    "truncate": lambda: os.truncate("/proc/1/exe", 0),
    "chmod": lambda: os.chmod("/proc/1/exe", 0o777),
    "link": lambda: os.link("/proc/1/exe", "/tmp/exe"),
    "memory": lambda: open("/proc/1/mem", "r+b"),
    "again": lambda: os.open(f"/proc/self/fd/{os.open('/proc/1/exe', os.O_PATH)}", os.O_WRONLY),
}
print(json.dumps([name for name, call in allowed.items() if not fails(call)]))
"#;
    let id = bed.build("binary", source).await;
    assert_eq!(bed.result(id, "null").await, json!([]));
}

#[tokio::test]
async fn nothing_can_be_written_but_tmp() {
    let bed = Bed::new().await;
    let source = r#"
import os, sys
def write(path):
    try:
        with open(path, "ab") as f: f.write(b"x")
        return True
    except OSError: return False
def handle(context, payload):
    return [p for p in ["/function/handler.py", "/function/x", "/x", "/etc/passwd", "/usr/x",
                        "/proc/self/exe", sys.executable, "/.runtimes/python3/host.py",
                        "/proc/self/oom_score_adj", "/tmp/x", "/dev/null"] if write(p)]
"#;
    assert_eq!(bed.run(source).await, json!(["/tmp/x", "/dev/null"]));
}

#[tokio::test]
async fn forbidden_calls_fail() {
    let bed = Bed::new().await;
    let source = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def fails(call):
    return call() < 0 and ctypes.get_errno() in (1, 13)
def handle(context, payload):
    allowed = {
        "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
        "umount": lambda: libc.umount2(b"/tmp", 2),
        "ptrace": lambda: libc.ptrace(0, 0, 0, 0),
        "unshare": lambda: libc.unshare(0x10000000),
        "setns": lambda: libc.setns(1, 0),
        "chroot": lambda: libc.chroot(b"/tmp"),
        "setuid": lambda: -1 if libc.setuid(0) < 0 and ctypes.set_errno(1) is not None else 0,
        "bpf": lambda: libc.syscall(321, 0, 0, 0),
        "io_uring": lambda: libc.syscall(425, 1, 0),
        "userfaultfd": lambda: libc.syscall(323, 0),
        "process_vm_readv": lambda: libc.syscall(310, 1, 0, 0, 0, 0, 0),
        "keyctl": lambda: libc.syscall(250, 0, 0, 0, 0, 0),
        "hostname": lambda: libc.sethostname(b"x", 1),
    }
    status = open("/proc/self/status").read()
    return [[n for n, c in allowed.items() if not fails(c)],
            [l for l in status.splitlines()
             if l.startswith(("CapEff", "CapBnd", "NoNewPrivs", "Seccomp:"))]]
"#;
    let source = source.replace(
        r#""setuid": lambda: -1 if libc.setuid(0) < 0 and ctypes.set_errno(1) is not None else 0,"#,
        "",
    );
    let none = "0000000000000000";
    let expected = json!([
        [],
        [format!("CapEff:\t{none}"), format!("CapBnd:\t{none}"), "NoNewPrivs:\t1", "Seccomp:\t2"]
    ]);
    assert_eq!(bed.run(&source).await, expected);
}

#[tokio::test]
async fn there_is_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let bed = Bed::new().await;
    let source = format!(
        r#"
import socket
def reach(address, port):
    try: socket.create_connection((address, port), timeout=2).close(); return True
    except OSError: return False
def handle(context, payload):
    server = socket.create_server(("127.0.0.1", 0))
    own = reach("127.0.0.1", server.getsockname()[1])
    return [own, reach("127.0.0.1", {port}), reach("1.1.1.1", 53)]
"#
    );
    assert_eq!(bed.run(&source).await, json!([true, false, false]));
}

#[tokio::test]
async fn workers_do_not_see_each_other() {
    let bed = Bed::new().await;
    let writer = bed.python("def handle(c, p):\n    open('/tmp/mark', 'w').write('x')\n").await;
    bed.result(writer, "null").await;
    let other = bed.run("import os\ndef handle(c, p): return os.path.exists('/tmp/mark')\n").await;
    assert_eq!(other, json!(false));
}

#[tokio::test]
async fn no_other_process_can_be_read_or_signalled() {
    let bed = Bed::new().await;
    // A worker that holds something worth reading, alive meanwhile.
    let holder = bed.python("kept = 'secret'\ndef handle(c, p): return kept\n").await;
    bed.result(holder, "null").await;
    let source = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def reached(pid):
    try:
        os.kill(pid, 0)
        return True
    except OSError: pass
    try:
        open(f"/proc/{pid}/mem", "rb").close()
        return True
    except OSError: pass
    # Both are refused by the filter, whatever the number means.
    return libc.ptrace(16, pid, 0, 0) == 0 or libc.syscall(310, pid, 0, 0, 0, 0, 0) >= 0
def handle(context, payload):
    return [pid for pid in range(2, 66000) if reached(pid)]
"#;
    assert_eq!(bed.run(source).await, json!([]));
}
