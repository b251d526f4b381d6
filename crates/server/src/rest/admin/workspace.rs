//! `/2.0/doorward/workspaces[/{workspace}[/members/{account}|/projects]]`.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_admin::{
    AddMember, CreateProject, CreateWorkspace, ListProjects, ListWorkspaces, RemoveMember, ShowWorkspace,
};
use doorward_rules::Action;
use doorward_wire::ProjectName;

use super::super::body::Object;
use super::super::call::{Call, Place};
use super::super::parts::Parts;
use super::{LONGEST, answer, answer_as, list, named};

type Two = Parts<(String, String)>;

/// `GET …/workspaces`.
pub(super) async fn workspaces(call: Call) -> Response<Body> {
    call.carry_out(Action::ReadServer, Place::Server, async |granted| {
        list(&call, &granted, &["slug", "owner", "created_at"], ListWorkspaces).await
    })
    .await
}

/// `POST …/workspaces`: `{"slug": "…", "owner": "…"}`.
pub(super) async fn create(call: Call, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeServer, Place::Server, async |granted| {
        let slug = named("slug", &wanted.needed_text("slug", LONGEST)?)?;
        let owner = named("owner", &wanted.needed_text("owner", LONGEST)?)?;
        answer_as(StatusCode::CREATED, &call, &granted, CreateWorkspace { slug, owner }).await
    })
    .await
}

/// `GET …/workspaces/{workspace}`.
pub(super) async fn workspace(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadSettings, Place::Workspace(&workspace), async |granted| {
        let slug = granted.workspace(&call).await?.slug;
        answer(&call, &granted, ShowWorkspace { slug }).await
    })
    .await
}

/// `PUT …/workspaces/{workspace}/members/{account}`.
pub(super) async fn add_member(call: Call, Parts((workspace, account)): Two) -> Response<Body> {
    call.carry_out(Action::ChangeSettings, Place::Workspace(&workspace), async |granted| {
        let slug = granted.workspace(&call).await?.slug;
        answer(&call, &granted, AddMember { slug, name: named("account", &account)? }).await
    })
    .await
}

/// `DELETE …/workspaces/{workspace}/members/{account}`.
pub(super) async fn remove_member(call: Call, Parts((workspace, account)): Two) -> Response<Body> {
    call.carry_out(Action::ChangeSettings, Place::Workspace(&workspace), async |granted| {
        let slug = granted.workspace(&call).await?.slug;
        answer(&call, &granted, RemoveMember { slug, name: named("account", &account)? }).await
    })
    .await
}

/// `GET …/workspaces/{workspace}/projects`.
pub(super) async fn projects(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadSettings, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?.slug;
        list(&call, &granted, &["name", "title", "created_at"], ListProjects { workspace }).await
    })
    .await
}

/// `POST …/workspaces/{workspace}/projects`: `{"key": "…", "title": "…"}`.
pub(super) async fn create_project(call: Call, Parts(workspace): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeSettings, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?.slug;
        let key = named("key", &wanted.needed_text("key", LONGEST)?)?;
        let title = wanted.text("title", LONGEST)?.filter(|title| !title.trim().is_empty());
        let operation = CreateProject { name: ProjectName { workspace, key }, title };
        answer_as(StatusCode::CREATED, &call, &granted, operation).await
    })
    .await
}
