//! A sandbox as data: the steps that turn a fresh process into a worker.
//!
//! Steps are computed once for each kind of worker and carried out, in order, by one of two
//! executors: `init` (this binary re-executed) and the Python host, which forks workers from a
//! warm interpreter. Both stop at the first step that fails; nothing runs in half a sandbox.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One step. Flags are the kernel's own numbers, so executors only pass them on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The rest runs in a child in new namespaces, of which it is process 1, and in the cgroups the
    /// executor was given.
    Spawn {
        flags: i32,
    },
    /// From here on, being woken is no reason to push aside who runs (the kernel's SCHED_BATCH);
    /// children inherit it.
    Batch,
    Unshare {
        flags: i32,
    },
    /// Mounts directories over one another, the highest first; nothing can be written without an
    /// `upper`.
    Overlay {
        layers: Vec<PathBuf>,
        upper: Option<Upper>,
        target: String,
    },
    /// Maps one user and group of the new user namespace to the same ones outside.
    IdMap {
        uid: u32,
        gid: u32,
    },
    /// Maps user and group 0 of the new user namespace to these outside.
    RootMap {
        uid: u32,
        gid: u32,
    },
    Mount {
        source: Option<String>,
        target: String,
        kind: Option<String>,
        flags: u64,
        data: Option<String>,
    },
    /// `mount_setattr`: adds attributes to a mount, or to a whole tree of them.
    Attributes {
        target: String,
        flags: u64,
        recursive: bool,
    },
    Directory {
        path: String,
    },
    File {
        path: String,
        text: String,
    },
    Symlink {
        path: String,
        target: String,
    },
    /// Takes a file's name away; what was mounted from it stays.
    Unlink {
        path: String,
    },
    /// Makes `root` the root and lets go of the old one.
    Pivot {
        root: String,
    },
    /// Becomes an unprivileged user for good.
    Identity {
        uid: u32,
        gid: u32,
    },
    Hostname {
        name: String,
    },
    /// Brings up the loopback interface of the new net namespace.
    Loopback,
    /// A request to the kernel's rtnetlink, in hexadecimal.
    Netlink {
        request: String,
    },
    /// Opens listening sockets and hands them to the server, ahead of the worker's first message.
    Listen {
        at: Vec<SocketAddr>,
    },
    /// Soft and hard limit.
    Rlimit {
        resource: u32,
        limit: u64,
    },
    NoNewPrivileges,
    /// Empties all capability sets, the bounding set included.
    DropCapabilities,
    /// Keeps the capabilities of this mask, which hold in the user namespace only.
    KeepCapabilities {
        mask: u64,
    },
    Landlock(Landlock),
    /// A classic BPF program, eight bytes an instruction, in hexadecimal.
    Seccomp {
        program: String,
    },
    ChangeDirectory {
        path: String,
    },
}

/// What takes the changes of an overlay: both directories are of one file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upper {
    pub directory: PathBuf,
    /// Empty, and the kernel's own meanwhile.
    pub work: PathBuf,
}

/// A Landlock rule set; the masks fit the kernel's version of the interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landlock {
    pub handled: u64,
    pub scoped: u64,
    /// Size of `struct landlock_ruleset_attr` this kernel knows.
    pub size: usize,
    pub rules: Vec<LandlockRule>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LandlockRule {
    pub path: String,
    pub access: u64,
}

/// What the init process is asked to do, in one message on its standard input.
///
/// With it come descriptors: the worker's socket, its standard output and error, then cgroup files
/// to write `0` into. A pool gets none of them and keeps standard input as its control socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Launch {
    pub steps: Vec<Step>,
    pub program: Program,
    pub environment: Vec<(String, String)>,
}

/// What the sandbox runs in the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// Replaces the process.
    Exec(Vec<String>),
    /// Stays, and carries each call to an executable of the function.
    Bridge,
    /// Stays as process 1 of a command, and tells how it ended.
    Command(Vec<String>),
}

impl Step {
    pub fn mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) -> Self {
        let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        Step::Mount {
            source: text(source),
            target: target.to_owned(),
            kind: text(kind),
            flags,
            data: text(data),
        }
    }
}
