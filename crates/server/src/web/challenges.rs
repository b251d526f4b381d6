//! What passkeys are asked to sign: nothing is kept of a challenge before it was answered, and no answer is good twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use doorward_rules::Timestamp;
use ring::hmac;
use sha2::{Digest, Sha256};

/// The challenges of this process.
#[derive(Debug)]
pub(crate) struct Challenges {
    key: hmac::Key,
    /// Those that were answered, until they end.
    answered: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl Challenges {
    pub(crate) fn new() -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()), answered: Mutex::default() }
    }

    /// A new challenge, for one purpose in one browser.
    pub(crate) fn give(&self, purpose: &str, now: Timestamp) -> Vec<u8> {
        let mut challenge = random::<16>().to_vec();
        challenge.extend(now.0.to_be_bytes());
        let proof = self.proof(&challenge, purpose);
        challenge.extend(proof.as_ref());
        challenge
    }

    /// Whether a challenge was given for this purpose, and not too long ago.
    pub(crate) fn gave(&self, challenge: &[u8], purpose: &str, now: Timestamp) -> bool {
        let Some((head, proof)) = challenge.split_at_checked(HEAD) else { return false };
        let Some(at) = head.last_chunk::<8>().map(|at| Timestamp(i64::from_be_bytes(*at))) else { return false };
        let is_ours = hmac::verify(&self.key, &signed(head, purpose), proof).is_ok();
        is_ours && at <= now && at > now.before(LIFE)
    }

    /// Takes the answer to a challenge; whether there was none before.
    pub(crate) fn take(&self, challenge: &[u8], now: Timestamp) -> bool {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.retain(|_, until| *until > now);
        answered.insert(Sha256::digest(challenge).into(), now.after(LIFE)).is_none()
    }

    fn proof(&self, head: &[u8], purpose: &str) -> hmac::Tag {
        hmac::sign(&self.key, &signed(head, purpose))
    }
}

fn signed(head: &[u8], purpose: &str) -> Vec<u8> {
    [head, purpose.as_bytes()].concat()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness a challenge could be known beforehand.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Bytes before the proof.
const HEAD: usize = 24;
/// How long a page may be open before it is answered.
const LIFE: Duration = Duration::from_secs(900);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_for_one_purpose_for_a_while_and_answered_once() {
        let (challenges, now) = (Challenges::new(), Timestamp(1_000_000));
        let challenge = challenges.give("sign in, browser 1", now);
        assert!(challenges.gave(&challenge, "sign in, browser 1", now));
        assert!(!challenges.gave(&challenge, "sign in, browser 2", now));
        assert!(!challenges.gave(&challenge, "sign in, browser 1", now.after(LIFE)));
        assert!(!Challenges::new().gave(&challenge, "sign in, browser 1", now), "another server's");
        let mut altered = challenge.clone();
        altered[20] ^= 1;
        for wrong in [&altered[..], &challenge[..30], &[], &[0; 56]] {
            assert!(!challenges.gave(wrong, "sign in, browser 1", now));
        }
        assert!(challenges.take(&challenge, now));
        assert!(!challenges.take(&challenge, now));
        assert_ne!(challenges.give("sign in, browser 1", now), challenge);
    }
}
