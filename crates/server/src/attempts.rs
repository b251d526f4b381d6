//! Counts secrets that were tried without success, so that whoever tries many is slowed down.
//!
//! A valid credential is never counted and never refused for it: the count is looked at only after a secret has turned
//! out to be wrong.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_rules::{CredentialId, Timestamp};

/// Failed attempts of this minute.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    by_address: PerMinute<IpAddr>,
    by_credential: PerMinute<CredentialId>,
}

/// How often something happened in this minute, for each key.
#[derive(Debug)]
pub(crate) struct PerMinute<K>(Mutex<(i64, HashMap<K, usize>)>);

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

impl<K> Default for PerMinute<K> {
    fn default() -> Self {
        Self(Mutex::new((0, HashMap::new())))
    }
}

impl<K: Eq + Hash> PerMinute<K> {
    /// Whether a key is among the first `most` of this minute.
    pub(crate) fn keeps(&self, at: Timestamp, key: K, most: usize) -> bool {
        let mut minute = self.of(at);
        if minute.1.len() >= most && !minute.1.contains_key(&key) {
            return false;
        }
        minute.1.entry(key).or_insert(0);
        true
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

impl<K> PerMinute<K> {
    /// The counts of the minute that a moment is in.
    fn of(&self, at: Timestamp) -> MutexGuard<'_, (i64, HashMap<K, usize>)> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = at.0.div_euclid(MINUTE);
        if minute.0 != number {
            *minute = (number, HashMap::new());
        }
        minute
    }
}

/// Whoever has an IPv6 address has some 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

const MINUTE: i64 = 60_000;
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
    fn addresses_of_one_network_are_one_and_memory_is_bounded() {
        let attempts = Attempts::default();
        let (one, other) = ("2001:db8::1".parse().expect("v6"), "2001:db8::ffff:2".parse().expect("v6"));
        assert_eq!(attempts.failed(Timestamp(0), one, None, 1), None);
        assert!(attempts.failed(Timestamp(0), other, None, 1).is_some());
        for number in 0..200_000u32 {
            attempts.failed(Timestamp(0), IpAddr::from(number.to_be_bytes()), None, 1);
        }
        assert!(attempts.by_address.0.lock().expect("the counts").1.len() <= KEYS);
    }
}
