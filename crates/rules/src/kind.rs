//! The kinds of credential.

use core::fmt;

/// What sort of thing proves the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// What a person signs in to the web pages with. Nothing for machines.
    AccountPassword,
    /// A person's older secret for machines: labelled, with permissions, without an end.
    AppPassword,
    /// A person's token for machines: named, scoped, expiring.
    ApiToken,
    /// A token that belongs to one repository and acts for no person.
    RepositoryToken,
    /// A token that belongs to a project and acts for no person.
    ProjectToken,
    /// A token that belongs to a workspace and acts for no person.
    WorkspaceToken,
    /// What an OAuth 2.0 consumer was given on behalf of a person.
    OAuthToken,
    /// A signed statement of an Atlassian Connect app.
    ConnectJwt,
    /// A person's sign-in to the web pages, which is in a cookie of its browser.
    WebSession,
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Kinds(u16);

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::AccountPassword,
        Self::AppPassword,
        Self::ApiToken,
        Self::RepositoryToken,
        Self::ProjectToken,
        Self::WorkspaceToken,
        Self::OAuthToken,
        Self::ConnectJwt,
        Self::WebSession,
    ];

    /// The stable name in the store, in JSON and in the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::AccountPassword => "account_password",
            Self::AppPassword => "app_password",
            Self::ApiToken => "api_token",
            Self::RepositoryToken => "repository_access_token",
            Self::ProjectToken => "project_access_token",
            Self::WorkspaceToken => "workspace_access_token",
            Self::OAuthToken => "oauth_access_token",
            Self::ConnectJwt => "connect_jwt",
            Self::WebSession => "web_session",
        }
    }

    /// The kind with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The name in a sentence.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::AccountPassword => "account password",
            Self::AppPassword => "app password",
            Self::ApiToken => "API token",
            Self::RepositoryToken => "repository access token",
            Self::ProjectToken => "project access token",
            Self::WorkspaceToken => "workspace access token",
            Self::OAuthToken => "OAuth access token",
            Self::ConnectJwt => "Connect JWT",
            Self::WebSession => "web session",
        }
    }

    /// Whether its holder is the account itself, which needs no scopes: who has signed in, or is about to.
    pub fn is_sign_in(self) -> bool {
        matches!(self, Self::AccountPassword | Self::WebSession)
    }

    /// Whether it belongs to a repository, project or workspace, and acts for no person.
    pub fn is_access_token(self) -> bool {
        matches!(self, Self::RepositoryToken | Self::ProjectToken | Self::WorkspaceToken)
    }
}

impl Kinds {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// The set of these kinds.
    pub fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u8))
    }

    /// Whether the kind is in the set.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// The kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

/// The names, separated by spaces.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, kind) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(kind.word())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kinds({self})")
    }
}
