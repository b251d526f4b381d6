//! What a request names, as far as a decision depends on it.

use doorward_wire::{RepositoryName, RepositorySlug, WorkspaceSlug};

/// What a request is about, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// The caller's own account.
    Nothing,
    /// A workspace.
    Workspace(&'a WorkspaceSlug),
    /// A repository.
    Repository(&'a RepositoryName),
}

impl<'a> Named<'a> {
    /// The workspace, or that of the repository.
    pub fn workspace(self) -> Option<&'a WorkspaceSlug> {
        match self {
            Self::Nothing => None,
            Self::Workspace(slug) => Some(slug),
            Self::Repository(name) => Some(&name.workspace),
        }
    }

    /// The repository.
    pub fn repository(self) -> Option<&'a RepositorySlug> {
        match self {
            Self::Repository(name) => Some(&name.slug),
            Self::Nothing | Self::Workspace(_) => None,
        }
    }
}

/// As it is recorded.
impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("(own account)"),
            Self::Workspace(slug) => slug.fmt(f),
            Self::Repository(name) => name.fmt(f),
        }
    }
}
