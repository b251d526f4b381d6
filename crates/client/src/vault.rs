//! The file with the secrets that a person has stored, and with what became of every secret that was used.
//!
//! It is encrypted, so that a backup or a synchronised folder does not hold secrets; the key is another file, or comes
//! from the environment. Whoever can read both can read the secrets: it is for machines without a keyring. Several
//! processes may use it at once; each change is one atomic replacement under a lock.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use doorward_rules::{Kind, Timestamp};
use doorward_wire::kind_by_looks;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Keyring, KeyringError, Place};

/// The file and its key.
#[derive(Debug, Clone)]
pub struct Vault {
    /// Nowhere, if there is no home: then it is empty, and nothing can be stored.
    directory: Option<PathBuf>,
    /// The key from the environment, in hexadecimal, in place of the key's file.
    key: Option<SecretString>,
    /// The keyring of the desktop, where there is one.
    keyring: Option<Keyring>,
}

/// One stored secret.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is for.
    pub place: Place,
    /// The user name of its owner, if it was given.
    pub username: Option<String>,
    /// The secret, or where it is.
    pub held: Held,
    /// When it was stored.
    pub added_at: Timestamp,
    /// When it ends, if git was told so.
    pub expires_at: Option<Timestamp>,
}

/// A secret, or what is known of one that a keyring holds.
#[derive(Debug, Clone)]
pub enum Held {
    /// The secret itself.
    Here(SecretString),
    /// In the keyring.
    InKeyring {
        /// Under this id.
        id: String,
        /// What it is known by.
        fingerprint: String,
        /// Its kind, if its looks told.
        kind: Option<Kind>,
    },
}

/// Where a secret is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// In the keyring if there is one that takes it, and else in the file.
    Anywhere,
    /// In the keyring, or not at all.
    InKeyring,
    /// In the file.
    InFile,
}

/// Where a secret was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In the keyring.
    InKeyring,
    /// In the file, since there is no keyring or none was asked for.
    InFile,
    /// In the file, since the keyring did not take it.
    InFileSince(KeyringError),
}

/// What became of a secret at a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When a host last accepted it, in milliseconds since 1970.
    #[serde(default)]
    pub accepted_at: Option<i64>,
    /// Where it was accepted: the latest places, the last one last.
    #[serde(default)]
    pub places: Vec<Place>,
    /// How often it was refused since; refusals that come close together are one.
    #[serde(default)]
    pub refused: u32,
    /// When the last of those was.
    #[serde(default)]
    pub refused_at: Option<i64>,
    /// When it was last offered without anything having come of it yet. Git tells a helper of a success and of 401, and of
    /// no other refusal.
    #[serde(default)]
    pub offered_at: Option<i64>,
    /// Why it is not offered any more.
    #[serde(default)]
    pub dead: Option<String>,
}

/// Everything in the vault.
#[derive(Debug, Default)]
pub struct Contents {
    /// What is stored.
    pub entries: Vec<Entry>,
    histories: BTreeMap<String, History>,
}

/// Why the vault cannot be used.
#[derive(Debug, Error)]
pub enum VaultError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key does not fit, or the file is damaged.
    #[error("{0} cannot be opened with its key; move it away to begin with an empty one")]
    Sealed(PathBuf),
    /// The key in the environment is none.
    #[error("DOORWARD_KEY is not 64 hexadecimal digits")]
    Key,
    /// The keyring does not do it.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// There is no place for it.
    #[error("there is no place for the vault, since HOME is not set")]
    Nowhere,
}

impl Vault {
    /// The vault in a directory, which need not be there yet, or nowhere.
    pub fn new(directory: Option<PathBuf>, key: Option<SecretString>) -> Self {
        Self { directory, key, keyring: None }
    }

    /// The same with a keyring for its secrets.
    #[must_use]
    pub fn with_keyring(self, keyring: Option<Keyring>) -> Self {
        Self { keyring, ..self }
    }

    /// The secret of an entry.
    ///
    /// # Errors
    /// [`KeyringError`] if it is in a keyring and cannot be had now.
    pub fn secret(&self, entry: &Entry) -> Result<SecretString, KeyringError> {
        match (&entry.held, &self.keyring) {
            (Held::Here(secret), _) => Ok(secret.clone()),
            (Held::InKeyring { id, .. }, Some(keyring)) => keyring.read(id),
            (Held::InKeyring { .. }, None) => Err(KeyringError::Failed("this session has none".into())),
        }
    }

