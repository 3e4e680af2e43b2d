//! What is in an image: the packages its package managers and its languages recorded.
//!
//! Nothing is run and nothing is asked of a network. Metadata that cannot be read never fails the
//! whole: it becomes a [`Note`].

mod apk;
mod composer;
mod copyright;
mod dpkg;
mod gem;
pub mod licence;
mod maven;
mod npm;
mod os;
mod package;
mod paragraph;
mod powershell;
mod purl;
mod pypi;
mod rpm;
mod runtime;
mod walk;

pub use dispatch_model::Ecosystem;
pub use os::Os;
pub use package::{Package, Source};
pub(crate) use pypi::normalized as pypi_name;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Rootfs;

/// Packages of one image; those beyond are left out with a note.
pub const MAX_PACKAGES: usize = 50_000;
/// Notes of one image; the last says that there were more.
pub const MAX_NOTES: usize = 200;
/// Bytes of one metadata file of a language package.
const MAX_FILE: u64 = 8 << 20;

/// All that was found in an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// `None` when the image has no os-release (built from nothing).
    pub os: Option<Os>,
    /// Sorted by ecosystem, name, version, location; no two are equal.
    pub packages: Vec<Package>,
    pub notes: Vec<Note>,
}

/// Metadata that could not be read or used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// Path in the image.
    pub location: String,
    pub problem: String,
}

/// Looks through the whole image once.
pub fn inventory(rootfs: &Rootfs) -> Inventory {
    let mut found = Found { rootfs, os: None, packages: Vec::new(), notes: Vec::new() };
    found.os = os::read(&mut found);
    dpkg::read(&mut found);
    apk::read(&mut found);
    rpm::read(&mut found);
    walk::languages(&mut found);
    found.done()
}

/// What readers put their findings into.
struct Found<'a> {
    rootfs: &'a Rootfs,
    os: Option<Os>,
    packages: Vec<Package>,
    notes: Vec<Note>,
}

impl Found<'_> {
    fn note(&mut self, location: &str, problem: impl Into<String>) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(Note { location: location.to_owned(), problem: problem.into() });
        } else if self.notes.len() == MAX_NOTES {
            let problem = format!("more than {MAX_NOTES} notes: the rest is left out");
            self.notes.push(Note { location: "/".to_owned(), problem });
        }
    }

    fn package(&mut self, package: Package) {
        if let Err(problem) = package.plausible() {
            self.note(&package.location, problem);
        } else if self.packages.len() < MAX_PACKAGES {
            self.packages.push(package);
        } else {
            self.note(&package.location, format!("more than {MAX_PACKAGES} packages"));
        }
    }

    /// A file as text; bytes that are no UTF-8 become U+FFFD. `None` when there is none, or with
    /// a note when it cannot be read.
    fn text(&mut self, path: &str, max: u64) -> Option<String> {
        match self.rootfs.read(path, max) {
            Ok(bytes) => bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                self.note(path, format!("cannot be read: {error}"));
                None
            }
        }
    }

    /// A regular file the walk came by, as text.
    fn file(&mut self, path: &str, place: &Path) -> Option<String> {
        let mut bytes = Vec::new();
        let read = File::open(place).and_then(|f| f.take(MAX_FILE + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 > MAX_FILE => {
                self.note(path, format!("has more than {MAX_FILE} bytes"));
                None
            }
            Ok(_) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                self.note(path, format!("cannot be read: {error}"));
                None
            }
        }
    }

    fn done(mut self) -> Inventory {
        self.packages.sort();
        self.packages.dedup();
        self.notes.sort();
        self.notes.dedup();
        Inventory { os: self.os, packages: self.packages, notes: self.notes }
    }
}
