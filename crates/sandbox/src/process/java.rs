//! Java: its host comes as source and is compiled on first use, with an archive of what a start
//! needs; the classes of a function that comes as source are kept beside that.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use dispatch_driver::Error;

use super::host::HostLanguage;
use super::plan::{Launch, Program};
use super::root::Base;
use super::start::{Starter, base_environment};
use super::{failure, language, source};

/// The descriptor of the socket can only be opened by its number behind Java's back.
const MANIFEST: &str = "Main-Class: Host\nAdd-Opens: java.base/java.io\n";

/// For two machines, of which one makes the archive and the other sends it.
const ARCHIVE_MEMORY_MIB: u64 = 512;
const ARCHIVE_WORKER_MIB: u64 = 85;

impl Starter {
    /// Makes what workers start from, unless it is there.
    pub async fn prepare_java(&self, host: &HostLanguage) -> Result<(), Error> {
        let (folder, of) = (self.site.runtimes.join(&host.language), host.clone());
        let archive = folder.join("host.jsa");
        let compiled = tokio::task::spawn_blocking(move || compile(&folder, &of));
        let compiled = compiled.await.map_err(io::Error::other).and_then(|done| done);
        compiled.map_err(|e| failure::engine("the Java host does not compile", e))?;
        if !archive.exists() {
            match self.archive(host).await {
                Ok(bytes) => source::keep(archive, bytes).await,
                Err(error) => tracing::warn!(%error, "Java workers start without an archive"),
            }
        }
        Ok(())
    }

    /// Has a sandbox rehearse a start, since an archive knows the places of its classes.
    async fn archive(&self, host: &HostLanguage) -> Result<bytes::Bytes, Error> {
        let Program::Exec(plain) = language::program(host, ARCHIVE_WORKER_MIB, None) else {
            return Err(failure::engine("the archive", "the language has no command"));
        };
        let archive = ["archive".to_owned()].into_iter().chain(plain.clone());
        let launch = Launch {
            steps: self.site.alone(Base::Machine(host), ".", &[], None),
            program: Program::Exec(plain.iter().cloned().chain(archive).collect()),
            environment: base_environment(),
        };
        let mut worker = self.single(&launch, ARCHIVE_MEMORY_MIB).await?;
        let failed = |error: String| failure::engine("the archive", error);
        let kept = worker.loaded().await.map_err(|e| failed(e.message))?;
        kept.ok_or_else(|| failed("it was not sent".to_owned()))
    }
}

fn compile(folder: &Path, host: &HostLanguage) -> io::Result<()> {
    let files = host.rules.files.iter().filter(|file| file.name.ends_with(".java"));
    let text: String = files.clone().map(|file| &*file.text).collect();
    let stamp = folder.join("compiled");
    let wanted = format!("{}\n{MANIFEST}\n{text}", host.version);
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let classes = folder.join("classes");
    let _ = std::fs::remove_file(folder.join("host.jsa"));
    std::fs::write(folder.join("manifest"), MANIFEST)?;
    let sources = files.map(|file| folder.join(&file.name));
    run(Command::new(host.interpreter.with_file_name("javac"))
        .arg("-d")
        .arg(&classes)
        .args(sources))?;
    let (jar, manifest) = (folder.join("host.jar"), folder.join("manifest"));
    let mut pack = Command::new(host.interpreter.with_file_name("jar"));
    run(pack.arg("cfm").args([jar, manifest]).arg("-C").arg(&classes).arg("."))?;
    std::fs::write(stamp, wanted)
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
