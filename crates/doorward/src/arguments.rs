//! The arguments: the whole command line in one place, with the text of its help.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use doorward_client::{Keep, Place};
use doorward_rules::{IpNet, Kind, Kinds, Privilege, Scope, Timestamp};
use doorward_server::{Latency, SANDBOX_EARLIEST, SpuriousRefusals};
use doorward_wire::{
    AccountName, Email, ProjectKey, ProjectName, RepositoryName, WorkspaceSlug, nearest, parse_duration, parse_ranges,
};

/// A Git server with Bitbucket Cloud's interfaces that never refuses a valid credential.
///
/// Exit codes: 0 done, 1 something failed, 2 wrong arguments, 3 not found, 4 taken or in the wrong state,
/// 5 wrong configuration.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The data directory [default: ./doorward-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration file [default: doorward.toml in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write JSON to standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve, and on the first run make an account, a workspace, a repository and a token
    Up(ServeFlags),
    /// Serve what is in the data directory
    Serve(ServeFlags),
    /// People and bots
    #[command(subcommand)]
    Account(AccountCommand),
    /// Workspaces and their members
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Repositories
    #[command(subcommand)]
    Repository(RepositoryCommand),
    /// Who may do what to a repository
    #[command(subcommand)]
    Permission(PermissionCommand),
    /// Groups of a workspace's repositories
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Tokens: API tokens, app passwords, access tokens
    #[command(subcommand, after_help = TOKEN_EXAMPLES)]
    Token(TokenCommand),
    /// What a workspace asks of credentials
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// When a kind of credential ends: announced, browned out, retired
    #[command(subcommand)]
    Calendar(CalendarCommand),
    /// Stand in for Bitbucket Cloud: its rules and words at any date, its faults on demand
    #[command(after_help = SANDBOX_EXAMPLES)]
    Sandbox(SandboxFlags),
    /// What was refused, pushed and changed
    Audit(AuditFilter),
    /// Why a request was answered as it was
    Why {
        /// The X-Request-Id of the answer
        request: String,
    },
    /// Give git the right credential for each host and repository (a git credential helper)
    #[command(subcommand, after_help = CREDENTIAL_EXAMPLES)]
    Credential(CredentialCommand),
    /// Store a token: tells which page makes one and what to tick there, tries it on git and REST, and has git use it
    #[command(after_help = LOGIN_EXAMPLES)]
    Login(LoginFlags),
    /// Forget what is stored for a host, and everything in it
    Logout {
        /// The host, a workspace or a repository
        #[arg(value_name = "URL", default_value = "https://bitbucket.org")]
        place: Place,
    },
    /// Make doorward the credential helper for a host, in your own git configuration
    #[command(after_help = SETUP_EXAMPLES)]
    Setup {
        /// The host
        #[arg(value_name = "URL", default_value = "https://bitbucket.org")]
        host: Place,
        /// Take out what was put in
        #[arg(long)]
        undo: bool,
    },
    /// Tell why a repository cannot be reached, and what to do about it
    ///
    /// Exit codes: 0 it can be reached, 10 you can mend it, 11 an administrator has to, 12 the host or the network has
    /// trouble, 13 it was not found out.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorFlags),
    /// Find app passwords and other old forms on this machine, and move them to the token that works today
    ///
    /// Looks at your own files (git's configuration, .netrc, helper stores, shell files, those of pip, npm and Composer) and at
    /// everything below this directory that git does not ignore, or at the paths alone. Writes nothing without --apply.
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate(MigrateFlags),
    /// Run a command at a time of its own, and again if a host refuses it for a while
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunFlags),
    /// Answer git's question for a user name or password (for GIT_ASKPASS, under the name doorward-askpass)
    #[command(after_help = ASKPASS_EXAMPLES)]
    Askpass {
        /// The question, as git puts it
        prompt: String,
    },
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write what a shell needs to complete doorward's arguments
    #[command(
        after_help = "Examples:\n  doorward completions bash > ~/.local/share/bash-completion/completions/doorward\n  \
        doorward completions zsh > ~/.zfunc/_doorward\n  \
        doorward completions fish > ~/.config/fish/completions/doorward.fish"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a manual page for each command
    #[command(after_help = "Example:\n  doorward manual ~/.local/share/man/man1")]
    Manual {
        /// Where to
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorFlags {
    /// An address, or a clone [default: the clone in this directory]
    #[arg(value_name = "URL|PATH")]
    pub(crate) subject: Option<String>,
    /// Look at this machine alone; do not ask the host
    #[arg(long)]
    pub(crate) offline: bool,
    /// Do what the verdict says, if a program can, and look again
    #[arg(long, conflicts_with = "offline")]
    pub(crate) fix: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LoginFlags {
    /// The host, or a repository to try the token on
    #[arg(value_name = "URL", default_value = "https://bitbucket.org")]
    pub(crate) place: Place,
    /// The e-mail address of your Atlassian account; asked for if it is needed
    #[arg(long)]
    pub(crate) email: Option<Email>,
    /// What the token is for, which decides what it needs
    #[arg(long = "for", value_name = "JOB", default_value = "push")]
    pub(crate) job: Job,
    /// Where to keep it [default: the keyring if there is one, else the file]
    #[arg(long = "in", value_name = "PLACE")]
    pub(crate) keep: Option<KeepWord>,
    /// Do not make doorward the credential helper
    #[arg(long)]
    pub(crate) no_setup: bool,
    /// Do not try it
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateFlags {
    /// Where to look, and nowhere else [default: your own files, and this directory]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Make the changes, all or none, and ask each changed remote once
    #[arg(long)]
    pub(crate) apply: bool,
    /// Put back what the last one has changed
    #[arg(long, conflicts_with_all = ["apply", "paths"])]
    pub(crate) undo: bool,
    /// The host whose credentials are moved
    #[arg(long, value_name = "URL", default_value = "https://bitbucket.org")]
    pub(crate) host: Place,
    /// The e-mail address of the token's owner, which REST wants as user name
    #[arg(long)]
    pub(crate) email: Option<Email>,
    /// Do not ask the changed remotes
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Begin at a moment within this time that goes with the job's name, so that jobs do not begin together
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) spread: Option<Duration>,
    /// Try again for this long, if it is certain that the command has changed nothing
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) retry_for: Duration,
    /// Wait this long before the second attempt; each further wait is twice as long
    /// [default: 30s after a refusal, 60s after 429, 5s after anything else]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) first_wait: Option<Duration>,
    /// The job's name [default: the host's name, the directory and the command]
    #[arg(long, value_name = "NAME")]
    pub(crate) job: Option<String>,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialCommand {
    /// Store a credential; its secret is read from standard input
    Add {
        /// What it is for: a host, a workspace or a repository
        #[arg(value_name = "URL")]
        url: String,
        /// The user name of its owner; tokens do without
        #[arg(long, value_name = "NAME")]
        username: Option<String>,
        /// Where to keep it [default: the keyring if there is one, else the file]
        #[arg(long = "in", value_name = "PLACE")]
        keep: Option<KeepWord>,
    },
    /// Tell which credential would be used, where it comes from, and why not another
    Explain {
        /// The address, as in `git clone`
        #[arg(value_name = "URL")]
        url: String,
    },
    /// List what is stored, without secrets
    List,
    /// Forget a credential
    Remove {
        /// What it was stored for
        #[arg(value_name = "URL")]
        place: Place,
        /// The user name that it was stored with
        #[arg(long, value_name = "NAME")]
        username: Option<String>,
    },
    /// Answer git's question on standard input (git runs this)
    Get,
    /// Note that a host accepted a credential (git runs this)
    Store,
    /// Note that a host refused a credential (git runs this)
    Erase,
    /// Tell git what this helper can do (git runs this)
    Capability,
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// Where to listen; port 0 picks a free one [default: 127.0.0.1:7990]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
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
    /// Say whether an organisation manages the account, and whether it has two-step verification
    #[command(group = clap::ArgGroup::new("standing").required(true).multiple(true).args(["managed", "two_step"]))]
    Set {
        /// The user name
        name: AccountName,
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
        /// When it ends: 30d, 12h, 1y, or never
        #[arg(long, value_name = "TIME", default_value = "1y", value_parser = lifetime)]
        expires: Lifetime,
    },
    /// List tokens, without their secrets
    List {
        /// Only those of one account
        #[arg(long, value_name = "NAME")]
        account: Option<AccountName>,
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
    },
    /// End a token now
    Revoke {
        /// The token's id
        id: String,
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
        #[arg(long, value_name = "N", default_value_t = 30)]
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
    /// Only refusals
    #[arg(long)]
    pub(crate) refused: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting, its value, and where it comes from
    Show,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// The kinds of token that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TokenKind {
    #[default]
    Api,
    AppPassword,
    Repository,
    Project,
    Workspace,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Job {
    /// To clone and fetch
    Fetch,
    /// To push as well
    Push,
}

/// Where a secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepWord {
    Keyring,
    File,
}

/// The kinds that can be planned for, and allowed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindWord {
    Api,
    AppPassword,
    Repository,
    Project,
    Workspace,
    Oauth,
}

/// A value, or none in particular.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrAny<T>(pub(crate) Option<T>);

/// Ranges of addresses.
#[derive(Debug, Clone)]
pub(crate) struct Ranges(pub(crate) Vec<IpNet>);

/// A moment, or a length of time from now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    At(Timestamp),
    In(Duration),
}

/// How long a token lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime(pub(crate) Option<Duration>);

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum ObjectFormatWord {
    #[default]
    Sha1,
    Sha256,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PrivilegeWord {
    Read,
    Write,
    Admin,
    None,
}

/// The flags that are settings.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) data: Option<PathBuf>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) listen: Option<String>,
}

impl Command {
    /// Whether it is for the person at a git client, and needs neither a data directory nor a configuration.
    pub(crate) fn is_clients(&self) -> bool {
        matches!(
            self,
            Self::Credential(_)
                | Self::Setup { .. }
                | Self::Askpass { .. }
                | Self::Doctor(_)
                | Self::Login(_)
                | Self::Logout { .. }
                | Self::Migrate(_)
                | Self::Completions { .. }
                | Self::Manual { .. }
                | Self::Run(_)
        )
    }
}

impl Arguments {
    /// The arguments of this process. Git gives the program that answers its questions nothing but the question.
    pub(crate) fn of_process() -> Self {
        let mut arguments: Vec<OsString> = std::env::args_os().collect();
        let name = arguments.first().map(PathBuf::from);
        let named = name.as_deref().and_then(Path::file_name).is_some_and(|name| name == "doorward-askpass");
        if named || (arguments.len() == 2 && std::env::var_os("DOORWARD_ANSWER_SECRET").is_some()) {
            arguments.insert(1.min(arguments.len()), "askpass".into());
        }
        Self::parse_from(arguments)
    }

    pub(crate) fn flags(&self) -> Flags {
        let listen = match &self.command {
            Command::Up(flags) | Command::Serve(flags) => flags.listen.clone(),
            _ => None,
        };
        Flags { data: self.data.clone(), config: self.config.clone(), listen }
    }
}

impl Job {
    /// The scopes that a token for it needs.
    pub(crate) fn scopes(self) -> impl Iterator<Item = &'static str> {
        let push = (self == Self::Push).then_some("write:repository:bitbucket");
        ["read:repository:bitbucket"].into_iter().chain(push).chain(["read:user:bitbucket"])
    }
}

