//! Projects: groups of a workspace's repositories.

use doorward_store::Project;
use doorward_wire::{ProjectName, WorkspaceSlug};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AdminError, Call, Desk, Operation};

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct ProjectRow {
    pub id: String,
    /// `WS/KEY`.
    pub name: String,
    pub title: String,
    pub created_at: String,
}

/// Makes a project.
#[derive(Debug)]
pub struct CreateProject {
    /// The workspace and the key.
    pub name: ProjectName,
    /// What people call it; its key, if nothing is said.
    pub title: Option<String>,
}

/// Lists the projects of a workspace.
#[derive(Debug)]
pub struct ListProjects {
    /// The workspace.
    pub workspace: WorkspaceSlug,
}

impl Operation for CreateProject {
    type Answer = ProjectRow;

    fn call(&self) -> Call {
        let body = json!({ "key": self.name.key.as_str(), "title": self.title });
        Call::post(format!("/workspaces/{}/projects", self.name.workspace), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<ProjectRow, AdminError> {
        let title = self.title.unwrap_or_else(|| self.name.key.to_string());
        Ok(ProjectRow::of(&desk.store.create_project(&self.name, &title, desk.now).await?))
    }
}

impl Operation for ListProjects {
    type Answer = Vec<ProjectRow>;

    fn call(&self) -> Call {
        Call::list(format!("/workspaces/{}/projects", self.workspace))
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<ProjectRow>, AdminError> {
        Ok(desk.store.projects(&self.workspace).await?.iter().map(ProjectRow::of).collect())
    }
}

impl ProjectRow {
    fn of(project: &Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name.to_string(),
            title: project.title.clone(),
            created_at: project.created_at.to_string(),
        }
    }
}
