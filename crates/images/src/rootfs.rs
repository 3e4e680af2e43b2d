//! The merged view of unpacked layers, read without mounting anything.
//!
//! Paths are the image's own: absolute, and symbolic links lead nowhere but into the image.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// Symbolic links followed on the way to one file, as the kernel does.
const MAX_LINKS: usize = 40;
const OPAQUE: &str = "user.overlay.opaque";

/// Unpacked layers, the lowest first.
#[derive(Debug, Clone, Default)]
pub struct Rootfs {
    layers: Vec<PathBuf>,
}

impl Rootfs {
    pub fn new(layers: Vec<PathBuf>) -> Self {
        Self { layers }
    }

    /// Directories of the layers, the lowest first.
    pub fn layers(&self) -> &[PathBuf] {
        &self.layers
    }

    /// A file's bytes; `None` when there is no such file.
    ///
    /// # Errors
    /// What the machine's file system says, and `InvalidData` for more than `max` bytes.
    pub fn read(&self, path: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(found) = self.find(path)? else { return Ok(None) };
        let file = std::fs::File::open(found)?;
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            let text = format!("{path} has more than {max} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Some(bytes))
    }

    /// The names in a directory, sorted; none when there is no such directory.
    pub fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let Some(inside) = self.resolve(path)? else { return Ok(Vec::new()) };
        let mut names: BTreeMap<String, bool> = BTreeMap::new();
        for layer in self.layers.iter().rev() {
            let place = layer.join(&inside);
            match layer_entry(layer, &inside)? {
                Entry::Missing => continue,
                Entry::Directory { opaque } => {
                    for entry in std::fs::read_dir(&place)? {
                        let entry = entry?;
                        let there = !is_whiteout(&entry.metadata()?);
                        let name = entry.file_name().to_string_lossy().into_owned();
                        names.entry(name).or_insert(there);
                    }
                    if opaque {
                        break;
                    }
                }
                Entry::Covers | Entry::Other => break,
            }
        }
        Ok(names.into_iter().filter_map(|(name, there)| there.then_some(name)).collect())
    }

    /// Where a file or directory of the image is on this machine, links followed.
    pub fn find(&self, path: &str) -> io::Result<Option<PathBuf>> {
        let Some(inside) = self.resolve(path)? else { return Ok(None) };
        self.place(&inside)
    }

    /// The path without links, relative to the root; `None` when there is nothing.
    fn resolve(&self, path: &str) -> io::Result<Option<PathBuf>> {
        let mut links = 0;
        let mut done = PathBuf::new();
        let mut rest = parts(path);
        while let Some(part) = rest.pop() {
            match part.as_str() {
                ".." => {
                    done.pop();
                }
                name => {
                    let next = done.join(name);
                    let Some(place) = self.place(&next)? else { return Ok(None) };
                    if !place.symlink_metadata()?.is_symlink() {
                        done = next;
                        continue;
                    }
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(None);
                    }
                    let target = std::fs::read_link(&place)?.to_string_lossy().into_owned();
                    if target.starts_with('/') {
                        done = PathBuf::new();
                    }
                    rest.extend(parts(&target));
                }
            }
        }
        Ok(Some(done))
    }

    /// The topmost entry of that path, the last part of which may be a link; its parents are none.
    fn place(&self, inside: &Path) -> io::Result<Option<PathBuf>> {
        for layer in self.layers.iter().rev() {
            match layer_entry(layer, inside)? {
                Entry::Missing => {}
                Entry::Covers => return Ok(None),
                Entry::Directory { .. } | Entry::Other => return Ok(Some(layer.join(inside))),
            }
        }
        Ok(None)
    }
}

/// What one layer says of a path.
enum Entry {
    /// Nothing: lower layers count.
    Missing,
    /// It is not there, nor in lower layers.
    Covers,
    Directory {
        opaque: bool,
    },
    Other,
}

