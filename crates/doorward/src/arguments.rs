//! The arguments: the whole command line in one place, with the text of its help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use doorward_rules::{Privilege, Scope};
use doorward_wire::{AccountName, Email, RepositoryName, WorkspaceSlug, nearest, parse_duration};

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
    /// API tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// What was refused, pushed and changed
    Audit(AuditFilter),
    /// Why a request was answered as it was
    Why {
        /// The X-Request-Id of the answer
        request: String,
    },
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
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
        /// The account that it acts for
        #[arg(long, value_name = "NAME")]
        account: AccountName,
        /// What it is for, in your words
        #[arg(long, value_name = "LABEL", value_parser = label)]
        name: String,
        /// What it may be used for, once for each scope: `read:repository:bitbucket` (fetch),
        /// `write:repository:bitbucket` (push), or an older name of Bitbucket Cloud's such as `repository`
        #[arg(long = "scope", value_name = "S", required = true, value_parser = scope, value_delimiter = ',')]
        scopes: Vec<Scope>,
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

impl Arguments {
    pub(crate) fn flags(&self) -> Flags {
        let listen = match &self.command {
            Command::Up(flags) | Command::Serve(flags) => flags.listen.clone(),
            _ => None,
        };
        Flags { data: self.data.clone(), config: self.config.clone(), listen }
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
