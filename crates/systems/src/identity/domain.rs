//! A domain of Active Directory, as Samba's controller serves it, with people and groups.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Authority;
use crate::group::Group;
use crate::programs::{finished, has_root_and};

/// Of everybody there.
pub const PASSWORD: &str = "Passw0rd.of.a.test";
/// Below which everybody is.
pub const BASE: &str = "DC=ad,DC=example";
/// Finds people, and may do nothing else.
pub const SERVICE: &str = "CN=service,CN=Users,DC=ad,DC=example";

const START: Duration = Duration::from_secs(60);
/// Samba's own modules are of the distribution's interpreter.
const PYTHON: &str = "/usr/bin/python3";

/// A running controller; ended when dropped.
pub struct Domain {
    /// `ldaps://ADDRESS`: its ports cannot be chosen, so it has an address of its own.
    pub url: String,
    /// Who vouches for it.
    pub authority: PathBuf,
    config: PathBuf,
    _running: Group,
    _state: TempDir,
}

impl Domain {
    /// Disables an account.
    pub fn disable(&self, name: &str) {
        let database = self.config.with_file_name("../private/sam.ldb");
        let mut tool = Command::new("samba-tool");
        tool.args(["user", "disable", name, "-H"]).arg(database).arg("-s").arg(&self.config);
        finished(&mut tool);
    }

    /// None, plainly said, where it cannot be.
    pub fn start() -> Option<Self> {
        if !has_root_and(&["samba", "samba-tool"]) {
            return None;
        }
        if !has_modules() {
            return None;
        }
        let state = tempfile::tempdir().expect("a temporary directory");
        let address = address();
        let config = provisioned(state.path(), address);
        let names = [&*address.to_string(), "dc.ad.example"];
        Authority::new(state.path()).server(state.path(), "dc.ad.example", &names);
        let running = run(state.path(), &config);
        let log = state.path().join("log");
        let deadline = Instant::now() + START;
        while TcpStream::connect((address, 636)).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "samba does not listen; its log:\n{}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            url: format!("ldaps://{address}"),
            authority: state.path().join("authority.crt"),
            config,
            _running: running,
            _state: state,
        })
    }
}

/// What Debian keeps in packages of their own.
fn has_modules() -> bool {
    let libraries = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let libraries: Vec<PathBuf> = libraries.map(|folder| folder.path()).collect();
    let library = |path: &str| libraries.iter().any(|folder| folder.join(path).is_file());
    let packages = [
        ("samba-ad-provision", Path::new("/usr/share/samba/setup/ad-schema").is_dir()),
        ("samba-dsdb-modules", library("samba/ldb/samldb.so")),
        ("samba-vfs-modules", library("samba/vfs/acl_xattr.so")),
        ("python3-samba", Path::new("/usr/lib/python3/dist-packages/samba/samdb.py").is_file()),
    ];
    let missing = packages.into_iter().filter_map(|(name, is_there)| (!is_there).then_some(name));
    let missing: Vec<&str> = missing.collect();
    if !missing.is_empty() {
        println!("could not run: {missing:?} are not here; `cargo xtask test` installs them");
    }
    missing.is_empty()
}

/// An address of this machine that nobody serves directories at.
fn address() -> Ipv4Addr {
    let own = std::process::id().to_be_bytes();
    (1..=254)
        .map(|last| Ipv4Addr::new(127, 64 + own[2] % 64, own[3], last))
        .find(|address| [389, 636].iter().all(|port| TcpListener::bind((*address, *port)).is_ok()))
        .expect("an address of loopback is free")
}

/// Makes the domain and all in it; returns its configuration.
fn provisioned(state: &Path, address: Ipv4Addr) -> PathBuf {
    // Nothing of the machine's own configuration.
    let empty = state.join("empty.conf");
    fs::write(&empty, "[global]\n").expect("a file");
    let domain = state.join("domain");
    let mut tool = Command::new("samba-tool");
    tool.args(["domain", "provision", "--use-rfc2307", "--realm=AD.EXAMPLE", "--domain=AD"]);
    tool.args(["--server-role=dc", "--dns-backend=NONE", "--host-name=dc"]);
    tool.arg(format!("--host-ip={address}")).arg(format!("--adminpass={PASSWORD}"));
    tool.arg(format!("--option=interfaces={address}/8")).arg("--option=bind interfaces only=yes");
    tool.arg(format!("--targetdir={}", domain.display())).arg("-s").arg(&empty);
    finished(&mut tool);
    let script = state.join("domain.py");
    fs::write(&script, include_str!("domain.py")).expect("a script");
    let config = domain.join("etc/smb.conf");
    let mut python = Command::new(PYTHON);
    python.arg("-I").arg("-B").arg(&script).arg(domain.join("private/sam.ldb")).arg(&config);
    finished(&mut python);
    config
}

fn run(state: &Path, config: &Path) -> Group {
    let mut samba = Group::command("samba");
    samba.args(["--interactive", "--model=single", "-s"]).arg(config);
    samba.arg("--option=server services=ldap");
    let file = |name: &str| state.join(name).display().to_string();
    for (option, value) in [
        ("log file", file("log.%m")),
        ("pid directory", state.display().to_string()),
        ("ncalrpc dir", file("ncalrpc")),
        ("tls cafile", file("authority.crt")),
        ("tls certfile", file("server.crt")),
        ("tls keyfile", file("server.key")),
    ] {
        samba.arg(format!("--option={option}={value}"));
    }
    let log = File::create(state.join("log")).expect("a log");
    samba.stdout(Stdio::from(log.try_clone().expect("a log"))).stderr(log);
    Group::start(samba)
}
