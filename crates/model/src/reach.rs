//! How far an address is, which decides who may be led there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Clouds answer questions about the machine itself here, mostly with credentials.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// How far an address is from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Public,
    /// Of a house, or of a carrier.
    Private,
    /// The machine itself.
    Machine,
    /// Its link, groups of machines, and clouds' metadata.
    Never,
}

impl Reach {
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if METADATA.contains(&address) {
            return Reach::Never;
        }
        match address {
            IpAddr::V4(v4) => match v4.octets() {
                _ if v4.is_loopback() => Reach::Machine,
                _ if v4.is_link_local() || v4.is_broadcast() || v4.is_multicast() => Reach::Never,
                [0, ..] => Reach::Never,
                // Shared by the customers of a carrier (RFC 6598).
                [100, 64..=127, ..] => Reach::Private,
                _ if v4.is_private() => Reach::Private,
                _ => Reach::Public,
            },
            IpAddr::V6(v6) => match v6.segments() {
                _ if v6.is_loopback() => Reach::Machine,
                _ if v6.is_unspecified() || v6.is_multicast() => Reach::Never,
                _ if v6.is_unicast_link_local() => Reach::Never,
                // An IPv4 address behind a translator (RFC 6052).
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                    Reach::of(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).into())
                }
                _ if v6.is_unique_local() => Reach::Private,
                _ => Reach::Public,
            },
        }
    }
}