impl KeepWord {
    /// Where that is.
    pub(crate) fn or_anywhere(word: Option<Self>) -> Keep {
        match word {
            None => Keep::Anywhere,
            Some(Self::Keyring) => Keep::InKeyring,
            Some(Self::File) => Keep::InFile,
        }
    }
}

impl From<TokenKind> for Kind {
    fn from(kind: TokenKind) -> Self {
        match kind {
            TokenKind::Api => Self::ApiToken,
            TokenKind::AppPassword => Self::AppPassword,
            TokenKind::Repository => Self::RepositoryToken,
            TokenKind::Project => Self::ProjectToken,
            TokenKind::Workspace => Self::WorkspaceToken,
        }
    }
}

impl From<KindWord> for Kind {
    fn from(word: KindWord) -> Self {
        match word {
            KindWord::Api => Self::ApiToken,
            KindWord::AppPassword => Self::AppPassword,
            KindWord::Repository => Self::RepositoryToken,
            KindWord::Project => Self::ProjectToken,
            KindWord::Workspace => Self::WorkspaceToken,
            KindWord::Oauth => Self::OAuthToken,
        }
    }
}

impl PolicyFlags {
    /// Whether nothing is named that is to change.
    pub(crate) fn names_nothing(&self) -> bool {
        self.sso.is_none()
            && self.kinds.is_none()
            && self.longest.is_none()
            && self.addresses.is_none()
            && self.two_step.is_none()
    }
}

