//! The root of a command that builds an image.
//!
//! Its process is user 0 of a user namespace in which there is no other user: what it makes belongs
//! to one user outside, who owns all unpacked layers. Its capabilities hold in that namespace only.

use std::path::PathBuf;

use super::{NO_DEVICES, NO_SUID, READ_ONLY, Site, proc};
use crate::process::network::{self, Network};
use crate::process::plan::{Step, Upper};

/// Largest file a command may write: 4 GiB.
const MAX_FILE_BYTES: u64 = 4 << 30;
const MAX_OPEN_FILES: u64 = 4096;

// Numbers of linux/capability.h. Package managers change modes and owners, bind low ports, and run
// their scripts below a root of their own.
const CAPABILITIES: &[u32] = &[
    0,  // CAP_CHOWN
    1,  // CAP_DAC_OVERRIDE
    2,  // CAP_DAC_READ_SEARCH
    3,  // CAP_FOWNER
    4,  // CAP_FSETID
    5,  // CAP_KILL
    6,  // CAP_SETGID
    7,  // CAP_SETUID
    10, // CAP_NET_BIND_SERVICE
    18, // CAP_SYS_CHROOT
    31, // CAP_SETFCAP
];

/// Where a command's programs come from.
#[derive(Debug)]
pub enum Ground {
    /// The machine; with directories its interpreters need besides the system's.
    Machine(Vec<PathBuf>),
    /// Mounted over one another, the lowest first.
    Layers(Vec<PathBuf>, Option<Upper>),
    /// One directory that holds what they would show, and whether it may be written.
    Copy(PathBuf, bool),
}

/// A place of the machine that a command sees.
#[derive(Debug)]
pub struct Shown {
    pub source: PathBuf,
    pub target: String,
    pub writable: bool,
}

/// A command's sandbox, all its places checked.
#[derive(Debug)]
pub struct TaskRoot<'a> {
    pub ground: Ground,
    pub shown: Vec<Shown>,
    pub network: Option<&'a Network>,
    pub directory: String,
    /// Bytes of data each process may have; `None` where a cgroup limits memory.
    pub max_data_bytes: Option<u64>,
}

impl Site {
    /// The user outside who owns what commands write.
    pub fn image_owner(&self) -> (u32, u32) {
        if self.root { (self.image_uid, self.image_uid) } else { (self.uid, self.gid) }
    }

    /// A sandbox for one command.
    pub fn task(&self, task: &TaskRoot<'_>) -> Vec<Step> {
        let (uid, gid) = self.image_owner();
        let mut steps = self.enter(Step::RootMap { uid, gid });
        let hosts = task.network.map_or(network::HOSTS.to_owned(), Network::hosts);
        self.ground(&mut steps, &task.ground, &hosts);
        steps.push(proc(&self.inside("/proc")));
        steps.push(Step::Loopback);
        steps.push(Step::Hostname { name: "dispatch".to_owned() });
        steps.extend(task.network.iter().flat_map(|network| network.steps()));
        let size = format!("size={}m,mode=1777", self.task_tmp_mib);
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        steps.push(Step::mount("none", &self.inside("/tmp"), "tmpfs", flags, &size));
        if !matches!(task.ground, Ground::Machine(_)) {
            Self::cover_hosts(&mut steps, &self.inside(""), hosts);
        }
        for shown in &task.shown {
            self.show(&mut steps, shown, matches!(task.ground, Ground::Machine(_)));
        }
        let writable = matches!(task.ground, Ground::Layers(_, Some(_)) | Ground::Copy(_, true));
        let flags = NO_SUID | NO_DEVICES | if writable { 0 } else { READ_ONLY };
        let target = self.inside("");
        steps.push(Step::Attributes { target: target.clone(), flags, recursive: false });
        steps.push(Step::Pivot { root: target });
        if self.root {
            steps.push(Step::Identity { uid, gid });
            steps.push(Step::Unshare { flags: libc::CLONE_NEWUSER });
            steps.push(Step::RootMap { uid, gid });
        }
        self.hold(&mut steps, task);
        steps
    }

    fn ground(&self, steps: &mut Vec<Step>, ground: &Ground, hosts: &str) {
        let target = self.inside("");
        match ground {
            Ground::Machine(prefixes) => {
                self.machine(steps, prefixes);
                let passwd = "root:x:0:0::/tmp:/bin/sh\n".to_owned();
                let files = [("/etc/passwd", passwd), ("/etc/group", "root:x:0:\n".to_owned())];
                for (path, text) in files.into_iter().chain([("/etc/hosts", hosts.to_owned())]) {
                    steps.push(Step::File { path: self.inside(path), text });
                }
                return;
            }
            Ground::Layers(layers, upper) => {
                steps.push(Step::Overlay { layers: layers.clone(), upper: upper.clone(), target })
            }
            Ground::Copy(directory, _) => {
                steps.push(Step::mount(
                    &directory.to_string_lossy(),
                    &target,
                    "",
                    libc::MS_BIND,
                    "",
                ));
            }
        }
        self.own_devices(steps);
    }

    /// Shows one place; where nothing is yet, `make` makes what it is mounted on.
    fn show(&self, steps: &mut Vec<Step>, shown: &Shown, make: bool) {
        let target = self.inside(&shown.target);
        if make {
            let path = target.clone();
            steps.push(match shown.source.is_dir() {
                true => Step::Directory { path },
                false => Step::File { path, text: String::new() },
            });
        }
        let flags = libc::MS_BIND | libc::MS_REC;
        steps.push(Step::mount(&shown.source.to_string_lossy(), &target, "", flags, ""));
        let flags = NO_SUID | NO_DEVICES | if shown.writable { 0 } else { READ_ONLY };
        steps.push(Step::Attributes { target, flags, recursive: true });
    }

    /// The limits, and what no command may do. There is no Landlock: everything the root shows is
    /// the command's to read, and what it may not write is mounted so.
    fn hold(&self, steps: &mut Vec<Step>, task: &TaskRoot<'_>) {
        steps.extend([
            Step::Rlimit { resource: libc::RLIMIT_CORE, limit: 0 },
            Step::Rlimit { resource: libc::RLIMIT_NOFILE, limit: MAX_OPEN_FILES },
            Step::Rlimit { resource: libc::RLIMIT_FSIZE, limit: MAX_FILE_BYTES },
            Step::Rlimit { resource: libc::RLIMIT_NPROC, limit: self.max_task_processes },
        ]);
        let data = task.max_data_bytes;
        steps.extend(data.map(|limit| Step::Rlimit { resource: libc::RLIMIT_DATA, limit }));
        steps.push(Step::ChangeDirectory { path: task.directory.clone() });
        steps.push(Step::NoNewPrivileges);
        let mask = CAPABILITIES.iter().fold(0, |mask, number| mask | 1 << number);
        steps.push(Step::KeepCapabilities { mask });
        steps.push(Step::Seccomp { program: self.task_seccomp.clone() });
    }
}
