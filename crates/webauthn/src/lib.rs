//! Passkeys: what a browser sends of them, read and checked (Web Authentication Level 2, §7).
//!
//! Bytes in, findings out: no I/O, no clock, no randomness. Which challenges were given out, and whose which passkey is, is for others
//! to know. Who has made an authenticator is not asked (attestation `none`).

mod authenticator_data;
mod cbor;
mod client_data;
mod key;
mod party;

pub use client_data::{Ceremony, ClientData};
pub use key::PublicKey;
pub use party::{NewPasskey, Party, Proof};

use thiserror::Error;

/// Why something that came in the name of a passkey is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PasskeyError {
    /// It cannot be read.
    #[error("what the browser sent of the passkey cannot be read: {0}")]
    Unreadable(&'static str),
    /// It is about another server, another question, or another moment.
    #[error("the passkey answered something that this server has not asked: {0}")]
    Elsewhere(&'static str),
    /// The signature is not made with this passkey.
    #[error("the answer is not signed by this passkey")]
    Forged,
    /// Its key is of a sort that is not known here.
    #[error("the passkey's key is of a sort that is not supported")]
    Unsupported,
    /// It has counted less than it had before: there may be a copy.
    #[error("the passkey has been used elsewhere in the meantime: there may be a copy of it")]
    Copied,
}
