//! Docker's engine, or Podman's service that speaks the same, started by hand: no network of its
//! own, and nothing of it stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::programs::{finished, free_address};
use crate::running::Running;

/// What it takes to start one; only root may.
pub const PROGRAMS: &[&str] = &["dockerd", "containerd", "runc", "docker", "unshare", "setpriv"];
/// The same for Podman, which Docker's client speaks to.
pub const PODMAN: &[&str] = &["podman", "conmon", "runc", "docker", "unshare", "setpriv"];

/// Debian's client: of the release its engine is of, which another in `PATH` may be too new for.
const CLIENT: &str = "/usr/bin/docker";
/// File with the address where it listens besides its socket.
const ADDRESS: &str = "address";
const CGROUPS: &str = "/sys/fs/cgroup";
/// Longest time to its first answer, and to its last.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running engine. Dropping it ends it with all its containers.
pub struct Docker {
    /// `None` while it is halted.
    running: Option<Running>,
    /// Name of the control group above those of its containers.
    group: String,
    command: fn(state: &Path, group: &str) -> Command,
    // The last field: all has ended when it goes.
    state: TempDir,
}

impl Docker {
    /// In namespaces of its own: what it mounts and starts goes with its first process, also
    /// when that is killed.
    pub fn start() -> Self {
        Self::started(dockerd, |_| ())
    }

    /// Podman's service in the place of Docker's, which pulls from this registry without TLS.
    pub fn podman(registry: &str) -> Self {
        let registries = format!("[[registry]]\nlocation = \"{registry}\"\ninsecure = true\n");
        Self::started(podman, |state| {
            fs::write(state.join("registries.conf"), registries).expect("its registries");
        })
    }

    /// Docker's engine that listens on loopback too, for clients with a certificate.
    pub fn with_tls() -> Self {
        Self::started(dockerd, |state| {
            crate::kubernetes::certificates::write(state);
            fs::write(state.join(ADDRESS), free_address().to_string()).expect("its address");
        })
    }

    /// Where that is: `tcp://HOST:PORT`.
    pub fn tls_host(&self) -> String {
        let address = fs::read_to_string(self.path().join(ADDRESS));
        format!("tcp://{}", address.expect("it was started with TLS"))
    }

    /// What its clients need: `authority.crt`, `client.crt` and `client.key`.
    pub fn certificate(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    fn started(command: fn(&Path, &str) -> Command, prepare: impl FnOnce(&Path)) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let name = state.path().file_name().expect("it has a name").to_string_lossy();
        let group = format!("dispatch-test-{}", name.trim_start_matches('.'));
        prepare(state.path());
        let running = Some(spawn(command(state.path(), &group), state.path()));
        let docker = Self { running, group, command, state };
        docker.wait();
        docker
    }

    /// Ends it with all that runs, as a machine that loses its power.
    pub fn halt(&mut self) {
        self.end();
        // Of no use any more, and in its way when it comes back.
        let _ = fs::remove_file(self.path().join("pid"));
        let _ = fs::remove_dir_all(self.path().join("run"));
    }

    /// Starts it again with the images and the ended containers it had.
    pub fn resume(&mut self) {
        self.running = Some(spawn((self.command)(self.path(), &self.group), self.path()));
        self.wait();
    }

