//! Where a registry may be: not on this machine's link, nor a cloud's metadata service, whoever
//! names it. A name is looked up once for each connection, and the connection goes to an address
//! that look-up gave and this module accepted.

use std::io;
use std::net::{IpAddr, SocketAddr};

use dispatch_model::Reach;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

const REFUSED: &str = "leads to this machine's link or a cloud's metadata service";

/// Looks names up for connections.
pub struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let all: Vec<SocketAddr> = found.collect();
            let good = accepted(&all);
            match good.is_empty() && !all.is_empty() {
                true => Err(io::Error::other(format!("{} {REFUSED}", name.as_str())).into()),
                false => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

fn accepted(all: &[SocketAddr]) -> Vec<SocketAddr> {
    all.iter().copied().filter(|address| is_open(address.ip())).collect()
}

fn is_open(address: IpAddr) -> bool {
    Reach::of(address) != Reach::Never
}

/// What is wrong with the host of an address, where it is a number: that is looked up nowhere.
pub fn refused(url: &Url) -> Option<&'static str> {
    let address: IpAddr = match url.host()? {
        url::Host::Ipv4(v4) => v4.into(),
        url::Host::Ipv6(v6) => v6.into(),
        url::Host::Domain(_) => return None,
    };
    (!is_open(address)).then_some(REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_link_nor_metadata_is_a_registry() {
        let seen = |url: &str| refused(&url.parse().unwrap()).is_some();
        for wrong in [
            "https://169.254.169.254/v2/",
            "https://2852039166/v2/",
            "https://0xa9.0xfe.0xa9.0xfe/v2/",
            "https://[fe80::1]/v2/",
            "https://[::ffff:169.254.169.254]/v2/",
            "https://[fd00:ec2::254]/v2/",
            "https://0.0.0.0/v2/",
        ] {
            assert!(seen(wrong), "{wrong}");
        }
        for good in ["https://10.0.0.5/v2/", "https://127.0.0.1:5000/v2/", "https://r.example/"] {
            assert!(!seen(good), "{good}");
        }
        let mixed = ["169.254.1.1:0", "10.0.0.5:0"].map(|text| text.parse().unwrap());
        assert_eq!(accepted(&mixed), [mixed[1]]);
    }
}
