//! What keeps something from being done.

use doorward_git::GitError;
use doorward_store::StoreError;
use thiserror::Error;

/// Why something was not done.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The store does not do it, or cannot tell now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Git does not do it, or cannot tell now.
    #[error(transparent)]
    Git(#[from] GitError),
    /// What was to be imported cannot be.
    #[error("{0}")]
    Import(GitError),
    /// An import was stopped.
    #[error("the import was interrupted")]
    Interrupted,
    /// What was asked for cannot have been meant.
    #[error("{sentence}")]
    Wrong {
        /// The part of it that is wrong.
        field: &'static str,
        /// What is wrong with it.
        sentence: String,
        /// What to do about it.
        remedy: String,
    },
    /// There is no such thing in what was named.
    #[error("{sentence}")]
    Absent {
        /// What is not there.
        sentence: String,
        /// What to do about it.
        remedy: String,
    },
    /// It is more than the credential of whoever asks for it may give.
    #[error("{sentence}")]
    Beyond {
        /// What it has not.
        sentence: String,
        /// What to do about it.
        remedy: String,
    },
}
