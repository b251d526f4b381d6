//! Secrets that are no credentials: links, codes, refresh tokens. Made of random bits, and kept as SHA-256.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::database::fill_random;

/// A secret of so many letters and digits; each is worth nearly 6 bits.
pub(crate) fn random_letters(count: usize) -> SecretString {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bytes = [0; 64];
        fill_random(&mut bytes);
        // Bytes that would make the first letters more frequent are drawn again.
        let fair = bytes.iter().filter(|byte| usize::from(**byte) < 256 / LETTERS.len() * LETTERS.len());
        let missing = count - text.len();
        text.extend(fair.take(missing).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])));
    }
    text.into()
}

/// What is kept of a secret.
pub(crate) fn digest(secret: &SecretString) -> [u8; 32] {
    Sha256::digest(secret.expose_secret()).into()
}

const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
