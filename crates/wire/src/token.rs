//! Tokens: made to be recognised, checked and found.
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
//!
//! For clients that tell kinds apart by prefix or length there is a second shape, Bitbucket Cloud's: `ATATT3xFfGF0` or
//! `ATCTT3xFfGN0`, 171 letters, `=` and a CRC-32 in hexadecimal, 192 characters in all; and `ATBB` with 36 for app
//! passwords. There is no room for an id in the latter, so the id of such a secret is made of its digest.

use std::fmt;

use doorward_rules::{CredentialId, Fault, Kind, Kinds};
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
    /// The kinds that it may be of, by its looks.
    pub kinds: Kinds,
    /// What to call it if it turns out not to be known here: a token of Bitbucket Cloud's own is none of ours.
    pub foreign: Option<Fault>,
    /// The public id that it claims.
    pub id: CredentialId,
    /// What to compare with the stored digest.
    pub digest: TokenDigest,
}

/// What tokens look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenShape {
    /// This server's own.
    Doorward,
    /// Bitbucket Cloud's, for clients that look for its prefixes and lengths. Of kinds for which Bitbucket Cloud's shape
    /// is not known, tokens have this server's own.
    Bitbucket,
}

/// SHA-256 of a token's text.
///
/// The digest cannot be turned back into the token; it is still not printed, so that records cannot be linked by logs.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl MintedToken {
    /// Makes a token of a kind; `random` fills a buffer with random bytes fit for secrets.
    pub fn mint(kind: Kind, shape: TokenShape, random: impl Fn(&mut [u8])) -> Self {
        let letters = |count, alphabet| random_letters(count, alphabet, &random);
        let text = match (kind, shape) {
            (Kind::AccountPassword | Kind::ConnectJwt, _) => letters(24, ALPHANUMERIC),
            (Kind::AppPassword, TokenShape::Bitbucket) => with_crc(format!("ATBB{}", letters(24, ALPHANUMERIC))),
            (Kind::ApiToken, TokenShape::Bitbucket) => {
                with_crc(format!("ATATT3xFfGF0{MARK}{}=", letters(171 - MARK.len(), URL_SAFE)))
            }
            (Kind::RepositoryToken | Kind::ProjectToken | Kind::WorkspaceToken, TokenShape::Bitbucket) => {
                with_crc(format!("ATCTT3xFfGN0{MARK}{}=", letters(171 - MARK.len(), URL_SAFE)))
            }
            _ => {
                let (id, secret) = (letters(CredentialId::LENGTH, CROCKFORD), letters(SECRET_LENGTH, CROCKFORD));
                let text = format!("{}{id}_{secret}", prefix(kind));
                let sum = checksum(&text);
                text + &sum
            }
        };
        let digest = TokenDigest::of(&text);
        let id = own_id(&text).unwrap_or_else(|| digest.id());
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
        let Some(kind) = OWN_KINDS.into_iter().find(|kind| text.starts_with(prefix(*kind))) else {
            return bitbucket(text);
        };
        if text.len() < LENGTH && text.bytes().all(|byte| byte == b'_' || CROCKFORD.contains(&byte)) {
            return Err(Fault::Truncated);
        }
        if text.len() != LENGTH || !text.is_ascii() {
            return Err(Fault::Altered);
        }
        let id = own_id(text).ok_or(Fault::Altered)?;
        let (body, found) = text.split_at(LENGTH - CHECKSUM_LENGTH);
        if !body[PREFIX_LENGTH + CredentialId::LENGTH..].starts_with('_') || checksum(body) != found {
            return Err(Fault::Altered);
        }
        Ok(Self { kinds: Kinds::of(&[kind]), foreign: None, id, digest: TokenDigest::of(text) })
    }

    /// Takes a text for an account's password.
    pub fn password(text: &SecretString) -> Self {
        let digest = TokenDigest::of(text.expose_secret());
        Self { kinds: Kinds::of(&[Kind::AccountPassword]), foreign: None, id: digest.id(), digest }
    }
}

/// Reads a token of Bitbucket Cloud's shape. Lengths vary there, so the checksum alone tells whether it is whole; of our
/// own ones, the mark does.
fn bitbucket(text: &str) -> Result<UnverifiedToken, Fault> {
    let (prefix, kinds, fault) =
        BITBUCKET.iter().find(|(prefix, ..)| text.starts_with(prefix)).ok_or(Fault::NotAToken)?;
    let ours = text[prefix.len()..].get(BITBUCKET_REST..).is_some_and(|rest| rest.starts_with(MARK));
    let damaged = match ours {
        true if text.len() < BITBUCKET_LENGTH => Fault::Truncated,
        true => Fault::Altered,
        false => *fault,
    };
    let (body, sum) = text.split_at_checked(text.len().saturating_sub(8)).ok_or(damaged)?;
    if crc_hex(body) != sum {
        return Err(damaged);
    }
    let digest = TokenDigest::of(text);
    let foreign = (!ours).then_some(*fault);
    Ok(UnverifiedToken { kinds: Kinds::of(kinds), foreign, id: digest.id(), digest })
}

