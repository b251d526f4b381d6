//! This server's own tokens: made to be recognised, checked and found.
//!
//! ```text
//! dwa_7k2m9q4x1v3b_0123456789abcdefghjkmnpqrstvwxyz0a1b2c3
//! └┬┘ └─────┬────┘ └───────────────┬──────────────┘└──┬──┘
//! kind      id          160 random bits            CRC-32
//! ```
//! The prefix tells the kind, to people and to secret scanners. The id may be shown and names the record to compare
//! with. The checksum is over everything before it, so that a truncated or mangled paste is named as such without a
//! look-up. Only SHA-256 of the whole text is ever stored: with 160 random bits there is nothing to guess, so a slow
//! hash would cost time for nothing.

use std::fmt;

use doorward_rules::{CredentialId, Fault, Kind};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A token that was just made: the only moment at which its text exists here.
#[derive(Debug)]
pub struct MintedToken {
    /// Its public id.
    pub id: CredentialId,
    /// The text, to be shown once.
    pub secret: SecretString,
    /// What to store.
    pub digest: TokenDigest,
}

/// A token whose form and checksum are right. Whether it is known, only the store can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedToken {
    /// The kind that its prefix claims.
    pub kind: Kind,
    /// The public id that it claims.
    pub id: CredentialId,
    /// What to compare with the stored digest.
    pub digest: TokenDigest,
}

/// SHA-256 of a token's text.
///
/// The digest cannot be turned back into the token; it is still not printed, so that records cannot be linked by logs.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl MintedToken {
    /// Makes a token of a kind; `random` fills a buffer with random bytes fit for secrets.
    pub fn mint(kind: Kind, random: impl Fn(&mut [u8])) -> Self {
        let mut id = [0; CredentialId::LENGTH];
        random(&mut id);
        let id = CredentialId::from_random(id);
        let mut secret = [0; SECRET_LENGTH];
        random(&mut secret);
        let secret: String = secret.into_iter().map(|byte| char::from(letter(u32::from(byte)))).collect();
        let mut text = format!("{}{id}_{secret}", prefix(kind));
        text.push_str(&checksum(&text));
        let digest = TokenDigest::of(&text);
        Self { id, secret: text.into(), digest }
    }
}

impl UnverifiedToken {
    /// Reads a token. White space around it is the paste's, not the token's, and is ignored.
    ///
    /// # Errors
    /// The [`Fault`] for which the text cannot be a token of this server.
    pub fn parse(text: &SecretString) -> Result<Self, Fault> {
        let text = text.expose_secret().trim();
        let kind = Kind::ALL.into_iter().find(|kind| text.starts_with(prefix(*kind)));
        let Some(kind) = kind else {
            return Err(foreign(text).unwrap_or(Fault::NotAToken));
        };
        if text.len() < LENGTH && text.bytes().all(|byte| byte == b'_' || CredentialId::ALPHABET.contains(&byte)) {
            return Err(Fault::Truncated);
        }
        if text.len() != LENGTH || !text.is_ascii() {
            return Err(Fault::Altered);
        }
        let (body, found) = text.split_at(LENGTH - CHECKSUM_LENGTH);
        let (id, rest) = body[PREFIX_LENGTH..].split_at(CredentialId::LENGTH);
        let id = CredentialId::parse(id).ok_or(Fault::Altered)?;
        if !rest.starts_with('_') || checksum(body) != found {
            return Err(Fault::Altered);
        }
        Ok(Self { kind, id, digest: TokenDigest::of(text) })
    }
}

impl TokenDigest {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// The digest as it was stored; `None` if that is not 32 bytes long.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In constant time: how long it takes does not depend on where the two differ.
impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

/// What a text that is not ours looks like: the shapes that secret scanners know for Bitbucket Cloud.
fn foreign(text: &str) -> Option<Fault> {
    [("ATATT", Fault::ForeignApiToken), ("ATCTT", Fault::ForeignAccessToken), ("ATBB", Fault::ForeignAppPassword)]
        .into_iter()
        .find_map(|(prefix, fault)| text.starts_with(prefix).then_some(fault))
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::ApiToken => "dwa_",
    }
}

/// CRC-32 (IEEE) of the text, in seven letters of five bits, the highest first.
fn checksum(text: &str) -> String {
    let sum = crc32fast::hash(text.as_bytes());
    (0..CHECKSUM_LENGTH).rev().map(|place| char::from(letter((u64::from(sum) >> (5 * place)) as u32))).collect()
}

fn letter(bits: u32) -> u8 {
    CredentialId::ALPHABET[(bits % 32) as usize]
}

const PREFIX_LENGTH: usize = 4;
const SECRET_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 7;
const LENGTH: usize = PREFIX_LENGTH + CredentialId::LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;

#[cfg(test)]
mod tests {
    use super::*;

    fn minted() -> MintedToken {
        MintedToken::mint(Kind::ApiToken, |buffer| getrandom::fill(buffer).expect("the machine has randomness"))
    }

    #[test]
    fn a_minted_token_is_read_back_as_itself() {
        let token = minted();
        let read = UnverifiedToken::parse(&token.secret).expect("well formed");
        assert_eq!((read.id, read.digest), (token.id, token.digest));
        assert_eq!(token.secret.expose_secret().len(), LENGTH);
    }

    #[test]
    fn white_space_around_a_token_is_ignored() {
        let token = minted();
        let pasted = SecretString::from(format!(" {}\r\n", token.secret.expose_secret()));
        assert_eq!(UnverifiedToken::parse(&pasted).map(|read| read.digest), Ok(token.digest));
    }

    #[test]
    fn every_truncation_is_called_truncated_and_every_change_altered() {
        let token = minted();
        let text = token.secret.expose_secret();
        for end in PREFIX_LENGTH..LENGTH {
            assert_eq!(UnverifiedToken::parse(&text[..end].into()), Err(Fault::Truncated), "cut at {end}");
        }
        for place in PREFIX_LENGTH..LENGTH {
            let mut changed = text.to_owned().into_bytes();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).expect("ascii");
            assert_eq!(UnverifiedToken::parse(&changed.into()), Err(Fault::Altered), "changed at {place}");
        }
        assert_eq!(UnverifiedToken::parse(&format!("{text}0").into()), Err(Fault::Altered));
        assert_eq!(UnverifiedToken::parse(&format!("{}é", &text[..LENGTH - 2]).into()), Err(Fault::Altered));
    }

    #[test]
    fn what_is_not_a_token_is_named_by_its_shape() {
        for (text, fault) in [
            ("hunter2", Fault::NotAToken),
            ("", Fault::NotAToken),
            ("ATATT3xFfGF0abc", Fault::ForeignApiToken),
            ("ATCTT3xFfGN0abc", Fault::ForeignAccessToken),
            ("ATBBabc", Fault::ForeignAppPassword),
        ] {
            assert_eq!(UnverifiedToken::parse(&text.into()), Err(fault));
        }
    }

    #[test]
    fn neither_the_secret_nor_its_digest_can_be_printed() {
        let token = minted();
        let printed = format!("{token:?}");
        assert!(!printed.contains(&token.secret.expose_secret()[17..]), "{printed}");
        assert!(printed.contains("TokenDigest(…)"));
    }
}
