//! The arguments of the commands for the person at a git client.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use doorward_client::{Keep, Place};
use doorward_wire::{Email, parse_duration};

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

#[derive(Debug, Args)]
pub(crate) struct CredentialFlags {
    /// Use the token in this file before any other; it is read each time and stored nowhere
    #[arg(long, value_name = "FILE", requires = "place")]
    pub(crate) secret_file: Option<PathBuf>,
    /// What the token in the file is for: a host, a workspace or a repository; nobody else is given it
    #[arg(long = "for", value_name = "URL", requires = "secret_file")]
    pub(crate) place: Option<Place>,
    #[command(subcommand)]
    pub(crate) command: CredentialCommand,
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
