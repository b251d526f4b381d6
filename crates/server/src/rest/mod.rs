//! The REST API, version 2.0: one file for each resource, and a table of all operations.

pub(crate) mod admin;
pub(crate) mod body;
pub(crate) mod call;
mod change;
mod commits;
mod compare;
mod form;
mod listing;
mod none;
pub(crate) mod object;
mod openapi;
mod operation;
pub(crate) mod page;
pub(crate) mod parts;
mod permission;
mod project;
pub(crate) mod range;
mod refs;
mod repeat;
mod repository;
mod schema;
mod source;
mod status;
mod table;
mod upload;
mod user;
mod webhook;
mod workspace;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::header::{ALLOW, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use doorward_rules::Surface;
use doorward_wire::bitbucket_cloud;

use crate::app::App;
use crate::context::Context;
use crate::refusal::{Refusal, shown};
pub use openapi::reference;
use operation::{Operation, nearest, of_path};
use table::operations;

/// The table of resources, below `/2.0`.
pub(crate) fn routes(app: &App) -> Router<App> {
    // Bitbucket Cloud has nothing of the kind, so what stands in for it has not either.
    let served = operations().into_iter().filter(|operation| app.sandbox.is_none() || !operation.administers());
    let routes = served.fold(Router::new(), |router, Operation { path, route, .. }| {
        // Clients put a slash at the end of some addresses.
        match path.contains("{*") {
            true => router.route(path, route),
            false => router.route(&format!("{path}/"), route.clone()).route(path, route),
        }
    });
    routes
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), to_the_end))
        .layer(from_fn(crate::compress::compress))
}

/// What changes something is carried out to its end.
async fn to_the_end(State(app): State<App>, request: Request, next: Next) -> Response<Body> {
    let context = request.extensions().get::<Context>().cloned();
    match context.filter(|_| !request.method().is_safe()) {
        Some(context) => app.to_the_end(next.run(request), Surface::Rest, context.id).await,
        None => next.run(request).await,
    }
}

/// What is answered for an address that is none of ours.
async fn nothing_here(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    method: Method,
    OriginalUri(uri): OriginalUri,
) -> Response<Body> {
    no_such_operation(&app, &context, &method, &uri)
}

fn no_such_operation(app: &App, context: &Context, method: &Method, uri: &Uri) -> Response<Body> {
    let path = shown(uri.path());
    let sentence = format!("there is no API hosted at `{path}`");
    let near = nearest(&operations(), method, uri.path());
    let remedy = format!("the nearest that there is: {near}; /2.0/openapi.json describes all");
    let refusal = Refusal::new(StatusCode::NOT_FOUND, "no_such_operation", sentence, remedy).on(Surface::Rest);
    let refusal = if app.sandbox.is_some() { refusal.worded(bitbucket_cloud::no_api()) } else { refusal };
    refusal.respond(context.id)
}

async fn wrong_method(
    Extension(context): Extension<Context>,
    method: Method,
    OriginalUri(uri): OriginalUri,
) -> Response<Body> {
    let methods = of_path(&operations(), uri.path());
    let sentence = format!("this address does not answer {method}");
    let remedy = format!("it answers {}", methods.join(", "));
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", sentence, remedy);
    let mut response = refusal.on(Surface::Rest).respond(context.id);
    if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The address under which the caller reached the server: `https://host`.
pub(crate) fn base(app: &App, headers: &HeaderMap) -> String {
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