    /// Stores a secret, in place of the one of the same kind and owner for the same place.
    ///
    /// # Errors
    /// [`VaultError`] if it is not stored.
    pub fn store(&self, mut entry: Entry, keep: Keep) -> Result<Kept, VaultError> {
        let (secret, mut kept) = (self.secret(&entry)?, Kept::InFile);
        let written = match (keep, &self.keyring) {
            (Keep::InFile, _) | (Keep::Anywhere, None) => None,
            (Keep::InKeyring, None) => return Err(KeyringError::Failed("this session has none".into()).into()),
            (_, Some(keyring)) => Some(keyring.write(&entry.label(), &secret)),
        };
        match written {
            None => {}
            Some(Ok(id)) => {
                kept = Kept::InKeyring;
                entry.held = Held::InKeyring { id, fingerprint: entry.fingerprint(), kind: entry.kind() };
            }
            Some(Err(error)) if keep == Keep::InKeyring => return Err(error.into()),
            Some(Err(error)) => kept = Kept::InFileSince(error),
        }
        let replaced = self.change(|contents| contents.store(entry))?;
        self.forget_secrets(&replaced);
        Ok(kept)
    }

    /// Forgets entries; how many there were.
    ///
    /// # Errors
    /// [`VaultError`] if it cannot be written.
    pub fn remove(&self, meant: impl Fn(&Entry) -> bool) -> Result<usize, VaultError> {
        let removed: Vec<Entry> =
            self.change(|contents| contents.entries.extract_if(.., |entry| meant(entry)).collect())?;
        self.forget_secrets(&removed);
        Ok(removed.len())
    }

    /// What a keyring still holds of entries that are gone is of no use to anybody; that it may not be had is no error.
    fn forget_secrets(&self, gone: &[Entry]) {
        for entry in gone {
            if let (Held::InKeyring { id, .. }, Some(keyring)) = (&entry.held, &self.keyring) {
                let _ = keyring.remove(id);
            }
        }
    }

    /// What is in it; nothing if there is none yet.
    ///
    /// # Errors
    /// [`VaultError`] if it is there and cannot be opened.
    pub fn read(&self) -> Result<Contents, VaultError> {
        let Some(directory) = &self.directory else { return Ok(Contents::default()) };
        let path = directory.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => self.open(&path, bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents::default()),
            Err(source) => Err(VaultError::File { path, source }),
        }
    }

    /// Changes what is in it. Of two processes that do so at once, one waits for the other.
    ///
    /// # Errors
    /// [`VaultError`] if it cannot be opened or written; then it is as it was.
    pub fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> Result<T, VaultError> {
        let file = |path: PathBuf| move |source| VaultError::File { path, source };
        let directory = self.directory()?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(file(directory.to_owned()))?;
        let lock = directory.join("credentials.lock");
        let held = File::options().create(true).truncate(false).write(true).mode(0o600).open(&lock);
        let held = held.and_then(|held| held.lock().map(|()| held)).map_err(file(lock))?;
        let mut contents = self.read()?;
        let result = change(&mut contents);
        let sealed = self.seal(&contents)?;
        write_private(directory, FILE, &sealed).map_err(file(directory.join(FILE)))?;
        drop(held);
        Ok(result)
    }

    /// A directory beside it.
    ///
    /// # Errors
    /// [`VaultError::Nowhere`] if it is nowhere itself.
    pub fn directory_of(&self, name: &str) -> Result<PathBuf, VaultError> {
        Ok(self.directory()?.join(name))
    }

    fn directory(&self) -> Result<&Path, VaultError> {
        self.directory.as_deref().ok_or(VaultError::Nowhere)
    }

    fn open(&self, path: &Path, mut bytes: Vec<u8>) -> Result<Contents, VaultError> {
        let sealed = || VaultError::Sealed(path.to_owned());
        let nonce =
            bytes.get(..NONCE).and_then(|nonce| Nonce::try_assume_unique_for_key(nonce).ok()).ok_or_else(sealed)?;
        let key = self.key()?.ok_or_else(sealed)?;
        let plain = key.open_within(nonce, Aad::from(VERSION), &mut bytes, NONCE..).map_err(|_| sealed())?;
        let stored: Stored = serde_json::from_slice(plain).map_err(|_| sealed())?;
        let contents = stored.into();
        bytes.fill(0);
        Ok(contents)
    }

    fn seal(&self, contents: &Contents) -> Result<Vec<u8>, VaultError> {
        let key = match self.key()? {
            Some(key) => key,
            None => self.make_key()?,
        };
        let path = self.directory()?.join(FILE);
        let mut nonce = [0; NONCE];
        fill(&mut nonce);
        let unwritable = |error: serde_json::Error| VaultError::File { path: path.clone(), source: error.into() };
        let mut bytes = serde_json::to_vec(&Stored::from(contents)).map_err(unwritable)?;
        let sealed = key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(VERSION), &mut bytes);
        sealed.map_err(|_| VaultError::Sealed(path))?;
        Ok([&nonce[..], &bytes].concat())
    }

    /// The key from the environment, or from its file, if there is one.
    fn key(&self) -> Result<Option<LessSafeKey>, VaultError> {
        let text = match &self.key {
            Some(key) => key.clone(),
            None => {
                let path = self.directory()?.join(KEY_FILE);
                match fs::read_to_string(&path) {
                    Ok(text) => text.into(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(source) => return Err(VaultError::File { path, source }),
                }
            }
        };
        from_hex(text.expose_secret().trim()).map(|bytes| Some(key_of(&bytes))).ok_or(VaultError::Key)
    }

    fn make_key(&self) -> Result<LessSafeKey, VaultError> {
        let mut bytes = [0; 32];
        fill(&mut bytes);
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let directory = self.directory()?;
        write_private(directory, KEY_FILE, format!("{text}\n").as_bytes())
            .map_err(|source| VaultError::File { path: directory.join(KEY_FILE), source })?;
        Ok(key_of(&bytes))
    }
}