impl Moment {
    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(duration) => now.after(duration),
        }
    }
}

impl From<PrivilegeWord> for Privilege {
    fn from(word: PrivilegeWord) -> Self {
        match word {
            PrivilegeWord::Read => Self::Read,
            PrivilegeWord::Write => Self::Write,
            PrivilegeWord::Admin => Self::Admin,
            PrivilegeWord::None => Self::None,
        }
    }
}

fn scope(name: &str) -> Result<Scope, String> {
    Scope::parse(name).map_err(|error| {
        let near = nearest(name, Scope::ALL.iter().map(|scope| scope.name()));
        if near.is_empty() {
            format!("{error}; for git there are read:repository:bitbucket and write:repository:bitbucket")
        } else {
            format!("{error}; did you mean {}?", near.join(" or "))
        }
    })
}

fn sandbox_time(text: &str) -> Result<Timestamp, String> {
    let at: Timestamp = text.parse().map_err(|error| format!("this is {error}"))?;
    if (SANDBOX_EARLIEST..=Timestamp::LAST).contains(&at) {
        Ok(at)
    } else {
        Err(format!("what Bitbucket Cloud answered then is not known here; the earliest is {SANDBOX_EARLIEST}"))
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    if text == "now" {
        return Ok(Moment::In(Duration::ZERO));
    }
    if text.parse().is_ok_and(|at: Timestamp| at > Timestamp::LAST) || parse_duration(text).is_ok_and(|d| d > LONGEST) {
        return Err("the latest is a hundred years from now".into());
    }
    let duration = || parse_duration(text).map(Moment::In);
    text.parse()
        .map(Moment::At)
        .or_else(|error| duration().map_err(|_| format!("this is {error}, nor a time from now such as 90d")))
}

fn longest(text: &str) -> Result<OrAny<Duration>, String> {
    if text == "any" {
        return Ok(OrAny(None));
    }
    let duration = parse_duration(text).map_err(|error| format!("{error}, or any"))?;
    if duration < DAY { Err("the shortest limit is 1d".into()) } else { Ok(OrAny(Some(duration))) }
}

fn addresses(text: &str) -> Result<OrAny<Ranges>, String> {
    if text == "any" {
        return Ok(OrAny(None));
    }
    let ranges = parse_ranges(text).map_err(|error| format!("{error}, or any"))?;
    if ranges.is_empty() { Err("name at least one range, or any".into()) } else { Ok(OrAny(Some(Ranges(ranges)))) }
}

fn allowed_kinds(text: &str) -> Result<OrAny<Kinds>, String> {
    if text == "any" {
        return Ok(OrAny(None));
    }
    let kinds: Result<Vec<Kind>, String> = text
        .split(',')
        .map(|word| {
            let known = KindWord::from_str(word.trim(), true).map(Kind::from);
            known.map_err(|_| {
                format!("`{word}` is none of api, app-password, repository, project, workspace, oauth; or any")
            })
        })
        .collect();
    Ok(OrAny(Some(Kinds::of(&kinds?))))
}

fn label(text: &str) -> Result<String, &'static str> {
    let fits = !text.trim().is_empty() && text.chars().count() <= 100 && !text.contains(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a label has 1 to 100 characters, none of which is a control character")
    }
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime(None));
    }
    let duration = parse_duration(text).map_err(|error| format!("{error}, or never"))?;
    if duration > LONGEST { Err("the longest life is 100y; or never".into()) } else { Ok(Lifetime(Some(duration))) }
}

