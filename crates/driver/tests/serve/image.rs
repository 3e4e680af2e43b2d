//! What a function image is, without the image: the host's files, a function, and the entry point
//! as a process of this machine.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dispatch_driver::language::{FUNCTION_AT, HOST_AT, Language, Languages};

use crate::http;

const PATIENCE: Duration = Duration::from_secs(30);

/// Killed when it is dropped.
pub struct Image {
    pub directory: tempfile::TempDir,
    pub port: u16,
    pub child: Child,
}

/// The built-in languages, and the example of an operator's own.
pub fn languages() -> Languages {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/languages");
    Languages::builtin().with_directory(&examples).unwrap()
}

/// Whether the machine has the interpreter; says so loudly when not.
pub fn has(language: &Language) -> bool {
    let Some(detect) = &language.detect else { return true };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|place| place.join(&detect.program).is_file());
    if !found {
        println!("could not run: no {} for {} here", detect.program, language.name);
    }
    found
}

impl Image {
    /// Starts the entry point of a function that is one file, and waits until it serves.
    pub fn start(
        language: &Language,
        handler: &str,
        source: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut image = Self::try_start(language, handler, source, variables);
        let ends = Instant::now() + PATIENCE;
        while !http::get(image.port, "/healthz").is_ok_and(|(status, _)| status == 200) {
            assert!(image.child.try_wait().unwrap().is_none(), "it ended before it served");
            assert!(Instant::now() < ends, "it never served");
            std::thread::sleep(Duration::from_millis(10));
        }
        image
    }

    /// The same, without waiting.
    pub fn try_start(
        language: &Language,
        handler: &str,
        source: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (host, function) = (directory.path().join("host"), directory.path().join("function"));
        std::fs::create_dir(&host).unwrap();
        std::fs::create_dir(&function).unwrap();
        for file in &language.files {
            std::fs::write(host.join(&file.name), &*file.text).unwrap();
        }
        write_executable(&function.join(language.source.file_name(handler)), source);
        let here = |words: Vec<String>| -> Vec<String> {
            let word = |word: String| {
                let word = word.replace(HOST_AT, host.to_str().unwrap());
                word.replace(FUNCTION_AT, function.to_str().unwrap())
            };
            words.into_iter().map(word).collect()
        };
        for words in language.prepare().into_iter().map(here) {
            let mut command = Command::new(&words[0]);
            let variables = variables.iter().copied();
            let done = command.args(&words[1..]).envs(variables).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{words:?}: {said}");
        }
        let words = here(language.entry_point(handler).unwrap());
        let port = free_port();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .env("PORT", port.to_string())
            .env("DISPATCH_HANDLER", handler)
            .env("DISPATCH_FUNCTION", &function)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { directory, port, child }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }

    /// The exit status, when there is one in time, and the standard error.
    pub fn ended(&mut self) -> (Option<i32>, String) {
        let ends = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < ends, "it never ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
