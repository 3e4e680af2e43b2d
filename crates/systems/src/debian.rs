//! A base image as a distribution makes it: debootstrapped once per machine from its own mirror.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Url;

use crate::programs::{self, finished, run};

/// What it takes to make it; only root may.
const PROGRAMS: &[&str] = &["debootstrap", "umoci"];
/// Python, and what installs its packages.
const PACKAGES: &str = "python3,python3-pip,ca-certificates";
/// Changes with what is written below, so that an older image is not taken for it.
const EDITION: &str = "1";
/// `PATH` of the image.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Tag of the image in its layout.
pub const FIRST: &str = "first";
/// Tag of the same with [`MARK`] in it.
pub const SECOND: &str = "second";
/// A directory that only the second image has.
pub const MARK: &str = "/etc/dispatch-mark";

/// An image of this machine's own release, and where its packages come from.
#[derive(Debug, Clone)]
pub struct Debian {
    /// An OCI layout with the tags [`FIRST`] and [`SECOND`].
    pub layout: PathBuf,
    /// `ID` of its os-release.
    pub os: String,
    mirror: Url,
    proxy: Option<Url>,
}

impl Debian {
    /// The image, made if this is the first test of this machine that wants it. None, plainly said,
    /// where it is not there and cannot be made.
    pub fn get() -> Option<Self> {
        let (os, suite) = (release("ID")?, release("VERSION_CODENAME")?);
        let Some(mirror) = mirror(&suite) else {
            println!("could not run: /etc/apt names no http or https mirror of {suite}");
            return None;
        };
        let proxy = proxy(mirror.scheme());
        let tools = programs::tools();
        let layout = tools.join(format!("image-{os}-{suite}-{EDITION}"));
        let debian = Self { layout, os, mirror, proxy };
        // It is there as a whole or not at all, for users who may not write beside it too.
        if !debian.layout.is_dir() {
            debian.make(&suite, &tools)?;
        }
        Some(debian)
    }

    /// Hosts that a build's package manager connects to, as `images.build_egress` names them.
    pub fn egress(&self) -> Vec<String> {
        let ask = self.proxy.as_ref().unwrap_or(&self.mirror);
        let host = ask.host_str().expect("a mirror has a host");
        vec![ask.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))]
    }

    /// Where requests for packages can be sent as text, `HOST:PORT`: this machine's proxy, or a
    /// mirror without TLS.
    pub fn plain(&self) -> Option<String> {
        let ask = self.proxy.as_ref().unwrap_or(&self.mirror);
        let port = ask.port_or_known_default()?;
        (ask.scheme() == "http" && self.mirror.scheme() == "http")
            .then(|| format!("{}:{port}", ask.host_str().unwrap_or_default()))
    }

    /// This machine's proxy, as `images.build_environment` names it.
    pub fn environment(&self) -> Vec<String> {
        let proxy = self.proxy.iter();
        proxy.map(|proxy| format!("{}_proxy={proxy}", self.mirror.scheme())).collect()
    }

    fn make(&self, suite: &str, tools: &Path) -> Option<()> {
        if !programs::has_root_and(PROGRAMS) {
            return None;
        }
        fs::create_dir_all(tools).expect("a directory of tools");
        // Tests run side by side, also those of other programs.
        let lock = File::create(self.layout.with_extension("lock")).expect("a lock's file");
        lock.lock().expect("a lock");
        if self.layout.is_dir() {
            return Some(());
        }
        let ask = self.proxy.as_ref().unwrap_or(&self.mirror);
        if let Err(error) = reach(ask) {
            println!("could not run: the mirror of this machine's packages: {error}");
            return None;
        }
        // Not by `println`, which tests keep to themselves: it takes a minute or two.
        let _ = writeln!(std::io::stderr(), "making a base image of {suite}, once per machine …");
        let work = tempfile::tempdir_in(tools).expect("a temporary directory");
        let (root, layout) = (work.path().join("root"), work.path().join("layout"));
        let mut command = Command::new("debootstrap");
        command.args(["--variant=minbase", &format!("--include={PACKAGES}"), suite]);
        command.arg(&root).arg(self.mirror.as_str());
        if let Some(proxy) = &self.proxy {
            command.env(format!("{}_proxy", self.mirror.scheme()), proxy.as_str());
        }
        finished(&mut command);
        slim(&root);
        let at = layout.display().to_string();
        let (first, root) = (format!("{at}:{FIRST}"), root.display().to_string());
        run("umoci", &["init", "--layout", &at]);
        run("umoci", &["new", "--image", &first]);
        run("umoci", &["insert", "--image", &first, &root, "/"]);
        let path = format!("PATH={PATH}");
        run("umoci", &["config", "--image", &first, "--config.env", &path, "--config.cmd", "sh"]);
        let mark = work.path().join("mark");
        // Not a file: umoci does not pad what comes last in a layer, and strict readers mind.
        fs::create_dir(&mark).expect("a directory");
        let mark = mark.display().to_string();
        run("umoci", &["insert", "--image", &first, "--tag", SECOND, &mark, MARK]);
        fs::rename(&layout, &self.layout).expect("the layout can be kept");
        Some(())
    }
}

