//! Repositories, as far as access is concerned. Their contents are `doorward-git`'s.

use doorward_rules::{AccountId, Limit, Privilege, ProjectId, RepositoryId, Timestamp, WorkspaceId};
use doorward_wire::{ProjectKey, ProjectName, RepositoryName, RepositorySlug, WorkspaceSlug};

use crate::database::new_id;
use crate::permission::resolve;
use crate::row::Row;
use crate::{Noun, Project, Store, StoreError};

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its id, which also names its directory.
    pub id: RepositoryId,
    /// Its full name.
    pub name: RepositoryName,
    /// The project it belongs to.
    pub project: ProjectKey,
    /// Whether anybody may read it.
    pub public: bool,
    /// What people call it: its name in URLs, if nothing else was said.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// What it is written in.
    pub language: String,
    /// Where there is more about it.
    pub website: String,
    /// Who may fork it, as it was said: `allow_forks`, `no_public_forks` or `no_forks`.
    pub fork_policy: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last pushed to, or its settings changed.
    pub updated_at: Timestamp,
}

/// What is to be changed of a repository. What is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryChange {
    /// Its name in URLs.
    pub slug: Option<RepositorySlug>,
    /// What people call it.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// What it is written in.
    pub language: Option<String>,
    /// Where there is more about it.
    pub website: Option<String>,
    /// Who may fork it.
    pub fork_policy: Option<String>,
    /// Whether anybody may read it.
    pub public: Option<bool>,
    /// The project it belongs to.
    pub project: Option<ProjectKey>,
    /// The branch that becomes its main one. It is not kept here, and on record all the same.
    pub main_branch: Option<String>,
}

/// Who looks at a list of repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Nobody in particular: what is public is shown.
    Anyone,
    /// An account: what it may see is shown.
    Account(AccountId),
    /// An access token: what it belongs to is shown, and what is public.
    Token(Limit),
}

impl Store {
    /// An id for a repository whose directory is made before its record.
    pub fn new_repository_id(&self, now: Timestamp) -> RepositoryId {
        RepositoryId(new_id(now))
    }

    /// Records a repository whose directory is there; in the workspace's first project if none is named.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace or project, [`StoreError::Exists`] if the name is taken in it.
    pub async fn create_repository(
        &self,
        id: RepositoryId,
        name: &RepositoryName,
        project: Option<&ProjectKey>,
        public: bool,
        now: Timestamp,
    ) -> Result<Repository, StoreError> {
        let workspace = self.workspace(&name.workspace).await?;
        let projects = self.projects(&name.workspace).await?;
        let wanted = |candidate: &&Project| project.is_none_or(|key| candidate.name.key == *key);
        let project = projects.iter().find(wanted).ok_or_else(|| {
            let key = project.map(ProjectKey::to_string).unwrap_or_default();
            StoreError::missing(Noun::Project, format!("{}/{key}", name.workspace))
        })?;
        let mut change = self.change(now).await?;
        sqlx::query(
            "INSERT INTO repository (id, workspace_id, project_id, slug, public, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id.to_string())
        .bind(workspace.id.to_string())
        .bind(project.id.to_string())
        .bind(name.slug.as_str())
        .bind(public)
        .bind(now.0)
        .execute(change.connection())
        .await
        .map_err(|error| StoreError::inserting(Noun::Repository, name, error))?;
        let kind = if public { "public" } else { "private" };
        let sentence = format!("{kind} repository `{name}` was created");
        change.commit("repository.created", &name.to_string(), sentence).await?;
        Ok(Repository {
            id,
            name: name.clone(),
            project: project.name.key.clone(),
            public,
            title: name.slug.to_string(),
            description: String::new(),
            language: String::new(),
            website: String::new(),
            fork_policy: "no_public_forks".into(),
            created_at: now,
            updated_at: now,
        })
    }

    /// Removes a repository's record, with everything given on it; its access tokens are revoked. Its directory is left to the caller.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such repository.
    pub async fn delete_repository(&self, name: &RepositoryName, now: Timestamp) -> Result<Repository, StoreError> {
        self.delete_repository_with_id(self.repository(name).await?.id, now).await
    }

    /// The same of the repository with an id, whatever has its name by now.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn delete_repository_with_id(&self, id: RepositoryId, now: Timestamp) -> Result<Repository, StoreError> {
        let repository = self.repository_by_id(id).await?;
        let name = &repository.name;
        let mut change = self.change(now).await?;
        for sql in [
            "DELETE FROM permission WHERE repository_id = $1",
            "DELETE FROM commit_status WHERE repository_id = $1",
            "DELETE FROM upload WHERE repository_id = $1",
            "DELETE FROM delivery WHERE webhook_id IN (SELECT id FROM webhook WHERE repository_id = $1)",
            "DELETE FROM webhook WHERE repository_id = $1",
            "UPDATE credential SET revoked_at = coalesce(revoked_at, $2) WHERE repository_id = $1",
            "DELETE FROM repository WHERE id = $1",
        ] {
            sqlx::query(sql).bind(repository.id.to_string()).bind(now.0).execute(change.connection()).await?;
        }
        change.commit("repository.deleted", &name.to_string(), format!("repository `{name}` was deleted")).await?;
        Ok(repository)
    }

