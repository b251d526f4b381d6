//! The question: what the caller wants to do, and through which door.

use core::net::IpAddr;

use crate::{Privilege, Scope, Scopes, Vocabulary};

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

/// Lists every action once: its variant, what it means, and its row of the table.
macro_rules! actions {
    ($($variant:ident $word:literal $object:ident $privilege:ident [$([$($scope:ident)*])*] $meaning:literal,)*) => {
        /// What a caller wants to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $(#[doc = $meaning] $variant,)* }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            const fn row(self) -> &'static Row {
                match self {
                    $(Self::$variant => &Row {
                        word: $word,
                        object: Object::$object,
                        privilege: Privilege::$privilege,
                        needs: &[$(&[$(Scope::$scope,)*],)*],
                    },)*
                }
            }
        }
    };
}

// The scopes are those that Bitbucket Cloud documents for the operation: old names first, then those of API tokens, of which
// none implies another. What it has not needs scopes of our own, which nobody has by accident. All of one bracket are needed,
// and any bracket will do.
actions! {
    Fetch "fetch" Repository Read [[Repository] [ReadRepository]]
        "Clone or fetch, or read source and history one by one.",
    Push "push" Repository Write [[RepositoryWrite] [WriteRepository]]
        "Push: create, move or delete refs. A push reads nothing but the list of refs, and needs no scope for reading.",
    CreateRef "create ref" Repository Write [[RepositoryWrite] [WriteRepository ReadRepository]]
        "Create a branch or a tag and be told what it leads to.",
    ReadRepository "read repository" Repository Read [[Repository] [ReadRepository]]
        "Read what a repository is: its name, its branch, its settings, what was reported of its commits.",
    ReportStatus "report status" Repository Write [[Repository] [ReadRepository]]
        "Report what became of a commit elsewhere, as a build does.",
    ChangeRepository "change repository" Repository Admin [[RepositoryAdmin] [AdminRepository]]
        "Change a repository's settings, or its name.",
    DeleteRepository "delete repository" Repository Admin [[RepositoryDelete] [DeleteRepository]]
        "Delete a repository.",
    ReadPermissions "read permissions" Repository Admin [[RepositoryAdmin] [ReadRepository]]
        "Read who may do what to a repository.",
    GivePermission "give permission" Repository Admin [[RepositoryAdmin] [AdminRepository WritePermission]]
        "Say what an account may do to a repository.",
    TakePermission "take permission" Repository Admin [[RepositoryAdmin] [AdminRepository DeletePermission]]
        "Take from an account what it was given on a repository.",
    ReadWebhooks "read webhooks" Repository Admin [[Webhook] [ReadWebhook]]
        "Read who is told of a repository's changes.",
    WriteWebhooks "write webhooks" Repository Admin [[Webhook] [ReadWebhook WriteWebhook]]
        "Say who is told of a repository's changes.",
    DeleteWebhooks "delete webhooks" Repository Admin [[Webhook] [DeleteWebhook]]
        "End that somebody is told of a repository's changes.",
    ListRepositories "list repositories" Workspace None [[Repository] [ReadRepository]]
        "List those repositories of a workspace that one may see.",
    CreateRepository "create repository" Workspace Admin [[RepositoryAdmin] [AdminRepository]]
        "Create a repository in a workspace.",
    ReadWorkspace "read workspace" Workspace None [[Account] [Repository] [Project] [ReadWorkspace]]
        "Read what a workspace is.",
    ReadMembers "read members" Workspace Read [[Account] [ReadWorkspace]]
        "Read who belongs to a workspace.",
    ReadAllPermissions "read all permissions" Workspace Admin [[Account] [ReadRepository]]
        "Read who may do what to any repository of a workspace.",
    ReadProjects "read projects" Workspace Read [[Project] [ReadProject]]
        "Read the projects of a workspace.",
    ChangeProjects "change projects" Workspace Admin [[ProjectAdmin] [AdminProject]]
        "Create, change or delete projects.",
    ReadAccount "read account" Account None [[Account] [ReadUser]]
        "Read one's own account.",
    ReadEmail "read e-mail" Account None [[Email] [ReadUser]]
        "Read one's own e-mail address.",
    ReadWorkspaces "read workspaces" Account None [[Account] [ReadWorkspace]]
        "Read which workspaces one belongs to.",
    ReadOwnPermissions "read own permissions" Account None [[Account Repository] [ReadRepository]]
        "Read what one may do to which repository.",
    ReadTokens "read tokens" Holder None [[ReadToken]]
        "Read which tokens an account or a workspace has.",
    WriteTokens "write tokens" Holder None [[WriteToken]]
        "Create, rotate or revoke tokens of an account or a workspace.",
    ReadRequests "read requests" Holder None [[ReadAudit]]
        "Read what became of an account's requests.",
    ReadSettings "read settings" Workspace Admin [[ReadAdmin]]
        "Read who belongs to a workspace, who may do what in it, and what it asks of credentials.",
    ChangeSettings "change settings" Workspace Admin [[WriteAdmin]]
        "Say who belongs to a workspace, who may do what in it, and what it asks of credentials.",
    ReadAudit "read audit" Workspace Admin [[ReadAudit]]
        "Read what was refused, pushed and changed in a workspace.",
    ReadServer "read server" Server Admin [[ReadAdmin]]
        "Read which accounts and workspaces there are, and the calendar.",
    ChangeServer "change server" Server Admin [[WriteAdmin]]
        "Create accounts and workspaces, and plan the ends of kinds.",
    ReadAllTokens "read all tokens" Server Admin [[ReadToken]]
        "Read which tokens there are.",
    ReadAllAudit "read all audit" Server Admin [[ReadAudit]]
        "Read everything that was refused, pushed and changed.",
}

/// What the table says of an action.
struct Row {
    word: &'static str,
    object: Object,
    privilege: Privilege,
    needs: &'static [&'static [Scope]],
}

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    /// A repository.
    Repository,
    /// A workspace.
    Workspace,
    /// The caller's own account.
    Account,
    /// Whoever a token or a request belongs to: an account, or a workspace.
    Holder,
    /// The server.
    Server,
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
            Self::Rest | Self::Web => Action::ALL,
        }
    }
}

impl Action {
    /// The word for it in logs, records and sentences.
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// The action with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.word() == word)
    }

    /// What it is done to.
    pub fn object(self) -> Object {
        self.row().object
    }

    /// What the principal must be allowed to do to the repository, the workspace or the server, if it is about one.
    pub fn privilege(self) -> Privilege {
        self.row().privilege
    }

    /// Whether only our own server does it: it takes a scope of our own.
    pub fn is_own(self) -> bool {
        let own = |scopes: &[Scope]| scopes.iter().all(|scope| scope.is_of(Vocabulary::Own));
        self.row().needs.iter().all(|scopes| own(scopes))
    }

    /// Whether anybody may do it to what is public.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Fetch | Self::ReadRepository | Self::ListRepositories | Self::ReadWorkspace)
    }

    /// The scopes that the credential needs: all of one set, whichever.
    pub fn needs(self) -> impl Iterator<Item = Scopes> + Clone {
        self.row().needs.iter().map(|scopes| Scopes::of(scopes))
    }

    /// Whether a set of scopes, with what they imply, is enough.
    pub fn is_granted_by(self, granted: Scopes) -> bool {
        let effective = granted.effective();
        self.needs().any(|needed| effective.contains_all(needed))
    }

    /// Every scope that one of the sets names.
    pub fn scopes(self) -> Scopes {
        self.needs().fold(Scopes::NONE, Scopes::and)
    }
}
