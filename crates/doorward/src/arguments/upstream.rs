//! The arguments of `doorward upstream`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use doorward_rules::Timestamp;
use doorward_wire::{RepositoryName, parse_duration};

#[derive(Debug, Subcommand)]
pub(crate) enum UpstreamCommand {
    /// List them
    List,
    /// Add one to the configuration file, and tell the server that runs
    Add(NewUpstream),
    /// Take one out of the configuration file, and tell the server that runs; its mirrors stay
    Remove {
        /// Its name
        name: String,
    },
    /// Try one: whether it can be reached, and what a credential is good for there, in which form
    ///
    /// The secret is read from standard input, or from the variable DOORWARD_UPSTREAM_SECRET.
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// Its name
        name: String,
        /// The user name that jobs send with the secret, if they send one
        #[arg(long)]
        user: Option<String>,
        /// Try it with this repository
        #[arg(long, value_name = "WORKSPACE/REPOSITORY")]
        repository: Option<RepositoryName>,
        /// Use no credential
        #[arg(long, conflicts_with = "own")]
        anonymous: bool,
        /// Use the credentials of the gateway's own, each of them
        #[arg(long, conflicts_with = "user")]
        own: bool,
    },
    /// Keep credentials of the gateway's own in the data directory, sealed, for `credentials = "store:NAME"`
    #[command(subcommand)]
    Credential(UpstreamCredentialCommand),
    /// Tell what the running server has done for jobs: refusals hidden, looks and bytes saved, requests left
    Status,
    /// Print what sends jobs through the gateway, for a kind of job
    Snippet {
        /// The kind of job
        #[arg(value_enum, default_value_t = JobKind::Git)]
        job: JobKind,
        /// Its name, if there are several
        #[arg(long, value_name = "NAME")]
        upstream: Option<String>,
        /// The gateway's address, as jobs reach it [default: what `server.public_url` says]
        #[arg(long, value_name = "URL")]
        gateway: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UpstreamCredentialCommand {
    /// List them, with when they end; never their secrets
    List,
    /// Keep one, in the place of one of the same name
    ///
    /// `USER:SECRET` or a token alone is read from standard input, or from the variable DOORWARD_UPSTREAM_SECRET. A running server
    /// uses it within a minute.
    Add {
        /// What to call it
        name: String,
        /// When it ends at the upstream, as it was told when it was made; the server warns two weeks before
        #[arg(long, value_name = "MOMENT")]
        expires: Option<Timestamp>,
    },
    /// Forget one
    Remove {
        /// Its name
        name: String,
    },
}

/// One that is added. What is not said is as Bitbucket Cloud wants it.
#[derive(Debug, Args)]
pub(crate) struct NewUpstream {
    /// What to call it
    #[arg(default_value = "bitbucket")]
    pub(crate) name: String,
    /// The address before /WORKSPACE/REPOSITORY.git
    #[arg(long, value_name = "URL", default_value = "https://bitbucket.org")]
    pub(crate) git: String,
    /// The address before /repositories/… of REST [default: Bitbucket Cloud's, if --git is its]
    #[arg(long, value_name = "URL")]
    pub(crate) rest: Option<String>,
    /// A workspace whose repositories are there; every one that is not here, if none is named
    #[arg(long = "workspace", value_name = "WORKSPACE")]
    pub(crate) workspaces: Vec<String>,
    /// Who has the upstream's credentials: jobs, or the gateway [default: brokered with --credential, else transparent]
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// Where a credential of the gateway's own comes from: env:NAME, file:PATH, store:NAME or command:LINE; the next one is used when
    /// one is refused
    #[arg(long = "credential", value_name = "SOURCE")]
    pub(crate) credentials: Vec<String>,
    /// Pass credentials on in the form that they are sent in, for a host that is not Bitbucket Cloud
    #[arg(long)]
    pub(crate) as_sent: bool,
    /// Pass shallow and partial clones on as long as the mirror lacks what they want
    #[arg(long)]
    pub(crate) pass_partial: bool,
    /// How long a request is tried that meets trouble there [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) patience: Option<Duration>,
    /// How long a refusal is doubted of a credential that worked before [default: 45s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) doubt: Option<Duration>,
}

/// Who has an upstream's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Jobs present the upstream's own
    Transparent,
    /// Jobs present tokens of this server, and the gateway presents its own
    Brokered,
}

/// A kind of job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JobKind {
    /// Any that runs git
    Git,
    /// Databricks
    Databricks,
    /// Jenkins
    Jenkins,
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
    /// Argo CD
    Argocd,
    /// Flux
    Flux,
}

pub(super) const UPSTREAM_EXAMPLES: &str = "Examples:\n  doorward upstream add\n  \
     doorward upstream add forge --git https://git.example.org --as-sent --workspace tools\n  \
     doorward upstream add --workspace acme --credential store:main\n  \
     doorward upstream snippet github\n  doorward upstream status";
const CHECK_EXAMPLES: &str = "Example:\n  \
     doorward upstream check bitbucket --user ada@example.org --repository acme/site < token";
