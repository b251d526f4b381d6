//! The arguments of the commands that serve, and of those that administer what is served.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{Args, Subcommand};
use doorward_rules::{Kinds, Scope, Timestamp};
use doorward_server::{Latency, SpuriousRefusals};
use doorward_wire::{AccountName, Email, ProjectKey, ProjectName, RepositoryName, WorkspaceSlug, parse_duration};

use super::value::*;

#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// Where to listen; port 0 picks a free one [default: 127.0.0.1:7990]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account
    Create {
        /// The user name
        name: AccountName,
        /// The e-mail address
        #[arg(long)]
        email: Email,
    },
    /// List all accounts
    List,
    /// Refuse the account's credentials until it is enabled again
    Disable {
        /// The user name
        name: AccountName,
    },
    /// Accept the account's credentials again
    Enable {
        /// The user name
        name: AccountName,
    },
    /// Make a link by which a person chooses the account's password for the web pages, once
    Link {
        /// The user name
        name: AccountName,
        /// How long it is good
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = parse_duration)]
        lifetime: Duration,
    },
    /// Say whether the account administers the server, an organisation manages it, and it has two-step verification
    #[command(group = clap::ArgGroup::new("standing").required(true).multiple(true)
        .args(["administrator", "managed", "two_step"]))]
    Set {
        /// The user name
        name: AccountName,
        /// Administrators may do over the network, with a token that has the scopes, what can be done at the machine
        #[arg(long, value_enum, value_name = "ON-OFF")]
        administrator: Option<Switch>,
        /// Managed accounts are refused app passwords and API tokens where a workspace asks for single sign-on
        #[arg(long, value_enum, value_name = "ON-OFF")]
        managed: Option<Switch>,
        /// Where a workspace asks for two-step verification, accounts without it are refused
        #[arg(long, value_enum, value_name = "ON-OFF")]
        two_step: Option<Switch>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Make a project
    Create {
        /// The project, as workspace/KEY
        #[arg(value_name = "WS/KEY")]
        name: ProjectName,
        /// What people call it [default: its key]
        #[arg(long, value_parser = label)]
        title: Option<String>,
    },
    /// List a workspace's projects
    List {
        /// The workspace
        #[arg(value_name = "WS")]
        workspace: WorkspaceSlug,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// Make a workspace
    Create {
        /// The name in URLs
        slug: WorkspaceSlug,
        /// The account that may do everything in it
        #[arg(long, value_name = "NAME")]
        owner: AccountName,
    },
    /// List all workspaces
    List,
    /// Who may read the workspace's repositories
    #[command(subcommand)]
    Member(MemberCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Let an account read the workspace's repositories
    Add {
        /// The workspace
        slug: WorkspaceSlug,
        /// The account
        name: AccountName,
    },
    /// Take an account out of the workspace, with all that it was given there
    Remove {
        /// The workspace
        slug: WorkspaceSlug,
        /// The account
        name: AccountName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// Make a repository: empty, or from another one
    Create {
        /// The repository, as workspace/name
        #[arg(value_name = "WS/REPO")]
        name: RepositoryName,
        /// The project it belongs to [default: the workspace's first one]
        #[arg(long, value_name = "KEY")]
        project: Option<ProjectKey>,
        /// Let anybody read it without a credential
        #[arg(long)]
        public: bool,
        /// Copy all refs and objects from a directory or an http(s) URL
        #[arg(long, value_name = "PATH-OR-URL", conflicts_with = "object_format")]
        import: Option<OsString>,
        /// The hash that names objects
        #[arg(long, value_enum, default_value_t)]
        object_format: ObjectFormatWord,
    },
    /// List repositories: all, or one workspace's
    List {
        /// The workspace
        #[arg(value_name = "WS")]
        workspace: Option<WorkspaceSlug>,
    },
    /// Delete a repository and everything in it
    Delete {
        /// The repository, as workspace/name
        #[arg(value_name = "WS/REPO")]
        name: RepositoryName,
    },
    /// Show or set the branch that a clone checks out
    Head {
        /// The repository, as workspace/name
        #[arg(value_name = "WS/REPO")]
        name: RepositoryName,
        /// The branch to set
        branch: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PermissionCommand {
    /// Set what an account may do to a repository
    Set {
        /// The repository, as workspace/name
        #[arg(value_name = "WS/REPO")]
        name: RepositoryName,
        /// The account
        #[arg(value_name = "NAME")]
        account: AccountName,
        /// What it may do
        #[arg(value_enum)]
        privilege: PrivilegeWord,
    },
    /// List who may do what to a repository
    List {
        /// The repository, as workspace/name
        #[arg(value_name = "WS/REPO")]
        name: RepositoryName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; its secret is shown this once
    Create {
        /// What sort of token: one that acts for an account, or one that belongs to a place and acts for nobody
        #[arg(long, value_enum, default_value_t)]
        kind: TokenKind,
        /// The account that it acts for: with api and app-password
        #[arg(long, value_name = "NAME")]
        account: Option<AccountName>,
        /// The place that it belongs to: a WS, WS/KEY or WS/REPO, with workspace, project and repository
        #[arg(long = "for", value_name = "PLACE", conflicts_with_all = ["account", "workspace"])]
        place: Option<String>,
        /// What it is for, in your words
        #[arg(long, value_name = "LABEL", value_parser = label)]
        name: String,
        /// What it may be used for, once for each scope: `read:repository:bitbucket` (fetch),
        /// `write:repository:bitbucket` (push), or an older name of Bitbucket Cloud's such as `repository`
        #[arg(long = "scope", value_name = "S", required_unless_present = "no_scopes", value_parser = scope,
              value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// Make it without scopes: it may do nothing but what anybody may
        #[arg(long, conflicts_with = "scopes")]
        no_scopes: bool,
        /// Limit it to one workspace
        #[arg(long, value_name = "WS")]
        workspace: Option<WorkspaceSlug>,
        /// When it ends: 30d, 12h, 1y, or never [default: 1y, or with the token that it is made with]
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<Lifetime>,
    },
    /// List tokens, without their secrets
    List {
        /// Only those of one account
        #[arg(long, value_name = "NAME")]
        account: Option<AccountName>,
        /// Only the access tokens of a workspace and of what is in it
        #[arg(long, value_name = "WS", conflicts_with = "account")]
        workspace: Option<WorkspaceSlug>,
    },
    /// Show one token, and what it was used for
    Show {
        /// The token's id
        id: String,
    },
    /// Find tokens that nobody needs, that may do more than they are used for, or that end soon
    Review {
        /// Count as unused what was not used for this long
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_duration)]
        unused: Duration,
        /// Count as ending soon what ends within this time
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_duration)]
        expiring: Duration,
        /// Only those of one account
        #[arg(long, value_name = "NAME")]
        account: Option<AccountName>,
        /// Only the access tokens of a workspace and of what is in it
        #[arg(long, value_name = "WS", conflicts_with = "account")]
        workspace: Option<WorkspaceSlug>,
    },
    /// End a token now
    Revoke {
        /// The token's id
        id: String,
        /// End those that were made with it, too, and those that were made with these: it was stolen
        #[arg(long)]
        with_made: bool,
    },
    /// Make a token like this one, and let the old one end after an overlap
    Rotate {
        /// The token's id
        id: String,
        /// How long the old secret still works
        #[arg(long, value_name = "TIME", default_value = "30m", value_parser = parse_duration)]
        overlap: Duration,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConsumerCommand {
    /// Make an OAuth consumer; its secret is shown this once
    Create {
        /// The workspace that it belongs to, for which it may act by itself
        #[arg(value_name = "WS")]
        workspace: WorkspaceSlug,
        /// What people are told that it is called
        #[arg(long, value_name = "LABEL", value_parser = label)]
        name: String,
        /// What people are told that it does
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        description: String,
        /// Where browsers are sent back to; without one, nobody can be asked to let it act for them
        #[arg(long, value_name = "URL")]
        callback: Option<String>,
        /// It runs on people's machines, and cannot keep its secret: it has to prove by PKCE that it is the one that asked
        #[arg(long)]
        public: bool,
        /// What it may be let do, once for each scope: `repository`, `repository:write`, `account`, …
        #[arg(long = "scope", value_name = "S", required = true, value_parser = scope, value_delimiter = ',')]
        scopes: Vec<Scope>,
    },
    /// List a workspace's consumers, without their secrets
    List {
        /// The workspace
        #[arg(value_name = "WS")]
        workspace: WorkspaceSlug,
    },
    /// Give a consumer a new secret, and let the old one end after an overlap
    Rotate {
        /// The workspace
        #[arg(value_name = "WS")]
        workspace: WorkspaceSlug,
        /// The consumer's key
        key: String,
        /// How long the old secret still works
        #[arg(long, value_name = "TIME", default_value = "30m", value_parser = parse_duration)]
        overlap: Duration,
    },
    /// End a consumer, with all that it was let do
    Revoke {
        /// The workspace
        #[arg(value_name = "WS")]
        workspace: WorkspaceSlug,
        /// The consumer's key
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show what a workspace asks of credentials
    Show {
        /// The workspace
        #[arg(value_name = "WS")]
        workspace: WorkspaceSlug,
    },
    /// Change what a workspace asks of credentials; what is not named stays as it is
    Set(PolicyFlags),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyFlags {
    /// The workspace
    #[arg(value_name = "WS")]
    pub(crate) workspace: WorkspaceSlug,
    /// Refuse app passwords and API tokens of managed accounts, which are to sign in by single sign-on
    #[arg(long, value_enum, value_name = "ON-OFF")]
    pub(crate) sso: Option<Switch>,
    /// The kinds that are allowed, with commas between them, or any
    #[arg(long, value_name = "KINDS", value_parser = allowed_kinds)]
    pub(crate) kinds: Option<OrAny<Kinds>>,
    /// How long a token may be made to last: 90d, 1y, or any
    #[arg(long, value_name = "TIME", value_parser = longest)]
    pub(crate) longest: Option<OrAny<Duration>>,
    /// Where requests may come from: addresses and ranges, with commas between them, or any
    #[arg(long, value_name = "RANGES", value_parser = addresses)]
    pub(crate) addresses: Option<OrAny<Ranges>>,
    /// Refuse accounts without two-step verification
    #[arg(long, value_enum, value_name = "ON-OFF")]
    pub(crate) two_step: Option<Switch>,
    /// Change nothing; only name the tokens that would be refused, with their last use
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CalendarCommand {
    /// Show what is planned
    Show,
    /// Announce the end of a kind: from now on every answer to such a token says so in its headers
    Announce {
        /// The kind
        #[arg(value_enum)]
        kind: KindWord,
        /// When it is refused for good: 2027-03-01, 2027-03-01T06:00:00Z, or a time from now such as 90d
        #[arg(long, value_name = "WHEN", value_parser = moment)]
        retires: Moment,
        /// From when on no new one can be made [default: its end]
        #[arg(long, value_name = "WHEN", value_parser = moment)]
        creation_ends: Option<Moment>,
    },
    /// Refuse a kind for a while, once or again and again, so that whoever still uses it notices
    Brownout {
        /// The kind
        #[arg(value_enum)]
        kind: KindWord,
        /// When the first window begins
        #[arg(long, value_name = "WHEN", value_parser = moment)]
        from: Moment,
        /// How long each window lasts
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
        length: Duration,
        /// How far apart the windows begin
        #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "until")]
        every: Option<Duration>,
        /// No window begins from here on
        #[arg(long, value_name = "WHEN", value_parser = moment, requires = "every")]
        until: Option<Moment>,
    },
    /// Refuse a kind for good
    Retire {
        /// The kind
        #[arg(value_enum)]
        kind: KindWord,
        /// From when on
        #[arg(long, value_name = "WHEN", default_value = "now", value_parser = moment)]
        at: Moment,
    },
    /// Take back all that is planned for a kind; app passwords are off then
    Cancel {
        /// The kind
        #[arg(value_enum)]
        kind: KindWord,
    },
    /// List who would have been refused, had a kind been retired already
    Rehearse {
        /// The kind
        #[arg(value_enum)]
        kind: KindWord,
        /// How many days to look back
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SandboxFlags {
    /// What time it is there: 2026-06-09 or 2026-06-09T06:05:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = sandbox_time)]
    pub(crate) at: Option<Timestamp>,
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7991")]
    pub(crate) listen: SocketAddr,
    /// Refuse valid credentials on git now and then: the chance that a burst begins, and how many it refuses
    #[arg(long = "spurious-401", value_name = "RATE[,BURST]")]
    pub(crate) spurious: Option<SpuriousRefusals>,
    /// Hold answers back: 200ms, or a range such as 100ms..2s
    #[arg(long, value_name = "TIME")]
    pub(crate) latency: Option<Latency>,
    /// REST requests that a credential may make in an hour [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<usize>,
    /// Draw the faults with this number, so that they come again as they came
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Serve HTTPS as bitbucket.org, with a certificate of an authority that is made for this run alone
    #[arg(long)]
    pub(crate) tls: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditFilter {
    /// Only what happened in one request
    #[arg(long, value_name = "ID")]
    pub(crate) request: Option<String>,
    /// Only what happened since: 30m, 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Only what happened before: 30m, 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) until: Option<Duration>,
    /// Only refusals
    #[arg(long)]
    pub(crate) refused: bool,
    /// Only what was asked with a credential of this account
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<AccountName>,
    /// Only what was asked with this credential, or done to it
    #[arg(long, value_name = "ID")]
    pub(crate) credential: Option<String>,
    /// Only what is about a WS or WS/REPO, or something in it
    #[arg(long = "in", value_name = "PLACE")]
    pub(crate) within: Option<String>,
    /// Only what was asked from this address
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<IpAddr>,
    /// Only refusals for this reason, by its stable name
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting, its value, and where it comes from
    Show,
}
