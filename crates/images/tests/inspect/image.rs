//! Images made by hand in temporary directories, and the machine's own packages as one.

use std::path::{Path, PathBuf};
use std::process::Command;

use dispatch_images::Rootfs;
use dispatch_images::inventory::{Ecosystem, Inventory, Package};
use tempfile::TempDir;

/// Layers in a directory that goes away with it.
pub struct Image {
    directory: TempDir,
    layers: usize,
}

impl Image {
    pub fn new() -> Self {
        let image = Self { directory: tempfile::tempdir().expect("a directory"), layers: 1 };
        std::fs::create_dir(image.layer(0)).expect("a layer");
        image
    }

    fn layer(&self, number: usize) -> PathBuf {
        self.directory.path().join(number.to_string())
    }

    pub fn top(&self) -> PathBuf {
        self.layer(self.layers - 1)
    }

    pub fn add_layer(&mut self) {
        self.layers += 1;
        std::fs::create_dir(self.top()).expect("a layer");
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let place = self.top().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(place.parent().expect("it has one")).expect("a directory");
        std::fs::write(place, content).expect("a file");
    }

    pub fn rootfs(&self) -> Rootfs {
        Rootfs::new((0..self.layers).map(|number| self.layer(number)).collect())
    }

    /// The machine's own Debian packages: database and copyright files, and nothing else.
    pub fn of_this_machine() -> Self {
        let image = Self::new();
        let copy = |path: &str| image.write(path, std::fs::read(path).expect(path));
        copy("/etc/os-release");
        copy("/var/lib/dpkg/status");
        for entry in std::fs::read_dir("/usr/share/doc").expect("documentation").flatten() {
            let path = entry.path().join("copyright");
            if path.is_file() {
                copy(path.to_str().expect("a name in ASCII"));
            }
        }
        image
    }
}

/// The package of that name, which must be there once.
pub fn one<'a>(inventory: &'a Inventory, ecosystem: Ecosystem, name: &str) -> &'a Package {
    let is = |p: &&Package| p.ecosystem == ecosystem && p.name == name;
    let found: Vec<&Package> = inventory.packages.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{ecosystem} {name}: {:#?}", inventory);
    found[0]
}

/// What a program printed. Where it is not on this machine the test fails and says so.
pub fn output(program: &str, arguments: &[&str], directory: &Path) -> String {
    let ran = Command::new(program).args(arguments).current_dir(directory).output();
    let output = ran.unwrap_or_else(|error| {
        panic!("could not run: {program}: {error}; `cargo xtask setup` installs it")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
