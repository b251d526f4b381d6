//! Projects: groups of a workspace's repositories. Every workspace has one from the start.

use doorward_rules::{ProjectId, Timestamp};
use doorward_wire::{ProjectKey, ProjectName, WorkspaceSlug};

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
    /// What it is about.
    pub description: String,
    /// Whether it is meant for private repositories. Each repository says for itself whether it is one.
    pub private: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What is to be changed of a project. What is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectChange {
    /// Its key.
    pub key: Option<ProjectKey>,
    /// What people call it.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Whether it is meant for private repositories.
    pub private: Option<bool>,
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
        Ok(Project {
            id,
            name: name.clone(),
            title: title.into(),
            description: String::new(),
            private: true,
            created_at: now,
            updated_at: now,
        })
    }

    /// Changes a project; the project as it is then.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such project, [`StoreError::Exists`] if the new key is taken.
    pub async fn change_project(
        &self,
        name: &ProjectName,
        wanted: &ProjectChange,
        now: Timestamp,
    ) -> Result<Project, StoreError> {
        let project = self.project(name).await?;
        let ProjectChange { key, title, description, private } = wanted;
        let after = ProjectName { key: key.clone().unwrap_or_else(|| name.key.clone()), ..name.clone() };
        let mut change = self.change(now).await?;
        sqlx::query(
            "UPDATE project SET key = $2, name = coalesce($3, name), description = coalesce($4, description), \
             private = coalesce($5, private), updated_at = $6 WHERE id = $1",
        )
        .bind(project.id.to_string())
        .bind(after.key.as_str())
        .bind(title)
        .bind(description)
        .bind(*private)
        .bind(now.0)
        .execute(change.connection())
        .await
        .map_err(|error| StoreError::inserting(Noun::Project, &after, error))?;
        let sentence = match after == *name {
            true => format!("project `{name}` was changed"),
            false => format!("project `{name}` was named `{after}`"),
        };
        change.commit("project.changed", &name.to_string(), sentence).await?;
        self.project(&after).await
    }

    /// Removes a project in which there is nothing; its access tokens are revoked.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such project; [`StoreError::State`] if there are repositories in it, or it is the
    /// only one of its workspace.
    pub async fn delete_project(&self, name: &ProjectName, now: Timestamp) -> Result<(), StoreError> {
        let project = self.project(name).await?;
        let mut change = self.change(now).await?;
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM repository WHERE project_id = $1) AS repositories, \
             (SELECT count(*) FROM project o WHERE o.workspace_id = p.workspace_id) AS projects \
             FROM project p WHERE p.id = $1",
        )
        .bind(project.id.to_string())
        .fetch_optional(change.connection())
        .await?;
        let Some(row) = row.map(Row) else { return Err(StoreError::missing(Noun::Project, name)) };
        let (repositories, projects) = (row.number("repositories")?, row.number("projects")?);
        if repositories > 0 {
            return Err(StoreError::State(format!("there are repositories in the project `{name}`")));
        }
        if projects < 2 {
            return Err(StoreError::State(format!("`{name}` is the only project of its workspace")));
        }
        for sql in [
            "UPDATE credential SET revoked_at = coalesce(revoked_at, $2) WHERE project_id = $1",
            "DELETE FROM project WHERE id = $1",
        ] {
            sqlx::query(sql).bind(project.id.to_string()).bind(now.0).execute(change.connection()).await?;
        }
        change.commit("project.deleted", &name.to_string(), format!("project `{name}` was deleted")).await
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
                description: row.text("description")?,
                private: row.truth("private")?,
                created_at: row.time("created_at")?,
                updated_at: row.optional_time("updated_at")?.map_or_else(|| row.time("created_at"), Ok)?,
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