    /// Changes a repository's settings; the repository as it is then. Credentials keep what they are limited to, also when it
    /// gets another name.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such repository or project, [`StoreError::Exists`] if the new name is taken.
    pub async fn change_repository(
        &self,
        id: RepositoryId,
        wanted: &RepositoryChange,
        now: Timestamp,
    ) -> Result<Repository, StoreError> {
        let before = self.repository_by_id(id).await?;
        let RepositoryChange { slug, title, description, language, website, fork_policy, public, project, main_branch } =
            wanted;
        let workspace = before.name.workspace.clone();
        let project = match project {
            Some(key) => Some(self.project(&ProjectName { workspace: workspace.clone(), key: key.clone() }).await?),
            None => None,
        };
        let mut change = self.change(now).await?;
        let renamed = slug.as_ref().unwrap_or(&before.name.slug);
        let done = sqlx::query(
            "UPDATE repository SET slug = coalesce($2, slug), title = coalesce($3, title), description = coalesce($4, description), \
             public = coalesce($5, public), project_id = coalesce($6, project_id), updated_at = $7, \
             language = coalesce($8, language), website = coalesce($9, website), \
             fork_policy = coalesce($10, fork_policy) WHERE id = $1",
        )
        .bind(id.to_string())
        .bind(slug.as_ref().map(RepositorySlug::as_str))
        .bind(title)
        .bind(description)
        .bind(*public)
        .bind(project.as_ref().map(|project| project.id.to_string()))
        .bind(now.0)
        .bind(language)
        .bind(website)
        .bind(fork_policy)
        .execute(change.connection())
        .await
        .map_err(|error| StoreError::inserting(Noun::Repository, format!("{workspace}/{renamed}"), error))?;
        if done.rows_affected() == 0 {
            return Err(StoreError::missing(Noun::Repository, id));
        }
        let mut said = Vec::new();
        said.extend(slug.as_ref().filter(|slug| **slug != before.name.slug).map(|slug| format!("named `{slug}`")));
        let access = |public: bool| if public { "made public" } else { "made private" };
        said.extend(public.filter(|public| *public != before.public).map(|public| access(public).into()));
        let moved = project.as_ref().filter(|project| project.name.key != before.project);
        said.extend(moved.map(|project| format!("moved to the project `{}`", project.name.key)));
        said.extend(main_branch.as_ref().map(|branch| format!("given the main branch `{branch}`")));
        if said.is_empty() {
            said.push("changed".into());
        }
        let sentence = format!("repository `{}` was {}", before.name, said.join(", "));
        change.commit("repository.changed", &before.name.to_string(), sentence).await?;
        self.repository_by_id(id).await
    }

