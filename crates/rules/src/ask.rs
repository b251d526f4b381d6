//! The question: what the caller wants to do, and through which door.

use crate::{Privilege, Scope, Scopes};

/// One question to the kernel. Who asks and about what is in [`Facts`](crate::Facts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ask {
    /// Where the credential was presented.
    pub surface: Surface,
    /// What the caller wants to do.
    pub action: Action,
}

/// Where a credential is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Git over HTTPS.
    Git,
}

/// What a caller wants to do to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Clone or fetch.
    Fetch,
    /// Push: create, move or delete refs.
    Push,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Self; 1] = [Self::Git];

    /// The word for it in logs, records and sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Git => "git",
        }
    }
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 2] = [Self::Fetch, Self::Push];

    /// The word for it in logs, records and sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Push => "push",
        }
    }

    /// The action with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }

    /// What the principal must be allowed to do to the repository.
    pub fn privilege(self) -> Privilege {
        match self {
            Self::Fetch => Privilege::Read,
            Self::Push => Privilege::Write,
        }
    }

    /// The scopes of which the credential needs one: one name in each vocabulary.
    ///
    /// Bitbucket Cloud documents both: `repository` lets a client clone over HTTPS and `repository:write` push; an API
    /// token needs `read:repository:bitbucket` and `write:repository:bitbucket`. A push asks for no read scope, since
    /// new names imply nothing and a push reads nothing but the list of refs.
    pub fn scopes(self) -> Scopes {
        match self {
            Self::Fetch => Scopes::of(&[Scope::ReadRepository, Scope::Repository]),
            Self::Push => Scopes::of(&[Scope::WriteRepository, Scope::RepositoryWrite]),
        }
    }
}
