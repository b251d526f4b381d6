//! What a request names, as far as a decision depends on it.

use doorward_wire::{AccountName, RepositoryName, RepositorySlug, WorkspaceSlug};

/// What a request is about, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// Nothing but the caller's own account, or the server.
    Nothing,
    /// An account, be it the caller's own or another.
    Account(&'a AccountName),
    /// A workspace.
    Workspace(&'a WorkspaceSlug),
    /// A repository.
    Repository(&'a RepositoryName),
}

impl<'a> Named<'a> {
    /// The workspace, or that of the repository.
    pub fn workspace(self) -> Option<&'a WorkspaceSlug> {
        match self {
            Self::Nothing | Self::Account(_) => None,
            Self::Workspace(slug) => Some(slug),
            Self::Repository(name) => Some(&name.workspace),
        }
    }

    /// The repository.
    pub fn repository(self) -> Option<&'a RepositorySlug> {
        match self {
            Self::Repository(name) => Some(&name.slug),
            Self::Nothing | Self::Account(_) | Self::Workspace(_) => None,
        }
    }

    /// The account.
    pub fn account(self) -> Option<&'a AccountName> {
        match self {
            Self::Account(name) => Some(name),
            Self::Nothing | Self::Workspace(_) | Self::Repository(_) => None,
        }
    }
}

/// As it is recorded.
impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("(own account)"),
            Self::Account(name) => write!(f, "@{name}"),
            Self::Workspace(slug) => slug.fmt(f),
            Self::Repository(name) => name.fmt(f),
        }
    }
}
