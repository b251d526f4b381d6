//! `/2.0/workspaces/{workspace}/projects[/{key}]`: groups of a workspace's repositories.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_rules::Action;
use doorward_store::{Project, ProjectChange, StoreError, Workspace};
use doorward_wire::{ProjectKey, ProjectName};

use super::body::Object;
use super::call::{Call, Granted, Place, Reply};
use super::listing::Listing;
use super::object;
use super::parts::Parts;
use crate::refusal::{Refusal, shown};

type Two = Parts<(String, String)>;

/// `GET …/projects`.
pub(super) async fn projects(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadProjects, Place::Workspace(&workspace), async |granted| {
        let fields: &[&str] = &["key", "name", "uuid", "description", "is_private", "created_on", "updated_on"];
        let listing = Listing::read(&call, fields)?;
        let workspace = granted.workspace(&call).await?;
        let (all, base) = (granted.store.projects(&workspace.slug).await?, call.base());
        let values = all.iter().map(|project| object::project(project, &workspace, &base)).collect();
        listing.answer(&call, values, &format!("{base}/2.0/workspaces/{}/projects", workspace.slug))
    })
    .await
}

/// `GET …/projects/{key}`.
pub(super) async fn project(call: Call, Parts((workspace, key)): Two) -> Response<Body> {
    call.carry_out(Action::ReadProjects, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?;
        let found = find(&granted, &workspace, &key).await?.ok_or_else(|| missing(&key))?;
        call.json(object::project(&found, &workspace, &call.base()))
    })
    .await
}

/// `POST …/projects`: `{"key": "…", "name": "…"}`.
pub(super) async fn create(call: Call, Parts(workspace): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeProjects, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?;
        let key = wanted.needed_text("key", LONGEST_NAME)?;
        make(&call, &granted, &workspace, &key, &wanted).await
    })
    .await
}

/// `PUT …/projects/{key}`: changes one, or makes it.
pub(super) async fn update(call: Call, Parts((workspace, key)): Two, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeProjects, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?;
        let Some(found) = find(&granted, &workspace, &key).await? else {
            return make(&call, &granted, &workspace, &key, &wanted).await;
        };
        let new = wanted.text("key", LONGEST_NAME)?.map(|key| parsed(&key)).transpose()?;
        let change = ProjectChange { key: new, ..said(&wanted)? };
        let changed = granted.store.change_project(&found.name, &change, call.app.clock.now()).await;
        let changed = changed.map_err(|error| told(error, &key))?;
        call.json(object::project(&changed, &workspace, &call.base()))
    })
    .await
}

/// `DELETE …/projects/{key}`: of an empty one.
pub(super) async fn delete(call: Call, Parts((workspace, key)): Two) -> Response<Body> {
    call.carry_out(Action::ChangeProjects, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?;
        let found = find(&granted, &workspace, &key).await?.ok_or_else(|| missing(&key))?;
        let deleted = granted.store.delete_project(&found.name, call.app.clock.now()).await;
        deleted.map_err(|error| told(error, &key))?;
        call.nothing()
    })
    .await
}

async fn make(call: &Call, granted: &Granted, workspace: &Workspace, key: &str, wanted: &Object) -> Reply {
    let name = ProjectName { workspace: workspace.slug.clone(), key: parsed(key)? };
    let title = wanted.needed_text("name", LONGEST_NAME)?;
    let change = said(wanted)?;
    let now = call.app.clock.now();
    let mut made = granted.store.create_project(&name, &title, now).await.map_err(|error| told(error, key))?;
    if change.description.is_some() || change.private.is_some() {
        made = granted.store.change_project(&name, &change, now).await?;
    }
    call.json_as(StatusCode::CREATED, object::project(&made, workspace, &call.base()))
}

fn said(wanted: &Object) -> Result<ProjectChange, Refusal> {
    Ok(ProjectChange {
        key: None,
        title: wanted.text("name", LONGEST_NAME)?.filter(|name| !name.trim().is_empty()),
        description: wanted.text("description", LONGEST_TEXT)?,
        private: wanted.truth("is_private")?,
    })
}

async fn find(granted: &Granted, workspace: &Workspace, key: &str) -> Result<Option<Project>, Refusal> {
    let all = granted.store.projects(&workspace.slug).await?;
    let is_meant = |project: &Project| project.name.key.as_str() == key || format!("{{{}}}", project.id) == key;
    Ok(all.into_iter().find(is_meant))
}

fn parsed(key: &str) -> Result<ProjectKey, Refusal> {
    key.parse().map_err(|error: doorward_wire::NameError| {
        Refusal::bad_parameter("key", error.to_string(), "use capital letters, digits and `_`")
    })
}

fn told(error: StoreError, key: &str) -> Refusal {
    match error {
        StoreError::Exists { .. } => {
            Refusal::bad_parameter("key", "there is a project with this key already", "choose another")
        }
        StoreError::State(why) => {
            let remedy = "move its repositories to another one first, and keep one";
            Refusal::new(StatusCode::BAD_REQUEST, "project_in_use", why, remedy)
        }
        StoreError::Missing { .. } => missing(key),
        error => error.into(),
    }
}

fn missing(key: &str) -> Refusal {
    let sentence = format!("there is no project `{}` in this workspace", shown(key));
    Refusal::not_there("project_not_found", sentence, "GET …/projects names what there is")
}

const LONGEST_NAME: usize = 128;
const LONGEST_TEXT: usize = 16 * 1024;