impl TokenDigest {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// The digest as it was stored; `None` if that is not 32 bytes long.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// An id made of the digest, for secrets that have no room for one. It gives away 60 of its 256 bits.
    fn id(&self) -> CredentialId {
        let mut start = [0; CredentialId::LENGTH];
        start.copy_from_slice(&self.0[..CredentialId::LENGTH]);
        CredentialId::from_random(start)
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

/// So many letters of an alphabet, each as likely as any other; `random` fills a buffer with random bytes fit for secrets.
pub fn random_letters(count: usize, alphabet: &[u8], random: impl Fn(&mut [u8])) -> String {
    // Bytes that would make the first letters of the alphabet more frequent are drawn again.
    let fair = |byte: &u8| usize::from(*byte) < 256 / alphabet.len() * alphabet.len();
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bytes = [0; 64];
        random(&mut bytes);
        let missing = count - text.len();
        let drawn = bytes.iter().filter(|byte| fair(byte)).take(missing);
        text.extend(drawn.map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])));
    }
    text
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::ApiToken => "dwa_",
        Kind::AppPassword => "dwp_",
        Kind::RepositoryToken => "dwr_",
        Kind::ProjectToken => "dwj_",
        Kind::WorkspaceToken => "dww_",
        Kind::OAuthToken => "dwo_",
        Kind::WebSession => "dws_",
        Kind::AccountPassword | Kind::ConnectJwt => "",
    }
}

/// The id in a token of this server's own shape.
fn own_id(text: &str) -> Option<CredentialId> {
    text.strip_prefix("dw")
        .and_then(|_| text.get(PREFIX_LENGTH..PREFIX_LENGTH + CredentialId::LENGTH))
        .and_then(CredentialId::parse)
}

fn with_crc(text: String) -> String {
    let sum = crc_hex(&text);
    text + &sum
}

/// CRC-32 (IEEE) of the text, as Bitbucket Cloud writes it.
fn crc_hex(text: &str) -> String {
    format!("{:08X}", crc32fast::hash(text.as_bytes()))
}

/// CRC-32 (IEEE) of the text, in seven letters of five bits, the highest first.
fn checksum(text: &str) -> String {
    let sum = crc32fast::hash(text.as_bytes());
    (0..CHECKSUM_LENGTH).rev().map(|place| char::from(letter((u64::from(sum) >> (5 * place)) as u32))).collect()
}

fn letter(bits: u32) -> u8 {
    CROCKFORD[(bits % 32) as usize]
}

/// What each kind of token begins with, for those who look for tokens in texts.
pub(crate) const PREFIXES: &[&str] =
    &["dwa_", "dwp_", "dwr_", "dwj_", "dww_", "dwo_", "dws_", "ATATT", "ATCTT", "ATBB"];
const OWN_KINDS: [Kind; 7] = [
    Kind::ApiToken,
    Kind::AppPassword,
    Kind::RepositoryToken,
    Kind::ProjectToken,
    Kind::WorkspaceToken,
    Kind::OAuthToken,
    Kind::WebSession,
];
const BITBUCKET: &[(&str, &[Kind], Fault)] = &[
    ("ATATT", &[Kind::ApiToken], Fault::ForeignApiToken),
    ("ATCTT", &[Kind::RepositoryToken, Kind::ProjectToken, Kind::WorkspaceToken], Fault::ForeignAccessToken),
    ("ATBB", &[Kind::AppPassword], Fault::ForeignAppPassword),
];
/// What stands between the part of a prefix that tells the kind and the rest of an API token or access token.
const BITBUCKET_REST: usize = "3xFfGF0".len();
const BITBUCKET_LENGTH: usize = 192;
/// Stands in tokens of Bitbucket Cloud's shape, so that whoever finds one knows whose it is.
const MARK: &str = "doorward";
const CROCKFORD: &[u8] = CredentialId::ALPHABET;
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const URL_SAFE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
const PREFIX_LENGTH: usize = 4;
const SECRET_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 7;
const LENGTH: usize = PREFIX_LENGTH + CredentialId::LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;

#[cfg(test)]
mod tests {
    use super::*;

    fn minted() -> MintedToken {
        mint(Kind::ApiToken, TokenShape::Doorward)
    }

    fn mint(kind: Kind, shape: TokenShape) -> MintedToken {
        MintedToken::mint(kind, shape, |buffer| getrandom::fill(buffer).expect("the machine has randomness"))
    }

    #[test]
    fn every_kind_is_minted_in_both_shapes_and_read_back() {
        for kind in OWN_KINDS {
            for shape in [TokenShape::Doorward, TokenShape::Bitbucket] {
                let token = mint(kind, shape);
                let read = UnverifiedToken::parse(&token.secret).expect("well formed");
                assert_eq!((read.id, read.digest), (token.id, token.digest));
                assert!(read.kinds.contains(kind));
                assert!(crate::redact(token.secret.expose_secret()).ends_with("***"));
            }
        }
    }

    #[test]
    fn tokens_of_bitbucket_clouds_shape_have_its_prefixes_lengths_and_checksum() {
        for (kind, prefix, length) in [
            (Kind::ApiToken, "ATATT3xFfGF0", 192),
            (Kind::ProjectToken, "ATCTT3xFfGN0", 192),
            (Kind::AppPassword, "ATBB", 36),
        ] {
            let token = mint(kind, TokenShape::Bitbucket);
            let text = token.secret.expose_secret();
            assert!(text.starts_with(prefix) && text.len() == length, "{}", text.len());
            assert_eq!(format!("{:08X}", crc32fast::hash(&text.as_bytes()[..length - 8])), text[length - 8..]);
            let damaged = |text: String| UnverifiedToken::parse(&text.into()).expect_err("damaged");
            let (cut, changed) = (text[..length - 1].to_owned(), format!("{}0", &text[..length - 1]));
            // In an app password there is no room for a mark, so it may be anybody's.
            let expected = match kind {
                Kind::AppPassword => (Fault::ForeignAppPassword, Fault::ForeignAppPassword),
                _ => (Fault::Truncated, Fault::Altered),
            };
            if changed != text {
                assert_eq!((damaged(cut), damaged(changed)), expected);
            }
        }
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
