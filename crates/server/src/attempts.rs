//! Counts secrets that were tried without success, so that whoever tries many is slowed down.
//!
//! Of tokens, a valid one is never counted and never refused for it: the count is looked at only after a secret has turned out to be
//! wrong. Passwords and codes can be guessed, so they are counted before they are looked at, and a right one waits, too.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_rules::{AccountId, CredentialId, Timestamp};
use sha2::{Digest, Sha256};

/// Failed attempts of this minute.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    by_address: Counts<IpAddr>,
    by_credential: Counts<CredentialId>,
}

/// People's passwords that were tried in vain.
#[derive(Debug)]
pub(crate) struct SignIns {
    by_address: Counts<IpAddr>,
    in_a_minute: Counts<Guessed>,
    in_an_hour: Counts<Guessed>,
}

/// What a guess is a guess at. Of a fixed size, and for accounts that there are as many as there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Guessed {
    /// The password of an account, from anywhere.
    Password(AccountId),
    /// The same, from a browser that has signed in to it before.
    PasswordInBrowser(AccountId, u64),
    /// The same, by who has signed in and is asked again.
    PasswordAgain(AccountId),
    /// The second step of an account.
    Step(AccountId),
    /// The password of an account that there is not: so many names share one count.
    Nobodys(u16),
}

impl Guessed {
    /// A guess at an account that there is not. It is counted as others are, so that nobody learns that there is none.
    pub(crate) fn nobodys(name: &str) -> Self {
        let digest = Sha256::digest(name.to_ascii_lowercase());
        Self::Nobodys(u16::from_be_bytes([digest[0], digest[1]]) % NOBODIES)
    }
}

/// How often something happened in this minute, or another span of time, for each key.
#[derive(Debug)]
pub(crate) struct Counts<K> {
    span: i64,
    counts: Mutex<(i64, HashMap<K, usize>)>,
}

impl Attempts {
    /// Counts one; how long to wait if its address, or the credential that it claimed to be, has had more than `limit`.
    pub(crate) fn failed(
        &self,
        at: Timestamp,
        address: IpAddr,
        claimed: Option<CredentialId>,
        limit: usize,
    ) -> Option<Duration> {
        let from = self.by_address.count(at, network(address));
        let of = claimed.map_or(0, |id| self.by_credential.count(at, id));
        let left = MINUTE - at.0.rem_euclid(MINUTE);
        (from.max(of) > limit).then(|| Duration::from_secs(left.unsigned_abs().div_ceil(1000)))
    }
}

impl Default for SignIns {
    fn default() -> Self {
        let in_an_hour = Counts { span: HOUR, ..Counts::default() };
        Self { by_address: Counts::default(), in_a_minute: Counts::default(), in_an_hour }
    }
}

impl SignIns {
    /// How long to wait if too much was in vain from this address alone.
    pub(crate) fn wait_from(&self, at: Timestamp, address: IpAddr) -> Option<Duration> {
        let is_much = self.by_address.number(at, &network(address)) >= FROM_ADDRESS;
        is_much.then(|| left(at, MINUTE))
    }

    /// Counts something in vain from an address that is nobody's guess.
    pub(crate) fn failed_from(&self, at: Timestamp, address: IpAddr) {
        self.by_address.count(at, network(address));
    }

    /// How long to wait before a guess is looked at, if too many were made in vain from this address or at the same thing. Unlike a
    /// token, a password can be guessed: so a right one waits, too. A browser that has signed in to the account before is counted
    /// apart, and by no address, so that no stranger's guesses keep it out.
    pub(crate) fn wait(&self, at: Timestamp, address: Option<IpAddr>, guessed: Guessed) -> Option<Duration> {
        if self.in_an_hour.number(at, &guessed) >= IN_AN_HOUR {
            return Some(left(at, HOUR));
        }
        let is_much = self.in_a_minute.number(at, &guessed) >= IN_A_MINUTE;
        address.and_then(|address| self.wait_from(at, address)).or_else(|| is_much.then(|| left(at, MINUTE)))
    }

    /// Counts one, which is wrong until it is known to be right.
    pub(crate) fn failed(&self, at: Timestamp, address: Option<IpAddr>, guessed: Guessed) {
        if let Some(address) = address {
            self.failed_from(at, address);
        }
        self.in_a_minute.count(at, guessed);
        self.in_an_hour.count(at, guessed);
    }

    /// Takes back the count of one that turned out to be right.
    pub(crate) fn succeeded(&self, at: Timestamp, address: Option<IpAddr>, guessed: Guessed) {
        if let Some(address) = address {
            self.by_address.take_back(at, &network(address));
        }
        self.in_a_minute.take_back(at, &guessed);
        self.in_an_hour.take_back(at, &guessed);
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self { span: MINUTE, counts: Mutex::new((0, HashMap::new())) }
    }
}

impl<K: Eq + Hash> Counts<K> {
    /// Whether a key is among the first `most` of this minute.
    pub(crate) fn keeps(&self, at: Timestamp, key: K, most: usize) -> bool {
        let mut minute = self.of(at);
        if minute.1.len() >= most && !minute.1.contains_key(&key) {
            return false;
        }
        minute.1.entry(key).or_insert(0);
        true
    }

