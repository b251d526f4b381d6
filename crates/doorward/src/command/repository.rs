//! `doorward repository`: repositories, their contents and their HEAD.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;

use doorward_git::{Import, ObjectFormat};
use doorward_store::{Noun, Repository, StoreError};
use doorward_wire::{ProjectKey, ProjectName, RefName, RepositoryName};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{ObjectFormatWord, RepositoryCommand};
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: String,
    project: String,
    public: bool,
    created_at: String,
}

#[derive(Debug, Serialize)]
struct HeadRow {
    name: String,
    head: String,
}

pub(crate) async fn run(command: RepositoryCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let data = Data::open(configuration).await?;
    match command {
        RepositoryCommand::List { workspace } => show(&data.store.repositories(workspace.as_ref()).await?, json),
        RepositoryCommand::Create { name, project, public, import, object_format } => {
            let content = match import {
                Some(source) => Content::Import(source),
                None => Content::Empty(object_format.into()),
            };
            let repository = create(&data, configuration, &name, project.as_ref(), public, content).await?;
            if json { print::json(&Row::of(&repository)) } else { show(&[repository], json) }
        }
        RepositoryCommand::Delete { name } => {
            let repositories = data.repositories(configuration)?;
            let repository = data.store.delete_repository(&name, now()).await?;
            repositories.delete(repository.id)?;
            if json { print::json(&Row::of(&repository)) } else { print::line(&format!("deleted {name}")) }
        }
        RepositoryCommand::Head { name, branch } => head(&data, configuration, &name, branch.as_deref(), json).await,
    }
}

enum Content {
    Empty(ObjectFormat),
    Import(OsString),
}

/// The files come first: a repository that can be named is there.
async fn create(
    data: &Data,
    configuration: &Configuration,
    name: &RepositoryName,
    project: Option<&ProjectKey>,
    public: bool,
    content: Content,
) -> Result<Repository, Failure> {
    match project {
        Some(key) => {
            drop(data.store.project(&ProjectName { workspace: name.workspace.clone(), key: key.clone() }).await?)
        }
        None => drop(data.store.workspace(&name.workspace).await?),
    }
    match data.store.repository(name).await {
        Ok(_) => return Err(StoreError::Exists { noun: Noun::Repository, name: name.to_string() }.into()),
        Err(StoreError::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let repositories = data.repositories(configuration)?;
    let id = data.store.new_repository_id(now());
    match content {
        Content::Empty(format) => repositories.create(id, format).await?,
        Content::Import(source) => {
            let source = absolute(refuse_ssh(source)?)?;
            let progress = std::io::stderr().is_terminal();
            let environment =
                HTTP_CLIENT.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
            let import = Import { source, environment: environment.collect(), progress };
            let imported = tokio::select! {
                imported = repositories.import(id, &import) => imported,
                // Dropping the import kills git and removes what there is of the repository.
                () = interrupted() => {
                    return Err(Failure::new(Code::Failed, "the import was interrupted").hint("nothing is left of it"));
                }
            };
            let hint = "the source is a git directory, or an http(s) URL that may hold user name and token";
            imported.map_err(|error| Failure::from(error).hint(hint))?;
        }
    }
    match data.store.create_repository(id, name, project, public, now()).await {
        Ok(repository) => Ok(repository),
        Err(error) => {
            repositories.delete(id)?;
            Err(error.into())
        }
    }
}

async fn head(
    data: &Data,
    configuration: &Configuration,
    name: &RepositoryName,
    branch: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let repository = data.store.repository(name).await?;
    let repositories = data.repositories(configuration)?;
    if let Some(branch) = branch {
        let short = branch.strip_prefix("refs/heads/").unwrap_or(branch);
        if short.starts_with("refs/") || short == "HEAD" {
            let sentence = format!("`{branch}` is not a branch");
            return Err(
                Failure::new(Code::Usage, sentence).hint("HEAD names a branch, such as main or refs/heads/main")
            );
        }
        let full = format!("refs/heads/{short}");
        let full = RefName::parse(full.as_bytes())
            .map_err(|error| Failure::new(Code::Usage, format!("`{branch}` cannot be a branch: {error}")))?;
        repositories.set_head(repository.id, &full).await.map_err(|_| {
            Failure::new(Code::NotFound, format!("there is no branch `{branch}` in {name}")).hint("push it first")
        })?;
    }
    let head = repositories.head(repository.id).await?;
    if json { print::json(&HeadRow { name: name.to_string(), head }) } else { print::line(&head) }
}

fn show(repositories: &[Repository], json: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = repositories.iter().map(Row::of).collect();
    if json {
        return print::json(&rows);
    }
    let access = |public| if public { "public" } else { "private" }.to_owned();
    let cells = rows.into_iter().map(|row| [row.name, access(row.public), row.created_at]);
    print::table(["repository", "access", "created"], &cells.collect::<Vec<_>>())
}

impl Row {
    fn of(repository: &Repository) -> Self {
        Self {
            id: repository.id.to_string(),
            name: repository.name.to_string(),
            project: repository.project.to_string(),
            public: repository.public,
            created_at: repository.created_at.to_string(),
        }
    }
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
