//! What went wrong, as one line with a remedy and an exit code.

use std::fmt::{self, Display};
use std::process::ExitCode;

use doorward_admin::AdminError;
use doorward_client::{AskpassError, HelperError, RestError, SetupError, VaultError};
use doorward_git::GitError;
use doorward_server::ServerError;
use doorward_store::{Noun, StoreError};

/// Why a command did not do what it was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: Code,
    sentence: String,
    remedy: Option<String>,
}

/// The exit codes; they are part of the command line's contract and stand in its help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    State = 4,
    Configuration = 5,
}

impl Failure {
    pub(crate) fn new(code: Code, sentence: impl Display) -> Self {
        Self { code, sentence: sentence.to_string(), remedy: None }
    }

    pub(crate) fn hint(self, remedy: impl Display) -> Self {
        Self { remedy: Some(remedy.to_string()), ..self }
    }

    /// Writes one line to standard error.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("{}", format!("error: {self}").replace('\n', " "));
        ExitCode::from(self.code as u8)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Missing { noun, .. } => Self::new(Code::NotFound, &error).hint(listing(*noun)),
            StoreError::Exists { noun: Noun::Member, .. } => Self::new(Code::State, &error).hint("nothing was changed"),
            StoreError::Exists { noun: Noun::Email, .. } => {
                Self::new(Code::State, &error).hint("choose another e-mail")
            }
            StoreError::Exists { .. } => Self::new(Code::State, &error).hint("choose another name"),
            StoreError::State(_) | StoreError::Withdrawn { .. } => Self::new(Code::State, &error),
            StoreError::Unavailable(_) => {
                Self::new(Code::Failed, &error).hint("check the data directory, its owner and the space on its disk")
            }
            StoreError::Migration(_) => Self::new(Code::Failed, &error)
                .hint("use the version of doorward that last served this data directory, or a later one"),
            StoreError::Corrupt(_) => Self::new(Code::Failed, &error).hint("restore doorward.db from a backup"),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Store(error) => error.into(),
            AdminError::Git(error) => error.into(),
            AdminError::Import(error) => Self::from(error)
                .hint("the source is a git directory, or an http(s) URL that may hold user name and token"),
            AdminError::Interrupted => Self::new(Code::Failed, error).hint("nothing is left of it"),
            AdminError::Wrong { sentence, remedy, .. } => Self::new(Code::Usage, sentence).hint(remedy),
            AdminError::Absent { sentence, remedy } => Self::new(Code::NotFound, sentence).hint(remedy),
            AdminError::Beyond { sentence, remedy } => Self::new(Code::Failed, sentence).hint(remedy),
        }
    }
}

impl From<RestError> for Failure {
    fn from(error: RestError) -> Self {
        Self::new(Code::Failed, error).hint("check the address and the network")
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        match &error {
            GitError::Program(_) => Self::new(Code::Configuration, &error),
            GitError::File { .. } => Self::new(Code::Failed, &error).hint("check the data directory and its owner"),
            _ => Self::new(Code::Failed, &error),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let remedy = match &error {
            ServerError::Listen { .. } => "choose another address with --listen; port 0 picks a free one",
            ServerError::PlainHttp(_) => {
                "set server.tls_certificate and server.tls_key, or server.plain_http = true behind a proxy that does TLS"
            }
            ServerError::Tls(_) => "check server.tls_certificate and server.tls_key: both are PEM files",
        };
        Self::new(Code::Configuration, &error).hint(remedy)
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let remedy = match &error {
            VaultError::File { .. } => "check the directory and its owner",
            VaultError::Sealed(_) => "or set DOORWARD_KEY to the key that it was made with",
            VaultError::Keyring(_) => "or keep it in the file, with --in file",
            VaultError::Nowhere => "set HOME or DOORWARD_VAULT",
            VaultError::Key => "take it from the file credentials.key, or leave it unset",
        };
        Self::new(Code::Failed, &error).hint(remedy)
    }
}

impl From<HelperError> for Failure {
    fn from(HelperError::Vault(error): HelperError) -> Self {
        error.into()
    }
}

impl From<AskpassError> for Failure {
    fn from(error: AskpassError) -> Self {
        match error {
            AskpassError::Vault(error) => error.into(),
            AskpassError::Prompt(_) => Self::new(Code::Usage, &error),
            AskpassError::Nothing { .. } => Self::new(Code::NotFound, &error),
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::new(Code::Failed, &error).hint("check that git is installed and ~/.gitconfig can be written")
    }
}

fn listing(noun: Noun) -> &'static str {
    match noun {
        Noun::Account | Noun::Email => "`doorward account list` shows all",
        Noun::Workspace | Noun::Member => "`doorward workspace list` shows all",
        Noun::Project => "`doorward project list WS` shows all",
        Noun::Repository => "`doorward repository list` shows all",
        Noun::Token => "`doorward token list` shows all",
        Noun::Permission => "`doorward permission list` names those that there are",
        Noun::Webhook => "GET …/hooks names those that there are",
        Noun::Consumer => "`doorward consumer list WS` names those it has",
        Noun::Grant => "the web pages show what was let act for whom",
        Noun::Passkey => "the web pages show which there are",
        Noun::UpstreamCredential => "`doorward upstream credential list` lists them",
        Noun::Request => "`doorward audit` shows what was recorded",
    }
}
