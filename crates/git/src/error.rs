//! What can go wrong with git and its repositories.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why git did not do what it was asked. Never says anything about a caller's right to ask.
#[derive(Debug, Error)]
pub enum GitError {
    /// What was asked for is more than can be answered at once.
    #[error("the answer is too large, or takes too long")]
    TooMuch,
    /// There is no git, or one that is too old.
    #[error("{0}")]
    Program(String),
    /// A file or directory of a repository cannot be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A process could not be started or talked to.
    #[error("git {what} could not be run: {source}")]
    Run {
        /// What was to be run.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A process ended badly. What it wrote is for the operator.
    #[error("git {what} failed: {stderr}")]
    Failed {
        /// What was run.
        what: &'static str,
        /// The end of what it wrote to standard error, without secrets.
        stderr: String,
    },
    /// As many processes are running as may, and none ended within the given time.
    #[error("the server is busy: no place for another git process became free within {} s", .0.as_secs())]
    Busy(Duration),
    /// As many requests wait for a process as may.
    #[error("the server is busy: as many requests wait for a git process as may")]
    Crowded,
    /// A permit that is not for fetching from a repository or pushing to one.
    #[error("a permit for something else was brought to a repository's objects")]
    Misdirected,
}

impl GitError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(crate) fn run(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Run { what, source }
    }
}