/// Takes out what the images of distributions leave out too. Directories stay: packages that are
/// installed later make links in them.
fn slim(root: &Path) {
    let script = "cd \"$1\" || exit 1\n\
        rm -rf var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb var/log/*\n\
        find usr/share/man usr/share/info usr/share/locale ! -type d -delete\n\
        find usr/share/doc -type f ! -name copyright -delete\n";
    run("sh", &["-ec", script, "sh", &root.display().to_string()]);
}

/// A value of this machine's os-release.
pub(crate) fn release(name: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    if value.is_none() {
        println!("could not run: this machine's os-release has no {name}");
    }
    value.map(|value| value.trim_matches('"').to_owned())
}

/// The mirror that this machine has the release itself from.
pub(crate) fn mirror(suite: &str) -> Option<Url> {
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<_> = parts.map(|part| part.path()).collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    let read = |file: &PathBuf| fs::read_to_string(file).unwrap_or_default();
    let found = files.iter().flat_map(|file| {
        let text = read(file);
        if file.extension().is_some_and(|extension| extension == "sources") {
            text.split("\n\n").filter_map(|stanza| stanza_mirror(stanza, suite)).collect()
        } else {
            text.lines().filter_map(|line| line_mirror(line, suite)).collect::<Vec<_>>()
        }
    });
    let mut urls = found.filter_map(|url| Url::parse(&url).ok());
    urls.find(|url| matches!(url.scheme(), "http" | "https"))
}

/// `deb [options] URL SUITE COMPONENT…`
fn line_mirror(line: &str, suite: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let words: Vec<_> = rest.split_whitespace().collect();
    let (url, named, components) = (words.first()?, words.get(1)?, words.get(2..)?);
    (*named == suite && components.contains(&"main")).then(|| (*url).to_owned())
}

/// The fields of a stanza in a `.sources` file; a line that begins with a space goes on.
fn stanza_mirror(stanza: &str, suite: &str) -> Option<String> {
    let field = |name: &str| {
        let mut lines = stanza.lines().filter(|line| !line.starts_with('#'));
        let first = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let more = lines.take_while(|line| line.starts_with([' ', '\t']));
        let words = std::iter::once(first).chain(more).flat_map(str::split_whitespace);
        Some(words.collect::<Vec<_>>())
    };
    let has = |name, word| field(name).is_some_and(|words| words.contains(&word));
    let off = has("Enabled", "no") || has("Enabled", "false");
    let it = !off && has("Types", "deb") && has("Suites", suite) && has("Components", "main");
    it.then(|| field("URIs")?.first().map(|url| (*url).to_owned()))?
}

/// The proxy this machine reaches its mirror by: of the environment, or of apt's settings.
pub(crate) fn proxy(scheme: &str) -> Option<Url> {
    let names = [format!("{scheme}_proxy"), format!("{scheme}_proxy").to_uppercase()];
    let of_environment = names.iter().find_map(|name| std::env::var(name).ok());
    let text = of_environment.filter(|text| !text.is_empty()).or_else(|| {
        let key = format!("Acquire::{scheme}::Proxy");
        let output = Command::new("apt-config").args(["dump", &key]).output().ok()?;
        let told = String::from_utf8(output.stdout).ok()?;
        // Acquire::http::Proxy "http://proxy.example.org:3128";
        told.lines().find_map(|line| line.strip_prefix(&key)?.split('"').nth(1).map(str::to_owned))
    })?;
    Url::parse(&text).ok()
}

pub(crate) fn reach(url: &Url) -> Result<(), String> {
    let host = url.host_str().ok_or_else(|| format!("{url} has no host"))?;
    let place = (host, url.port_or_known_default().unwrap_or(80));
    let addresses = place.to_socket_addrs().map_err(|e| format!("{host}: {e}"))?;
    let connect = |address| std::net::TcpStream::connect_timeout(&address, Duration::from_secs(10));
    let mut last = format!("{host} has no address");
    for address in addresses {
        match connect(address) {
            Ok(_) => return Ok(()),
            Err(error) => last = format!("{host}: {error}"),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_found_in_both_kinds_of_files() {
        let line = "deb [arch=amd64 signed-by=/k] http://m.example.org/d wide contrib main";
        assert_eq!(line_mirror(line, "wide").as_deref(), Some("http://m.example.org/d"));
        assert_eq!(line_mirror(line, "other"), None);
        assert_eq!(line_mirror(&line.replace("deb ", "deb-src "), "wide"), None);
        let stanza = "Types: deb\n# URIs: http://old.example.org\nURIs: http://m.example.org/d\n\
            Suites: wide\n wide-updates\nComponents: main\n";
        assert_eq!(stanza_mirror(stanza, "wide").as_deref(), Some("http://m.example.org/d"));
        assert!(stanza_mirror(stanza, "wide-updates").is_some());
        assert_eq!(stanza_mirror(stanza, "other"), None);
        let off = format!("{stanza}Enabled: no\n");
        assert_eq!(stanza_mirror(&off, "wide"), None);
    }
}
