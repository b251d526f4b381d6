//! Why a question was refused: code, status, sentence and remedy of each reason.
//!
//! This is the single source of what a refused caller reads, in whatever form, and of what the audit keeps.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::{Privilege, Scopes, Surface, Timestamp};

/// Why a question was refused. Each is a positive finding; "cannot tell now" is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No credential, and the repository is not public or not there.
    NothingPresented,
    /// What was presented cannot be a credential of this server.
    Unreadable(Fault),
    /// The secret belongs to no credential.
    Unknown,
    /// Somebody ended the credential.
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// The credential ended by itself.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The account that the credential acts for is disabled.
    OwnerDisabled,
    /// The secret is right, the user name beside it belongs to another account.
    NameOfSomebodyElse,
    /// The credential may only be used in another workspace.
    LimitedToWorkspace,
    /// The credential has no scope for the action.
    ScopeMissing {
        /// Any one of these would do.
        required: Scopes,
        /// What the credential has.
        granted: Scopes,
    },
    /// There is no such repository, or none that the principal may see.
    RepositoryInvisible,
    /// The principal may see the repository but not do this to it.
    PrivilegeMissing {
        /// What the action needs.
        required: Privilege,
        /// What the principal has.
        granted: Privilege,
    },
}

/// Why something cannot be a credential of this server. Found in its bytes alone, without a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// More than one Authorization header, or one that is not `SCHEME CREDENTIALS`.
    Header,
    /// A scheme that this server does not speak.
    Scheme,
    /// Basic credentials that are not base 64 of `name:secret` in UTF-8.
    Basic,
    /// A user name without a secret.
    NoSecret,
    /// A secret that does not look like a token: probably a password.
    NotAToken,
    /// A token of this server whose end is missing.
    Truncated,
    /// A token of this server with something in it changed: its checksum does not fit.
    Altered,
    /// A Bitbucket Cloud app password.
    ForeignAppPassword,
    /// A Bitbucket Cloud API token.
    ForeignApiToken,
    /// A Bitbucket Cloud access token.
    ForeignAccessToken,
}

/// Who may be told a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// Whoever asks: it says nothing that they did not bring themselves.
    Anybody,
    /// Only whoever has proven the secret that it is about.
    Holder,
}

impl Reason {
    /// The stable name, for scripts, logs and the audit. It never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NothingPresented => "credential_missing",
            Self::Unreadable(fault) => fault.code(),
            Self::Unknown => "token_unknown",
            Self::Revoked { .. } => "token_revoked",
            Self::Expired { .. } => "token_expired",
            Self::OwnerDisabled => "account_disabled",
            Self::NameOfSomebodyElse => "user_name_of_somebody_else",
            Self::LimitedToWorkspace => "token_limited_to_workspace",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::RepositoryInvisible => "repository_not_found",
            Self::PrivilegeMissing { .. } => "privilege_missing",
        }
    }

    /// The HTTP status on a surface.
    ///
    /// A header that cannot be read says nothing about any secret: 400. On 401, and only then, git erases the secret that it has stored for the host (git's `http.c`). So 401 is for what
    /// cannot become right by itself: a secret that is absent, unreadable, unknown, revoked or expired, or stored under
    /// the wrong name. Everything that an administrator can mend while the secret stays as it is answers 403.
    pub fn status(&self, surface: Surface) -> u16 {
        match surface {
            Surface::Git => match self {
                Self::Unreadable(Fault::Header) => 400,
                Self::NothingPresented
                | Self::Unreadable(_)
                | Self::Unknown
                | Self::Revoked { .. }
                | Self::Expired { .. }
                | Self::NameOfSomebodyElse => 401,
                Self::OwnerDisabled
                | Self::LimitedToWorkspace
                | Self::ScopeMissing { .. }
                | Self::PrivilegeMissing { .. } => 403,
                Self::RepositoryInvisible => 404,
            },
        }
    }

    /// Who may be told.
    pub fn told(&self) -> Told {
        match self {
            Self::NothingPresented | Self::Unreadable(_) | Self::Unknown | Self::RepositoryInvisible => Told::Anybody,
            Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::OwnerDisabled
            | Self::NameOfSomebodyElse
            | Self::LimitedToWorkspace
            | Self::ScopeMissing { .. }
            | Self::PrivilegeMissing { .. } => Told::Holder,
        }
    }

    /// What to do about it, as one sentence.
    pub fn remedy(&self) -> String {
        match self {
            Self::NothingPresented => {
                "give your API token as the password; any user name of yours does, also x-bitbucket-api-token-auth"
                    .into()
            }
            Self::Unreadable(fault) => fault.remedy().into(),
            Self::Unknown => {
                "look the token up with `doorward token list`, and create a new one if it is not there".into()
            }
            Self::Revoked { .. } | Self::Expired { .. } => {
                "create a new token with `doorward token create`, and store it in place of this one".into()
            }
            Self::OwnerDisabled => {
                "ask an administrator to run `doorward account enable`; the token stays as it is".into()
            }
            Self::NameOfSomebodyElse => "use your own user name or e-mail, or x-bitbucket-api-token-auth".into(),
            Self::LimitedToWorkspace => {
                "use a token for this workspace, or one that is not limited to a workspace".into()
            }
            Self::ScopeMissing { required, .. } => {
                format!("create a token with the scope {}", alternatives(&required.names()))
            }
            Self::RepositoryInvisible => {
                "check the spelling of workspace and repository, and ask their administrator for read access".into()
            }
            Self::PrivilegeMissing { required, .. } => {
                format!("ask an administrator of the repository for {} access", required.word())
            }
        }
    }
}

