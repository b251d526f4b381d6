//! The kinds of credential.

/// What sort of thing proves the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person's token for machines: named, scoped, expiring.
    ApiToken,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::ApiToken];

    /// The stable name in the store, in JSON and in the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::ApiToken => "api_token",
        }
    }

    /// The kind with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The name in a sentence.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::ApiToken => "API token",
        }
    }
}
