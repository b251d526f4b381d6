//! What a principal may do to a repository.

/// Each privilege includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Privilege {
    /// Nothing: the repository looks as if it did not exist.
    None,
    /// Clone and fetch.
    Read,
    /// Push.
    Write,
    /// Change settings and permissions.
    Admin,
}

impl Privilege {
    /// Every privilege, the smallest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Read, Self::Write, Self::Admin];

    /// The word for it on the command line, in JSON and in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The privilege with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|privilege| privilege.word() == word)
    }
}
