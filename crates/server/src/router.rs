//! The route table.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::ACCEPT;
use axum::http::{Method, Response, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use axum::{Extension, Router};

use crate::app::App;
use crate::context::Context;
use crate::refusal::{Refusal, shown};
use crate::{gateway, git, health, oauth, observe, rest, sandbox, web};

pub(crate) fn router(app: &App) -> Router {
    let controls = if app.sandbox.is_some() { sandbox::routes() } else { Router::new() };
    // Bitbucket Cloud's own pages are nothing that a test of a client needs.
    let pages = if app.sandbox.is_some() { Router::new() } else { web::routes(app).merge(oauth::routes()) };
    Router::new()
        .nest("/_sandbox", controls)
        .merge(pages)
        // Git over HTTPS
        .route("/{workspace}/{repository}/info/refs", get(git::info_refs))
        .route("/{workspace}/{repository}/git-upload-pack", post(git::upload_pack))
        .route("/{workspace}/{repository}/git-receive-pack", post(git::receive_pack))
        .route("/{workspace}/{repository}/bundles/{name}", get(git::bundle))
        .route("/{workspace}/{repository}/git-upload-archive", any(git::upload_archive))
        .route("/{workspace}/{repository}/HEAD", any(git::dumb))
        .route("/{workspace}/{repository}/objects/{*path}", any(git::dumb))
        // REST
        .nest("/2.0", rest::routes(app))
        .nest("/api/2.0", rest::routes(app))
        // Operation
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        // Everything else
        .fallback(fallback)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), gateway::divert))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app.clone())
}

async fn fallback(State(app): State<App>, Extension(context): Extension<Context>, request: Request) -> Response<Body> {
    let accepts = request.headers().get(ACCEPT).and_then(|accepts| accepts.to_str().ok());
    let browses = request.method() == Method::GET && accepts.is_some_and(|accepts| accepts.contains("text/html"));
    match browses && app.sandbox.is_none() {
        true => web::nowhere(&app, request).await,
        false => nothing_here(&context, request.uri()),
    }
}

async fn wrong_method(Extension(context): Extension<Context>, method: Method) -> Response<Body> {
    let sentence = format!("this address does not answer {method}");
    let remedy = "use git, which knows what to send";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", sentence, remedy).respond(context.id)
}

/// What is answered for an address that is none of ours.
pub(crate) fn nothing_here(context: &Context, uri: &Uri) -> Response<Body> {
    let path = shown(uri.path());
    let sentence = format!("there is nothing at `{path}`");
    let remedy = "repositories are at /WORKSPACE/REPOSITORY.git; give that address to `git clone`";
    Refusal::new(StatusCode::NOT_FOUND, "nothing_here", sentence, remedy).respond(context.id)
}
