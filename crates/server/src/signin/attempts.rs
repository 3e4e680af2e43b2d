//! How many wrong sign-ins are let through. Only those that fail count.
//!
//! Three bounds: of one account from one address; of one address, whatever the account; and of one
//! account, whatever the address. The last would let anybody lock anybody out, so an address from
//! which the account has signed in before is not held to it. Each server counts for itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most that is remembered of each kind; beyond it, what is nearest to being forgotten goes.
const MOST: usize = 100_000;

/// So many failures at once, and then one in each `every`.
#[derive(Debug, Clone, Copy)]
struct Bound {
    burst: u32,
    every: Duration,
}

const PAIR: Bound = Bound { burst: 10, every: Duration::from_secs(60) };
const ADDRESS: Bound = Bound { burst: 100, every: Duration::from_secs(6) };
const ACCOUNT: Bound = Bound { burst: 100, every: Duration::from_secs(30) };
/// How long an address is known as one of an account's own.
const KNOWN: Duration = Duration::from_secs(30 * 86_400);

/// An address and an account, as failures are counted: not the texts themselves, which are the
/// caller's and may be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Door {
    address: IpAddr,
    account: u64,
}

impl Door {
    /// `account` is the provider and the name that is tried, in any spelling.
    pub fn new(address: IpAddr, provider: &str, name: &str) -> Self {
        use std::hash::{DefaultHasher, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (provider, name.trim().to_lowercase()).hash(&mut hasher);
        Self { address: network(address), account: hasher.finish() }
    }
}

/// Whoever has one address of a network of IPv6 has all 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// The counts.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    pairs: Counter<Door>,
    addresses: Counter<IpAddr>,
    accounts: Counter<u64>,
    known: HashMap<Door, Instant>,
}

/// When the debt of each would be paid: a bound lets through as long as that is less than `burst`
/// times `every` away (the generic cell rate algorithm of ATM Forum's TM 4.0).
#[derive(Debug)]
struct Counter<K>(HashMap<K, Instant>);

impl<K> Default for Counter<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Copy> Counter<K> {
    /// How long one has to wait; `None` when one need not.
    fn wait(&self, key: &K, bound: Bound, now: Instant) -> Option<Duration> {
        let debt = self.0.get(key)?.saturating_duration_since(now);
        let room = bound.every * (bound.burst - 1);
        debt.checked_sub(room).filter(|wait| !wait.is_zero())
    }

    fn charge(&mut self, key: K, bound: Bound, now: Instant) {
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let paid = self.0.entry(key).or_insert(now);
        *paid = (*paid).max(now) + bound.every;
    }

    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, paid| *paid > now);
        if self.0.len() >= MOST {
            // The half with the smaller debts.
            let mut all: Vec<Instant> = self.0.values().copied().collect();
            let (_, middle, _) = all.select_nth_unstable(MOST / 2);
            let middle = *middle;
            self.0.retain(|_, paid| *paid > middle);
        }
    }
}

impl Attempts {
    /// # Errors
    /// How long to wait before the next try.
    pub fn check(&self, door: Door) -> Result<(), Duration> {
        self.check_at(door, Instant::now())
    }

    pub fn failed(&self, door: Door) {
        self.failed_at(door, Instant::now());
    }

    pub fn succeeded(&self, door: Door) {
        self.succeeded_at(door, Instant::now());
    }

    fn check_at(&self, door: Door, now: Instant) -> Result<(), Duration> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.known.get(&door).is_some_and(|until| *until > now);
        let account = (!known).then(|| counts.accounts.wait(&door.account, ACCOUNT, now));
        let waits = [
            counts.pairs.wait(&door, PAIR, now),
            counts.addresses.wait(&door.address, ADDRESS, now),
            account.flatten(),
        ];
        match waits.into_iter().flatten().max() {
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }

    fn failed_at(&self, door: Door, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.pairs.charge(door, PAIR, now);
        counts.addresses.charge(door.address, ADDRESS, now);
        counts.accounts.charge(door.account, ACCOUNT, now);
    }

    fn succeeded_at(&self, door: Door, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.pairs.0.remove(&door);
        if counts.known.len() >= MOST {
            counts.known.retain(|_, until| *until > now);
        }
        if counts.known.len() < MOST {
            counts.known.insert(door, now + KNOWN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    /// Tries, and counts those that were let through.
    fn tries(attempts: &Attempts, now: Instant, doors: impl Iterator<Item = Door>) -> usize {
        let mut through = 0;
        for door in doors {
            if attempts.check_at(door, now).is_ok() {
                through += 1;
                attempts.failed_at(door, now);
            }
        }
        through
    }

    #[test]
    fn a_hundred_thousand_wrong_sign_ins_of_one_account_from_one_address_are_ten() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let door = Door::new(address(1), "corp", "ada");
        let again = Door::new(address(1), "corp", " ADA");
        assert_eq!(tries(&attempts, now, std::iter::repeat_n(door, 50_000)), 10);
        assert_eq!(tries(&attempts, now, std::iter::repeat_n(again, 50_000)), 0);
        let elsewhere = Door::new(address(2), "corp", "ada");
        assert_eq!(attempts.check_at(elsewhere, now), Ok(()), "nobody is locked out");
        let wait = attempts.check_at(door, now).unwrap_err();
        assert!(wait <= PAIR.every, "{wait:?}");
        assert_eq!(attempts.check_at(door, now + wait), Ok(()));
    }

    #[test]
    fn one_address_that_tries_a_hundred_thousand_accounts_tries_a_hundred() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let doors = (0..100_000).map(|n| Door::new(address(1), "corp", &format!("user{n}")));
        assert_eq!(tries(&attempts, now, doors), 100);
        assert_eq!(attempts.check_at(Door::new(address(2), "corp", "user7"), now), Ok(()));
    }

    #[test]
    fn many_addresses_that_try_one_account_do_not_lock_out_its_own() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let own = Door::new(address(9), "corp", "ada");
        attempts.succeeded_at(own, now);
        let from = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let doors = (0..100_000).map(|n| Door::new(from(n), "corp", "ada"));
        assert_eq!(tries(&attempts, now, doors), 100);
        assert!(attempts.check_at(Door::new(from(7), "corp", "ada"), now).is_err());
        assert_eq!(attempts.check_at(own, now), Ok(()), "where ada has signed in before");
        assert_eq!(attempts.check_at(Door::new(from(7), "corp", "bob"), now), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let from = |n: u16| IpAddr::from([0x2001, 0xdb8, 1, 1, 0, 0, 0, n]);
        let doors = (0..1_000).map(|n| Door::new(from(n), "corp", "ada"));
        assert_eq!(tries(&attempts, now, doors), 10);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let many = u32::try_from(MOST).unwrap() + 1_000;
        for n in 0..many {
            let address = IpAddr::from((0x0b00_0000 + n).to_be_bytes());
            attempts.failed_at(Door::new(address, "corp", &n.to_string()), now);
        }
        let counts = attempts.0.lock().unwrap();
        assert!(counts.pairs.0.len() <= MOST && counts.accounts.0.len() <= MOST);
    }
}
