//! `/2.0/repositories/{workspace}/{repository}`: what a repository is.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use doorward_rules::{Action, Surface};
use doorward_store::{Repository, StoreError, Workspace};
use doorward_wire::RepositoryName;
use serde_json::{Value, json};

use super::{answer, base, braced};
use crate::admit::Wish;
use crate::app::App;
use crate::context::Context;
use crate::git::{Segments, named};
use crate::refusal::Refusal;

/// `GET /2.0/repositories/{workspace}/{repository}`.
pub(crate) async fn repository(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    segments: Segments,
    headers: HeaderMap,
) -> Response<Body> {
    let name = match named(segments) {
        Ok(name) => name,
        Err(refusal) => return refusal.on(Surface::Rest).respond(context.id),
    };
    let wish = Wish { surface: Surface::Rest, action: Action::ReadRepository, repository: Some(&name) };
    let admitted = match app.admit(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let found = async {
        let branch = app.repositories.main_branch(&admitted.permit).await.map_err(Refusal::from)?;
        let found = read(&app, &name).await.map_err(Refusal::from)?;
        Ok::<_, Refusal>(repository_object(&found, branch.as_deref(), &base(&app, &headers)))
    };
    match found.await {
        Ok(value) => answer(&app, &context, wish, admitted, &value).await,
        Err(refusal) => refusal.on(Surface::Rest).respond(context.id),
    }
}

async fn read(app: &App, name: &RepositoryName) -> Result<(Repository, Workspace), StoreError> {
    Ok((app.store.repository(name).await?, app.store.workspace(&name.workspace).await?))
}

fn repository_object((repository, workspace): &(Repository, Workspace), branch: Option<&str>, base: &str) -> Value {
    let (name, at) = (&repository.name, repository.created_at.to_string());
    let api = format!("{base}/2.0/repositories/{name}");
    let mainbranch = branch.map(|branch| json!({ "type": "branch", "name": branch }));
    let slug = workspace.slug.as_str();
    let whose = json!({ "type": "workspace", "uuid": braced(workspace.id), "slug": slug, "name": slug });
    json!({
        "type": "repository",
        "uuid": braced(repository.id),
        "full_name": name.to_string(),
        "name": name.slug.as_str(),
        "slug": name.slug.as_str(),
        "description": "",
        "scm": "git",
        "is_private": !repository.public,
        "workspace": whose,
        "owner": { "type": "team", "uuid": braced(workspace.id), "username": slug, "display_name": slug },
        "project": { "type": "project", "key": repository.project.as_str() },
        "fork_policy": "no_public_forks",
        "created_on": at,
        "updated_on": at,
        "has_issues": false,
        "has_wiki": false,
        "mainbranch": mainbranch,
        "links": {
            "self": { "href": api },
            "clone": [{ "name": "https", "href": format!("{base}/{name}.git") }],
        },
    })
}
