//! `/2.0/doorward/repositories` and `/2.0/doorward/workspaces/{workspace}/repositories[/{repository}[/head|/permissions]]`.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_admin::{
    Content, CreateRepository, DeleteRepository, ListPermissions, ListRepositories, SetHead, SetPermission, ShowHead,
};
use doorward_git::ObjectFormat;
use doorward_rules::{Action, Privilege};
use doorward_wire::RepositoryName;

use super::super::body::Object;
use super::super::call::{Call, Granted, Place};
use super::super::parts::Parts;
use super::{LONGEST, answer, answer_as, list, named};
use crate::refusal::Refusal;

type Two = Parts<(String, String)>;
type Three = Parts<(String, String, String)>;

/// `GET …/repositories`: of all workspaces.
pub(super) async fn all(call: Call) -> Response<Body> {
    call.carry_out(Action::ReadServer, Place::Server, async |granted| {
        list(&call, &granted, FIELDS, ListRepositories { workspace: None }).await
    })
    .await
}

/// `GET …/workspaces/{workspace}/repositories`.
pub(super) async fn repositories(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadSettings, Place::Workspace(&workspace), async |granted| {
        let workspace = Some(granted.workspace(&call).await?.slug);
        list(&call, &granted, FIELDS, ListRepositories { workspace }).await
    })
    .await
}

/// `POST …/workspaces/{workspace}/repositories`: `{"slug": "…"}`, with `project`, `public`, `object_format`.
pub(super) async fn create(call: Call, Parts(workspace): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeSettings, Place::Workspace(&workspace), async |granted| {
        let slug = named("slug", &wanted.needed_text("slug", LONGEST)?)?;
        let name = RepositoryName { workspace: granted.workspace(&call).await?.slug, slug };
        let project = wanted.text("project", LONGEST)?.map(|key| named("project", &key)).transpose()?;
        let format = match wanted.text("object_format", LONGEST)?.as_deref() {
            None | Some("sha1") => ObjectFormat::Sha1,
            Some("sha256") => ObjectFormat::Sha256,
            Some(_) => {
                return Err(Refusal::bad_parameter("object_format", "it is neither sha1 nor sha256", "leave it out"));
            }
        };
        let public = wanted.truth("public")?.unwrap_or(false);
        let operation = CreateRepository { name, project, public, content: Content::Empty(format) };
        answer_as(StatusCode::CREATED, &call, &granted, operation).await
    })
    .await
}

/// `DELETE …/workspaces/{workspace}/repositories/{repository}`.
pub(super) async fn delete(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.carry_out(Action::ChangeSettings, Place::Workspace(&workspace), async |granted| {
        let name = within(&call, &granted, &repository).await?;
        answer(&call, &granted, DeleteRepository { name }).await
    })
    .await
}

/// `GET …/repositories/{repository}/head`: the branch that a clone checks out.
pub(super) async fn head(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.carry_out(Action::ReadSettings, Place::Workspace(&workspace), async |granted| {
        let name = within(&call, &granted, &repository).await?;
        answer(&call, &granted, ShowHead { name }).await
    })
    .await
}

/// `PUT …/repositories/{repository}/head`: `{"branch": "…"}`.
pub(super) async fn set_head(call: Call, Parts((workspace, repository)): Two, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeSettings, Place::Workspace(&workspace), async |granted| {
        let name = within(&call, &granted, &repository).await?;
        let branch = wanted.needed_text("branch", LONGEST_BRANCH)?;
        answer(&call, &granted, SetHead { name, branch }).await
    })
    .await
}

/// `GET …/repositories/{repository}/permissions`.
pub(super) async fn permissions(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.carry_out(Action::ReadSettings, Place::Workspace(&workspace), async |granted| {
        let name = within(&call, &granted, &repository).await?;
        list(&call, &granted, &["account", "privilege", "source"], ListPermissions { name }).await
    })
    .await
}

/// `PUT …/repositories/{repository}/permissions/{account}`: `{"privilege": "…"}`.
pub(super) async fn set_permission(
    call: Call,
    Parts((workspace, repository, account)): Three,
    wanted: Object,
) -> Response<Body> {
    call.carry_out(Action::ChangeSettings, Place::Workspace(&workspace), async |granted| {
        let name = within(&call, &granted, &repository).await?;
        let account = named("account", &account)?;
        let word = wanted.needed_text("privilege", LONGEST)?;
        let privilege = Privilege::ALL.into_iter().find(|privilege| privilege.word() == word);
        let privilege = privilege.ok_or_else(|| {
            Refusal::bad_parameter("privilege", "it is none of none, read, write, admin", "change it")
        })?;
        answer(&call, &granted, SetPermission { name, account, privilege }).await
    })
    .await
}

async fn within(call: &Call, granted: &Granted, repository: &str) -> Result<RepositoryName, Refusal> {
    let workspace = granted.workspace(call).await?.slug;
    let name = RepositoryName::from_url(workspace.as_str(), repository);
    name.map_err(|error| Refusal::bad_parameter("repo_slug", error.to_string(), "change it"))
}

const FIELDS: &[&str] = &["name", "project", "public", "created_at"];
const LONGEST_BRANCH: usize = 1024;
