//! Memory, process and CPU limits of workers in control groups, version 1 or 2.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Names of directories begin with it; the rest is the server's process id and a number.
const PREFIX: &str = "dispatch-";
/// The group a server moves itself into where groups with children may hold no processes.
const LEAF: &str = "dispatch-server";
const CPU_PERIOD_US: f64 = 100_000.0;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The directories new groups are made in.
#[derive(Debug)]
pub struct Cgroups {
    /// Each with the controllers it serves: one for each in version 1, all at once in version 2.
    parents: Vec<(PathBuf, Vec<&'static str>)>,
    version: u8,
    max_processes: u64,
    max_cpus: f64,
}

/// One worker's group; removed when it is dropped, which is after the worker has ended.
#[derive(Debug)]
pub struct Cgroup {
    directories: Vec<PathBuf>,
    memory: Option<PathBuf>,
    version: u8,
}

impl Cgroups {
    /// Finds what may be written; the sentences say what may not.
    pub fn detect(max_processes: u64, max_cpus: f64) -> (Self, Vec<String>) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut found = Self { parents: Vec::new(), version: 1, max_processes, max_cpus };
        let mut missing = Vec::new();
        // Joining a CPU group costs some milliseconds, so there is one only for a limit.
        let wanted =
            if max_cpus > 0.0 { &["memory", "pids", "cpu"][..] } else { &["memory", "pids"] };
        for &controller in wanted {
            match version_1(&mounts, &own, controller).and_then(|d| prepare(&d)) {
                Some(parent) => found.parents.push((parent, vec![controller])),
                None => missing.push(controller),
            }
        }
        if found.parents.is_empty() {
            found.version = 2;
            if let Some((parent, controllers)) = version_2(&mounts, &own) {
                missing.retain(|c| !controllers.contains(c));
                found.parents.push((parent, controllers));
            }
        }
        let sentence = |c: &&str| {
            let instead = match *c {
                "memory" => "the address space of a worker is limited instead",
                "pids" => "only RLIMIT_NPROC limits a worker's processes",
                _ => "the CPU time of workers is not limited",
            };
            format!("No cgroup with the {c} controller is writable; {instead}.")
        };
        let sentences = missing.iter().map(sentence).collect();
        (found, sentences)
    }

    /// Whether memory is limited by groups.
    pub fn limits_memory(&self) -> bool {
        self.parents.iter().any(|(_, c)| c.contains(&"memory"))
    }

    /// A group for one worker; its memory is not limited yet.
    pub fn make(&self) -> io::Result<Cgroup> {
        self.make_with(self.max_cpus)
    }