    /// As clients name it: `unix:///PATH`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path().join("socket").display())
    }

    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.client().arg("version").output().is_ok_and(|o| o.status.success()) {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.path().join("log")).unwrap_or_default();
                panic!("the engine does not answer; its log:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn path(&self) -> &Path {
        self.state.path()
    }

    fn client(&self) -> Command {
        let debian = Path::new(CLIENT).is_file();
        let mut command = Command::new(if debian { CLIENT } else { "docker" });
        // Nobody's credentials and contexts.
        command.env("DOCKER_CONFIG", self.path().join("client")).env_remove("DOCKER_CONTEXT");
        command.arg("--host").arg(self.host());
        command
    }

    /// Runs Docker's client to its end and returns what it printed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        finished(self.client().args(arguments))
    }

    /// The same for commands that may fail: then with what it said.
    pub fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.client().args(arguments).output().map_err(|e| e.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// What a container printed so far, both streams.
    pub fn logs(&self, container: &str) -> String {
        let output = self.client().args(["logs", container]).output().expect("docker starts");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn end(&mut self) {
        drop(self.running.take());
        // The kernel ends what is left, and a group can go only when nothing is in it.
        let deadline = Instant::now() + PATIENCE;
        while !self.groups().iter().all(|group| removed(group)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The control groups of its containers' parent, one in each hierarchy; and those that Podman
    /// makes for each container.
    fn groups(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(CGROUPS).into_iter().flatten().flatten();
        let places = all.map(|controller| controller.path()).chain([CGROUPS.into()]);
        let containers = fs::read_dir(self.path().join("data/overlay-containers"));
        let containers = containers.into_iter().flatten().flatten().map(|container| {
            format!("libpod_parent/libpod-{}", container.file_name().to_string_lossy())
        });
        let names: Vec<String> = containers.chain([self.group.clone()]).collect();
        let found = places.flat_map(|place| names.iter().map(move |name| place.join(name)));
        found.filter(|group| group.is_dir()).collect()
    }
}

/// In namespaces of its own, which end with the test, also when that is killed.
fn spawn(command: Command, state: &Path) -> Running {
    let log = fs::File::create(state.join("log")).expect("a log");
    let mut apart = Command::new("setpriv");
    apart.args(["--pdeathsig", "KILL", "--", "unshare"]);
    apart.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    apart.arg(command.get_program()).args(command.get_args());
    apart.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    apart.stdout(Stdio::null()).stderr(log);
    Running::start(apart)
}

fn dockerd(state: &Path, group: &str) -> Command {
    let place = |name: &str| state.join(name).display().to_string();
    let mut command = Command::new("dockerd");
    command.args(["--iptables=false", "--ip-masq=false", "--bridge=none"]);
    command.args(["--storage-driver=overlay2", "--data-root", &place("data")]);
    command.args(["--exec-root", &place("run"), "--pidfile", &place("pid")]);
    command.args(["--host", &format!("unix://{}", place("socket"))]);
    // Besides those of another engine that this machine may have, with its settings.
    command.args(["--cgroup-parent", &format!("/{group}"), "--config-file", &place("none")]);
    fs::write(place("none"), "{}").expect("its settings");
    if let Ok(address) = fs::read_to_string(place(ADDRESS)) {
        command.args(["--host", &format!("tcp://{address}"), "--tlsverify"]);
        command.args(["--tlscacert", &place("authority.crt")]);
        command.args(["--tlscert", &place("server.crt"), "--tlskey", &place("server.key")]);
    }
    command
}

/// Its containers' groups lie where those of all of this machine's Podman do.
fn podman(state: &Path, _group: &str) -> Command {
    let place = |name: &str| state.join(name).display().to_string();
    let mut command = Command::new("podman");
    command.args(["--root", &place("data"), "--runroot", &place("run"), "--runtime", "runc"]);
    command.args(["--tmpdir", &place("run/libpod"), "--cgroup-manager", "cgroupfs"]);
    command.args(["--storage-driver", "overlay", "--events-backend", "file"]);
    command.args(["system", "service", "--time=0", &format!("unix://{}", place("socket"))]);
    command.env("CONTAINERS_REGISTRIES_CONF", place("registries.conf"));
    command
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.end();
    }
}

fn removed(group: &Path) -> bool {
    for below in fs::read_dir(group).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            removed(&below.path());
        }
    }
    fs::remove_dir(group).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::{has, has_root_and, run};

    #[test]
    fn nothing_is_left_of_an_engine_and_what_it_ran() {
        let busybox = Path::new("/bin/busybox");
        if !has_root_and(PROGRAMS) || !has(&["busybox", "tar"]) {
            return;
        }
        let docker = Docker::start();
        let (root, archive) = (docker.path().join("root"), docker.path().join("root.tar"));
        fs::create_dir(&root).expect("a directory");
        fs::copy(busybox, root.join("busybox")).expect("busybox");
        let (root, archive) = (root.display().to_string(), archive.display().to_string());
        run("tar", &["--create", "--file", &archive, "--directory", &root, "."]);
        docker.run(&["import", &archive, "small"]);
        docker.run(&["run", "--detach", "--network=none", "small", "/busybox", "sleep", "1000"]);
        let processes = |group: &PathBuf| -> Vec<String> {
            let below = fs::read_dir(group).into_iter().flatten().flatten();
            let lists = below.map(|below| below.path().join("cgroup.procs"));
            let lists = lists.filter_map(|list| fs::read_to_string(list).ok());
            lists.flat_map(|list| list.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
        };
        let running: Vec<_> = docker.groups().iter().flat_map(processes).collect();
        assert!(!running.is_empty(), "no process in {:?}", docker.groups());
        let (state, group) = (docker.path().to_owned(), docker.group.clone());
        drop(docker);
        assert!(running.iter().all(|id| !Path::new("/proc").join(id).exists()), "{running:?}");
        let mounts = fs::read_to_string("/proc/self/mounts").expect("what is mounted");
        assert!(!state.exists() && !mounts.contains(&state.display().to_string()));
        let groups = fs::read_dir(CGROUPS).into_iter().flatten().flatten();
        assert!(groups.into_iter().all(|place| !place.path().join(&group).exists()));
    }
}
