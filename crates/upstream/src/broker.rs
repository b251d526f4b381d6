//! Credentials of the gateway's own, for jobs that present a token of this server: where they come from, and which one is used.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use doorward_rules::{Surface, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::budget::Bucket;
use crate::caller::PrintKey;
use crate::{Caller, Forms, Print, Unanswered, Upstream};

/// Where a credential comes from: `USER:SECRET`, or a secret alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An environment variable of the server.
    Environment(String),
    /// A file.
    File(PathBuf),
    /// What a command writes, run by a shell.
    Command(String),
    /// What is kept sealed in the database, by its name.
    Stored(String),
}

/// A credential that was read from where it comes from.
#[derive(Debug, Clone)]
pub struct Kept {
    /// `USER:SECRET`, or a secret alone.
    pub secret: SecretString,
    /// When it ends there, if that is known.
    pub expires_at: Option<Timestamp>,
}

/// How credentials are read that are kept sealed: given a name, a credential or why there is none.
#[derive(Clone)]
pub struct Vault(Arc<dyn Fn(String) -> Reading + Send + Sync>);

type Reading = Pin<Box<dyn Future<Output = Result<Kept, String>> + Send>>;

impl Vault {
    /// One that reads them so.
    pub fn new(read: impl Fn(String) -> Reading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl Default for Vault {
    fn default() -> Self {
        Self::new(|name| Box::pin(async move { Err(format!("nothing is kept here, and no `{name}`")) }))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

/// The credentials of an upstream, and which of them is used.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    vault: Vault,
    state: Mutex<State>,
    /// Held by whoever reads a source.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Which source is used.
    place: usize,
    /// What was read of it, and when.
    read: Option<(Caller, Instant)>,
    /// When the one that is used ends, if that is known.
    expires_at: Option<Timestamp>,
    /// When it was last warned of an end that is near.
    warned: Option<Instant>,
    /// When none could be read, and why.
    failed: Option<(Unanswered, Instant)>,
}

impl std::str::FromStr for Source {
    type Err = String;

    /// `env:NAME`, `file:PATH`, `store:NAME` or `command:LINE`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.into())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("store", name)) if !name.is_empty() => Ok(Self::Stored(name.into())),
            Some(("command", line)) if !line.is_empty() => Ok(Self::Command(line.into())),
            _ => Err("env:NAME, file:PATH, store:NAME or command:LINE".into()),
        }
    }
}

/// As it is written. What a command line says is not shown: it may have a secret in it.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stored(name) => write!(f, "store:{name}"),
            Self::Command(_) => f.write_str("command:…"),
        }
    }
}

impl Upstream {
    /// The credential of the gateway's own that is used now. Sources are read again after a while, so that one can be replaced while
    /// the server runs.
    ///
    /// # Errors
    /// [`Unanswered`] if none can be had. That is no refusal of whoever asks.
    pub async fn brokered(&self) -> Result<Caller, Unanswered> {
        let sources = &self.settings().credentials;
        if let Some(known) = self.broker().known() {
            return known;
        }
        let _reading = self.broker().reading.lock().await;
        // Somebody else may have read it meanwhile.
        if let Some(known) = self.broker().known() {
            return known;
        }
        let begin = self.broker().lock().place;
        let mut trouble = "no credential is set for it".to_owned();
        let mut ended = None;
        for place in begin..begin + sources.len() {
            let source = &sources[place % sources.len()];
            let read = source.read(&self.broker().vault).await.and_then(|kept| {
                let caller = caller(&kept.secret, self.settings().forms, self.key())?;
                Ok((caller, kept.expires_at))
            });
            match read {
                // One that should have ended is used if there is no other: the upstream may think otherwise.
                Ok((caller, Some(end))) if end.0 <= now_ms() => {
                    ended = ended.or(Some((place, caller, end)));
                }
                Ok((caller, expires_at)) => return Ok(self.take_up(place, caller, expires_at)),
                Err(why) => {
                    tracing::error!(upstream = self.settings().name, %source, why, "a credential cannot be read");
                    trouble = format!("its credential cannot be read from {source}");
                }
            }
        }
        if let Some((place, caller, end)) = ended {
            return Ok(self.take_up(place, caller, Some(end)));
        }
        let why = format!("{} cannot be asked: {trouble}", self.settings().name);
        let unanswered = Unanswered::new(why, SOON);
        self.broker().lock().failed = Some((unanswered.clone(), Instant::now()));
        Err(unanswered)
    }