    /// The same, with so many CPUs; 0 is no limit. They are limited where [`Cgroups::detect`] was
    /// asked for a limit.
    pub fn make_with(&self, max_cpus: f64) -> io::Result<Cgroup> {
        let name = format!("worker-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut group = Cgroup { directories: Vec::new(), memory: None, version: self.version };
        for (parent, controllers) in &self.parents {
            let directory = parent.join(&name);
            fs::create_dir(&directory)?;
            group.directories.push(directory.clone());
            for controller in controllers {
                self.limit(&directory, controller, max_cpus)?;
            }
            if controllers.contains(&"memory") {
                group.memory = Some(directory);
            }
        }
        Ok(group)
    }

    fn limit(&self, directory: &Path, controller: &str, max_cpus: f64) -> io::Result<()> {
        let quota = (max_cpus * CPU_PERIOD_US) as u64;
        match (self.version, controller) {
            (_, "memory") => Ok(()),
            (_, "pids") => fs::write(directory.join("pids.max"), self.max_processes.to_string()),
            _ if quota == 0 => Ok(()),
            (1, _) => fs::write(directory.join("cpu.cfs_quota_us"), quota.to_string()),
            _ => fs::write(directory.join("cpu.max"), format!("{quota} {CPU_PERIOD_US}")),
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for (parent, _) in &self.parents {
            remove_tree(parent);
        }
    }
}

impl Cgroup {
    /// Limits memory where the machine can; swap is none in addition.
    pub fn limit_memory(&self, mib: u64) -> io::Result<()> {
        let Some(directory) = &self.memory else { return Ok(()) };
        let bytes = (mib << 20).to_string();
        let (limit, swap, swapped) = match self.version {
            1 => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes.as_str()),
            _ => ("memory.max", "memory.swap.max", "0"),
        };
        fs::write(directory.join(limit), &bytes)?;
        let swap = directory.join(swap);
        if swap.exists() { fs::write(swap, swapped) } else { Ok(()) }
    }

    /// Files a process writes `0` to in order to join.
    ///
    /// A process that moves itself by version 1's `tasks` needs no grace period of the kernel,
    /// which costs another process that moves it some ten milliseconds. The right to write is
    /// checked against who opened the file.
    pub fn files(&self) -> io::Result<Vec<OwnedFd>> {
        let name = if self.version == 1 { "tasks" } else { "cgroup.procs" };
        let open = |d: &PathBuf| -> io::Result<OwnedFd> {
            Ok(OpenOptions::new().write(true).open(d.join(name))?.into())
        };
        self.directories.iter().map(open).collect()
    }

    /// Whether the kernel ended a process of the group because it was out of memory.
    pub fn out_of_memory(&self) -> bool {
        let Some(directory) = &self.memory else { return false };
        let name = if self.version == 1 { "memory.oom_control" } else { "memory.events" };
        let text = fs::read_to_string(directory.join(name)).unwrap_or_default();
        text.lines().any(|l| l.strip_prefix("oom_kill ").is_some_and(|n| n.trim() != "0"))
    }

    /// Tries to remove the directories; true when none is left.
    pub fn remove(&mut self) -> bool {
        self.directories.retain(|d| match fs::remove_dir(d) {
            Err(error) => error.kind() != io::ErrorKind::NotFound,
            Ok(()) => false,
        });
        self.directories.is_empty()
    }
}

/// The directory of this process under the mount of a version 1 controller.
fn version_1(mounts: &str, own: &str, controller: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, target, kind, options) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        let serves = kind == "cgroup" && options.split(',').any(|o| o == controller);
        serves.then(|| PathBuf::from(target))
    })?;
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let serves = parts.next()?.split(',').any(|c| c == controller);
        if serves { parts.next() } else { None }
    })?;
    Some(within(&mount, path))
}

fn version_2(mounts: &str, own: &str) -> Option<(PathBuf, Vec<&'static str>)> {
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (target, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(target))
    })?;
    let mut directory = within(&mount, own.lines().find_map(|l| l.strip_prefix("0::"))?);
    // Where an engine of this process has moved it; new groups stay beside it, not below.
    if directory.file_name().is_some_and(|name| name == LEAF) {
        directory.pop();
    }
    let known = fs::read_to_string(directory.join("cgroup.controllers")).ok()?;
    let wanted: Vec<_> = ["memory", "pids", "cpu"]
        .into_iter()
        .filter(|c| known.split_whitespace().any(|k| k == *c))
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let enable = wanted.iter().map(|c| format!("+{c}")).collect::<Vec<_>>().join(" ");
    let parent = prepare(&directory)?;
    if fs::write(directory.join("cgroup.subtree_control"), &enable).is_err() {
        // Version 2 wants processes in leaves only, so this one has to move into one first.
        let leaf = directory.join(LEAF);
        fs::create_dir_all(&leaf).ok()?;
        fs::write(leaf.join("cgroup.procs"), "0").ok()?;
        fs::write(directory.join("cgroup.subtree_control"), &enable).ok()?;
    }
    fs::write(parent.join("cgroup.subtree_control"), &enable).ok()?;
    Some((parent, wanted))
}

/// In a container the path may be one of the machine; then the mount itself is this process's.
fn within(mount: &Path, path: &str) -> PathBuf {
    let nested = mount.join(path.trim_start_matches('/'));
    if nested.is_dir() { nested } else { mount.to_owned() }
}

/// Makes this engine's own directory, and removes those of servers that are gone.
fn prepare(directory: &Path) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|n| n.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|p| !Path::new(&format!("/proc/{p}")).exists()) {
            remove_tree(&entry.path());
        }
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let own = directory.join(format!("{PREFIX}{}-{number}", std::process::id()));
    fs::create_dir(&own).ok()?;
    // Readable is not writable: some container runtimes mount it so.
    match File::options().write(true).open(own.join("cgroup.procs")) {
        Ok(_) => Some(own),
        Err(_) => {
            let _ = fs::remove_dir(&own);
            None
        }
    }
}

fn remove_tree(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let _ = fs::remove_dir(entry.path());
    }
    let _ = fs::remove_dir(directory);
}
