//! What tests and the demo need from outside: installed here, or named with the command to type.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// A Debian package and the program that shows it is there.
struct Package {
    name: &'static str,
    programs: &'static [&'static str],
    why: &'static str,
}

/// What the demo needs.
const PACKAGES: &[Package] = &[
    Package { name: "gcc", programs: &["cc"], why: "to build" },
    Package { name: "curl", programs: &["curl"], why: "the demo calls functions with it" },
    Package { name: "python3", programs: &["python3"], why: "Python functions" },
    Package { name: "python3-venv", programs: &[], why: "tools for Python components" },
    Package { name: "nodejs", programs: &["node"], why: "JavaScript functions" },
    Package { name: "npm", programs: &["npm"], why: "tools for JavaScript components" },
    Package { name: "openjdk-17-jdk-headless", programs: &["javac"], why: "Java functions" },
    Package { name: "ruby", programs: &["ruby"], why: "Ruby functions" },
    Package { name: "php-cli", programs: &["php"], why: "PHP functions" },
];

/// What tests need besides.
const TEST_PACKAGES: &[Package] = &[
    Package { name: "python3-pip", programs: &[], why: "packages of Python images" },
    Package { name: "python3-dev", programs: &[], why: "a Python package with native code" },
    Package { name: "ruby-bundler", programs: &["bundle"], why: "packages of Ruby images" },
    Package { name: "ruby-dev", programs: &[], why: "a gem with native code" },
    Package { name: "composer", programs: &["composer"], why: "packages of PHP images" },
    Package { name: "maven", programs: &["mvn"], why: "packages of Java images" },
    Package {
        name: "libmaven-dependency-plugin-java",
        programs: &[],
        why: "Maven's plugin for them",
    },
    Package { name: "junit4", programs: &[], why: "that plugin needs it and does not say so" },
    Package { name: "sqlite3", programs: &["sqlite3"], why: "large databases of RPM in tests" },
    Package { name: "rpm", programs: &["rpm", "rpmbuild"], why: "tests of RPM's database" },
    Package { name: "openssl", programs: &["openssl"], why: "keys and certificates in tests" },
    Package { name: "docker-registry", programs: &["docker-registry"], why: "tests of registries" },
    Package {
        name: "docker.io",
        programs: &["dockerd", "docker", "containerd", "runc"],
        why: "runs functions' images in tests",
    },
    Package {
        name: "podman",
        programs: &["podman", "conmon"],
        why: "runs functions' images in tests as well",
    },
    Package { name: "skopeo", programs: &["skopeo"], why: "reads and writes images in tests" },
    Package { name: "umoci", programs: &["umoci"], why: "unpacks images in tests" },
    Package { name: "busybox-static", programs: &["busybox"], why: "a small image in tests" },
    Package { name: "debootstrap", programs: &["debootstrap"], why: "a Debian image in tests" },
    Package { name: "apache2-utils", programs: &["htpasswd"], why: "a registry with a password" },
    Package { name: "etcd-server", programs: &["etcd"], why: "tests of Kubernetes" },
    Package { name: "golang-go", programs: &["go"], why: "builds kube-apiserver for tests, once" },
    Package {
        name: "golang-github-modern-go-reflect2-dev",
        programs: &[],
        why: "kube-apiserver needs a newer one than it brings",
    },
    Package { name: "dpkg-dev", programs: &["dpkg-source"], why: "unpacks its source" },
    Package { name: "make", programs: &["make"], why: "builds kube-apiserver" },
    Package { name: "rsync", programs: &["rsync"], why: "builds kube-apiserver" },
    Package { name: "xz-utils", programs: &["xz"], why: "unpacks its source" },
    Package { name: "postgresql", programs: &[], why: "tests on PostgreSQL" },
    Package { name: "chromium", programs: &["chromium"], why: "signs in as people do in tests" },
    Package { name: "chromium-driver", programs: &["chromedriver"], why: "drives it" },
    Package { name: "slapd", programs: &["slapd", "slapadd"], why: "tests of directories" },
    Package {
        name: "samba",
        programs: &["samba", "samba-tool"],
        why: "an Active Directory domain in tests",
    },
    Package { name: "samba-ad-provision", programs: &[], why: "makes that domain" },
    Package { name: "samba-dsdb-modules", programs: &[], why: "its database" },
    Package { name: "samba-vfs-modules", programs: &[], why: "its shared folder" },
    Package { name: "python3-samba", programs: &[], why: "fills it" },
];
/// What setup could not bring.
pub struct Missing(pub Vec<&'static str>);

/// What setup is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    Demo,
    Tests,
}

/// Installs what is missing where it may, and says what to type where it may not.
pub fn run(what: For) -> Result<Missing> {
    let needed = || {
        let tests = TEST_PACKAGES.iter().filter(|_| what == For::Tests);
        PACKAGES.iter().chain(tests).filter(|package| !is_there(package))
    };
    let missing: Vec<&Package> = needed().collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    component_tools();
    if what == For::Tests {
        aws_tools();
        identity_tools();
    }
    Ok(Missing(needed().map(|package| package.name).collect()))
}

/// Folder of the tools that turn Python and JavaScript into components.
pub fn tools() -> PathBuf {
    shell::target().join("tools")
}

