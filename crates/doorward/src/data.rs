//! The data directory: its store, its repositories, and the lock of the one server on it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use doorward_git::{Git, Repositories, Slots};
use doorward_rules::Timestamp;
use doorward_store::Store;

use crate::config::Configuration;
use crate::failure::{Code, Failure};

/// An open data directory.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) directory: PathBuf,
    pub(crate) store: Store,
}

/// Held by the server that serves a data directory.
#[derive(Debug)]
pub(crate) struct ServerLock(#[expect(dead_code, reason = "held for its Drop")] File);

impl Data {
    /// Opens the data directory that a server or `doorward up` has made.
    pub(crate) async fn open(configuration: &Configuration) -> Result<Self, Failure> {
        let directory = PathBuf::from(configuration.text("data"));
        if !directory.join("doorward.db").exists() {
            let sentence = format!("there is no data directory at {}", directory.display());
            return Err(
                Failure::new(Code::NotFound, sentence).hint("name it with --data, or make one with `doorward up`")
            );
        }
        Self::open_or_create(configuration).await
    }

    /// Opens the data directory, and makes it if it is not there. Only its owner may look into it.
    pub(crate) async fn open_or_create(configuration: &Configuration) -> Result<Self, Failure> {
        let directory = PathBuf::from(configuration.text("data"));
        make_private(&directory)?;
        let store = Store::open(&directory).await?;
        Ok(Self { directory, store })
    }

    /// The repositories in it.
    pub(crate) fn repositories(&self, configuration: &Configuration) -> Result<Repositories, Failure> {
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let git = Git::find(&configuration.git(), &search_path)?;
        Ok(Repositories::new(&self.directory, git, Slots::new(configuration.slots()), configuration.cache())?)
    }

    /// Takes the lock that keeps a second server away.
    pub(crate) fn lock(&self) -> Result<ServerLock, Failure> {
        let path = self.directory.join("doorward.lock");
        let file = File::create(&path).map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(ServerLock(file)),
            Err(TryLockError::WouldBlock) => {
                let sentence = format!("another server is serving {}", self.directory.display());
                Err(Failure::new(Code::State, sentence)
                    .hint("stop it first, or name another data directory with --data"))
            }
            Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }
}

/// The present moment, for changes made from the command line.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn make_private(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| unusable(directory, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::Failed, format!("{} cannot be used: {error}", path.display()))
        .hint("check its owner, or name another data directory with --data")
}