    fn take_back(&self, at: Timestamp, key: &K) {
        if let Some(count) = self.of(at).1.get_mut(key) {
            *count = count.saturating_sub(1);
        }
    }

    /// How many there are now.
    fn number(&self, at: Timestamp, key: &K) -> usize {
        self.of(at).1.get(key).copied().unwrap_or(0)
    }

    /// Counts one more; how many there are now. A flood of different keys is not counted key by key, so that memory is
    /// bounded: what there is no room for counts as none.
    pub(crate) fn count(&self, at: Timestamp, key: K) -> usize {
        let mut minute = self.of(at);
        if minute.1.len() >= KEYS && !minute.1.contains_key(&key) {
            return 0;
        }
        let count = minute.1.entry(key).or_insert(0);
        *count += 1;
        *count
    }
}

impl<K> Counts<K> {
    /// The counts of the span that a moment is in.
    fn of(&self, at: Timestamp) -> MutexGuard<'_, (i64, HashMap<K, usize>)> {
        let mut minute = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let number = at.0.div_euclid(self.span);
        // Who began earlier and comes later counts as of now: else it would bring back a span in which nothing was counted.
        if minute.0 < number {
            *minute = (number, HashMap::new());
        }
        minute
    }
}

/// How much is left of the span of time that a moment is in.
fn left(at: Timestamp, span: i64) -> Duration {
    Duration::from_millis((span - at.0.rem_euclid(span)).unsigned_abs())
}

/// Whoever has an IPv6 address has some 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
/// Passwords that may be tried in vain in a minute from one address, and for one account.
const FROM_ADDRESS: usize = 20;
const IN_A_MINUTE: usize = 10;
/// OWASP ASVS 2.2.1 allows a hundred.
const IN_AN_HOUR: usize = 100;
/// Among how many counts the names are spread that nobody has.
const NOBODIES: u16 = 4096;
const KEYS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tries_many_waits_for_the_next_minute_and_nobody_else_does() {
        let attempts = Attempts::default();
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().expect("v4"), "192.0.2.2".parse().expect("v4"));
        let at = Timestamp(60_000 * 100 + 45_000);
        for _ in 0..3 {
            assert_eq!(attempts.failed(at, here, None, 3), None);
        }
        assert_eq!(attempts.failed(at, here, None, 3), Some(Duration::from_secs(15)));
        assert_eq!(attempts.failed(at, there, None, 3), None);
        assert_eq!(attempts.failed(at.after(Duration::from_secs(15)), here, None, 3), None);
    }

    #[test]
    fn a_credential_that_is_tried_from_many_addresses_is_counted_by_itself() {
        let attempts = Attempts::default();
        let id = CredentialId::parse("000000000000");
        let from = |last: u8| IpAddr::from([192, 0, 2, last]);
        assert_eq!(attempts.failed(Timestamp(0), from(1), id, 1), None);
        assert_eq!(attempts.failed(Timestamp(0), from(2), id, 1), Some(Duration::from_secs(60)));
    }

    #[test]
    fn who_guesses_passwords_waits_and_others_of_other_accounts_do_not() {
        let sign_ins = SignIns::default();
        let of = |number: u8| {
            Guessed::Password(format!("00000000-0000-7000-8000-0000000000{number:02}").parse().expect("an id"))
        };
        let (ada, bob) = (of(1), of(2));
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().expect("v4"), "192.0.2.2".parse().expect("v4"));
        let at = Timestamp(3_600_000 * 7 + 45_000);
        for _ in 0..10 {
            assert_eq!(sign_ins.wait(at, Some(here), ada), None);
            sign_ins.failed(at, Some(here), ada);
        }
        assert_eq!(sign_ins.wait(at, Some(there), ada), Some(Duration::from_secs(15)));
        assert_eq!(sign_ins.wait(at, Some(here), bob), None);
        for minute in 1..10 {
            let later = Timestamp(at.0 + minute * 60_000);
            assert_eq!(sign_ins.wait(later, Some(here), ada), None);
            (0..10).for_each(|_| sign_ins.failed(later, Some(here), ada));
        }
        let later = Timestamp(at.0 + 11 * 60_000);
        assert_eq!(sign_ins.wait(later, Some(there), ada), Some(Duration::from_secs(3600 - 11 * 60 - 45)));
        assert_eq!(sign_ins.wait(Timestamp(3_600_000 * 8), Some(there), ada), None);
        // A request that began before, and is held back until now, brings nothing back.
        let hour = Timestamp(3_600_000 * 8);
        (0..10).for_each(|_| sign_ins.failed(hour, Some(here), ada));
        sign_ins.failed(at, Some(there), bob);
        assert!(sign_ins.wait(hour, None, ada).is_some());
    }

    #[test]
    fn addresses_of_one_network_are_one_and_memory_is_bounded() {
        let attempts = Attempts::default();
        let (one, other) = ("2001:db8::1".parse().expect("v6"), "2001:db8::ffff:2".parse().expect("v6"));
        assert_eq!(attempts.failed(Timestamp(0), one, None, 1), None);
        assert!(attempts.failed(Timestamp(0), other, None, 1).is_some());
        for number in 0..200_000u32 {
            attempts.failed(Timestamp(0), IpAddr::from(number.to_be_bytes()), None, 1);
        }
        assert!(attempts.by_address.counts.lock().expect("the counts").1.len() <= KEYS);
    }
}
