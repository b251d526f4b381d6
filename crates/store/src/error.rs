//! What can go wrong, apart by whose fault it is.

use doorward_rules::{Reason, Rule};
use thiserror::Error;

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {noun} `{name}`")]
    Missing {
        /// What was looked for.
        noun: Noun,
        /// The name it was looked for by.
        name: String,
    },
    /// There is one already.
    #[error("there is already {noun:#} `{name}`")]
    Exists {
        /// What was to be made.
        noun: Noun,
        /// The name that is taken.
        name: String,
    },
    /// The thing is in a state in which this cannot be done to it.
    #[error("{0}")]
    State(String),
    /// Whoever was let in to do it may not do it any more, or not at this moment.
    #[error("{reason}")]
    Withdrawn {
        /// Why not.
        reason: Box<Reason>,
        /// The rule that settled it.
        rule: Rule,
    },
    /// The database cannot answer now. This says nothing about what was asked.
    #[error("the database cannot be used: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// The database was made by another version, or cannot be brought to this one.
    #[error("the database cannot be brought to this version of doorward: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row that this program cannot have written.
    #[error("the database holds {0}, which doorward cannot have written")]
    Corrupt(String),
}

/// What a [`StoreError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the design")]
pub enum Noun {
    Account,
    Email,
    Workspace,
    Member,
    Project,
    Repository,
    Permission,
    Webhook,
    Token,
    Request,
    Consumer,
    Grant,
    UpstreamCredential,
    Passkey,
}

/// The noun; with `#`, with its article.
impl std::fmt::Display for Noun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (article, noun) = match self {
            Self::Account => ("an", "account"),
            Self::Email => ("an", "account with the e-mail"),
            Self::Workspace => ("a", "workspace"),
            Self::Member => ("a", "member"),
            Self::Project => ("a", "project"),
            Self::Repository => ("a", "repository"),
            Self::Permission => ("a", "permission"),
            Self::Webhook => ("a", "webhook"),
            Self::Token => ("a", "token"),
            Self::Request => ("a", "record of the request"),
            Self::Consumer => ("an", "OAuth consumer"),
            Self::Grant => ("a", "grant"),
            Self::UpstreamCredential => ("a", "credential for an upstream called"),
            Self::Passkey => ("a", "passkey"),
        };
        if f.alternate() { write!(f, "{article} {noun}") } else { f.write_str(noun) }
    }
}

impl StoreError {
    pub(crate) fn missing(noun: Noun, name: impl ToString) -> Self {
        Self::Missing { noun, name: name.to_string() }
    }

    /// An error of an INSERT: a unique name that is taken, or trouble.
    pub(crate) fn inserting(noun: Noun, name: impl ToString, error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) if inner.is_unique_violation() => {
                Self::Exists { noun, name: name.to_string() }
            }
            _ => Self::Unavailable(error),
        }
    }
}
