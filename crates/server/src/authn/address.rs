//! The address a request comes from: the peer's, or what a proxy of the operator's says of its own
//! peer. What others write into that header counts for nothing.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The operator's proxies.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// # Errors
    /// The first that is neither an address nor a range.
    pub fn parse(texts: &[String]) -> anyhow::Result<Self> {
        let one = |text: &String| {
            let network =
                text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.with_context(|| {
                format!("auth.proxies: {text:?} is neither an address nor a range like 10.0.0.0/8")
            })
        };
        Ok(Self(texts.iter().map(one).collect::<anyhow::Result<_>>()?))
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Read from its end, the first address that is no proxy's.
    pub fn client(&self, headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
        let mut address = peer.ip().to_canonical();
        let told = headers.get_all(FORWARDED_FOR).iter();
        let told: Vec<&str> =
            told.flat_map(|value| value.to_str().unwrap_or("?").split(',')).collect();
        for text in told.into_iter().rev() {
            if !self.has(address) {
                break;
            }
            let Ok(before) = text.trim().parse::<IpAddr>() else { break };
            address = before.to_canonical();
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_and_nobody_else() {
        let proxies = Proxies::parse(&["10.0.0.0/8".to_owned(), "::1".to_owned()]).unwrap();
        let seen = |peer: &str, told: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in told {
                headers.append(FORWARDED_FOR, http::HeaderValue::from_static(value));
            }
            proxies.client(&headers, peer.parse().unwrap()).to_string()
        };
        assert_eq!(seen("203.0.113.1:5", &["198.51.100.7"]), "203.0.113.1", "not a proxy");
        assert_eq!(seen("10.1.1.1:5", &[]), "10.1.1.1");
        assert_eq!(seen("10.1.1.1:5", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("[::1]:5", &["1.2.3.4, 198.51.100.7, 10.9.9.9"]), "198.51.100.7");
        assert_eq!(seen("10.1.1.1:5", &["1.2.3.4", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("10.1.1.1:5", &["rubbish"]), "10.1.1.1");
        let wrong = Proxies::parse(&["10.0.0.0/99".to_owned()]).unwrap_err();
        assert!(wrong.to_string().contains("auth.proxies"), "{wrong}");
    }
}