/// What is the case, as one sentence.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingPresented => f.write_str("this needs a credential, and none was presented"),
            Self::Unreadable(fault) => f.write_str(fault.sentence()),
            Self::Unknown => f.write_str("this token is well formed but not known here"),
            Self::Revoked { at } => write!(f, "this token was revoked at {at}"),
            Self::Expired { at } => write!(f, "this token expired at {at}"),
            Self::OwnerDisabled => f.write_str("this token is valid, but the account of its owner is disabled"),
            Self::NameOfSomebodyElse => {
                f.write_str("this token is valid, but the user name beside it belongs to another account")
            }
            Self::LimitedToWorkspace => f.write_str("this token is valid, but limited to another workspace"),
            Self::ScopeMissing { required, granted } => {
                let required = alternatives(&required.names());
                if granted.is_empty() {
                    write!(f, "this token is valid, but has no scopes; this needs {required}")
                } else {
                    write!(
                        f,
                        "this token is valid, but this needs the scope {required}; it has {}",
                        granted.names().join(", ")
                    )
                }
            }
            Self::RepositoryInvisible => f.write_str("there is no such repository, or you may not see it"),
            Self::PrivilegeMissing { required, granted } => {
                write!(f, "this needs {} access to the repository; you have {}", required.word(), granted.word())
            }
        }
    }
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 10] = [
        Self::Header,
        Self::Scheme,
        Self::Basic,
        Self::NoSecret,
        Self::NotAToken,
        Self::Truncated,
        Self::Altered,
        Self::ForeignAppPassword,
        Self::ForeignApiToken,
        Self::ForeignAccessToken,
    ];

    fn code(self) -> &'static str {
        match self {
            Self::Header => "header_malformed",
            Self::Scheme => "scheme_unsupported",
            Self::Basic => "basic_malformed",
            Self::NoSecret => "secret_missing",
            Self::NotAToken => "not_a_token",
            Self::Truncated => "token_truncated",
            Self::Altered => "token_altered",
            Self::ForeignAppPassword => "foreign_app_password",
            Self::ForeignApiToken => "foreign_api_token",
            Self::ForeignAccessToken => "foreign_access_token",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Header => "the Authorization header cannot be read, or there are several that differ",
            Self::Scheme => "the Authorization header has a scheme that this server does not speak",
            Self::Basic => "the Basic credentials in the Authorization header cannot be read",
            Self::NoSecret => "a user name was presented without a token",
            Self::NotAToken => "what was presented as the password is not a token; passwords are not accepted here",
            Self::Truncated => "the end of this token is missing",
            Self::Altered => "this token was changed on its way: its checksum does not fit",
            Self::ForeignAppPassword => "this is an app password of Bitbucket Cloud, which this server does not know",
            Self::ForeignApiToken => "this is an API token of Bitbucket Cloud, which this server does not know",
            Self::ForeignAccessToken => "this is an access token of Bitbucket Cloud, which this server does not know",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Header | Self::Scheme => "send one header: `Authorization: Basic …` or `Authorization: Bearer TOKEN`",
            Self::Basic => "send base 64 of `user-name:token`, without line breaks",
            Self::NoSecret => "give your API token as the password",
            Self::NotAToken => "create an API token with `doorward token create` and give it as the password",
            Self::Truncated | Self::Altered => "copy the token again, whole and without quotes, spaces or line breaks",
            Self::ForeignAppPassword | Self::ForeignApiToken | Self::ForeignAccessToken => {
                "create an API token of this server with `doorward token create`"
            }
        }
    }
}

fn alternatives(names: &[&str]) -> String {
    match names {
        [] => "none".to_string(),
        [only] => (*only).to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
