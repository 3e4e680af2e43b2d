//! The program `kube-apiserver`: no package carries it, so it is built once per machine from the
//! source that the distribution itself keeps.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::debian;
use crate::programs::{self, finished};

/// What it takes to build it; nothing of that needs root.
const PROGRAMS: &[&str] = &["apt-get", "dpkg-source", "go", "make", "rsync", "xz"];
/// Debian keeps the sources of Go's libraries here.
const REFLECT: &str = "/usr/share/gocode/src/github.com/modern-go/reflect2";
/// Changes with what is written below, so that an older program is not taken for it.
const EDITION: &str = "1";
/// How often a long step says that it goes on.
const WORD: Duration = Duration::from_secs(20);

/// The program, built if this is the first test of this machine that wants it. None, plainly said,
/// where it is not there and cannot be built.
pub fn get() -> Option<PathBuf> {
    let (os, suite) = (debian::release("ID")?, debian::release("VERSION_CODENAME")?);
    let tools = programs::tools();
    let program = tools.join(format!("kube-apiserver-{os}-{suite}-{EDITION}"));
    // It is there as a whole or not at all, for users who may not write beside it too.
    if !program.is_file() {
        build(&os, &suite, &tools, &program)?;
    }
    Some(program)
}

fn build(os: &str, suite: &str, tools: &Path, program: &Path) -> Option<()> {
    if !programs::has(PROGRAMS) {
        return None;
    }
    if !Path::new(REFLECT).is_dir() {
        println!("could not run: golang-github-modern-go-reflect2-dev is not here");
        return None;
    }
    fs::create_dir_all(tools).expect("a directory of tools");
    // Tests run side by side, also those of other programs.
    let lock = File::create(program.with_extension("lock")).expect("a lock's file");
    lock.lock().expect("a lock");
    if program.is_file() {
        return Some(());
    }
    let mirror = debian::mirror(suite)?;
    let ask = debian::proxy(mirror.scheme()).unwrap_or_else(|| mirror.clone());
    if let Err(error) = debian::reach(&ask) {
        println!("could not run: the mirror of this machine's packages: {error}");
        return None;
    }
    let began = Instant::now();
    let work = tempfile::tempdir_in(tools).expect("a temporary directory");
    say(&format!("building kube-apiserver once per machine, from the source of {os} {suite} …"));
    let source = fetch(work.path(), os, suite, mirror.as_str());
    fresh_reflect(&source);
    compile(work.path(), &source, began);
    let built = source.join("_output/bin/kube-apiserver");
    fs::rename(built, program).expect("the program can be kept");
    say(&format!("kube-apiserver is built ({} s)", began.elapsed().as_secs()));
    Some(())
}

/// Not by `println`, which tests keep to themselves: it takes minutes.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The unpacked source. The machine's own list of sources stays as it is.
fn fetch(work: &Path, os: &str, suite: &str, mirror: &str) -> PathBuf {
    let apt = work.join("apt");
    for folder in ["lists/partial", "archives/partial", "parts"] {
        fs::create_dir_all(apt.join(folder)).expect("a directory");
    }
    let keys = format!("/usr/share/keyrings/{os}-archive-keyring.gpg");
    let signed = match Path::new(&keys).is_file() {
        true => format!("[signed-by={keys}] "),
        false => String::new(),
    };
    let list = apt.join("sources.list");
    fs::write(&list, format!("deb-src {signed}{mirror} {suite} main\n")).expect("a list");
    let options = [
        format!("Dir::Etc::SourceList={}", list.display()),
        format!("Dir::Etc::SourceParts={}", apt.join("parts").display()),
        format!("Dir::State::Lists={}", apt.join("lists").display()),
        format!("Dir::Cache={}", apt.display()),
    ];
    let get = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(&apt).arg("--quiet");
        command.args(options.iter().flat_map(|option| ["--option", option]));
        finished(command.args(words));
    };
    get(&["update"]);
    get(&["source", "--download-only", "kubernetes"]);
    let files = fs::read_dir(&apt).expect("a directory").flatten().map(|file| file.path());
    let of_description = |file: &PathBuf| file.extension().is_some_and(|end| end == "dsc");
    let description = files.into_iter().find(of_description).expect("apt brings a .dsc");
    let source = work.join("source");
    let mut unpack = Command::new("dpkg-source");
    // apt has checked it against the signed list of the mirror.
    unpack.args(["--no-check", "--extract"]).arg(description).arg(&source);
    finished(&mut unpack);
    source
}

/// The release it was made with crashes on Go from 1.18 on.
fn fresh_reflect(source: &Path) {
    let place = source.join("vendor/github.com/modern-go/reflect2");
    fs::remove_dir_all(&place).expect("the old one goes");
    fs::create_dir(&place).expect("a directory");
    for file in fs::read_dir(REFLECT).expect("its source").flatten() {
        if file.path().is_file() {
            fs::copy(file.path(), place.join(file.file_name())).expect("a file");
        }
    }
}

/// Its own make, with little of the machine: tests of others run beside it.
fn compile(work: &Path, source: &Path, began: Instant) {
    let go = source.join(".go");
    fs::create_dir_all(go.join("src/k8s.io")).expect("a directory");
    std::os::unix::fs::symlink("../../..", go.join("src/k8s.io/kubernetes")).expect("a link");
    let log = work.join("log");
    let file = File::create(&log).expect("a log");
    let mut command = Command::new("nice");
    command.args(["-n", "10", "make", "WHAT=cmd/kube-apiserver"]).current_dir(source);
    command.env("HOME", work.join("home")).env("GOCACHE", work.join("cache"));
    command.env("GOPATH", go).env("CGO_ENABLED", "0").env("GOFLAGS", "-v");
    command.env_remove("GO111MODULE").env_remove("GOPROXY").env_remove("GOROOT");
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("a log")).stderr(file);
    let mut child = command.spawn().expect("nice starts");
    let mut last = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("make is a child") {
            break status;
        }
        if last.elapsed() >= WORD {
            last = Instant::now();
            let told = fs::read_to_string(&log).unwrap_or_default();
            let packages = told.lines().filter(|line| !line.contains(' ')).count();
            let seconds = began.elapsed().as_secs();
            say(&format!("  kube-apiserver: {packages} packages compiled, {seconds} s"));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let told = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<_> = told.lines().collect();
    let end = lines[lines.len().saturating_sub(30)..].join("\n");
    assert!(status.success(), "make: {status}\n{end}");
}
