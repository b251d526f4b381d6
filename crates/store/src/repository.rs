//! Repositories, as far as access is concerned. Their contents are `doorward-git`'s.

use doorward_rules::{RepositoryId, Timestamp};
use doorward_wire::{ProjectKey, RepositoryName, WorkspaceSlug};

use crate::database::new_id;
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
    /// When it was made.
    pub created_at: Timestamp,
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
        Ok(Repository { id, name: name.clone(), project: project.name.key.clone(), public, created_at: now })
    }

    /// Removes a repository's record, with everything given on it; its access tokens are revoked. Its directory is left to the caller.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such repository.
    pub async fn delete_repository(&self, name: &RepositoryName, now: Timestamp) -> Result<Repository, StoreError> {
        let repository = self.repository(name).await?;
        let mut change = self.change(now).await?;
        for sql in [
            "DELETE FROM permission WHERE repository_id = $1",
            "UPDATE credential SET revoked_at = coalesce(revoked_at, $2) WHERE repository_id = $1",
            "DELETE FROM repository WHERE id = $1",
        ] {
            sqlx::query(sql).bind(repository.id.to_string()).bind(now.0).execute(change.connection()).await?;
        }
        change.commit("repository.deleted", &name.to_string(), format!("repository `{name}` was deleted")).await?;
        Ok(repository)
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
        created_at: row.time("created_at")?,
    })
}
