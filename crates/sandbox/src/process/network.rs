//! The network of a worker whose function names `egress`.
//!
//! The worker stays in a net namespace of its own that has nothing but loopback. Before it gives
//! up its rights, it opens listening sockets there and hands them to the server: a socket belongs
//! to the namespace it was made in, wherever it is used. Its `/etc/hosts` gives every host that is
//! named an address on loopback. What connects there is carried, byte for byte, to the real host
//! by the server, which looks the name up and applies the rules: so TLS stays end to end, and no
//! language or protocol has to know. Hosts named by a wildcard have no such address; they are
//! reached through an HTTP proxy, which asks the same rules.

mod carrier;
mod listen;
mod proxy;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dispatch_driver::{Error, Result};
use dispatch_model::code;

use super::plan::Step;
use crate::egress::{Egress, Host, LOCALHOST};

pub use carrier::{Carrier, Limits};
pub use listen::{hand_over, listen, received, space};

/// The addresses that stand for hosts; the first is the proxy's.
const STANDINS: [u8; 2] = [127, 77];
const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 77, 0, 1)), 3128);
/// The ports of a host that is named without one.
const USUAL_PORTS: [u16; 2] = [80, 443];

/// What `/etc/hosts` holds besides; also the whole file of a worker without egress.
pub const HOSTS: &str = "127.0.0.1 localhost dispatch\n::1 localhost\n";

/// What all workers of one deployment have in common.
#[derive(Debug)]
pub struct Network {
    egress: Egress,
    /// The host and port meant by each place a worker can connect to.
    routes: BTreeMap<SocketAddr, (String, u16)>,
    has_proxy: bool,
}

impl Network {
    /// The network a function's `egress` asks for; none when it is empty.
    ///
    /// # Errors
    /// `Fault::Caller` when an entry is not a host, or is none that is allowed.
    pub fn of(entries: &[String], to_machine: bool) -> Result<Option<Self>> {
        if entries.is_empty() {
            return Ok(None);
        }
        let egress = Egress::new(entries, to_machine);
        let egress = egress.map_err(|v| Error::caller(code::ENGINE003, v.to_string()))?;
        let mut routes = BTreeMap::new();
        let mut standins = BTreeMap::new();
        for rule in egress.rules() {
            let (host, address) = match &rule.host {
                Host::Below(_) => continue,
                Host::Address(address) => (address.to_string(), *address),
                Host::Name(name) => {
                    let next = standins.len() as u16 + 2;
                    let address = *standins.entry(name.clone()).or_insert(standin(name, next));
                    (name.clone(), address)
                }
            };
            for port in rule.port.map_or(USUAL_PORTS.to_vec(), |port| vec![port]) {
                routes.insert(SocketAddr::new(address, port), (host.clone(), port));
            }
        }
        let has_proxy = egress.rules().iter().any(|r| matches!(r.host, Host::Below(_)));
        Ok(Some(Self { egress, routes, has_proxy }))
    }

    /// Steps for a namespace whose loopback is up.
    pub fn steps(&self) -> Vec<Step> {
        let places = self.routes.keys().copied().chain(self.has_proxy.then_some(PROXY));
        let addresses: BTreeSet<_> = places.clone().map(|place| place.ip()).collect();
        let given = addresses.into_iter().filter(|a| !a.is_loopback());
        let mut steps: Vec<_> =
            given.map(|a| Step::Netlink { request: listen::new_address(a) }).collect();
        // One for each port, whatever the address: what was connected to, the connection knows.
        let any = |place: SocketAddr| match place.ip() {
            IpAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), place.port()),
            IpAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), place.port()),
        };
        let at: BTreeSet<_> = places.map(any).collect();
        steps.push(Step::Listen { at: at.into_iter().collect() });
        steps
    }

    /// The worker's `/etc/hosts`.
    pub fn hosts(&self) -> String {
        let names: BTreeMap<_, _> =
            self.routes.iter().map(|(place, (host, _))| (host.as_str(), place.ip())).collect();
        // Nobody listens at ::1, and some programs try only the first address they find.
        let mut text = match names.contains_key(LOCALHOST) {
            true => "127.0.0.1 localhost dispatch\n".to_owned(),
            false => HOSTS.to_owned(),
        };
        for (host, address) in names {
            if host != LOCALHOST && host.parse::<IpAddr>().is_err() {
                writeln!(text, "{address} {host}").expect("writing to a string cannot fail");
            }
        }
        text
    }

    /// Where programs find the proxy, when there is one.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        if !self.has_proxy {
            return Vec::new();
        }
        let proxy = format!("http://{PROXY}");
        let mut all = vec![("NODE_USE_ENV_PROXY", "1".to_owned())];
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            all.push((name, proxy.clone()));
        }
        let direct = [LOCALHOST, "127.0.0.1", "::1"].join(",");
        all.extend([("NO_PROXY", direct.clone()), ("no_proxy", direct)]);
        all
    }

    /// The same for Java, which does not read the environment.
    pub fn java_properties(&self) -> Vec<String> {
        if !self.has_proxy {
            return Vec::new();
        }
        let (host, port) = (PROXY.ip(), PROXY.port());
        let of = |scheme| {
            [format!("-D{scheme}.proxyHost={host}"), format!("-D{scheme}.proxyPort={port}")]
        };
        [of("http"), of("https")].concat()
    }
}

/// An address of loopback for a name.
fn standin(name: &str, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    match name {
        LOCALHOST => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv4Addr::new(STANDINS[0], STANDINS[1], high, low).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(entries: &[&str]) -> Network {
        let entries: Vec<_> = entries.iter().map(|e| (*e).to_owned()).collect();
        Network::of(&entries, true).unwrap().unwrap()
    }

    #[test]
    fn hosts_get_addresses_and_ports_one_listener_each() {
        let network =
            network(&["a.org", "b.org:5432", "a.org:8080", "10.0.0.5:5432", "localhost:1"]);
        let hosts = network.hosts();
        assert_eq!(hosts, "127.0.0.1 localhost dispatch\n127.77.0.2 a.org\n127.77.0.3 b.org\n");
        let steps = network.steps();
        let Some(Step::Listen { at }) = steps.last() else { panic!("{steps:?}") };
        let ports: Vec<_> = at.iter().map(|place| place.port()).collect();
        assert_eq!(ports, [1, 80, 443, 5432, 8080]);
        assert_eq!(steps.len(), 2, "10.0.0.5 alone is no address of loopback: {steps:?}");
        assert!(network.environment().is_empty());
    }

    #[test]
    fn wildcards_need_the_proxy() {
        let network = network(&["*.example.org"]);
        assert_eq!(network.hosts(), HOSTS);
        assert!(
            network.environment().contains(&("HTTPS_PROXY", "http://127.77.0.1:3128".to_owned()))
        );
        let at = vec!["0.0.0.0:3128".parse().unwrap()];
        assert_eq!(network.steps(), [Step::Listen { at }]);
    }

    #[test]
    fn without_egress_there_is_nothing() {
        assert!(Network::of(&[], false).unwrap().is_none());
        assert!(Network::of(&["a b".to_owned()], true).is_err());
    }
}