fn layer_entry(layer: &Path, inside: &Path) -> io::Result<Entry> {
    let mut place = layer.to_owned();
    let mut covered = false;
    let missing = |covered: bool| if covered { Entry::Covers } else { Entry::Missing };
    for part in inside.components() {
        place.push(part);
        let metadata = match place.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(missing(covered)),
            Err(e) => return Err(e),
        };
        if is_whiteout(&metadata) {
            return Ok(Entry::Covers);
        }
        if !metadata.is_dir() {
            // A file where lower layers may have a directory hides what is below.
            let last = place == layer.join(inside);
            return Ok(if last { Entry::Other } else { Entry::Covers });
        }
        covered |= is_opaque(&place);
    }
    Ok(Entry::Directory { opaque: covered })
}

fn is_whiteout(metadata: &std::fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

pub(crate) fn is_opaque(directory: &Path) -> bool {
    matches!(xattr::get(directory, OPAQUE), Ok(Some(value)) if value == b"y")
}

/// The parts of a path, the first at the end.
fn parts(path: &str) -> Vec<String> {
    let text = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    };
    let mut parts: Vec<String> = Path::new(path).components().filter_map(text).collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(layer: &Path, path: &str, text: &str) {
        let place = layer.join(path);
        std::fs::create_dir_all(place.parent().expect("it has one")).expect("a directory");
        std::fs::write(place, text).expect("a file");
    }

    fn text(rootfs: &Rootfs, path: &str) -> Option<String> {
        let bytes = rootfs.read(path, 100).expect("readable");
        bytes.map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    #[test]
    fn upper_layers_win_and_take_away() {
        let directory = tempfile::tempdir().expect("a directory");
        let (lower, upper) = (directory.path().join("lower"), directory.path().join("upper"));
        write(&lower, "etc/a", "lower a");
        write(&lower, "etc/b", "lower b");
        write(&lower, "opt/deep/c", "lower c");
        write(&upper, "etc/a", "upper a");
        write(&upper, "opt/d", "upper d");
        let whiteout = upper.join("etc/b");
        let device = rustix::fs::makedev(0, 0);
        let kind = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(rustix::fs::CWD, &whiteout, kind, 0o600.into(), device)
            .expect("a whiteout");
        xattr::set(upper.join("opt"), OPAQUE, b"y").expect("an attribute");
        let rootfs = Rootfs::new(vec![lower, upper]);
        assert_eq!(text(&rootfs, "/etc/a").as_deref(), Some("upper a"));
        assert_eq!(text(&rootfs, "/etc/b"), None);
        assert_eq!(text(&rootfs, "/opt/deep/c"), None);
        assert_eq!(text(&rootfs, "/opt/d").as_deref(), Some("upper d"));
        assert_eq!(rootfs.list("/etc").expect("a list"), ["a"]);
        assert_eq!(rootfs.list("/opt").expect("a list"), ["d"]);
        assert_eq!(rootfs.list("/nowhere").expect("a list"), [""; 0]);
    }

    #[test]
    fn links_stay_in_the_image() {
        let directory = tempfile::tempdir().expect("a directory");
        let layer = directory.path().join("layer");
        write(&directory.path().join("etc"), "secret", "of the machine");
        write(&layer, "usr/lib/os-release", "ID=debian");
        write(&layer, "etc/secret", "of the image");
        symlink("../usr/lib/os-release", layer.join("etc/os-release")).expect("a link");
        symlink("../../../../../../etc/secret", layer.join("usr/out")).expect("a link");
        symlink("/etc", layer.join("settings")).expect("a link");
        symlink("loop", layer.join("loop")).expect("a link");
        let rootfs = Rootfs::new(vec![layer]);
        assert_eq!(text(&rootfs, "/etc/os-release").as_deref(), Some("ID=debian"));
        assert_eq!(text(&rootfs, "/usr/out").as_deref(), Some("of the image"));
        assert_eq!(text(&rootfs, "/settings/secret").as_deref(), Some("of the image"));
        assert_eq!(text(&rootfs, "/loop"), None);
        assert!(rootfs.read("/etc/secret", 3).is_err());
    }
}
