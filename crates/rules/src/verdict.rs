//! The answer: a permit or a reason, and the rules that led to it.

use core::fmt;

use crate::{AccountId, Action, CredentialId, Reason, RepositoryId, WorkspaceId};

/// The answer to one question.
#[derive(Debug)]
pub struct Verdict {
    /// Leave to do it, or why not.
    pub outcome: Result<Permit, Reason>,
    /// The rules that were asked, in order; the last one settled it.
    pub trail: Trail,
}

/// Leave to do one thing to one repository, workspace, account or server. Only [`decide`](crate::decide) makes one.
///
/// It can be neither copied nor stored, so that it is used for the question it answers:
/// ```compile_fail
/// fn twice(permit: doorward_rules::Permit) -> [doorward_rules::Permit; 2] {
///     [permit.clone(), permit]
/// }
/// ```
/// ```compile_fail
/// let forged = doorward_rules::Permit {
///     action: doorward_rules::Action::Push,
///     target: doorward_rules::Target::Repository(doorward_rules::RepositoryId(Default::default())),
///     principal: doorward_rules::Principal::Anyone,
/// };
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    action: Action,
    target: Target,
    principal: Principal,
}

/// What a permit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A repository.
    Repository(RepositoryId),
    /// A workspace.
    Workspace(WorkspaceId),
    /// An account.
    Account(AccountId),
    /// The server.
    Server,
}

/// Who a caller turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody in particular: no credential was presented.
    Anyone,
    /// The account that the credential acts for.
    Account {
        /// The account.
        account: AccountId,
        /// The credential it used.
        credential: CredentialId,
    },
    /// The synthetic user that an access token acts as: no person.
    Synthetic {
        /// The access token.
        credential: CredentialId,
    },
}

/// The rules, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Without a credential, only what is public may be read.
    Presented,
    /// What is presented can be read as a credential of this server.
    Readable,
    /// The secret belongs to a credential.
    Known,
    /// Its kind is of use on this surface.
    Surface,
    /// Its kind is neither off nor browned out nor retired.
    Calendar,
    /// Nobody revoked it.
    NotRevoked,
    /// It has not expired.
    NotExpired,
    /// Its owner's account is enabled.
    OwnerEnabled,
    /// The scheme and the user name fit the credential.
    UserName,
    /// What anybody may do, the holder of a credential may do.
    Public,
    /// What is about an account is asked with a credential that has one.
    Account,
    /// The credential is not limited to another place.
    Workspace,
    /// The credential has a scope for the action.
    Scope,
    /// What it is about exists, and the principal may know of it.
    Visible,
    /// The workspace's own rules allow it.
    Policy,
    /// The principal has the privilege for the action.
    Privilege,
}

/// One rule and what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// The rule that was asked.
    pub rule: Rule,
    /// Whether it let the question pass on or granted it; `false` on the rule that refused.
    pub passed: bool,
}

/// The rules that were asked, in order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trail {
    steps: [Step; Rule::ALL.len()],
    length: usize,
}

impl Permit {
    /// Made by the kernel alone.
    pub(crate) fn new(action: Action, target: Target, principal: Principal) -> Self {
        Self { action, target, principal }
    }

    /// What may be done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// What it may be done to.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Who may do it.
    pub fn principal(&self) -> Principal {
        self.principal
    }
}

impl Rule {
    /// Every rule, in the order in which they are asked.
    pub const ALL: [Self; 16] = [
        Self::Presented,
        Self::Readable,
        Self::Known,
        Self::Surface,
        Self::Calendar,
        Self::NotRevoked,
        Self::NotExpired,
        Self::OwnerEnabled,
        Self::UserName,
        Self::Public,
        Self::Account,
        Self::Workspace,
        Self::Scope,
        Self::Visible,
        Self::Policy,
        Self::Privilege,
    ];

    /// The rule as a sentence that is true when it passes.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Presented => "a credential is presented, or what is public is only read",
            Self::Readable => "what is presented can be read as a credential of this server",
            Self::Known => "the secret belongs to a credential",
            Self::Surface => "its kind is of use on this surface",
            Self::Calendar => "its kind is neither off nor browned out nor retired",
            Self::NotRevoked => "the credential is not revoked",
            Self::NotExpired => "the credential has not expired",
            Self::OwnerEnabled => "the account of its owner is enabled",
            Self::UserName => "the scheme and the user name fit the credential",
            Self::Public => "what anybody may do is granted; everything else is asked on",
            Self::Account => "it is not about an account, or the credential acts for one",
            Self::Workspace => "the credential is not limited to another place",
            Self::Scope => "the credential has a scope for the action",
            Self::Visible => "what it is about exists, and the principal may know of it",
            Self::Policy => "the workspace's own rules allow it",
            Self::Privilege => "the principal has the privilege for the action",
        }
    }

    /// The stable name in the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::Presented => "presented",
            Self::Readable => "readable",
            Self::Known => "known",
            Self::Surface => "surface",
            Self::Calendar => "calendar",
            Self::NotRevoked => "not_revoked",
            Self::NotExpired => "not_expired",
            Self::OwnerEnabled => "owner_enabled",
            Self::UserName => "user_name",
            Self::Public => "public",
            Self::Account => "account",
            Self::Workspace => "workspace",
            Self::Scope => "scope",
            Self::Visible => "visible",
            Self::Policy => "policy",
            Self::Privilege => "privilege",
        }
    }

    /// The rule with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.word() == word)
    }
}

impl Trail {
    pub(crate) fn new() -> Self {
        Self { steps: [Step { rule: Rule::Presented, passed: false }; Rule::ALL.len()], length: 0 }
    }

    pub(crate) fn push(&mut self, rule: Rule, passed: bool) {
        self.steps[self.length] = Step { rule, passed };
        self.length += 1;
    }

    /// The steps, the first one first.
    pub fn steps(&self) -> &[Step] {
        &self.steps[..self.length]
    }

    /// The rule that settled the question.
    pub fn settled_by(&self) -> Rule {
        self.steps().last().map_or(Rule::Presented, |step| step.rule)
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps()).finish()
    }
}
