//! What a worker sees, as steps of a plan.
//!
//! The root is a small read-only tmpfs with read-only binds of the system's programs and
//! libraries, the interpreter, the function's source at `/function`, and a private `/tmp`. Nothing
//! else of the machine is there: no data directory, no home, no `/run`.
//!
//! As root the mounts are made first and the process then becomes an unprivileged user in a user
//! namespace of its own; as an ordinary user the user namespace comes first, because it is what
//! permits the mounts. Either way the handler is never root anywhere.
//!
//! A function on an image has that for its root instead: see [`image`].

mod image;
mod task;

use std::path::{Path, PathBuf};

use dispatch_driver::language::PACKAGES_AT;

use super::config::ProcessConfig;
use super::host::HostLanguage;
use super::network::{self, Network};
use super::plan::Step;
use super::{filter, landlock};

pub use image::Tree;
pub use task::{Ground, Shown, TaskRoot};

pub const FUNCTION: &str = "/function";
pub const RUNTIMES: &str = "/.runtimes";
const SOURCES: &str = "/.sources";
/// Where a forked worker writes its own `/etc/hosts`.
const OWN_HOSTS: &str = "/tmp/.hosts";

/// Device files a worker has.
pub const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Configuration of the machine programs need, where it exists; none of it is secret.
const SETTINGS: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/java-17-openjdk",
    "/etc/java-21-openjdk",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/php",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];

// Attributes of mount_setattr(2).
const READ_ONLY: u64 = 1;
const NO_SUID: u64 = 2;
const NO_DEVICES: u64 = 4;
const NO_EXEC: u64 = 8;