fn is_there(package: &Package) -> bool {
    match package.name {
        "postgresql" => postgres().is_some(),
        "python3-venv" => answers("python3", &["-c", "import venv, ensurepip"]),
        "python3-pip" => answers("python3", &["-c", "import pip"]),
        "python3-dev" => answers("python3", &["-c", PYTHON_HEADER]),
        "ruby-dev" => answers("ruby", &["-rrbconfig", "-e", RUBY_HEADER]),
        "libmaven-dependency-plugin-java" => {
            maven("org/apache/maven/plugins/maven-dependency-plugin")
        }
        "golang-github-modern-go-reflect2-dev" => {
            Path::new("/usr/share/gocode/src/github.com/modern-go/reflect2").is_dir()
        }
        "junit4" => maven("junit/junit/4.x"),
        "samba-ad-provision" => Path::new("/usr/share/samba/setup/ad-schema").is_dir(),
        "samba-dsdb-modules" => library("samba/ldb/samldb.so"),
        "samba-vfs-modules" => library("samba/vfs/acl_xattr.so"),
        "python3-samba" => answers("/usr/bin/python3", &["-c", "import samba.samdb"]),
        // An ordinary user's PATH has no folder of root's programs; they are there all the same.
        _ => package
            .programs
            .iter()
            .all(|program| shell::has(program) || Path::new("/usr/sbin").join(program).is_file()),
    }
}

/// PostgreSQL's server program: Debian keeps it out of PATH.
fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|v| v.path().join("bin/postgres")).find(|file| file.is_file());
    debian.or_else(|| shell::find("postgres"))
}

const PYTHON_HEADER: &str =
    "import sysconfig; open(sysconfig.get_paths()['include'] + '/Python.h').close()";
const RUBY_HEADER: &str = "exit File.exist?(RbConfig::CONFIG['rubyhdrdir'] + '/ruby.h')";

/// Whether a program is there and content with what it is asked.
fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Whether there is a library, in the folder of whichever machine this is.
fn library(path: &str) -> bool {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.into_iter().any(|folder| folder.path().join(path).is_file())
}

/// Whether Debian's repository of Maven artifacts has one.
fn maven(artifact: &str) -> bool {
    Path::new("/usr/share/maven-repo").join(artifact).is_dir()
}

fn install(missing: &[&Package]) -> Result<()> {
    let names: Vec<_> = missing.iter().map(|p| p.name).collect();
    if !shell::is_root() || !shell::has("apt-get") {
        println!("These Debian packages are missing, and only root may install them:");
        for package in missing {
            println!("    {:<26} {}", package.name, package.why);
        }
        println!("To have them: sudo apt-get install -y {}", names.join(" "));
        println!("Going on without; what needs them says so.");
        return Ok(());
    }
    shell::say(&format!("installing Debian packages: {}", names.join(" ")));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    shell::run_quietly("reading package lists", apt().arg("update"))?;
    let mut command = apt();
    command.args(["install", "-y", "--no-install-recommends"]).args(&names);
    shell::run_quietly("installing packages", &mut command)?;
    Ok(())
}

/// Stand-ins of AWS, and its own library to hold them and us against.
fn aws_tools() {
    let packages = ["ministack==1.5.33", "moto[server]==5.2.5", "boto3==1.43.106", "docker==7.2.0"];
    python_tools("aws", "moto_server", &packages, "tests of AWS Lambda");
}

/// A virtual environment with packages of Python; `shows` is a program that is in it then.
fn python_tools(folder: &str, shows: &str, packages: &[&str], why: &str) {
    let python = tools().join(folder);
    if python.join("bin").join(shows).is_file()
        || !answers("python3", &["-c", "import venv, ensurepip"])
    {
        return;
    }
    shell::say(&format!("installing {} ({why})", packages.join(", ")));
    let made = shell::run_quietly(
        "making a virtual environment",
        Command::new("python3").args(["-m", "venv"]).arg(&python),
    );
    let installed = made.and_then(|_| {
        let mut pip = Command::new(python.join("bin/pip"));
        pip.args(["install", "--quiet"]).args(packages);
        shell::run_quietly("installing them", &mut pip)
    });
    report(packages[0], installed);
}

/// OpenID providers: one that is certified, and one that forges.
fn identity_tools() {
    let packages = ["oidc-provider@9.13.3", "oauth2-mock-server@8.2.3"];
    node_tools("identity", "oauth2-mock-server", &packages, "tests of OpenID Connect");
}

/// componentize-py and componentize-js; functions of other kinds work without them.
fn component_tools() {
    let why = "Python functions on the wasm engine";
    python_tools("python", "componentize-py", &["componentize-py==0.25.1"], why);
    let packages = ["@bytecodealliance/componentize-js@0.23.0"];
    let why = "JavaScript functions on the wasm engine";
    node_tools("node", "@bytecodealliance/componentize-js", &packages, why);
}

/// A folder with packages of Node; `shows` is a package that is in it then.
fn node_tools(folder: &str, shows: &str, packages: &[&str], why: &str) {
    let node = tools().join(folder);
    if node.join("node_modules").join(shows).is_dir() || !shell::has("npm") {
        return;
    }
    shell::say(&format!("installing {} ({why})", packages.join(", ")));
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]);
    npm.arg(&node).args(packages);
    let installed = std::fs::create_dir_all(&node)
        .map_err(anyhow::Error::from)
        .and_then(|()| shell::run_quietly("installing them", &mut npm));
    report(packages[0], installed);
}

fn report(tool: &str, outcome: Result<String>) {
    if let Err(error) = outcome {
        println!("could not install {tool}: {error:#}\nGoing on without it.");
    }
}