impl History {
    /// When something last became of it.
    fn last_event(&self) -> Option<i64> {
        self.accepted_at.max(self.refused_at).max(self.offered_at)
    }
}

impl Contents {
    /// What became of the secret with a fingerprint at the host of a place.
    pub fn history(&self, place: &Place, fingerprint: &str) -> History {
        self.histories.get(&key(place, fingerprint)).cloned().unwrap_or_default()
    }

    /// What became of the secret with a fingerprint at the host of a place, to be changed.
    pub fn history_mut(&mut self, place: &Place, fingerprint: &str) -> &mut History {
        let key = key(place, fingerprint);
        // What became of secrets that nobody has used for long matters no more.
        while self.histories.len() >= HISTORIES && !self.histories.contains_key(&key) {
            let oldest = self.histories.iter().min_by_key(|(_, history)| history.last_event());
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            self.histories.remove(&oldest);
        }
        self.histories.entry(key).or_default()
    }

    /// Puts an entry in place of those of the same kind and owner for the same place, which it returns.
    fn store(&mut self, entry: Entry) -> Vec<Entry> {
        let same = |stored: &mut Entry| {
            (&stored.place, &stored.username, stored.kind()) == (&entry.place, &entry.username, entry.kind())
        };
        let replaced = self.entries.extract_if(.., same).collect();
        self.entries.push(entry);
        replaced
    }
}

impl Entry {
    /// What its secret is known by.
    pub fn fingerprint(&self) -> String {
        match &self.held {
            Held::Here(secret) => fingerprint(secret),
            Held::InKeyring { fingerprint, .. } => fingerprint.clone(),
        }
    }

    /// The kind of its secret, if the looks of it tell.
    pub fn kind(&self) -> Option<Kind> {
        match &self.held {
            Held::Here(secret) => kind_by_looks(secret),
            Held::InKeyring { kind, .. } => *kind,
        }
    }

    /// What a person sees of it in the keyring.
    fn label(&self) -> String {
        let owner = self.username.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        format!("{}{owner}, kept by doorward", self.place)
    }
}

/// The file's content before it is sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    entries: Vec<StoredEntry>,
    #[serde(default)]
    histories: BTreeMap<String, History>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    place: Place,
    username: Option<String>,
    /// Unless it is in the keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyring: Option<StoredKeyring>,
    added_at: i64,
    #[serde(default)]
    expires_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredKeyring {
    id: String,
    fingerprint: String,
    kind: Option<String>,
}

impl From<Stored> for Contents {
    fn from(stored: Stored) -> Self {
        let entry = |entry: StoredEntry| Entry {
            place: entry.place,
            username: entry.username,
            held: match entry.keyring {
                Some(StoredKeyring { id, fingerprint, kind }) => {
                    Held::InKeyring { id, fingerprint, kind: kind.and_then(|word| Kind::from_word(&word)) }
                }
                None => Held::Here(entry.secret.unwrap_or_default().into()),
            },
            added_at: Timestamp(entry.added_at),
            expires_at: entry.expires_at.map(Timestamp),
        };
        Self { entries: stored.entries.into_iter().map(entry).collect(), histories: stored.histories }
    }
}