    /// Uses a credential from now on, that was read from the source in this place.
    fn take_up(&self, place: usize, caller: Caller, expires_at: Option<Timestamp>) -> Caller {
        let sources = &self.settings().credentials;
        let place = place % sources.len();
        let mut state = self.broker().lock();
        (state.place, state.read) = (place, Some((caller.clone(), Instant::now())));
        state.expires_at = expires_at;
        self.warn(&sources[place], &mut state);
        caller
    }

    /// Warns of a credential that ends soon, once a day.
    fn warn(&self, source: &Source, state: &mut State) {
        let Some(end) = state.expires_at else { return };
        let is_soon = end.0 - now_ms() < ENDS_SOON.as_millis() as i64;
        if is_soon && state.warned.is_none_or(|at| at.elapsed() > DAY) {
            state.warned = Some(Instant::now());
            tracing::warn!(upstream = self.settings().name, %source, %end, "the gateway's credential ends soon: replace it");
        }
    }

    /// When the credential of the gateway's own that is used ends, if that is known.
    pub fn credential_ends(&self) -> Option<Timestamp> {
        self.broker().lock().expires_at
    }

    /// Goes on to the next credential, since this one was refused on a surface and is of no use; whether that is so, and there is
    /// another one. One that works elsewhere is not gone on from: whoever asks for what it is not for would take it from all others.
    pub fn replace(&self, refused: Print, surface: Surface) -> bool {
        if !self.known().is_useless(refused, Bucket::of(surface)) {
            return false;
        }
        let count = self.settings().credentials.len();
        let mut state = self.broker().lock();
        // Somebody else may have gone on already.
        if state.read.as_ref().is_some_and(|(caller, _)| caller.print() == refused) {
            (state.place, state.read) = ((state.place + 1) % count.max(1), None);
            tracing::warn!(upstream = self.settings().name, credential = %refused.id(), "it was refused; the next one is used");
        }
        count > 1
    }
}

impl Broker {
    /// One that reads what is kept sealed with this.
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault, ..Self::default() }
    }

    /// What is known from a moment ago.
    fn known(&self) -> Option<Result<Caller, Unanswered>> {
        let state = self.lock();
        if let Some((caller, _)) = state.read.as_ref().filter(|(_, at)| at.elapsed() < AGAIN) {
            return Some(Ok(caller.clone()));
        }
        state.failed.as_ref().filter(|(_, at)| at.elapsed() < SOON).map(|(unanswered, _)| Err(unanswered.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// Reads the credential.
    ///
    /// # Errors
    /// Why it cannot be read; no secret is in that.
    pub async fn read(&self, vault: &Vault) -> Result<Kept, String> {
        match self {
            Self::Stored(name) => vault.0(name.clone()).await,
            other => other.read_text().await.map(|secret| Kept { secret, expires_at: None }),
        }
    }

    async fn read_text(&self) -> Result<SecretString, String> {
        match self {
            Self::Stored(name) => Err(format!("no `{name}` is kept here")),
            Self::Environment(name) => std::env::var(name).map(SecretString::from).map_err(|error| error.to_string()),
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                text.map(SecretString::from).map_err(|error| error.to_string())
            }
            Self::Command(line) => {
                let mut command = tokio::process::Command::new("/bin/sh");
                command.arg("-c").arg(line).stdin(std::process::Stdio::null()).kill_on_drop(true);
                command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
                let mut child = command.spawn().map_err(|error| error.to_string())?;
                let mut text = String::new();
                let work = async {
                    if let Some(output) = child.stdout.take() {
                        output.take(LONGEST).read_to_string(&mut text).await.map_err(|error| error.to_string())?;
                    }
                    child.wait().await.map_err(|error| error.to_string())
                };
                let status = timeout(PATIENCE, work).await.map_err(|_| "it takes too long".to_owned())??;
                if status.success() { Ok(text.into()) } else { Err(format!("it ended with {status}")) }
            }
        }
    }
}

/// The credential that a text is.
fn caller(text: &SecretString, forms: Forms, key: &PrintKey) -> Result<Caller, String> {
    let text = text.expose_secret().trim();
    if text.is_empty() || text.contains(char::is_control) {
        return Err("it is empty, or has more than one line".into());
    }
    let (user, secret) = match text.split_once(':') {
        Some((user, secret)) => (Some(user), SecretString::from(secret)),
        None => (None, SecretString::from(text)),
    };
    let header = crate::caller::authorization(user, &secret)?;
    let read = Caller::read([&header].into_iter(), forms, key).map_err(|error| error.to_string())?;
    read.ok_or_else(|| "it is empty".to_owned())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How long before its end one is warned of it.
const ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// After how long a source is read again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long it is left alone when none can be read.
const SOON: Duration = Duration::from_secs(5);
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of what a command writes.
const LONGEST: u64 = 64 * 1024;
