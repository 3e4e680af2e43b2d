//! The root of an image, with the few places that are the engine's own.
//!
//! Those places are a layer above the image's, the skeleton. So mounts and files never go through
//! anything the image says: whatever it has there, a link that leads out among it, is covered.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{FUNCTION, OWN_HOSTS, RUNTIMES, SOURCES, Site, read_only};
use crate::process::network;
use crate::process::plan::Step;

/// How an image becomes a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// Mounted over one another; the lowest first, the skeleton last.
    Layers(Vec<PathBuf>),
    /// Where overlays are not allowed: one directory that holds what they would show.
    Copy(PathBuf),
    /// The machine's own, with the packages in this directory for its interpreter.
    Packages(PathBuf),
}

impl Site {
    /// Makes the skeleton; an older one is replaced, as its user may be another.
    pub fn make_skeleton(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.skeleton) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for path in [FUNCTION, RUNTIMES, SOURCES, "/dev", "/etc", "/proc", "/tmp"] {
            super::super::source::open_directory(&below(&self.skeleton, path))?;
        }
        for (path, text) in self.files(network::HOSTS.to_owned()) {
            let path = below(&self.skeleton, path);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o644))?;
        }
        super::super::source::open_directory(&self.skeleton)
    }

    /// The image as root, with devices, `/proc` and the hosts of languages, and `/tmp` still the
    /// image's own.
    pub(super) fn image(&self, steps: &mut Vec<Step>, tree: &Tree) {
        let target = self.inside("");
        match tree {
            Tree::Layers(layers) => {
                steps.push(Step::Overlay { layers: layers.clone(), upper: None, target });
            }
            Tree::Copy(directory) | Tree::Packages(directory) => self.bind(steps, directory, ""),
        }
        self.own_devices(steps);
        self.bind(steps, &self.runtimes, RUNTIMES);
    }

    /// A `/dev` that is not the image's.
    pub(super) fn own_devices(&self, steps: &mut Vec<Step>) {
        let target = self.inside("/dev");
        steps.push(Step::mount("none", &target, "tmpfs", libc::MS_NOSUID, "size=64k,mode=755"));
        self.devices(steps);
        steps.push(Step::Attributes { target, flags: super::READ_ONLY, recursive: false });
    }

    /// Covers `/etc/hosts` with a file that has no name, by way of the `/tmp` that is mounted.
    pub(super) fn cover_hosts(steps: &mut Vec<Step>, root: &str, text: String) {
        let (own, hosts) = (format!("{root}{OWN_HOSTS}"), format!("{root}/etc/hosts"));
        steps.extend([
            Step::File { path: own.clone(), text },
            Step::mount(&own, &hosts, "", libc::MS_BIND, ""),
            read_only(&hosts),
            Step::Unlink { path: own },
        ]);
    }
}

fn below(directory: &Path, path: &str) -> PathBuf {
    directory.join(path.trim_start_matches('/'))
}
