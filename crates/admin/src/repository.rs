//! Repositories, and the branch that a clone of one checks out.

use std::fmt;
use std::pin::Pin;

use doorward_git::{GitError, Import, ObjectFormat};
use doorward_store::{Noun, Repository, StoreError};
use doorward_wire::{ProjectKey, ProjectName, RefName, RepositoryName, WorkspaceSlug};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AdminError, Call, Desk, Operation};

/// A repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct RepositoryRow {
    pub id: String,
    /// `WS/REPO`.
    pub name: String,
    pub project: String,
    pub public: bool,
    pub created_at: String,
}

/// The branch that a clone checks out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeadRow {
    /// The repository.
    pub name: String,
    /// The whole name of the branch.
    pub head: String,
}

/// Makes a repository.
#[derive(Debug)]
pub struct CreateRepository {
    /// Its name.
    pub name: RepositoryName,
    /// The project it belongs to; the workspace's first one, if nothing is said.
    pub project: Option<ProjectKey>,
    /// Whether anybody may read it.
    pub public: bool,
    /// What is to be in it.
    pub content: Content,
}

/// What is to be in a new repository.
pub enum Content {
    /// Nothing yet.
    Empty(ObjectFormat),
    /// Everything that another one has; until somebody wants it stopped. Only at the machine itself.
    Import(Import, Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// Lists repositories: all, or one workspace's.
#[derive(Debug)]
pub struct ListRepositories {
    /// The workspace.
    pub workspace: Option<WorkspaceSlug>,
}

/// Deletes a repository and everything in it.
#[derive(Debug)]
pub struct DeleteRepository {
    /// Its name.
    pub name: RepositoryName,
}

/// Shows which branch a clone checks out.
#[derive(Debug)]
pub struct ShowHead {
    /// The repository.
    pub name: RepositoryName,
}

/// Says which branch a clone checks out.
#[derive(Debug)]
pub struct SetHead {
    /// The repository.
    pub name: RepositoryName,
    /// The branch, as `main` or `refs/heads/main`.
    pub branch: String,
}

/// Refuses what could not be made anyway, before any work is done for it.
async fn room_for(desk: &Desk, name: &RepositoryName, project: Option<&ProjectKey>) -> Result<(), AdminError> {
    match project {
        Some(key) => {
            drop(desk.store.project(&ProjectName { workspace: name.workspace.clone(), key: key.clone() }).await?)
        }
        None => drop(desk.store.workspace(&name.workspace).await?),
    }
    match desk.store.repository(name).await {
        Ok(_) => Err(StoreError::Exists { noun: Noun::Repository, name: name.to_string() }.into()),
        Err(StoreError::Missing { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Operation for CreateRepository {
    type Answer = RepositoryRow;

    fn call(&self) -> Call {
        let body = json!({
            "slug": self.name.slug.as_str(),
            "project": self.project.as_ref().map(ProjectKey::as_str),
            "public": self.public,
            "object_format": match self.content {
                Content::Empty(format) => format,
                Content::Import(..) => ObjectFormat::default(),
            }.word(),
        });
        Call::post(format!("/workspaces/{}/repositories", self.name.workspace), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<RepositoryRow, AdminError> {
        room_for(desk, &self.name, self.project.as_ref()).await?;
        let id = desk.store.new_repository_id(desk.now);
        // The files come first: a repository that can be named is there.
        match self.content {
            Content::Empty(format) => desk.repositories()?.create(id, format).await?,
            Content::Import(import, stop) => tokio::select! {
                imported = desk.repositories()?.import(id, &import) => imported.map_err(AdminError::Import)?,
                // Dropping the import kills git and removes what there is of the repository.
                () = stop => return Err(AdminError::Interrupted),
            },
        }
        let made = desk.store.create_repository(id, &self.name, self.project.as_ref(), self.public, desk.now).await;
        if made.is_err() {
            desk.repositories()?.delete(id)?;
        }
        Ok(RepositoryRow::of(&made?))
    }
}

impl Operation for ListRepositories {
    type Answer = Vec<RepositoryRow>;

    fn call(&self) -> Call {
        Call::list(match &self.workspace {
            Some(workspace) => format!("/workspaces/{workspace}/repositories"),
            None => "/repositories".into(),
        })
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<RepositoryRow>, AdminError> {
        let all = desk.store.repositories(self.workspace.as_ref()).await?;
        Ok(all.iter().map(RepositoryRow::of).collect())
    }
}

impl Operation for DeleteRepository {
    type Answer = RepositoryRow;

    fn call(&self) -> Call {
        Call::delete(path(&self.name))
    }

    async fn carry_out(self, desk: &Desk) -> Result<RepositoryRow, AdminError> {
        let repository = desk.store.delete_repository(&self.name, desk.now).await?;
        desk.repositories()?.delete(repository.id)?;
        Ok(RepositoryRow::of(&repository))
    }
}

impl Operation for ShowHead {
    type Answer = HeadRow;

    fn call(&self) -> Call {
        Call::get(format!("{}/head", path(&self.name)))
    }

    async fn carry_out(self, desk: &Desk) -> Result<HeadRow, AdminError> {
        let repository = desk.store.repository(&self.name).await?;
        Ok(HeadRow { name: self.name.to_string(), head: desk.repositories()?.head(repository.id).await? })
    }
}

impl Operation for SetHead {
    type Answer = HeadRow;

    fn call(&self) -> Call {
        Call::put(format!("{}/head", path(&self.name)), json!({ "branch": self.branch }))
    }

    async fn carry_out(self, desk: &Desk) -> Result<HeadRow, AdminError> {
        let Self { name, branch } = self;
        let wrong = |sentence: String| AdminError::Wrong {
            field: "branch",
            sentence,
            remedy: "HEAD names a branch, such as main or refs/heads/main".into(),
        };
        let repository = desk.store.repository(&name).await?;
        let short = branch.strip_prefix("refs/heads/").unwrap_or(&branch);
        if short.starts_with("refs/") || short == "HEAD" {
            return Err(wrong(format!("`{branch}` is not a branch")));
        }
        let full = RefName::parse(format!("refs/heads/{short}").as_bytes())
            .map_err(|error| wrong(format!("`{branch}` cannot be a branch: {error}")))?;
        desk.store.ask_again().await?;
        desk.repositories()?.set_head(repository.id, &full).await.map_err(|error| match error {
            GitError::Failed { .. } => AdminError::Absent {
                sentence: format!("there is no branch `{branch}` in {name}"),
                remedy: "push it first".into(),
            },
            error => error.into(),
        })?;
        ShowHead { name }.carry_out(desk).await
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(format) => f.debug_tuple("Empty").field(format).finish(),
            // Its address may have a token in it.
            Self::Import(..) => f.write_str("Import"),
        }
    }
}

/// Where a repository is.
pub(crate) fn path(name: &RepositoryName) -> String {
    format!("/workspaces/{}/repositories/{}", name.workspace, name.slug)
}

impl RepositoryRow {
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
