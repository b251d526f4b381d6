//! Projects: groups of a workspace's repositories. Every workspace has one from the start.

use doorward_rules::{ProjectId, Timestamp};
use doorward_wire::{ProjectName, WorkspaceSlug};

use crate::database::new_id;
use crate::row::Row;
use crate::{Noun, Store, StoreError};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, with the workspace's.
    pub name: ProjectName,
    /// What people call it.
    pub title: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Store {
    /// Makes a project.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace, [`StoreError::Exists`] if the key is taken.
    pub async fn create_project(&self, name: &ProjectName, title: &str, now: Timestamp) -> Result<Project, StoreError> {
        let workspace = self.workspace(&name.workspace).await?;
        let mut change = self.change(now).await?;
        let id = ProjectId(new_id(now));
        sqlx::query("INSERT INTO project (id, workspace_id, key, name, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(id.to_string())
            .bind(workspace.id.to_string())
            .bind(name.key.as_str())
            .bind(title)
            .bind(now.0)
            .execute(change.connection())
            .await
            .map_err(|error| StoreError::inserting(Noun::Project, name, error))?;
        change.commit("project.created", &name.to_string(), format!("project `{name}` was created")).await?;
        Ok(Project { id, name: name.clone(), title: title.into(), created_at: now })
    }

    /// The projects of a workspace, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace.
    pub async fn projects(&self, slug: &WorkspaceSlug) -> Result<Vec<Project>, StoreError> {
        let workspace = self.workspace(slug).await?;
        let rows = sqlx::query("SELECT * FROM project WHERE workspace_id = $1 ORDER BY created_at, id")
            .bind(workspace.id.to_string())
            .fetch_all(self.reading())
            .await?;
        let project = |row: &Row| {
            Ok(Project {
                id: row.parsed("id")?,
                name: ProjectName { workspace: slug.clone(), key: row.parsed("key")? },
                title: row.text("name")?,
                created_at: row.time("created_at")?,
            })
        };
        rows.into_iter().map(|row| project(&Row(row))).collect()
    }

    /// The project of this name.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn project(&self, name: &ProjectName) -> Result<Project, StoreError> {
        let found = self.projects(&name.workspace).await?.into_iter().find(|project| project.name == *name);
        found.ok_or_else(|| StoreError::missing(Noun::Project, name))
    }
}
