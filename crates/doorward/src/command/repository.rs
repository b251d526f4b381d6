//! `doorward repository`: repositories, their contents and their HEAD.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;

use doorward_admin::{Content, CreateRepository, DeleteRepository, ListRepositories, RepositoryRow, SetHead, ShowHead};
use doorward_git::{Import, ObjectFormat};
use tokio::signal::unix::{SignalKind, signal};

use crate::administration::Administration;
use crate::arguments::{ObjectFormatWord, RepositoryCommand};
use crate::failure::{Code, Failure};
use crate::print;

pub(crate) async fn run(command: RepositoryCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    match command {
        RepositoryCommand::List { workspace } => {
            let rows = place.carry_out(ListRepositories { workspace }).await?;
            if json { print::json(&rows) } else { show(rows) }
        }
        RepositoryCommand::Create { name, project, public, import, object_format } => {
            if import.is_some() && place.is_elsewhere() {
                return Err(Failure::new(Code::Usage, "--import reads what is on the machine of the server")
                    .hint("make an empty repository, then run `git push --mirror` to it from a clone"));
            }
            let content = match import {
                Some(source) => Content::Import(import_of(source)?, Box::pin(interrupted())),
                None => Content::Empty(object_format.into()),
            };
            let row = place.carry_out(CreateRepository { name, project, public, content }).await?;
            if json { print::json(&row) } else { show(vec![row]) }
        }
        RepositoryCommand::Delete { name } => {
            let row = place.carry_out(DeleteRepository { name }).await?;
            if json { print::json(&row) } else { print::line(&format!("deleted {}", row.name)) }
        }
        RepositoryCommand::Head { name, branch } => {
            let row = match branch {
                Some(branch) => place.carry_out(SetHead { name, branch }).await?,
                None => place.carry_out(ShowHead { name }).await?,
            };
            if json { print::json(&row) } else { print::line(&row.head) }
        }
    }
}

fn import_of(source: OsString) -> Result<Import, Failure> {
    let source = absolute(refuse_ssh(source)?)?;
    let environment = HTTP_CLIENT.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    Ok(Import { source, environment: environment.collect(), progress: std::io::stderr().is_terminal() })
}

fn show(rows: Vec<RepositoryRow>) -> Result<(), Failure> {
    let access = |public| if public { "public" } else { "private" }.to_owned();
    let cells = rows.into_iter().map(|row| [row.name, access(row.public), row.created_at]);
    print::table(["repository", "access", "created"], &cells.collect::<Vec<_>>())
}

impl From<ObjectFormatWord> for ObjectFormat {
    fn from(word: ObjectFormatWord) -> Self {
        match word {
            ObjectFormatWord::Sha1 => Self::Sha1,
            ObjectFormatWord::Sha256 => Self::Sha256,
        }
    }
}

/// Resolves at a SIGINT or SIGTERM.
async fn interrupted() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    } else {
        std::future::pending().await
    }
}

/// SSH would need the keys and the agent of whoever runs this, and git runs without them.
fn refuse_ssh(source: OsString) -> Result<OsString, Failure> {
    let text = source.to_string_lossy().into_owned();
    let short_form = text
        .split_once(':')
        .is_some_and(|(host, rest)| host.contains('@') && !host.contains('/') && !rest.starts_with("//"));
    if text.starts_with("ssh://") || short_form {
        let failure = Failure::new(Code::Usage, "an import over SSH is not possible");
        return Err(failure.hint("run `git clone --mirror` with it first, and import the directory"));
    }
    Ok(source)
}

/// Git runs in another directory, so a relative path is made absolute.
fn absolute(source: OsString) -> Result<OsString, Failure> {
    let path = Path::new(&source);
    if !path.exists() {
        return Ok(source);
    }
    let absolute =
        path.canonicalize().map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", path.display())))?;
    Ok(absolute.into())
}

/// What git's HTTP client may know of our environment during an import.
const HTTP_CLIENT: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
];
