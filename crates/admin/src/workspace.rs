//! Workspaces and their members.

use doorward_store::Workspace;
use doorward_wire::{AccountName, WorkspaceSlug};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AdminError, Call, Desk, Operation};

/// A workspace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct WorkspaceRow {
    pub id: String,
    pub slug: String,
    pub owner: String,
    pub members: Vec<String>,
    pub created_at: String,
}

/// Makes a workspace.
#[derive(Debug)]
pub struct CreateWorkspace {
    /// Its name in URLs.
    pub slug: WorkspaceSlug,
    /// The account that may do everything in it.
    pub owner: AccountName,
}

/// Lists all workspaces.
#[derive(Debug)]
pub struct ListWorkspaces;

/// Shows a workspace.
#[derive(Debug)]
pub struct ShowWorkspace {
    /// Its name.
    pub slug: WorkspaceSlug,
}

/// Lets an account read a workspace's repositories.
#[derive(Debug)]
pub struct AddMember {
    /// The workspace.
    pub slug: WorkspaceSlug,
    /// The account.
    pub name: AccountName,
}

/// Takes an account out of a workspace, with all that it was given there.
#[derive(Debug)]
pub struct RemoveMember {
    /// The workspace.
    pub slug: WorkspaceSlug,
    /// The account.
    pub name: AccountName,
}

impl Operation for CreateWorkspace {
    type Answer = WorkspaceRow;

    fn call(&self) -> Call {
        Call::post("/workspaces".into(), json!({ "slug": self.slug.as_str(), "owner": self.owner.as_str() }))
    }

    async fn carry_out(self, desk: &Desk) -> Result<WorkspaceRow, AdminError> {
        desk.store.create_workspace(&self.slug, &self.owner, desk.now).await?;
        show(desk, &self.slug).await
    }
}

impl Operation for ListWorkspaces {
    type Answer = Vec<WorkspaceRow>;

    fn call(&self) -> Call {
        Call::list("/workspaces".into())
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<WorkspaceRow>, AdminError> {
        Ok(desk.store.workspaces().await?.iter().map(WorkspaceRow::of).collect())
    }
}

impl Operation for ShowWorkspace {
    type Answer = WorkspaceRow;

    fn call(&self) -> Call {
        Call::get(format!("/workspaces/{}", self.slug))
    }

    async fn carry_out(self, desk: &Desk) -> Result<WorkspaceRow, AdminError> {
        show(desk, &self.slug).await
    }
}

impl Operation for AddMember {
    type Answer = WorkspaceRow;

    fn call(&self) -> Call {
        Call::put(format!("/workspaces/{}/members/{}", self.slug, self.name), json!({}))
    }

    async fn carry_out(self, desk: &Desk) -> Result<WorkspaceRow, AdminError> {
        desk.store.add_member(&self.slug, &self.name, desk.now).await?;
        show(desk, &self.slug).await
    }
}

impl Operation for RemoveMember {
    type Answer = WorkspaceRow;

    fn call(&self) -> Call {
        Call::delete(format!("/workspaces/{}/members/{}", self.slug, self.name))
    }

    async fn carry_out(self, desk: &Desk) -> Result<WorkspaceRow, AdminError> {
        desk.store.remove_member(&self.slug, &self.name, desk.now).await?;
        show(desk, &self.slug).await
    }
}

async fn show(desk: &Desk, slug: &WorkspaceSlug) -> Result<WorkspaceRow, AdminError> {
    Ok(WorkspaceRow::of(&desk.store.workspace(slug).await?))
}

impl WorkspaceRow {
    fn of(workspace: &Workspace) -> Self {
        Self {
            id: workspace.id.to_string(),
            slug: workspace.slug.to_string(),
            owner: workspace.owner.to_string(),
            members: workspace.members.iter().map(|member| member.account.to_string()).collect(),
            created_at: workspace.created_at.to_string(),
        }
    }
}