const CREDENTIAL_EXAMPLES: &str = "Examples:
  doorward credential add https://bitbucket.org/acme
  doorward credential explain https://bitbucket.org/acme/site
  doorward credential list";
const LOGIN_EXAMPLES: &str = "Examples:
  doorward login
  doorward login https://bitbucket.org/acme/site --for fetch
  echo \"$TOKEN\" | doorward login --email ada@example.org --in file";
const DOCTOR_EXAMPLES: &str = "Examples:
  doorward doctor
  doorward doctor --fix
  doorward doctor https://bitbucket.org/acme/site --json";
const MIGRATE_EXAMPLES: &str = "Examples:
  doorward migrate
  doorward migrate ~/src /srv/ci --apply
  doorward migrate --undo";
const RUN_EXAMPLES: &str = "Examples:
  doorward run -- git fetch
  doorward run --spread 5m --retry-for 1h --job nightly -- ./build.sh";
const SANDBOX_EXAMPLES: &str = "Examples:
  doorward sandbox --at 2026-07-28
  doorward sandbox --spurious-401 0.3,3 --seed 1
  doorward sandbox --listen 127.0.0.1:0 --json";
const TOKEN_EXAMPLES: &str = "Examples:
  doorward token create --account ada --name laptop --scope read:repository:bitbucket
  doorward token list
  doorward token review";
