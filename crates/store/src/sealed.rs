//! Secrets that have to be read again: sealed by a key that is in the data directory and not in the database, so that a
//! copy of the database alone gives nothing away.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce, which is put before the sealed text. What a secret is for is
//! authenticated with it, so that none can be put in another's place.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::SecretSlice;

use crate::StoreError;
use crate::database::fill_random;

/// The key of a data directory.
pub(crate) struct Seal(LessSafeKey);

impl Seal {
    /// Reads the key, `keys/seal`, or makes it.
    pub(crate) fn open(directory: &Path) -> std::io::Result<Self> {
        let keys = directory.join("keys");
        let path = keys.join("seal");
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&keys)?;
                make(&keys, &path)?;
                fs::read(&path)?
            }
            read => read?,
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes)
            .map_err(|_| std::io::Error::new(ErrorKind::InvalidData, "keys/seal has not 32 bytes"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a secret for a purpose.
    pub(crate) fn close(&self, purpose: &str, secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce);
        let mut sealed = secret.to_vec();
        let tag = self.0.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose.as_bytes()),
            &mut sealed,
        );
        let tag = tag.expect("what is sealed here is short");
        [&nonce, sealed.as_slice(), tag.as_ref()].concat()
    }

    /// Opens what was sealed for a purpose.
    pub(crate) fn read(&self, purpose: &str, sealed: &[u8]) -> Result<SecretSlice<u8>, StoreError> {
        let other = || StoreError::Corrupt(format!("the secret of {purpose}, which another keys/seal has sealed"));
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or_else(other)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| other())?;
        let mut rest = rest.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut rest).map_err(|_| other())?;
        Ok(opened.to_vec().into())
    }
}

/// Makes the key under another name first: who finds it finds all of it, and of two that make one, one holds.
fn make(keys: &Path, path: &Path) -> std::io::Result<()> {
    let mut key = [0; 32];
    fill_random(&mut key);
    let draft = keys.join(format!("seal.{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let made = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    fs::remove_file(&draft)?;
    made?;
    File::open(keys)?.sync_all()
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::Seal;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_sealed_is_read_by_the_same_key_for_the_same_purpose_alone() {
        let (directory, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("another"));
        let seal = Seal::open(directory.path()).expect("a key");
        let sealed = seal.close("account 1", b"a secret");
        assert!(!sealed.windows(8).any(|window| window == b"a secret"));
        let again = Seal::open(directory.path()).expect("the same key");
        assert_eq!(again.read("account 1", &sealed).expect("read").expose_secret(), b"a secret");
        assert!(again.read("account 2", &sealed).is_err());
        assert!(Seal::open(other.path()).expect("another key").read("account 1", &sealed).is_err());
        for end in 0..sealed.len() {
            assert!(seal.read("account 1", &sealed[..end]).is_err());
        }
        let mode = std::fs::metadata(directory.path().join("keys/seal")).expect("the key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
