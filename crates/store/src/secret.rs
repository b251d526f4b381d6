//! Secrets that are no credentials: links, codes, refresh tokens. Made of random bits, and kept as SHA-256.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::database::fill_random;

/// A secret of so many letters and digits; each is worth nearly 6 bits.
pub(crate) fn random_letters(count: usize) -> SecretString {
    doorward_wire::random_letters(count, LETTERS, fill_random).into()
}

/// What is kept of a secret.
pub(crate) fn digest(secret: &SecretString) -> [u8; 32] {
    Sha256::digest(secret.expose_secret()).into()
}

const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
