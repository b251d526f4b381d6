//! The arguments: the whole command line in one place, with the text of its help.

mod client;
mod server;
mod upstream;
mod value;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use doorward_client::Place;

pub(crate) use client::*;
pub(crate) use server::*;
pub(crate) use upstream::*;
pub(crate) use value::*;

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
    /// Administer this server over the network, with a token that is stored for it or stands in DOORWARD_TOKEN
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["data", "config"])]
    pub(crate) server: Option<Place>,
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
    /// OAuth consumers: applications that people let act for them, and that act for their workspace
    #[command(subcommand)]
    Consumer(ConsumerCommand),
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
    #[command(after_help = AUDIT_EXAMPLES)]
    Audit(AuditFilter),
    /// Why a request was answered as it was
    Why {
        /// The X-Request-Id of the answer
        request: String,
    },
    /// Give git the right credential for each host and repository (a git credential helper)
    #[command(after_help = CREDENTIAL_EXAMPLES)]
    Credential(CredentialFlags),
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
    /// Git hosts elsewhere, for whose repositories this server is a gateway
    #[command(subcommand, after_help = UPSTREAM_EXAMPLES)]
    Upstream(UpstreamCommand),
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

/// The flags that are settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    pub(crate) data: Option<PathBuf>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) listen: Option<String>,
}

impl Command {
    /// Whether it administers, and can do so on a server elsewhere.
    pub(crate) fn administers(&self) -> bool {
        matches!(
            self,
            Self::Account(_)
                | Self::Workspace(_)
                | Self::Repository(_)
                | Self::Permission(_)
                | Self::Project(_)
                | Self::Token(_)
                | Self::Consumer(_)
                | Self::Policy(_)
                | Self::Calendar(_)
                | Self::Audit(_)
                | Self::Why { .. }
        )
    }

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
const CREDENTIAL_EXAMPLES: &str = "Examples:
  doorward credential add https://bitbucket.org/acme
  doorward credential explain https://bitbucket.org/acme/site
  doorward credential list
  git config --global credential.https://bitbucket.org.helper \\
    '!doorward credential --secret-file /run/secrets/bitbucket --for https://bitbucket.org'";
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
const AUDIT_EXAMPLES: &str = "Examples:
  doorward audit --since 1h --refused
  doorward audit --in acme/site --reason scope_missing
  doorward audit --credential 3kq8c2xw1m5z --since 30d";
const SETUP_EXAMPLES: &str = "Examples:
  doorward setup
  doorward setup https://git.example.org
  doorward setup --undo";
const ASKPASS_EXAMPLES: &str = "Example:
  ln -s \"$(command -v doorward)\" doorward-askpass
  GIT_ASKPASS=$PWD/doorward-askpass git fetch";

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
            "# Commands\n\nThis page is generated from `crates/doorward/src/arguments`. `--json` goes with every command; \
             `--data` and `--config` with those that work on a data directory; and `--server` with those that administer: \
             account, workspace, repository, permission, project, token, consumer, policy, calendar, audit and why.\n",
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