const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// What a worker's programs and libraries are.
#[derive(Debug, Clone, Copy)]
pub enum Base<'a> {
    /// Those of the machine that this language needs.
    Machine(&'a HostLanguage),
    Image(&'a Tree),
    /// Those of the machine, and packages for its interpreter.
    Packages(&'a HostLanguage, &'a Path),
}

/// What all plans of one engine have in common.
#[derive(Debug, Clone)]
pub struct Site {
    /// Whether the server itself is root.
    pub root: bool,
    pub uid: u32,
    pub gid: u32,
    /// An empty directory the new root is mounted on.
    pub mount_point: PathBuf,
    pub sources: PathBuf,
    pub runtimes: PathBuf,
    /// What every image is covered with.
    pub skeleton: PathBuf,
    pub landlock: i64,
    pub tmp_mib: u64,
    pub max_processes: u64,
    pub seccomp: String,
    /// Who owns unpacked layers when the server is root.
    pub image_uid: u32,
    pub task_tmp_mib: u64,
    pub max_task_processes: u64,
    pub task_seccomp: String,
}

impl Site {
    pub fn new(config: &ProcessConfig) -> Self {
        let root = rustix::process::geteuid().is_root();
        let (uid, gid) = if root {
            (config.uid, config.uid)
        } else {
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
        };
        Self {
            root,
            uid,
            gid,
            mount_point: config.state_dir.join("root"),
            sources: config.state_dir.join("sources"),
            runtimes: config.state_dir.join("runtimes"),
            skeleton: config.state_dir.join("skeleton"),
            landlock: landlock::version(),
            tmp_mib: config.tmp_mib,
            max_processes: config.max_processes,
            seccomp: filter::program(),
            image_uid: config.image_uid,
            task_tmp_mib: config.task_tmp_mib,
            max_task_processes: config.max_task_processes,
            task_seccomp: filter::task_program(),
        }
    }

    /// A sandbox for a warm interpreter, which makes one more around each worker it forks.
    pub fn pool(&self, base: Base<'_>) -> Vec<Step> {
        let mut steps = self.enter(self.own_map());
        self.base(&mut steps, base, None);
        self.bind(&mut steps, &self.sources, SOURCES);
        steps.push(Step::Directory { path: self.inside(FUNCTION) });
        self.close(&mut steps);
        if self.root {
            steps.push(Step::Identity { uid: self.uid, gid: self.gid });
        }
        steps.push(Step::NoNewPrivileges);
        steps
    }

    /// A worker forked inside a pool, as far as it is the same for every function.
    pub fn spare(&self) -> Vec<Step> {
        vec![
            Step::Spawn { flags: libc::CLONE_NEWUSER | NAMESPACES },
            Step::IdMap { uid: self.uid, gid: self.gid },
            proc("/proc"),
            self.tmp("/tmp"),
            Step::Loopback,
            Step::Hostname { name: "dispatch".to_owned() },
        ]
    }

    /// The rest of it.
    pub fn forked(&self, source: &str, limits: &[Step], network: Option<&Network>) -> Vec<Step> {
        let mut steps = vec![
            Step::mount(&format!("{SOURCES}/{source}"), FUNCTION, "", libc::MS_BIND, ""),
            read_only(FUNCTION),
            Step::mount("none", SOURCES, "tmpfs", libc::MS_RDONLY, "size=4k,mode=000"),
        ];
        if let Some(network) = network {
            // The pool's own file is everybody's; this one covers it, and has no other name.
            Self::cover_hosts(&mut steps, "", network.hosts());
            steps.extend(network.steps());
        }
        self.confine(&mut steps, limits);
        steps
    }

    /// A worker of its own.
    pub fn alone(
        &self,
        base: Base<'_>,
        source: &str,
        limits: &[Step],
        network: Option<&Network>,
    ) -> Vec<Step> {
        let mut steps = self.enter(self.own_map());
        self.base(&mut steps, base, network.map(Network::hosts));
        steps.extend(network.iter().flat_map(|network| network.steps()));
        self.bind(&mut steps, &self.sources.join(source), FUNCTION);
        steps.push(self.tmp(&self.inside("/tmp")));
        if let (Base::Image(_), Some(network)) = (base, network) {
            Self::cover_hosts(&mut steps, &self.inside(""), network.hosts());
        }
        self.close(&mut steps);
        if self.root {
            steps.push(Step::Identity { uid: self.uid, gid: self.gid });
            steps.push(Step::Unshare { flags: libc::CLONE_NEWUSER });
            steps.push(Step::IdMap { uid: self.uid, gid: self.gid });
        }
        self.confine(&mut steps, limits);
        steps
    }

    /// New namespaces; as an ordinary user with this map of users.
    fn enter(&self, map: Step) -> Vec<Step> {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let user = if self.root { 0 } else { libc::CLONE_NEWUSER };
        let mut steps = vec![Step::Spawn { flags: NAMESPACES | user }];
        if !self.root {
            steps.push(map);
        }
        steps.extend([
            // A call that is sent to a worker wakes it. On a core they share, the server goes on
            // with the next requests then, and switches to workers when it has nothing else to do:
            // a quarter more calls a second.
            Step::Batch,
            Step::mount("none", "/", "", private, ""),
        ]);
        steps
    }

    fn own_map(&self) -> Step {
        Step::IdMap { uid: self.uid, gid: self.gid }
    }

    fn base(&self, steps: &mut Vec<Step>, base: Base<'_>, hosts: Option<String>) {
        match base {
            Base::Image(tree) => self.image(steps, tree),
            Base::Machine(host) | Base::Packages(host, _) => {
                self.machine(steps, &host.prefixes);
                for (path, text) in self.files(hosts.unwrap_or(network::HOSTS.to_owned())) {
                    steps.push(Step::File { path: self.inside(path), text });
                }
            }
        }
        if let Base::Packages(_, packages) = base {
            self.bind(steps, packages, PACKAGES_AT);
        }
        steps.push(proc(&self.inside("/proc")));
        steps.push(Step::Loopback);
        steps.push(Step::Hostname { name: "dispatch".to_owned() });
    }

    fn machine(&self, steps: &mut Vec<Step>, prefixes: &[PathBuf]) {
        let root = self.inside("");
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        steps.push(Step::mount("none", &root, "tmpfs", flags, "size=8m,mode=755"));
        self.bind(steps, Path::new("/usr"), "/usr");
        for path in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
            match std::fs::read_link(path) {
                Ok(target) => steps.push(Step::Symlink {
                    path: self.inside(path),
                    target: target.to_string_lossy().into_owned(),
                }),
                Err(_) if Path::new(path).is_dir() => self.bind(steps, Path::new(path), path),
                Err(_) => {}
            }
        }
        for prefix in prefixes.iter().filter(|p| !p.starts_with("/usr")) {
            self.bind(steps, prefix, &prefix.to_string_lossy());
        }
        for path in SETTINGS.iter().filter(|p| Path::new(p).exists()) {
            self.bind(steps, Path::new(path), path);
        }
        self.bind(steps, &self.runtimes, RUNTIMES);
        self.devices(steps);
        steps.push(Step::Directory { path: self.inside("/tmp") });
        steps.push(Step::Directory { path: self.inside("/proc") });
    }

    fn devices(&self, steps: &mut Vec<Step>) {
        for device in DEVICES.iter().filter(|d| Path::new(d).exists()) {
            let target = self.inside(device);
            steps.push(Step::File { path: target.clone(), text: String::new() });
            steps.push(Step::mount(device, &target, "", libc::MS_BIND, ""));
            steps.push(Step::Attributes { target, flags: NO_SUID | NO_EXEC, recursive: false });
        }
        let links = [("fd", "/proc/self/fd"), ("shm", "/tmp"), ("stdout", "/proc/self/fd/1")];
        for (name, target) in links.into_iter().chain([("stderr", "/proc/self/fd/2")]) {
            let path = self.inside(&format!("/dev/{name}"));
            steps.push(Step::Symlink { path, target: target.to_owned() });
        }
    }

    /// Files of `/etc` that are the engine's own.
    fn files(&self, hosts: String) -> [(&'static str, String); 4] {
        let (uid, gid) = (self.uid, self.gid);
        [
            ("/etc/passwd", format!("function:x:{uid}:{gid}::/tmp:/bin/sh\n")),
            ("/etc/group", format!("function:x:{gid}:\n")),
            ("/etc/hosts", hosts),
            ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
        ]
    }

    fn close(&self, steps: &mut Vec<Step>) {
        let target = self.inside("");
        let flags = READ_ONLY | NO_SUID | NO_DEVICES;
        steps.push(Step::Attributes { target: target.clone(), flags, recursive: false });
        steps.push(Step::Pivot { root: target });
    }

    fn confine(&self, steps: &mut Vec<Step>, limits: &[Step]) {
        steps.extend([
            Step::Rlimit { resource: libc::RLIMIT_CORE, limit: 0 },
            Step::Rlimit { resource: libc::RLIMIT_NOFILE, limit: 1024 },
            Step::Rlimit { resource: libc::RLIMIT_FSIZE, limit: self.tmp_mib << 20 },
            Step::Rlimit { resource: libc::RLIMIT_NPROC, limit: self.max_processes },
        ]);
        steps.extend_from_slice(limits);
        steps.push(Step::ChangeDirectory { path: FUNCTION.to_owned() });
        steps.push(Step::NoNewPrivileges);
        steps.push(Step::DropCapabilities);
        steps.extend(landlock::rules(self.landlock).map(Step::Landlock));
        steps.push(Step::Seccomp { program: self.seccomp.clone() });
    }

    fn bind(&self, steps: &mut Vec<Step>, source: &Path, target: &str) {
        let (source_text, target) = (source.to_string_lossy(), self.inside(target));
        let path = target.clone();
        steps.push(match source.is_file() {
            true => Step::File { path, text: String::new() },
            false => Step::Directory { path },
        });
        let flags = libc::MS_BIND | libc::MS_REC;
        steps.push(Step::mount(&source_text, &target, "", flags, ""));
        let flags = READ_ONLY | NO_SUID | NO_DEVICES;
        steps.push(Step::Attributes { target, flags, recursive: true });
    }

    fn tmp(&self, target: &str) -> Step {
        let data = format!("size={}m,mode=1777", self.tmp_mib);
        Step::mount("none", target, "tmpfs", libc::MS_NOSUID | libc::MS_NODEV, &data)
    }

    fn inside(&self, path: &str) -> String {
        format!("{}{path}", self.mount_point.to_string_lossy())
    }
}

fn proc(target: &str) -> Step {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    Step::mount("proc", target, "proc", flags, "")
}

fn read_only(target: &str) -> Step {
    let flags = READ_ONLY | NO_SUID | NO_DEVICES;
    Step::Attributes { target: target.to_owned(), flags, recursive: true }
}
