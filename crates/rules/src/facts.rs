//! What is known when the kernel is asked: the caller's credential and the repository, as the store has them.

use crate::{AccountId, CredentialId, Fault, Kind, Privilege, RepositoryId, Scopes, Timestamp, WorkspaceId};

/// What the store and the request's own bytes say about one question.
///
/// Facts are findings. Whoever could not find out (store down, time-out) has no facts and must not ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What the caller presented.
    pub presented: Presented,
    /// The workspace that was named, if there is one of that name.
    pub workspace: Option<WorkspaceId>,
    /// The repository that was named, if there is one of that name.
    pub repository: Option<Repository>,
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
    /// The only workspace it may be used in, if it is limited to one.
    pub workspace: Option<WorkspaceId>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
    /// The account that it acts for.
    pub owner: AccountId,
    /// Whether that account is disabled.
    pub owner_disabled: bool,
    /// The user name that came with the secret.
    pub name_form: NameForm,
}

/// The form of the user name that came with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameForm {
    /// No user name: a Bearer token, or Basic with an empty one.
    Empty,
    /// The owner's user name.
    UserName,
    /// The owner's e-mail address.
    Email,
    /// The fixed name `x-bitbucket-api-token-auth`.
    ApiTokenAuth,
    /// The fixed name `x-token-auth`.
    TokenAuth,
    /// The secret itself, in place of the user name.
    Secret,
    /// A name that belongs to nobody.
    Nobody,
    /// The user name or e-mail address of another account.
    SomebodyElse,
}

/// A repository, as the principal stands to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repository {
    /// Its id.
    pub id: RepositoryId,
    /// Whether anybody may read it.
    pub public: bool,
    /// What the principal may do to it; `None` for a caller without a credential.
    pub privilege: Privilege,
}

impl NameForm {
    /// Every form.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::UserName,
        Self::Email,
        Self::ApiTokenAuth,
        Self::TokenAuth,
        Self::Secret,
        Self::Nobody,
        Self::SomebodyElse,
    ];

    /// The word for it in the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "no user name",
            Self::UserName => "the owner's user name",
            Self::Email => "the owner's e-mail",
            Self::ApiTokenAuth => "x-bitbucket-api-token-auth",
            Self::TokenAuth => "x-token-auth",
            Self::Secret => "the token as user name",
            Self::Nobody => "a user name of nobody",
            Self::SomebodyElse => "somebody else's user name",
        }
    }
}
