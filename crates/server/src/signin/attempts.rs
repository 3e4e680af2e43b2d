//! How many wrong sign-ins are let through. Each is counted before it is tried, so that many at
//! once are not more; one that succeeds, or that the provider could not decide, is taken back.
//!
//! Three bounds: of one account from one address; of one address, whatever the account; and, where
//! there is a password to guess, of one account, whatever the address. The last would let anybody
//! lock anybody out, so an address from which the account has signed in before is not held to it.
//! Each server counts for itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dispatch_driver::identity::is_unseen;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

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
    tried: Tried,
}

/// What is tried at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tried {
    /// What others could guess.
    Password,
    /// What nobody guesses.
    Signed,
    /// Something that is of no account yet.
    Answer,
}

impl Door {
    /// A password of somebody, whose name is tried in some spelling.
    pub fn password(address: IpAddr, provider: &str, name: &str) -> Self {
        Self { tried: Tried::Password, ..Self::signed(address, provider, &spelled(name)) }
    }

    /// What a browser brings back from a provider, which is then asked about it. Many people may
    /// come from one address.
    pub fn answer(address: IpAddr) -> Self {
        Self { address: network(address), account: 0, tried: Tried::Answer }
    }

    /// What nobody guesses: others cannot keep its holder out by trying.
    pub fn signed(address: IpAddr, provider: &str, name: &str) -> Self {
        use std::hash::{DefaultHasher, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (provider, name).hash(&mut hasher);
        Self { address: network(address), account: hasher.finish(), tried: Tried::Signed }
    }
}

impl Door {
    fn is_of_account(self) -> bool {
        self.tried != Tried::Answer
    }
}

/// A try that was counted: what it may be taken back by.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a try that succeeds or that nobody could decide is taken back"]
pub struct Entered {
    door: Door,
    /// Whether the account was charged.
    account: bool,
}

/// A name as directories compare names, or coarser: that counts too much rather than too little.
/// They fold case, width, accents and spaces, leave out what is not seen (RFC 4518, 2.2), and take
/// one name with its domain before or after it.
fn spelled(name: &str) -> String {
    let seen = |c: &char| !is_combining_mark(*c) && !c.is_control() && !is_unseen(*c);
    let folded: String =
        name.nfkd().filter(seen).flat_map(char::to_lowercase).nfkd().filter(seen).collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    let name = words.join(" ");
    let name = name.rsplit_once('\\').map_or(&*name, |(_, name)| name);
    name.split_once('@').map_or(name, |(name, _)| name).trim().to_owned()
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
    /// Apart: whoever guesses passwords keeps no browser of the same address out.
    answers: Counter<IpAddr>,
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

    fn refund(&mut self, key: &K, bound: Bound) {
        if let Some(paid) = self.0.get_mut(key) {
            *paid = paid.checked_sub(bound.every).unwrap_or(*paid);
        }
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
    /// Counts a try that is about to be made.
    ///
    /// # Errors
    /// How long to wait before the next; this one is not counted, nor to be made.
    pub fn enter(&self, door: Door) -> Result<Entered, Duration> {
        self.enter_at(door, Instant::now())
    }

    /// It succeeded.
    pub fn succeeded(&self, entered: Entered) {
        self.succeeded_at(entered, Instant::now());
    }

    /// Nobody could say whether it was wrong.
    pub fn undecided(&self, entered: Entered) {
        self.counts().refund(&entered);
    }

    /// What began as a try of this door, in another request, succeeded.
    pub fn forgive(&self, door: Door) {
        self.succeeded(Entered { door, account: false });
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter_at(&self, door: Door, now: Instant) -> Result<Entered, Duration> {
        let mut counts = self.counts();
        let known = counts.known.get(&door).is_some_and(|until| *until > now);
        let by_account = door.tried == Tried::Password && !known;
        let account = by_account.then(|| counts.accounts.wait(&door.account, ACCOUNT, now));
        let of_account = door.is_of_account();
        let waits = [
            of_account.then(|| counts.pairs.wait(&door, PAIR, now)).flatten(),
            counts.of_address(of_account).wait(&door.address, ADDRESS, now),
            account.flatten(),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        if of_account {
            counts.pairs.charge(door, PAIR, now);
        }
        counts.of_address(of_account).charge(door.address, ADDRESS, now);
        // What an account's own addresses try keeps no others out.
        if by_account {
            counts.accounts.charge(door.account, ACCOUNT, now);
        }
        Ok(Entered { door, account: by_account })
    }

    fn succeeded_at(&self, entered: Entered, now: Instant) {
        let mut counts = self.counts();
        counts.refund(&entered);
        let door = entered.door;
        counts.pairs.0.remove(&door);
        if door.tried != Tried::Password {
            return;
        }
        if counts.known.len() >= MOST {
            counts.known.retain(|_, until| *until > now);
        }
        if counts.known.len() < MOST {
            counts.known.insert(door, now + KNOWN);
        }
    }
}

impl Counts {
    fn of_address(&mut self, of_account: bool) -> &mut Counter<IpAddr> {
        if of_account { &mut self.addresses } else { &mut self.answers }
    }

    /// Exactly what was charged: more would let others guess more.
    fn refund(&mut self, Entered { door, account }: &Entered) {
        self.pairs.refund(door, PAIR);
        self.of_address(door.is_of_account()).refund(&door.address, ADDRESS);
        if *account {
            self.accounts.refund(&door.account, ACCOUNT);
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
            through += usize::from(attempts.enter_at(door, now).is_ok());
        }
        through
    }

    #[test]
    fn a_hundred_thousand_wrong_sign_ins_of_one_account_from_one_address_are_ten() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let door = Door::password(address(1), "corp", "ada");
        let again = Door::password(address(1), "corp", " ADA");
        assert_eq!(tries(&attempts, now, std::iter::repeat_n(door, 50_000)), 10);
        assert_eq!(tries(&attempts, now, std::iter::repeat_n(again, 50_000)), 0);
        let elsewhere = Door::password(address(2), "corp", "ada");
        assert!(attempts.enter_at(elsewhere, now).is_ok(), "nobody is locked out");
        let wait = attempts.enter_at(door, now).unwrap_err();
        assert!(wait <= PAIR.every, "{wait:?}");
        assert!(attempts.enter_at(door, now + wait).is_ok());
    }

    #[test]
    fn one_address_that_tries_a_hundred_thousand_accounts_tries_a_hundred() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let doors = (0..100_000).map(|n| Door::password(address(1), "corp", &format!("user{n}")));
        assert_eq!(tries(&attempts, now, doors), 100);
        assert!(attempts.enter_at(Door::password(address(2), "corp", "user7"), now).is_ok());
    }

    #[test]
    fn many_addresses_that_try_one_account_do_not_lock_out_its_own() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let own = Door::password(address(9), "corp", "ada");
        let entered = attempts.enter_at(own, now).unwrap();
        attempts.succeeded_at(entered, now);
        let from = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let doors = (0..100_000).map(|n| Door::password(from(n), "corp", "ada"));
        assert_eq!(tries(&attempts, now, doors), 100);
        assert!(attempts.enter_at(Door::password(from(7), "corp", "ada"), now).is_err());
        assert!(attempts.enter_at(own, now).is_ok(), "where ada has signed in before");
        assert!(attempts.enter_at(Door::password(from(7), "corp", "bob"), now).is_ok());
    }

    #[test]
    fn who_signs_in_often_lets_nobody_guess_more() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let own = Door::password(address(9), "corp", "ada");
        let from = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let mut through = 0;
        for n in 0..10_000 {
            let entered = attempts.enter_at(own, now).unwrap();
            attempts.succeeded_at(entered, now);
            through += tries(&attempts, now, [Door::password(from(n), "corp", "ada")].into_iter());
        }
        assert_eq!(through, 100);
    }

