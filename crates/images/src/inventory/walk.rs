//! One walk over everything in an image, for metadata that may be anywhere.
//!
//! Layers are merged a directory at a time, so that the walk costs one listing for each directory
//! of each layer; looking every path up on its own would cost a hundred times that.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::FileType;
use std::path::{Path, PathBuf};

use super::{Found, composer, gem, maven, npm, powershell, pypi, runtime};

/// Files and directories of one image that are looked at.
const MAX_ENTRIES: usize = 2_000_000;
const MAX_DEPTH: usize = 100;
/// Directories of the kernel: what an image has there is hidden when it runs.
const HIDDEN: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Looks for the packages of languages.
pub fn languages(found: &mut Found<'_>) {
    let layers = found.rootfs.layers().to_vec();
    let problem = walk(&layers, &mut |path, place| {
        if pypi::is_metadata(path) {
            pypi::read(found, path, place);
        } else if npm::is_metadata(path) {
            npm::read(found, path, place);
        } else if gem::is_metadata(path) {
            gem::read(found, path, place);
        } else if maven::is_archive(path) {
            maven::read(found, path, place);
        } else if composer::is_metadata(path) {
            composer::read(found, path, place);
        } else if powershell::is_manifest(path) {
            powershell::read(found, path, place);
        } else if runtime::is_header(path) {
            runtime::read(found, path, place);
        }
    });
    if let Some((path, problem)) = problem {
        found.note(&path, problem);
    }
}

/// A directory of the image: its path there, and the layers' directories that make it, the
/// topmost first.
struct Directory {
    path: String,
    places: Vec<PathBuf>,
    depth: usize,
}

/// Calls `visit` with each regular file: its path in the image and where it is. Symbolic links
/// are not followed: what they lead to is visited where it is. The last problem is returned.
fn walk(layers: &[PathBuf], visit: &mut dyn FnMut(&str, &Path)) -> Option<(String, String)> {
    let places = layers.iter().rev().cloned().collect();
    let mut open = vec![Directory { path: String::new(), places, depth: 0 }];
    let mut entries = 0;
    let mut problem = None;
    while let Some(directory) = open.pop() {
        if HIDDEN.contains(&directory.path.as_str()) {
            continue;
        }
        for (name, entry) in merged(&directory, &mut problem) {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Some(("/".into(), format!("more than {MAX_ENTRIES} files: not all seen")));
            }
            let path = format!("{}/{}", directory.path, name.to_string_lossy());
            match entry {
                Entry::File(place) => visit(&path, &place),
                Entry::Directory(places) if directory.depth < MAX_DEPTH => {
                    open.push(Directory { path, places, depth: directory.depth + 1 });
                }
                Entry::Directory(_) => {
                    problem = Some((path, format!("deeper than {MAX_DEPTH} directories")));
                }
                Entry::Other => {}
            }
        }
    }
    problem
}

enum Entry {
    File(PathBuf),
    Directory(Vec<PathBuf>),
    /// Links, devices, and what a whiteout took away.
    Other,
}

/// What is in a directory when its layers lie over each other.
fn merged(
    directory: &Directory,
    problem: &mut Option<(String, String)>,
) -> BTreeMap<OsString, Entry> {
    let mut names: BTreeMap<OsString, Entry> = BTreeMap::new();
    // Directories that nothing below adds to: something lies over it that is no directory.
    let mut closed: HashSet<OsString> = HashSet::new();
    for place in &directory.places {
        let listed = match std::fs::read_dir(place) {
            Ok(listed) => listed,
            Err(error) => {
                *problem = Some((directory.path.clone(), format!("cannot be read: {error}")));
                continue;
            }
        };
        for entry in listed.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            match names.get_mut(&name) {
                Some(Entry::Directory(places)) if kind.is_dir() && !closed.contains(&name) => {
                    places.push(entry.path());
                }
                Some(_) => {
                    closed.insert(name);
                    continue;
                }
                None => {
                    names.insert(name.clone(), fresh(kind, entry.path()));
                }
            }
            if kind.is_dir() && crate::rootfs::is_opaque(&entry.path()) {
                closed.insert(name);
            }
        }
    }
    names
}

fn fresh(kind: FileType, place: PathBuf) -> Entry {
    match kind {
        kind if kind.is_dir() => Entry::Directory(vec![place]),
        kind if kind.is_file() => Entry::File(place),
        _ => Entry::Other,
    }
}
