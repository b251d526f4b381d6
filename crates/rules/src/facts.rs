//! What is known when the kernel is asked: the caller's credential and the repository, as the store has them.

use crate::{
    AccountId, CredentialId, Fault, Form, Kind, Policy, Privilege, ProjectId, RepositoryId, Scopes, Timestamp,
    WorkspaceId,
};
use core::time::Duration;

/// What the store and the request's own bytes say about one question.
///
/// Facts are findings. Whoever could not find out (store down, time-out) has no facts and must not ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What the caller presented.
    pub presented: Presented,
    /// The workspace that was named, if there is one of that name.
    pub workspace: Option<Workspace>,
    /// The repository that was named, if there is one of that name.
    pub repository: Option<Repository>,
    /// The account that was named, if there is one of that name.
    pub account: Option<AccountId>,
}

/// What the caller presented, and what came of looking it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// No credential at all.
    Nothing,
    /// Something that cannot be a credential of this server, for the given fault.
    Unreadable(Fault),
    /// A well-formed secret that belongs to no credential.
    Unknown,
    /// The secret of this credential.
    Proven(Credential),
}

/// A credential whose secret was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its public id.
    pub id: CredentialId,
    /// Its kind.
    pub kind: Kind,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The only place where it may be used, if it is limited to one.
    pub limit: Limit,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
    /// The account that it acts for; `None` for an access token, which acts for no person.
    pub owner: Option<AccountId>,
    /// Whether that account is disabled.
    pub owner_disabled: bool,
    /// Whether that account administers the server.
    pub administrator: bool,
    /// Whether that account is managed by an organisation.
    pub managed: bool,
    /// Whether that account has two-step verification; `None` where there is no account.
    pub two_step: Option<bool>,
    /// Whether it comes from a sign-in at an organisation's own provider: a session, or what was granted in one.
    pub single_sign_on: bool,
    /// How the secret was presented.
    pub form: Form,
}

/// The place that a credential is limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Wherever its principal may go.
    Anywhere,
    /// One workspace.
    Workspace(WorkspaceId),
    /// One project.
    Project(ProjectId),
    /// One repository.
    Repository(RepositoryId),
}

/// A workspace that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// What it asks of credentials.
    pub policy: Policy,
    /// What the principal is to it: an administrator, a member who may read, or nobody.
    pub privilege: Privilege,
    /// Whether there is a repository in it that the principal may see.
    pub shows: bool,
}

/// A repository, as the principal stands to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repository {
    /// Its id.
    pub id: RepositoryId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Whether anybody may read it.
    pub public: bool,
    /// What the principal may do to it; `None` for a caller without a credential.
    pub privilege: Privilege,
}

impl Facts {
    /// The repository, if the principal may know of it.
    pub(crate) fn visible(&self) -> Option<&Repository> {
        self.repository.as_ref().filter(|repository| repository.public || repository.privilege > Privilege::None)
    }

    /// The workspace, if the principal may know of it: it belongs to it, or may see something in it.
    pub(crate) fn visible_workspace(&self) -> Option<&Workspace> {
        self.workspace.as_ref().filter(|workspace| workspace.shows || workspace.privilege > Privilege::None)
    }

    /// The workspace, if the principal may administer it.
    pub(crate) fn administered_workspace(&self) -> Option<&Workspace> {
        self.workspace.as_ref().filter(|workspace| workspace.privilege == Privilege::Admin)
    }

    /// The credential, if its secret was proven.
    pub fn credential(&self) -> Option<&Credential> {
        match &self.presented {
            Presented::Proven(credential) => Some(credential),
            _ => None,
        }
    }
}

impl Credential {
    /// Whether it was made to last no longer than this.
    pub fn lasts_at_most(&self, longest: Duration) -> bool {
        self.expires_at.is_some_and(|end| end <= self.created_at.after(longest))
    }
}

impl Limit {
    /// The noun of the place; `None` for anywhere.
    pub fn noun(self) -> Option<&'static str> {
        match self {
            Self::Anywhere => None,
            Self::Workspace(_) => Some("workspace"),
            Self::Project(_) => Some("project"),
            Self::Repository(_) => Some("repository"),
        }
    }
}
