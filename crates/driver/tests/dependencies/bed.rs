//! Directories for an installation, and what carries it out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dispatch_driver::language::dependencies::{Place, Step, step};
use dispatch_driver::language::{Language, PACKAGES_AT};
use serde_json::Value;

use crate::http::post;
use crate::image::{Image, languages};

pub struct Bed {
    pub directory: tempfile::TempDir,
    pub language: std::sync::Arc<Language>,
}

impl Bed {
    /// `None`, said loudly, when the machine lacks one of the programs.
    pub fn of(language: &str, programs: &[&str]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places: Vec<_> = std::env::split_paths(&path).collect();
        let is_there = |name: &&&str| places.iter().any(|place| place.join(name).is_file());
        if let Some(missing) = programs.iter().find(|name| !is_there(name)) {
            println!("could not run: no {missing} for the packages of {language} here");
            return None;
        }
        let language = languages().get(language).unwrap().clone();
        let bed = Self { directory: tempfile::tempdir().unwrap(), language };
        fs::create_dir(bed.path("mirror")).unwrap();
        Some(bed)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a script that makes the mirror's files.
    pub fn make(&self, program: &str, script: &str, arguments: &[&str]) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dependencies/mirrors");
        let mut command = Command::new(program);
        command.arg(scripts.join(script)).args(arguments).current_dir(self.path("mirror"));
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{script}: {said}");
    }

    pub fn step(&self, manifest: &str, mirror: &str) -> Step {
        let (packages, directory) = (self.path("packages"), self.path("work"));
        let place = Place {
            interpreter: self.language.program(),
            packages: packages.to_str().unwrap(),
            directory: directory.to_str().unwrap(),
            mirror: Some(mirror),
        };
        step(&self.language, manifest, &place).unwrap()
    }

    /// Carries a step out in fresh directories: whether it went well, and what was said.
    pub fn install(&self, manifest: &str, mirror: &str) -> (bool, String) {
        for name in ["packages", "work"] {
            let _ = fs::remove_dir_all(self.path(name));
            fs::create_dir(self.path(name)).unwrap();
        }
        let step = self.step(manifest, mirror);
        for (path, text) in &step.files {
            fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut command = Command::new(&step.command[0]);
        command.args(&step.command[1..]).current_dir(self.path("work"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        let done = command.envs(step.environment).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Installs twice and compares all that is there then. The second time is a later second, which
    /// some tools would write down.
    pub fn installs_the_same_again(&self, manifest: &str, mirror: &str) {
        let (well, said) = self.install(manifest, mirror);
        assert!(well, "{said}");
        let first = tree(&self.path("packages"));
        assert!(!first.is_empty());
        let (well, said) = self.install(manifest, mirror);
        assert!(well, "{said}");
        let second = tree(&self.path("packages"));
        let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&first), names(&second));
        let differ: Vec<_> = first.iter().filter(|(k, v)| second[*k] != **v).collect();
        let differ: Vec<_> = differ.into_iter().map(|(name, _)| name).collect();
        assert!(differ.is_empty(), "{differ:?} differ");
    }

    /// What a function image with these packages returns.
    pub fn call(&self, handler: &str, source: &str) -> Value {
        let packages = self.path("packages");
        let of = |(name, value): (String, String)| {
            (name, value.replace(PACKAGES_AT, packages.to_str().unwrap()))
        };
        let running: Vec<_> = self.language.running().into_iter().map(of).collect();
        let running: Vec<_> = running.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let image = Image::start(&self.language, handler, source, &running);
        let (status, answer) = post(image.port, "{}");
        assert_eq!((status, &answer["context"]["error"]), (200, &Value::Null));
        answer["payload"].clone()
    }
}

/// Mode and content by path; of links where they lead.
type Tree = BTreeMap<String, (u32, Vec<u8>)>;

fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let about = path.symlink_metadata().unwrap();
            let content = if about.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if about.is_dir() {
                open.push(path);
                Vec::new()
            } else {
                fs::read(path).unwrap()
            };
            found.insert(name, (about.permissions().mode(), content));
        }
    }
    found
}
