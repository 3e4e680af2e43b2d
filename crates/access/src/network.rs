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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = IpAddr> {
        // Few bits that are set, so that networks and addresses meet.
        let few = |bits: u32| (0..bits).prop_map(|bit| 1_u128 << bit);
        let four = few(32).prop_map(|own| Ipv4Addr::from_bits(own as u32));
        prop_oneof![
            four.clone().prop_map(IpAddr::V4),
            four.prop_map(|own| own.to_ipv6_mapped().into()),
            few(128).prop_map(|own| std::net::Ipv6Addr::from_bits(own).into()),
        ]
    }

    proptest! {
        #[test]
        fn an_address_is_in_a_network_when_its_bits_begin_alike(
            network in address(), prefix in 0..=128_u8, asked in address(),
        ) {
            let network = Network::parse(&format!("{network}/{}", prefix.min(bits(network))));
            let network = network.unwrap();
            let alike = bits_of(asked).starts_with(&network.beginning());
            prop_assert_eq!(alike, network.has(asked));
        }
    }
}
