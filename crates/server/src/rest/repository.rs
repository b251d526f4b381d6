//! `/2.0/repositories/{workspace}/{repository}`: what a repository is.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use doorward_rules::{Action, Reason, Surface, Target};
use doorward_store::{Repository, StoreError, Workspace};
use serde_json::{Value, json};

use super::{answer, base, braced, git_base};
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
        Err(refusal) => return app.unnamed(refusal, Surface::Rest, &context).respond(context.id),
    };
    let wish = Wish::rest(Action::ReadRepository, Some(&name));
    let admitted = match app.admit(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let found = async {
        let found = match read(&app, admitted.permit.target()).await {
            // It was deleted this moment.
            Err(StoreError::Missing { .. }) => {
                let absent = Refusal::of_reason(&Reason::RepositoryInvisible, Surface::Rest);
                return Err(app.unnamed(absent, Surface::Rest, &context));
            }
            found => found.map_err(Refusal::from)?,
        };
        let branch = app.repositories.main_branch(&admitted.permit).await.map_err(Refusal::from)?;
        Ok::<_, Refusal>(repository_object(&found, branch.as_deref(), &base(&app, &headers)))
    };
    match found.await {
        Ok(value) => answer(&app, &context, wish, admitted, &value).await,
        Err(refusal) => refusal.on(Surface::Rest).respond(context.id),
    }
}

/// The repository that a permit is for, whatever has its name by now.
async fn read(app: &App, target: Target) -> Result<(Repository, Workspace), StoreError> {
    let Target::Repository(id) = target else {
        return Err(StoreError::State("a permit for an account was brought to a repository".into()));
    };
    let repository = app.store.repository_by_id(id).await?;
    let workspace = app.store.workspace(&repository.name.workspace).await?;
    Ok((repository, workspace))
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
            "clone": [{ "name": "https", "href": format!("{}/{name}.git", git_base(base)) }],
        },
    })
}
