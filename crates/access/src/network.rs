//! Ranges of addresses. A version 4 address in version 6 clothes is the version 4 address.

use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// Its first address.
    address: IpAddr,
    prefix: u8,
}

/// Bits before a version 4 address in its version 6 clothes.
const MAPPED: u8 = 96;

impl Network {
    /// None for what is neither an address nor one with the length of its network's prefix.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let prefix: u8 = prefix.unwrap_or(bits(address));
        if prefix > bits(address) {
            return None;
        }
        let (address, prefix) = match address.to_canonical() {
            plain if plain.is_ipv4() && address.is_ipv6() && prefix >= MAPPED => {
                (plain, prefix - MAPPED)
            }
            _ => (address, prefix),
        };
        Some(Network { address: first(address, prefix), prefix })
    }

    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && first(address, self.prefix) == self.address
    }

    /// What the bits of its addresses begin with.
    pub fn beginning(&self) -> String {
        let mut bits = bits_of(self.address);
        bits.truncate("4:".len() + usize::from(self.prefix));
        bits
    }

    /// Whether all addresses of the other are in this one.
    pub fn covers(&self, other: &Network) -> bool {
        self.prefix <= other.prefix && self.has(other.address)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with nothing behind the prefix.
fn first(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// An address for Cedar, bit by bit, so that a network is all that begins alike. Cedar has a type
/// for addresses, which takes microseconds to make.
pub(crate) fn bits_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("4:{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("6:{:0128b}", address.to_bits()),
    }
}