impl From<&Contents> for Stored {
    fn from(contents: &Contents) -> Self {
        let entry = |entry: &Entry| {
            let (secret, keyring) = match &entry.held {
                Held::Here(secret) => (Some(secret.expose_secret().to_owned()), None),
                Held::InKeyring { id, fingerprint, kind } => {
                    let kind = kind.map(|kind| kind.word().to_owned());
                    (None, Some(StoredKeyring { id: id.clone(), fingerprint: fingerprint.clone(), kind }))
                }
            };
            StoredEntry {
                place: entry.place.clone(),
                username: entry.username.clone(),
                secret,
                keyring,
                added_at: entry.added_at.0,
                expires_at: entry.expires_at.map(|at| at.0),
            }
        };
        Self { entries: contents.entries.iter().map(entry).collect(), histories: contents.histories.clone() }
    }
}

/// What a secret at a host is remembered by once it is gone.
fn key(place: &Place, fingerprint: &str) -> String {
    format!("{} {fingerprint}", place.host())
}

/// What a secret is known by.
pub fn fingerprint(secret: &SecretString) -> String {
    let digest = digest(&SHA256, secret.expose_secret().trim().as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn key_of(bytes: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, bytes);
    LessSafeKey::new(key.expect("the length is the algorithm's"))
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

/// # Panics
/// If the operating system has no randomness: without it nothing can be kept secret.
fn fill(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the operating system gives random bytes");
}

/// Replaces a file at once, for its owner alone.
fn write_private(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".doorward-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name)).map(drop).map_err(|error| error.error)
}

const FILE: &str = "credentials";
const KEY_FILE: &str = "credentials.key";
const NONCE: usize = 12;
const HISTORIES: usize = 1000;
const VERSION: &[u8] = b"doorward credentials 1";

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(place: &str, username: &str, secret: &str) -> Entry {
        let place = place.parse().expect("a place");
        Entry {
            place,
            username: Some(username.into()),
            held: Held::Here(secret.into()),
            added_at: Timestamp(5),
            expires_at: None,
        }
    }

    #[test]
    fn what_is_stored_is_read_back_and_stands_in_no_file_in_the_clear() {
        let directory = tempfile::tempdir().expect("a directory");
        let vault = Vault::new(Some(directory.path().join("new")), None);
        assert!(vault.read().expect("empty").entries.is_empty());
        vault.store(entry("https://bitbucket.org", "ada", "s3cr3t"), Keep::Anywhere).expect("stored");
        let secret = fingerprint(&"s3cr3t\n".into());
        vault
            .change(|contents| {
                contents.history_mut(&"bitbucket.org".parse().expect("a place"), &secret).accepted_at = Some(7)
            })
            .expect("noted");
        let contents = vault.read().expect("there");
        assert_eq!(vault.secret(&contents.entries[0]).expect("there").expose_secret(), "s3cr3t");
        assert_eq!(
            contents.history(&"https://bitbucket.org/a".parse().expect("a place"), &secret).accepted_at,
            Some(7)
        );
        for file in fs::read_dir(directory.path().join("new")).expect("files") {
            let path = file.expect("a file").path();
            assert!(!String::from_utf8_lossy(&fs::read(&path).expect("read")).contains("s3cr3t"), "{}", path.display());
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("there").permissions());
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
        assert!(!format!("{:?}", contents.entries).contains("s3cr3t"));
    }

    #[test]
    fn another_key_or_a_damaged_file_is_an_error_and_nothing_is_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let vault = |key: Option<&str>| Vault::new(Some(directory.path().into()), key.map(|key| key.into()));
        let key = "ab".repeat(32);
        vault(Some(&key)).store(entry("bitbucket.org", "ada", "s"), Keep::Anywhere).expect("stored");
        assert!(matches!(vault(Some(&"cd".repeat(32))).read(), Err(VaultError::Sealed(_))));
        assert!(matches!(vault(Some("ab")).read(), Err(VaultError::Key)));
        assert!(matches!(vault(None).change(|_| ()), Err(VaultError::Sealed(_))));
        let file = directory.path().join(FILE);
        let mut bytes = fs::read(&file).expect("there");
        bytes.pop();
        fs::write(&file, &bytes).expect("written");
        assert!(matches!(vault(Some(&key)).change(|_| ()), Err(VaultError::Sealed(_))));
        assert_eq!(fs::read(&file).expect("there"), bytes);
    }

    #[test]
    fn changes_of_many_at_once_are_all_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let vault = Vault::new(Some(directory.path().into()), None);
        std::thread::scope(|scope| {
            for number in 0..20 {
                let vault = &vault;
                scope.spawn(move || {
                    let name = number.to_string();
                    vault.store(entry("bitbucket.org", &name, "s"), Keep::Anywhere).expect("stored");
                });
            }
        });
        assert_eq!(vault.read().expect("there").entries.len(), 20);
    }
}
