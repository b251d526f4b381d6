//! The REST API, version 2.0: one file for each resource.

mod commits;
mod compare;
mod contents;
mod page;
mod parts;
mod refs;
mod removed;
mod repository;
mod source;
mod user;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use axum::routing::{any, get};
use axum::{Extension, Router};
use doorward_rules::Surface;
use doorward_wire::bitbucket_cloud;
use serde_json::Value;

use crate::admit::{Admitted, Wish};
use crate::app::App;
use crate::context::Context;
use crate::observe::FoundAs;
use crate::refusal::{Refusal, shown};

/// The table of resources, below `/2.0`.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/user", get(user::user))
        .route("/user/workspaces", get(user::workspaces))
        .route("/repositories/{workspace}/{repository}", get(repository::repository))
        .route("/repositories/{workspace}/{repository}/refs", get(refs::refs))
        .route("/repositories/{workspace}/{repository}/refs/branches", get(refs::branches))
        .route("/repositories/{workspace}/{repository}/refs/branches/{*name}", get(refs::branch))
        .route("/repositories/{workspace}/{repository}/refs/tags", get(refs::tags))
        .route("/repositories/{workspace}/{repository}/refs/tags/{*name}", get(refs::tag))
        .route("/repositories/{workspace}/{repository}/commits", get(commits::commits))
        .route("/repositories/{workspace}/{repository}/commits/{revision}", get(commits::commits_from))
        .route("/repositories/{workspace}/{repository}/commit/{revision}", get(commits::commit))
        .route("/repositories/{workspace}/{repository}/diff/{spec}", get(compare::diff))
        .route("/repositories/{workspace}/{repository}/patch/{spec}", get(compare::patch))
        .route("/repositories/{workspace}/{repository}/merge-base/{spec}", get(compare::merge_base))
        .route("/repositories/{workspace}/{repository}/src", get(source::main_branch))
        .route("/repositories/{workspace}/{repository}/src/", get(source::main_branch))
        .route("/repositories/{workspace}/{repository}/src/{revision}", get(source::root))
        .route("/repositories/{workspace}/{repository}/src/{revision}/", get(source::root))
        .route("/repositories/{workspace}/{repository}/src/{revision}/{*path}", get(source::path))
        // Removed by Bitbucket Cloud on 2026-04-14
        .route("/workspaces", any(removed::cross_workspace_list))
        .route("/repositories", any(removed::cross_workspace_list))
        .route("/user/permissions/repositories", any(removed::cross_workspace_list))
        .route("/user/permissions/workspaces", any(removed::cross_workspace_list))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
}

/// What is answered for an address that is none of ours.
async fn nothing_here(State(app): State<App>, Extension(context): Extension<Context>, uri: Uri) -> Response<Body> {
    no_such_operation(&app, &context, &uri)
}

fn no_such_operation(app: &App, context: &Context, uri: &Uri) -> Response<Body> {
    let path = shown(uri.path());
    let sentence = format!("there is no API hosted at `{path}`");
    let remedy = "here are /2.0/user, /2.0/user/workspaces, /2.0/repositories/WORKSPACE/REPOSITORY, \
                  and below that refs, commits, commit, diff, patch, merge-base and src";
    let refusal = Refusal::new(StatusCode::NOT_FOUND, "no_such_operation", sentence, remedy).on(Surface::Rest);
    let refusal = if app.sandbox.is_some() { refusal.worded(bitbucket_cloud::no_api()) } else { refusal };
    refusal.respond(context.id)
}

async fn wrong_method(Extension(context): Extension<Context>, method: Method) -> Response<Body> {
    let sentence = format!("this address does not answer {method}");
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", sentence, "use GET");
    refusal.on(Surface::Rest).respond(context.id)
}

/// A successful answer, counted.
async fn answer(app: &App, context: &Context, wish: Wish<'_>, admitted: Admitted, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    finish(app, context, wish, admitted, response).await
}

/// Counts a successful answer, whatever it is.
async fn finish(
    app: &App,
    context: &Context,
    wish: Wish<'_>,
    admitted: Admitted,
    mut response: Response<Body>,
) -> Response<Body> {
    let id = match app.tally(context, wish, admitted.decision).await {
        Ok(id) => id,
        Err(refusal) => return refusal.on(Surface::Rest).respond(context.id),
    };
    response.extensions_mut().insert(FoundAs(id));
    response.extensions_mut().insert(admitted.noted);
    response
}

/// The address under which the caller reached the server: `https://host`.
fn base(app: &App, headers: &HeaderMap) -> String {
    if let Some(url) = &app.settings.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let scheme = if app.settings.tls.is_some() { "https" } else { "http" };
    // An answer names the host that was asked for; nobody but the caller sees it.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
    let host = host.unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// Whether a text is a host's name or address, with or without a port.
fn is_host(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

/// The address of Git beside that of the API, which has a host of its own at Bitbucket Cloud.
fn git_base(base: &str) -> String {
    base.replacen("://api.bitbucket.org", "://bitbucket.org", 1)
}

/// An id as the API writes it: in braces.
fn braced(id: impl std::fmt::Display) -> String {
    format!("{{{id}}}")
}
