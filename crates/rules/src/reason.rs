//! Why a question was refused: code, status, sentence and remedy of each reason.
//!
//! This is the single source of what a refused caller reads, in whatever form, of what the audit keeps, and of the
//! page that explains refusals.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use crate::{Action, Fault, Form, Kind, Limit, NameForm, Object, Privilege, RepositoryId, Scopes, Surface, Timestamp};

/// Why a question was refused. Each is a positive finding; "cannot tell now" is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No credential, and what was asked for needs one.
    NothingPresented,
    /// What was presented cannot be a credential of this server.
    Unreadable(Fault),
    /// The secret belongs to no credential.
    Unknown,
    /// The kind is of no use on this surface, today or any day.
    KindUselessHere {
        /// The kind.
        kind: Kind,
        /// The surface.
        surface: Surface,
    },
    /// An API token that was made without any scope of the host's: it is for another product.
    Unscoped,
    /// The kind is not used on this server.
    KindOff {
        /// The kind.
        kind: Kind,
    },
    /// The kind is refused for a while, before it is refused for good.
    KindBrownout {
        /// The kind.
        kind: Kind,
        /// When the window ends.
        until: Timestamp,
    },
    /// The kind is refused for good.
    KindRetired {
        /// The kind.
        kind: Kind,
        /// Since when.
        since: Timestamp,
    },
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
    /// The secret is right, and its kind is presented in another form on this surface.
    FormWrong {
        /// The kind.
        kind: Kind,
        /// The surface.
        surface: Surface,
        /// How it was presented.
        form: Form,
    },
    /// What was asked for is an account's own, and an access token acts for none.
    NoAccount {
        /// The kind.
        kind: Kind,
    },
    /// The credential may only be used in another place.
    LimitedElsewhere {
        /// The place.
        limit: Limit,
    },
    /// The credential has no scope for the action.
    ScopeMissing {
        /// What needs a scope.
        action: Action,
        /// What the credential has.
        granted: Scopes,
    },
    /// There is no such repository, or none that the principal may see.
    RepositoryInvisible,
    /// There is no such workspace, or none that the principal may see anything in.
    WorkspaceInvisible,
    /// There is no such token, account or request, or none that the principal may administer.
    NotYours {
        /// What was to be done to it.
        action: Action,
    },
    /// The workspace does not allow the kind.
    KindForbidden {
        /// The kind.
        kind: Kind,
    },
    /// The workspace accepts managed accounts by single sign-on alone.
    SsoRequired {
        /// The kind that was presented instead.
        kind: Kind,
    },
    /// The credential was made to last longer than the workspace allows.
    LifetimeTooLong {
        /// The longest that is allowed.
        longest: Duration,
    },
    /// The workspace does not allow requests from this address.
    AddressForbidden {
        /// The address.
        address: IpAddr,
    },
    /// The workspace asks for two-step verification, and the account has none.
    TwoStepRequired,
    /// The principal may see the repository or workspace but not do this to it.
    PrivilegeMissing {
        /// What it is about.
        object: Object,
        /// What the action needs.
        required: Privilege,
        /// What the principal has.
        granted: Privilege,
    },
    /// So many secrets were tried without success that those which fail are not answered one by one any more. Never said
    /// of a valid one.
    TooManyAttempts {
        /// When to come again.
        retry_after: Duration,
    },
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
    /// One of each, with examples for what it carries; the faults stand in [`Fault::ALL`].
    pub const CATALOGUE: &[Self] = &[
        Self::NothingPresented,
        Self::Unknown,
        Self::KindUselessHere { kind: Kind::AccountPassword, surface: Surface::Git },
        Self::Unscoped,
        Self::KindOff { kind: Kind::AppPassword },
        Self::KindBrownout { kind: Kind::AppPassword, until: EXAMPLE },
        Self::KindRetired { kind: Kind::AppPassword, since: EXAMPLE },
        Self::Revoked { at: EXAMPLE },
        Self::Expired { at: EXAMPLE },
        Self::OwnerDisabled,
        Self::NameOfSomebodyElse,
        Self::FormWrong { kind: Kind::ApiToken, surface: Surface::Git, form: Form::basic(NameForm::Email) },
        Self::NoAccount { kind: Kind::RepositoryToken },
        Self::LimitedElsewhere { limit: Limit::Workspace(crate::WorkspaceId(uuid::Uuid::nil())) },
        Self::LimitedElsewhere { limit: Limit::Project(crate::ProjectId(uuid::Uuid::nil())) },
        Self::LimitedElsewhere { limit: Limit::Repository(RepositoryId(uuid::Uuid::nil())) },
        Self::ScopeMissing { action: Action::Push, granted: Scopes::of(&[crate::Scope::ReadRepository]) },
        Self::RepositoryInvisible,
        Self::WorkspaceInvisible,
        Self::NotYours { action: Action::ReadTokens },
        Self::KindForbidden { kind: Kind::AppPassword },
        Self::SsoRequired { kind: Kind::ApiToken },
        Self::LifetimeTooLong { longest: Duration::from_secs(90 * 86_400) },
        Self::AddressForbidden { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)) },
        Self::TwoStepRequired,
        Self::PrivilegeMissing { object: Object::Repository, required: Privilege::Write, granted: Privilege::Read },
        Self::TooManyAttempts { retry_after: Duration::from_secs(60) },
    ];

    /// The stable name, for scripts, logs and the audit. It never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NothingPresented => "credential_missing",
            Self::Unreadable(fault) => fault.code(),
            Self::Unknown => "token_unknown",
            Self::KindUselessHere { .. } => "kind_useless_here",
            Self::Unscoped => "token_unscoped",
            Self::KindOff { .. } => "kind_off",
            Self::KindBrownout { .. } => "kind_brownout",
            Self::KindRetired { .. } => "kind_retired",
            Self::Revoked { .. } => "token_revoked",
            Self::Expired { .. } => "token_expired",
            Self::OwnerDisabled => "account_disabled",
            Self::NameOfSomebodyElse => "user_name_of_somebody_else",
            Self::FormWrong { .. } => "form_wrong",
            Self::NoAccount { .. } => "token_without_account",
            Self::LimitedElsewhere { limit: Limit::Project(_) } => "token_limited_to_project",
            Self::LimitedElsewhere { limit: Limit::Repository(_) } => "token_limited_to_repository",
            Self::LimitedElsewhere { .. } => "token_limited_to_workspace",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::RepositoryInvisible => "repository_not_found",
            Self::WorkspaceInvisible => "workspace_not_found",
            Self::NotYours { .. } => "not_yours",
            Self::KindForbidden { .. } => "policy_kind",
            Self::SsoRequired { .. } => "policy_sso",
            Self::LifetimeTooLong { .. } => "policy_lifetime",
            Self::AddressForbidden { .. } => "policy_address",
            Self::TwoStepRequired => "policy_two_step",
            Self::PrivilegeMissing { .. } => "privilege_missing",
            Self::TooManyAttempts { .. } => "too_many_attempts",
        }
    }

    /// The HTTP status on a surface.
    ///
    /// A header that cannot be read says nothing about any secret: 400. On 401, and only then, git erases the secret that
    /// it has stored for the host (git's `http.c`). So 401 is for what cannot become right by itself: a secret that is
    /// absent, unreadable, unknown, revoked, expired or of a kind that is over, or stored under the wrong name.
    /// Everything that an administrator or the time of day can mend while the secret stays as it is answers 403.
    ///
    /// Git LFS asks again and again on 401, so there it is for a missing credential alone.
    pub fn status(&self, surface: Surface) -> u16 {
        match self {
            Self::Unreadable(Fault::Header) => 400,
            Self::NothingPresented => 401,
            Self::Unreadable(_)
            | Self::Unknown
            | Self::KindUselessHere { .. }
            | Self::Unscoped
            | Self::KindRetired { .. }
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::NameOfSomebodyElse
            | Self::FormWrong { .. } => {
                if surface == Surface::Lfs {
                    403
                } else {
                    401
                }
            }
            Self::KindOff { .. }
            | Self::KindBrownout { .. }
            | Self::OwnerDisabled
            | Self::NoAccount { .. }
            | Self::LimitedElsewhere { .. }
            | Self::ScopeMissing { .. }
            | Self::KindForbidden { .. }
            | Self::SsoRequired { .. }
            | Self::LifetimeTooLong { .. }
            | Self::AddressForbidden { .. }
            | Self::TwoStepRequired
            | Self::PrivilegeMissing { .. } => 403,
            Self::RepositoryInvisible | Self::WorkspaceInvisible | Self::NotYours { .. } => 404,
            Self::TooManyAttempts { .. } => 429,
        }
    }

    /// Who may be told.
    pub fn told(&self) -> Told {
        match self {
            Self::NothingPresented
            | Self::Unreadable(_)
            | Self::Unknown
            | Self::RepositoryInvisible
            | Self::WorkspaceInvisible
            | Self::NotYours { .. }
            | Self::TooManyAttempts { .. } => Told::Anybody,
            _ => Told::Holder,
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
            Self::KindUselessHere { kind: Kind::ApiToken, .. }
            | Self::KindOff { kind: Kind::ApiToken }
            | Self::KindBrownout { kind: Kind::ApiToken, .. }
            | Self::KindRetired { kind: Kind::ApiToken, .. } => {
                "use an access token of the repository, or an OAuth access token, in place of this one".into()
            }
            Self::KindUselessHere { .. } | Self::Unscoped | Self::KindOff { .. } | Self::KindRetired { .. } => {
                "create an API token with `doorward token create`, and store it in place of this one".into()
            }
            Self::KindBrownout { .. } => {
                "create an API token with `doorward token create`, and store it in place of this one before the end"
                    .into()
            }
            Self::Revoked { .. } | Self::Expired { .. } => {
                "create a new token with `doorward token create`, and store it in place of this one".into()
            }
            Self::OwnerDisabled => {
                "ask an administrator to run `doorward account enable`; the token stays as it is".into()
            }
            Self::NameOfSomebodyElse => "use your own user name or e-mail, or x-bitbucket-api-token-auth".into(),
            Self::FormWrong { kind, surface, .. } => match form_for(*kind, *surface) {
                Some(form) => format!("present it {form}"),
                None => "create an API token, which is accepted here".into(),
            },
            Self::NoAccount { .. } => "use an API token, which acts for your account".into(),
            Self::LimitedElsewhere { limit } => {
                let noun = limit.noun().unwrap_or("place");
                format!("use a token for this {noun}, or one that is not limited to a {noun}")
            }
            Self::ScopeMissing { action, .. } => format!("create a token with the scope {}", needed(*action)),
            Self::RepositoryInvisible => {
                "check the spelling of workspace and repository, and ask their administrator for read access".into()
            }
            Self::WorkspaceInvisible => {
                "check the spelling of the workspace, and ask its owner to make you a member".into()
            }
            Self::NotYours { action: Action::ReadRequests } => {
                "check the id; an administrator of the server sees all requests".into()
            }
            Self::NotYours { .. } => {
                "check what you named; an administrator of the server may administer everybody's tokens".into()
            }
            Self::KindForbidden { .. } => "ask the workspace's administrator which kinds it allows".into(),
            Self::SsoRequired { .. } => {
                "sign in by single sign-on and use the OAuth access token that comes of it, or an access token of the \
                 repository"
                    .into()
            }
            Self::LifetimeTooLong { longest } => {
                format!("create a token that expires within {} days", days(*longest))
            }
            Self::AddressForbidden { .. } => {
                "connect from a network that the workspace allows, or ask its administrator to allow this address"
                    .into()
            }
            Self::TwoStepRequired => "set up two-step verification for your account; the token stays as it is".into(),
            Self::PrivilegeMissing { object, required, .. } => ask_for(*object, *required),
            Self::TooManyAttempts { retry_after } => format!(
                "put the right token in place and try again; a valid one is let in at once, others in {} s",
                retry_after.as_secs()
            ),
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
            Self::KindUselessHere { kind, surface } => {
                write!(f, "{}s are not accepted on {}", kind.phrase(), surface.word())
            }
            Self::Unscoped => f.write_str("this API token has no scopes of this host"),
            Self::KindOff { kind } => write!(f, "{}s are not used on this server", kind.phrase()),
            Self::KindBrownout { kind, until } => {
                write!(f, "{}s are going to end, and are refused until {until} as a rehearsal", kind.phrase())
            }
            Self::KindRetired { kind, since } => write!(f, "{}s are not accepted since {since}", kind.phrase()),
            Self::Revoked { at } => write!(f, "this token was revoked at {at}"),
            Self::Expired { at } => write!(f, "this token expired at {at}"),
            Self::OwnerDisabled => f.write_str("this token is valid, but the account of its owner is disabled"),
            Self::NameOfSomebodyElse => {
                f.write_str("this token is valid, but the user name beside it belongs to another account")
            }
            Self::FormWrong { kind, surface, form } => {
                write!(f, "this {} is valid, but {} does not take it {form}", kind.phrase(), surface.word())
            }
            Self::NoAccount { kind } => {
                write!(f, "this {} is valid, but acts for no account, and this is about one", kind.phrase())
            }
            Self::LimitedElsewhere { limit } => {
                write!(f, "this token is valid, but limited to another {}", limit.noun().unwrap_or("place"))
            }
            Self::ScopeMissing { action, granted } => {
                let required = needed(*action);
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
            Self::WorkspaceInvisible => f.write_str("there is no such workspace, or you may not see anything in it"),
            Self::NotYours { action: Action::ReadRequests } => {
                f.write_str("there is no record of such a request, or it was not yours")
            }
            Self::NotYours { .. } => f.write_str("there is no such token or account, or it is not yours"),
            Self::KindForbidden { kind } => {
                write!(f, "this token is valid, but the workspace does not allow {}s", kind.phrase())
            }
            Self::SsoRequired { kind: kind @ (Kind::OAuthToken | Kind::WebSession) } => write!(
                f,
                "the workspace accepts managed accounts by single sign-on alone, and this {} does not come from one",
                kind.phrase()
            ),
            Self::SsoRequired { kind } => write!(
                f,
                "this token is valid, but the workspace accepts managed accounts by single sign-on alone, and no {}s",
                kind.phrase()
            ),
            Self::LifetimeTooLong { longest } => write!(
                f,
                "this token is valid, but made to last longer than the {} days that the workspace allows",
                days(*longest)
            ),
            Self::AddressForbidden { address } => {
                write!(f, "this token is valid, but the workspace does not allow requests from {address}")
            }
            Self::TwoStepRequired => f.write_str(
                "this token is valid, but the workspace asks for two-step verification, and your account has none",
            ),
            Self::PrivilegeMissing { object: Object::Server, .. } => {
                f.write_str("this needs an administrator of the server, which your account is not")
            }
            Self::PrivilegeMissing { object, required, granted } => {
                let noun = if *object == Object::Workspace { "workspace" } else { "repository" };
                write!(f, "this needs {} access to the {noun}; you have {}", required.word(), granted.word())
            }
            Self::TooManyAttempts { .. } => {
                f.write_str("too many secrets that are not valid were tried from your address, or for this token")
            }
        }
    }
}

/// The form to present a kind in, whatever the day.
fn form_for(kind: Kind, surface: Surface) -> Option<Form> {
    crate::bitbucket_cloud::FORMS.iter().find(|row| row.kind == kind && row.surface == surface).map(|row| row.form)
}

pub(crate) fn days(duration: Duration) -> u64 {
    duration.as_secs() / 86_400
}

/// The scopes that an action needs, in words.
fn needed(action: Action) -> String {
    let sets: Vec<String> = action.needs().map(|scopes| scopes.names().join(" with ")).collect();
    match sets.as_slice() {
        [] => "none".to_string(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Whom to ask for a privilege.
pub(crate) fn ask_for(object: Object, privilege: Privilege) -> String {
    match (object, privilege) {
        (Object::Server, _) => "ask whoever runs the server for `doorward account set NAME --administrator on`".into(),
        (Object::Workspace, Privilege::Admin) => "ask the owner of the workspace to do it".into(),
        (Object::Workspace, _) => "ask the owner of the workspace to make you a member".into(),
        _ => format!("ask an administrator of the repository for {} access", privilege.word()),
    }
}

const EXAMPLE: Timestamp = Timestamp::utc(2026, 7, 28);
