//! Which hosts a function may reach: none but those its `egress` names. Both engines ask here.
//!
//! A name is looked up once, by the server, and the connection goes to an address that look-up
//! gave and this module accepted: no second look-up can lead elsewhere.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use dispatch_model::{Reach, Violation};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// The one name that means the machine itself.
pub const LOCALHOST: &str = "localhost";

/// Longest wait for a connection.
pub const CONNECT: Duration = Duration::from_secs(30);

/// Names that are looked up at the same time: each takes a thread, and a name server may be slow.
static LOOK_UPS: Semaphore = Semaphore::const_new(64);

/// The rules of one function. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Egress {
    rules: Arc<[Rule]>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub host: Host,
    /// Any, when absent.
    pub port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Name(String),
    /// Every name that ends so: begins with a dot.
    Below(String),
    Address(IpAddr),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the function's `egress` does not name {0}")]
    NotNamed(String),
    #[error("{host} leads to {address}, {why}")]
    Closed { host: String, address: IpAddr, why: &'static str },
    #[error("{host} has no address: {error}")]
    NoAddress { host: String, error: io::Error },
    #[error("{host} cannot be reached: {error}")]
    Unreachable { host: String, error: io::Error },
}

impl Egress {
    /// The operator says whether functions may name the machine itself: what listens there for
    /// loopback only mostly trusts whoever reaches it, the server's own API among it.
    ///
    /// # Errors
    /// Names the entry that is none, or is the machine where that is not allowed.
    pub fn new(entries: &[String], to_machine: bool) -> Result<Self, Violation> {
        let rules: Result<Arc<[Rule]>, _> = entries.iter().map(|e| Rule::parse(e)).collect();
        let rules = rules?;
        let machine = rules.iter().position(Rule::is_machine).filter(|_| !to_machine);
        match machine.and_then(|at| entries.get(at)) {
            None => Ok(Self { rules }),
            Some(entry) => {
                let rule = format!(
                    "{entry:?} is the machine the server runs on; the operator has to allow that \
                     with `egress_to_machine = true`"
                );
                Err(Violation::new("egress", rule))
            }
        }
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Connects to a host if the rules allow it.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Refusal> {
        let unreachable = |error| Refusal::Unreachable { host: host.to_owned(), error };
        let connect = async {
            let mut last = io::Error::other("there is no address");
            for address in self.resolve(host, port, look_up).await? {
                match TcpStream::connect(SocketAddr::new(address, port)).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(unreachable(last))
        };
        let connected = tokio::time::timeout(CONNECT, connect).await;
        connected.unwrap_or_else(|_| Err(unreachable(io::ErrorKind::TimedOut.into())))
    }

    /// The addresses of a host that may be connected to; at least one.
    async fn resolve(
        &self,
        host: &str,
        port: u16,
        look_up: impl AsyncFnOnce(&str) -> io::Result<Vec<IpAddr>>,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let named: Vec<_> = self.rules.iter().filter(|rule| rule.allows(host, port)).collect();
        if named.is_empty() {
            return Err(Refusal::NotNamed(format!("{host}:{port}")));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let exactly = named.iter().any(|rule| matches!(rule.host, Host::Name(_)));
        let no_address = |error| Refusal::NoAddress { host: host.to_owned(), error };
        let found = look_up(host).await.map_err(no_address)?;
        let closed = |address: &IpAddr| match Reach::of(*address) {
            Reach::Public => None,
            Reach::Private if exactly => None,
            Reach::Private => Some("a private address: `egress` has to name the host itself"),
            Reach::Machine if exactly && is_localhost(host) => None,
            Reach::Machine => {
                Some("which is this machine: only `localhost` or an address means it")
            }
            Reach::Never => Some(NEVER),
        };
        let open: Vec<_> = found.iter().copied().filter(|a| closed(a).is_none()).collect();
        match (found.first(), open.is_empty()) {
            (Some(&address), true) => {
                let (host, why) = (host.to_owned(), closed(&address).unwrap_or_default());
                Err(Refusal::Closed { host, address, why })
            }
            (None, _) => Err(no_address(io::ErrorKind::NotFound.into())),
            _ => Ok(open),
        }
    }
}

/// The system's answer. The permit stays with the look-up, which nothing can end before its time.
async fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let permit = LOOK_UPS.acquire().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        Ok((host.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    });
    found.await.map_err(io::Error::other)?
}

const NEVER: &str =
    "which no function may reach: it is link-local, multicast or a cloud's metadata service";

impl Rule {
    fn parse(entry: &str) -> Result<Self, Violation> {
        let wrong = || {
            let rule = format!("{entry:?} must be a host, *.host, an address, or one with :port");
            Violation::new("egress", rule)
        };
        let address = |address: IpAddr, port| match Reach::of(address) {
            Reach::Never => {
                Err(Violation::new("egress", format!("{entry:?} is an address {NEVER}")))
            }
            _ => Ok(Self { host: Host::Address(address), port }),
        };
        if let Ok(place) = entry.parse::<SocketAddr>() {
            return address(place.ip(), Some(place.port()));
        }
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        if let Ok(only) = bare.parse::<IpAddr>() {
            return address(only, None);
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| wrong())?)),
            None => (entry, None),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let below = name.strip_prefix('*');
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let host = below.map_or(name.as_str(), |rest| rest.strip_prefix('.').unwrap_or_default());
        if host.is_empty() || !host.chars().all(letter) || port == Some(0) {
            return Err(wrong());
        }
        let host = match below {
            Some(rest) => Host::Below(rest.to_owned()),
            None => Host::Name(name),
        };
        Ok(Self { host, port })
    }

    fn is_machine(&self) -> bool {
        match &self.host {
            Host::Name(name) => is_localhost(name),
            Host::Below(_) => false,
            Host::Address(address) => Reach::of(*address) == Reach::Machine,
        }
    }

    fn allows(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        // An address is only ever meant by itself, not by the end of its digits.
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.host == Host::Address(address);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        match &self.host {
            Host::Name(only) => name == *only,
            Host::Below(end) => name.len() > end.len() && name.ends_with(end),
            Host::Address(_) => false,
        }
    }
}

fn is_localhost(host: &str) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case(LOCALHOST)
}

#[cfg(test)]
#[path = "egress/tests.rs"]
mod tests;
