//! The keyring of the desktop: GNOME's, KDE's or KeePassXC's, by the Secret Service protocol of freedesktop.org.
//!
//! It holds secrets and nothing else; what they are for stands in the vault. A keyring that is locked, or does not answer,
//! says nothing about a secret.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use dbus_secret_service::{Collection, EncryptionType, Error, Item, SecretService};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::Environment;

/// A keyring that can be asked.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// How long a person has to unlock it, in seconds; `None` where there is nobody to ask.
    prompt: Option<u64>,
}

/// Why a secret was not read from, or not written to, a keyring.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyringError {
    /// It is locked, and was not unlocked.
    #[error("the keyring is locked; unlock it and try again")]
    Locked,
    /// The secret is not there any more.
    #[error("the keyring does not have it any more; store it again")]
    Gone,
    /// It does not do what it should.
    #[error("the keyring cannot be used now: {0}")]
    Failed(String),
}

impl Keyring {
    /// The keyring of this session, if it has a bus to ask it by. Without one none is started.
    pub fn of_session(environment: Environment<'_>) -> Option<Self> {
        let bus = environment("DBUS_SESSION_BUS_ADDRESS").is_some();
        let socket = || environment("XDG_RUNTIME_DIR").is_some_and(|path| Path::new(&path).join("bus").exists());
        let screen = environment("DISPLAY").or_else(|| environment("WAYLAND_DISPLAY")).is_some();
        (bus || socket()).then_some(Self { prompt: screen.then_some(PATIENCE) })
    }

    /// The secret that is kept under an id.
    ///
    /// # Errors
    /// [`KeyringError`] if it cannot be had now.
    pub fn read(&self, id: &str) -> Result<SecretString, KeyringError> {
        let id = id.to_owned();
        self.in_time(move |keyring| {
            let service = keyring.connect()?;
            let item = keyring.item(&service, &id)?.ok_or(KeyringError::Gone)?;
            let secret = item.get_secret()?;
            String::from_utf8(secret).map(SecretString::from).map_err(|_| KeyringError::Gone)
        })
    }

    /// Keeps a secret under a new id, which it returns. `label` is what a person sees.
    ///
    /// # Errors
    /// [`KeyringError`] if it is not kept.
    pub fn write(&self, label: &str, secret: &SecretString) -> Result<String, KeyringError> {
        let (id, label, secret) = (new_id(), label.to_owned(), secret.clone());
        self.in_time(move |keyring| {
            let service = keyring.connect()?;
            let collection = lasting(&service)?;
            if collection.is_locked()? {
                keyring.prompt.ok_or(KeyringError::Locked)?;
                collection.unlock()?;
            }
            let bytes = secret.expose_secret().as_bytes();
            collection.create_item(&label, attributes(&id), bytes, true, "text/plain")?;
            Ok(id)
        })
    }

    /// Forgets the secret that is kept under an id; it is no error if there is none.
    ///
    /// # Errors
    /// [`KeyringError`] if it is still there.
    pub fn remove(&self, id: &str) -> Result<(), KeyringError> {
        let id = id.to_owned();
        self.in_time(move |keyring| {
            let service = keyring.connect()?;
            match keyring.item(&service, &id)? {
                Some(item) => Ok(item.delete()?),
                None => Ok(()),
            }
        })
    }

    /// A bus may take a question and never answer: git does not wait for that.
    fn in_time<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let (keyring, (sender, receiver)) = (self.clone(), channel());
        std::thread::spawn(move || drop(sender.send(work(&keyring))));
        let patience = ANSWER + Duration::from_secs(self.prompt.unwrap_or(0));
        receiver.recv_timeout(patience).unwrap_or_else(|_| Err(KeyringError::Failed("it does not answer".into())))
    }

    fn connect(&self) -> Result<SecretService, KeyringError> {
        Ok(SecretService::connect_with_max_prompt_timeout(EncryptionType::Dh, self.prompt.unwrap_or(0))?)
    }

    fn item<'a>(&self, service: &'a SecretService, id: &str) -> Result<Option<Item<'a>>, KeyringError> {
        let mut found = service.search_items(attributes(id))?;
        match (found.unlocked.pop(), found.locked.pop(), self.prompt) {
            (Some(item), ..) => Ok(Some(item)),
            (None, None, _) => Ok(None),
            (None, Some(_), None) => Err(KeyringError::Locked),
            (None, Some(item), Some(_)) => {
                item.unlock()?;
                Ok(Some(item))
            }
        }
    }
}

/// The collection that lasts: a session's own is gone with it.
fn lasting(service: &SecretService) -> Result<Collection<'_>, KeyringError> {
    if let Ok(collection) = service.get_default_collection() {
        return Ok(collection);
    }
    let login = |collection: &Collection<'_>| collection.path.ends_with("/login");
    let none = || KeyringError::Failed("it has no default collection".into());
    service.get_all_collections()?.into_iter().find(login).ok_or_else(none)
}

fn attributes(id: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "doorward"), ("id", id)])
}

/// An id says nothing about the secret: attributes are not encrypted.
///
/// # Panics
/// If the operating system has no randomness.
fn new_id() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<Error> for KeyringError {
    fn from(error: Error) -> Self {
        match error {
            Error::Locked | Error::Prompt => Self::Locked,
            Error::NoResult => Self::Gone,
            error => Self::Failed(error.to_string()),
        }
    }
}

/// How long a person has to unlock it, in seconds.
const PATIENCE: u64 = 60;
/// How long it has to answer.
const ANSWER: Duration = Duration::from_secs(5);
