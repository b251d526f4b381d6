//! The question: what the caller wants to do, and through which door.

use core::net::IpAddr;

use crate::{Privilege, Scope, Scopes};

/// One question to the kernel. Who asks and about what is in [`Facts`](crate::Facts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ask {
    /// Where the credential was presented.
    pub surface: Surface,
    /// What the caller wants to do.
    pub action: Action,
    /// Where the request comes from, if that is known.
    pub address: Option<IpAddr>,
}

/// Where a credential is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Git over HTTPS.
    Git,
    /// Git LFS: its batch calls and transfers.
    Lfs,
    /// The REST API.
    Rest,
    /// The web pages, where a person signs in.
    Web,
}

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Clone or fetch, or read source and history one by one.
    Fetch,
    /// Push: create, move or delete refs.
    Push,
    /// Read what a repository is: its name, its branch, its settings.
    ReadRepository,
    /// Read one's own account.
    ReadAccount,
    /// Read which workspaces one belongs to.
    ReadWorkspaces,
}

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    /// A repository.
    Repository,
    /// The caller's own account.
    Account,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Self; 4] = [Self::Git, Self::Lfs, Self::Rest, Self::Web];

    /// The word for it in logs, records and sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Lfs => "LFS",
            Self::Rest => "REST",
            Self::Web => "the web",
        }
    }

    /// What can be done there.
    pub fn actions(self) -> &'static [Action] {
        match self {
            Self::Git | Self::Lfs => &[Action::Fetch, Action::Push],
            Self::Rest => &[Action::Fetch, Action::ReadRepository, Action::ReadAccount, Action::ReadWorkspaces],
            Self::Web => &[Action::ReadRepository, Action::ReadAccount, Action::ReadWorkspaces],
        }
    }
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Fetch, Self::Push, Self::ReadRepository, Self::ReadAccount, Self::ReadWorkspaces];

    /// The word for it in logs, records and sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Push => "push",
            Self::ReadRepository => "read repository",
            Self::ReadAccount => "read account",
            Self::ReadWorkspaces => "read workspaces",
        }
    }

    /// The action with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }

    /// What it is done to.
    pub fn object(self) -> Object {
        match self {
            Self::Fetch | Self::Push | Self::ReadRepository => Object::Repository,
            Self::ReadAccount | Self::ReadWorkspaces => Object::Account,
        }
    }

    /// What the principal must be allowed to do to the repository, if it is about one.
    pub fn privilege(self) -> Privilege {
        match self {
            Self::Fetch | Self::ReadRepository => Privilege::Read,
            Self::Push => Privilege::Write,
            Self::ReadAccount | Self::ReadWorkspaces => Privilege::None,
        }
    }

    /// The scopes of which the credential needs one: one name in each vocabulary.
    ///
    /// Bitbucket Cloud documents them for each operation: `repository` lets a client clone over HTTPS and read the
    /// repository, `repository:write` push, `account` read the account and its workspaces; an API token needs
    /// `read:repository:bitbucket`, `write:repository:bitbucket`, `read:user:bitbucket` and `read:workspace:bitbucket`.
    /// A push asks for no read scope, since new names imply nothing and a push reads nothing but the list of refs.
    pub const fn scopes(self) -> Scopes {
        match self {
            Self::Fetch | Self::ReadRepository => Scopes::of(&[Scope::ReadRepository, Scope::Repository]),
            Self::Push => Scopes::of(&[Scope::WriteRepository, Scope::RepositoryWrite]),
            Self::ReadAccount => Scopes::of(&[Scope::ReadUser, Scope::Account]),
            Self::ReadWorkspaces => Scopes::of(&[Scope::ReadWorkspace, Scope::Account]),
        }
    }
}
