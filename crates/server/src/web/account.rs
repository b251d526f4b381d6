//! `/`: what there is for whoever has signed in.

use axum::body::Body;
use axum::http::Response;
use doorward_pages::{HomePage, RepositoryLine, WorkspaceLine};
use doorward_rules::Action;
use doorward_store::{Repository, Workspace};

use super::visit::{Visit, html};
use crate::refusal::Refusal;
use crate::rest::call::{Granted, Place};

/// `GET /`: the workspaces that one belongs to, and the repositories that one may see in them.
pub(super) async fn home(visit: Visit) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ReadWorkspaces, Place::Account, async |granted| {
            let account = granted.account().await?;
            let mut workspaces = Vec::new();
            for (workspace, administers) in granted.store.workspaces_of(account.id).await? {
                // A workspace whose own rules stand against this session shows nothing to it.
                if granted.against(&visit.call, &workspace.slug).await?.is_none() {
                    workspaces.push(line(&granted, &workspace, administers).await?);
                }
            }
            html(&HomePage { frame: visit.frame(&granted, "Repositories", "repositories"), workspaces })
        })
        .await
}

/// A workspace with the repositories that the viewer may see in it.
pub(super) async fn line(
    granted: &Granted,
    workspace: &Workspace,
    administers: bool,
) -> Result<WorkspaceLine, Refusal> {
    let seen = granted.store.repositories_seen(workspace.id, granted.viewer()).await?;
    let repository = |repository: Repository| RepositoryLine {
        slug: repository.name.slug.to_string(),
        description: repository.description,
        public: repository.public,
    };
    Ok(WorkspaceLine {
        slug: workspace.slug.to_string(),
        administers,
        repositories: seen.into_iter().map(|(seen, _)| repository(seen)).collect(),
    })
}