const SETUP_EXAMPLES: &str = "Examples:
  doorward setup
  doorward setup https://git.example.org
  doorward setup --undo";
const ASKPASS_EXAMPLES: &str = "Example:
  ln -s \"$(command -v doorward)\" doorward-askpass
  GIT_ASKPASS=$PWD/doorward-askpass git fetch";
const DAY: Duration = Duration::from_secs(86_400);
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_reference_of_commands_is_up_to_date() {
        let mut text = String::from(
            "# Commands\n\nThis page is generated from `crates/doorward/src/arguments.rs`. `--data`, `--config` and `--json` go with \
             every command.\n",
        );
        describe(Arguments::command().term_width(100), "", &mut text);
        crate::print::check_document("docs/commands.md", &text);
    }

    /// The help of a command and of those below it.
    fn describe(mut command: clap::Command, parents: &str, text: &mut String) {
        let name = format!("{parents}{}", command.get_name());
        command = command.bin_name(&name);
        let below: Vec<clap::Command> = command.get_subcommands().filter(|c| c.get_name() != "help").cloned().collect();
        if below.is_empty() || parents.is_empty() {
            let help = command.render_long_help().to_string();
            let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
            text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
        }
        for command in below {
            describe(command, &format!("{name} "), text);
        }
    }

    #[test]
    fn a_scope_that_is_none_names_the_nearest() {
        let error = scope("repository:writ").expect_err("no such scope");
        assert!(error.contains("did you mean repository:write"), "{error}");
    }
}
