//! Names that never change: of accounts, workspaces, repositories and credentials.

use core::fmt;
use core::str::FromStr;

use uuid::Uuid;

/// Makes a type for the identity of one noun, so that a workspace's id cannot be passed for a repository's.
macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    };
}

identity! {
    /// An account: a person or a bot.
    AccountId
}
identity! {
    /// A workspace.
    WorkspaceId
}
identity! {
    /// A project: a group of repositories within a workspace.
    ProjectId
}
identity! {
    /// A repository. It stays the same when the repository is renamed.
    RepositoryId
}

/// A credential's public id: the part of a token that may be shown, logged and typed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId([u8; CredentialId::LENGTH]);

impl CredentialId {
    /// How many characters an id has.
    pub const LENGTH: usize = 12;

    /// What an id is written with: digits and small letters but `i`, `l`, `o` and `u`, as in Crockford's base 32, so
    /// that nothing looks like something else.
    pub const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    /// An id from 12 characters of [`Self::ALPHABET`]; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; Self::LENGTH] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|byte| Self::ALPHABET.contains(byte)).then_some(Self(bytes))
    }

    /// An id made of 12 bytes of randomness, of which each gives five bits.
    pub fn from_random(random: [u8; Self::LENGTH]) -> Self {
        Self(random.map(|byte| Self::ALPHABET[usize::from(byte) % Self::ALPHABET.len()]))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({self})")
    }
}