    /// The repositories of a workspace that somebody may see, and what it may do to each; by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn repositories_seen(
        &self,
        workspace: WorkspaceId,
        viewer: Viewer,
    ) -> Result<Vec<(Repository, Privilege)>, StoreError> {
        let account = match viewer {
            Viewer::Account(id) => Some(id.to_string()),
            Viewer::Anyone | Viewer::Token(_) => None,
        };
        let rows = sqlx::query(
            "SELECT r.*, w.slug AS workspace, p.key, coalesce(w.owner_id = $2, FALSE) AS owner, g.privilege, \
             m.account_id IS NOT NULL AS member \
             FROM repository r JOIN workspace w ON w.id = r.workspace_id JOIN project p ON p.id = r.project_id \
             LEFT JOIN permission g ON g.repository_id = r.id AND g.account_id = $2 \
             LEFT JOIN member m ON m.workspace_id = w.id AND m.account_id = $2 \
             WHERE r.workspace_id = $1 ORDER BY r.slug",
        )
        .bind(workspace.to_string())
        .bind(account)
        .fetch_all(self.reading())
        .await?;
        let mut seen = Vec::with_capacity(rows.len());
        for row in rows.into_iter().map(Row) {
            let found = repository(&row)?;
            let within = match viewer {
                Viewer::Token(Limit::Workspace(id)) => id == workspace,
                Viewer::Token(Limit::Project(id)) => row.parsed::<ProjectId>("project_id")? == id,
                Viewer::Token(Limit::Repository(id)) => found.id == id,
                Viewer::Token(Limit::Anywhere) | Viewer::Anyone | Viewer::Account(_) => false,
            };
            let own = if within { Some(Privilege::Admin) } else { resolve(&row)?.map(|(privilege, _)| privilege) };
            let privilege = own.unwrap_or(Privilege::None);
            if found.public || privilege > Privilege::None {
                seen.push((found, privilege));
            }
        }
        Ok(seen)
    }

    /// The repository of this name.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn repository(&self, name: &RepositoryName) -> Result<Repository, StoreError> {
        let row = sqlx::query(
            "SELECT r.*, w.slug AS workspace, p.key FROM repository r JOIN workspace w ON w.id = r.workspace_id \
             JOIN project p ON p.id = r.project_id \
             WHERE w.slug = $1 AND r.slug = $2",
        )
        .bind(name.workspace.as_str())
        .bind(name.slug.as_str())
        .fetch_optional(self.reading())
        .await?
        .ok_or_else(|| StoreError::missing(Noun::Repository, name))?;
        repository(&Row(row))
    }

    /// The repository with this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn repository_by_id(&self, id: RepositoryId) -> Result<Repository, StoreError> {
        let row = sqlx::query(
            "SELECT r.*, w.slug AS workspace, p.key FROM repository r JOIN workspace w ON w.id = r.workspace_id \
             JOIN project p ON p.id = r.project_id WHERE r.id = $1",
        )
        .bind(id.to_string())
        .fetch_optional(self.reading())
        .await?
        .ok_or_else(|| StoreError::missing(Noun::Repository, id))?;
        repository(&Row(row))
    }

    /// Every repository, or those of one workspace, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace.
    pub async fn repositories(&self, workspace: Option<&WorkspaceSlug>) -> Result<Vec<Repository>, StoreError> {
        if let Some(slug) = workspace {
            self.workspace(slug).await?;
        }
        let rows = sqlx::query(
            "SELECT r.*, w.slug AS workspace, p.key FROM repository r JOIN workspace w ON w.id = r.workspace_id \
             JOIN project p ON p.id = r.project_id \
             WHERE $1 IS NULL OR w.slug = $1 ORDER BY r.created_at, r.id",
        )
        .bind(workspace.map(WorkspaceSlug::as_str))
        .fetch_all(self.reading())
        .await?;
        rows.into_iter().map(|row| repository(&Row(row))).collect()
    }
}

fn repository(row: &Row) -> Result<Repository, StoreError> {
    Ok(Repository {
        id: row.parsed("id")?,
        name: RepositoryName { workspace: row.parsed("workspace")?, slug: row.parsed("slug")? },
        project: row.parsed("key")?,
        public: row.truth("public")?,
        title: row.optional_text("title")?.map_or_else(|| row.text("slug"), Ok)?,
        description: row.text("description")?,
        language: row.text("language")?,
        website: row.text("website")?,
        fork_policy: row.text("fork_policy")?,
        created_at: row.time("created_at")?,
        updated_at: row.optional_time("updated_at")?.map_or_else(|| row.time("created_at"), Ok)?,
    })
}