    #[test]
    fn one_name_in_many_spellings_is_one() {
        let same = [
            "ann",
            " ANN ",
            "a\u{ad}nn",
            "CORP\\ann",
            "ann@corp.example",
            "ａnn",
            "ánn",
            "a\u{301}nn",
        ];
        for name in same {
            assert_eq!(spelled(name), "ann", "{name:?}");
        }
        assert_eq!(spelled("ann  lee"), spelled("Ann Lee"));
        assert_ne!(spelled("ann"), spelled("anna"));
    }

    #[test]
    fn what_the_provider_could_not_decide_is_no_failure_and_what_nobody_guesses_locks_nobody_out() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let door = Door::password(address(1), "corp", "ada");
        for _ in 0..1_000 {
            let entered = attempts.enter_at(door, now).unwrap();
            attempts.undecided(entered);
        }
        let from = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let doors = (0..10_000).map(|n| Door::signed(from(n), "(token)", "acme/ci"));
        assert_eq!(tries(&attempts, now, doors), 10_000);
    }

    #[test]
    fn answers_that_are_no_good_are_counted_by_address() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let door = Door::answer(address(1));
        for _ in 0..1_000 {
            let entered = attempts.enter_at(door, now).unwrap();
            attempts.succeeded_at(entered, now);
        }
        assert_eq!(tries(&attempts, now, std::iter::repeat_n(door, 1_000)), 100);
        assert!(attempts.enter_at(Door::answer(address(2)), now).is_ok());
        // Nor do they and wrong passwords of the same address count together.
        let passwords = (0..200).map(|n| Door::password(address(1), "corp", &format!("u{n}")));
        assert_eq!(tries(&attempts, now, passwords), 100);
        let passwords = (0..200).map(|n| Door::password(address(3), "corp", &format!("u{n}")));
        assert_eq!(tries(&attempts, now, passwords), 100);
        assert!(attempts.enter_at(Door::answer(address(3)), now).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let from = |n: u16| IpAddr::from([0x2001, 0xdb8, 1, 1, 0, 0, 0, n]);
        let doors = (0..1_000).map(|n| Door::password(from(n), "corp", "ada"));
        assert_eq!(tries(&attempts, now, doors), 10);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let many = u32::try_from(MOST).unwrap() + 1_000;
        for n in 0..many {
            let address = IpAddr::from((0x0b00_0000 + n).to_be_bytes());
            let _ = attempts.enter_at(Door::password(address, "corp", &n.to_string()), now);
        }
        let counts = attempts.0.lock().unwrap();
        assert!(counts.pairs.0.len() <= MOST && counts.accounts.0.len() <= MOST);
    }
}
