//! The REST API, version 2.0: one file for each resource, and a table of all operations.

mod body;
mod call;
mod change;
mod commits;
mod compare;
mod form;
mod listing;
pub(crate) mod object;
mod operation;
mod page;
mod parts;
mod permission;
mod project;
mod refs;
mod repeat;
mod repository;
mod source;
mod status;
mod upload;
mod user;
mod webhook;
mod workspace;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ALLOW, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use doorward_rules::Surface;
use doorward_wire::bitbucket_cloud;

use crate::app::App;
use crate::context::Context;
use crate::refusal::{Refusal, shown};
use operation::{Operation, nearest, of_path};

/// The table of resources, below `/2.0`.
pub(crate) fn routes() -> Router<App> {
    let routes =
        operations().into_iter().fold(Router::new(), |router, Operation { path, route, .. }| router.route(path, route));
    routes.fallback(nothing_here).method_not_allowed_fallback(wrong_method)
}

/// Every operation that there is.
fn operations() -> Vec<Operation> {
    vec![
        // Accounts
        Operation::get("/user", user::user).says("Your account"),
        Operation::get("/user/emails", user::emails).says("Your e-mail addresses"),
        Operation::get("/user/emails/{email}", user::email).says("One of your e-mail addresses"),
        Operation::get("/user/workspaces", user::workspaces).says("The workspaces that you belong to"),
        Operation::get("/user/workspaces/{workspace}/permission", user::permission).says("What you are to a workspace"),
        Operation::get("/user/workspaces/{workspace}/permissions/repositories", user::permissions_in)
            .says("What you may do to the repositories of a workspace"),
        Operation::get("/user/permissions/repositories", user::permissions).says("What you may do to repositories"),
        Operation::get("/user/permissions/workspaces", user::memberships).says("What you are to workspaces"),
        Operation::get("/users/{selected_user}", user::another).says("Somebody in a workspace of yours"),
        // Workspaces
        Operation::get("/workspaces", user::all_workspaces).says("The workspaces that you belong to"),
        Operation::get("/workspaces/{workspace}", workspace::workspace).says("A workspace"),
        Operation::get("/workspaces/{workspace}/members", workspace::members).says("Who belongs to a workspace"),
        Operation::get("/workspaces/{workspace}/members/{member}", workspace::member)
            .says("Somebody who belongs to it"),
        Operation::get("/workspaces/{workspace}/permissions", workspace::permissions)
            .says("What each member is to a workspace"),
        Operation::get("/workspaces/{workspace}/permissions/repositories", workspace::all_permissions)
            .says("Who may do what to the repositories of a workspace"),
        Operation::get("/workspaces/{workspace}/permissions/repositories/{repo_slug}", workspace::permissions_of)
            .says("Who may do what to one of them"),
        Operation::get("/workspaces/{workspace}/projects", project::projects).says("The projects of a workspace"),
        Operation::post("/workspaces/{workspace}/projects", project::create).says("Create a project"),
        Operation::get("/workspaces/{workspace}/projects/{project_key}", project::project).says("A project"),
        Operation::put("/workspaces/{workspace}/projects/{project_key}", project::update)
            .says("Change a project, or create it"),
        Operation::delete("/workspaces/{workspace}/projects/{project_key}", project::delete)
            .says("Delete an empty project"),
        // Repositories
        Operation::get("/repositories", user::all_repositories).says("Removed: ask for one workspace at a time"),
        Operation::get("/repositories/{workspace}", repository::repositories)
            .says("The repositories of a workspace that you may see"),
        Operation::get("/repositories/{workspace}/{repo_slug}", repository::repository).says("A repository"),
        Operation::post("/repositories/{workspace}/{repo_slug}", repository::create).says("Create a repository"),
        Operation::put("/repositories/{workspace}/{repo_slug}", repository::update)
            .says("Change a repository, or create it"),
        Operation::delete("/repositories/{workspace}/{repo_slug}", repository::delete).says("Delete a repository"),
        Operation::get("/repositories/{workspace}/{repo_slug}/permissions-config/users", permission::users)
            .says("What was given to accounts on a repository"),
        Operation::get(
            "/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}",
            permission::user,
        )
        .says("What was given to an account"),
        Operation::put(
            "/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}",
            permission::give,
        )
        .says("Give an account a permission"),
        Operation::delete(
            "/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}",
            permission::take,
        )
        .says("Take a permission from an account"),
        Operation::get("/repositories/{workspace}/{repo_slug}/permissions-config/groups", permission::groups)
            .says("What was given to groups, of which there are none"),
        // Refs
        Operation::get("/repositories/{workspace}/{repo_slug}/refs", refs::refs).says("Branches and tags"),
        Operation::get("/repositories/{workspace}/{repo_slug}/refs/branches", refs::branches).says("Branches"),
        Operation::post("/repositories/{workspace}/{repo_slug}/refs/branches", refs::create_branch)
            .says("Create a branch"),
        Operation::get("/repositories/{workspace}/{repo_slug}/refs/branches/{*name}", refs::branch).says("A branch"),
        Operation::delete("/repositories/{workspace}/{repo_slug}/refs/branches/{*name}", refs::delete_branch)
            .says("Delete a branch"),
        Operation::get("/repositories/{workspace}/{repo_slug}/refs/tags", refs::tags).says("Tags"),
        Operation::post("/repositories/{workspace}/{repo_slug}/refs/tags", refs::create_tag).says("Create a tag"),
        Operation::get("/repositories/{workspace}/{repo_slug}/refs/tags/{*name}", refs::tag).says("A tag"),
        Operation::delete("/repositories/{workspace}/{repo_slug}/refs/tags/{*name}", refs::delete_tag)
            .says("Delete a tag"),
        // Commits
        Operation::get("/repositories/{workspace}/{repo_slug}/commits", commits::commits).says("Commits"),
        Operation::post("/repositories/{workspace}/{repo_slug}/commits", commits::commits_of_form)
            .says("Commits, asked for with a form"),
        Operation::get("/repositories/{workspace}/{repo_slug}/commits/{revision}", commits::commits_from)
            .says("Commits from a branch, tag or commit"),
        Operation::post("/repositories/{workspace}/{repo_slug}/commits/{revision}", commits::commits_from_of_form)
            .says("Commits from a branch, tag or commit, asked for with a form"),
        Operation::get("/repositories/{workspace}/{repo_slug}/commit/{commit}", commits::commit).says("A commit"),
        Operation::get("/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses", status::statuses)
            .says("What was reported of a commit"),
        Operation::post("/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses/build", status::report)
            .says("Report on a commit"),
        Operation::get("/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses/build/{key}", status::status)
            .says("A report"),
        Operation::put("/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses/build/{key}", status::update)
            .says("Change a report"),
        Operation::get("/repositories/{workspace}/{repo_slug}/diff/{spec}", compare::diff).says("A diff"),
        Operation::get("/repositories/{workspace}/{repo_slug}/diffstat/{spec}", compare::diffstat)
            .says("A diff, file by file"),
        Operation::get("/repositories/{workspace}/{repo_slug}/patch/{spec}", compare::patch).says("Patches"),
        Operation::get("/repositories/{workspace}/{repo_slug}/merge-base/{revspec}", compare::merge_base)
            .says("Where two commits part"),
        // Webhooks
        Operation::get("/repositories/{workspace}/{repo_slug}/hooks", webhook::hooks).says("Webhooks"),
        Operation::post("/repositories/{workspace}/{repo_slug}/hooks", webhook::create).says("Create a webhook"),
        Operation::get("/repositories/{workspace}/{repo_slug}/hooks/{uid}", webhook::hook).says("A webhook"),
        Operation::put("/repositories/{workspace}/{repo_slug}/hooks/{uid}", webhook::update).says("Change a webhook"),
        Operation::delete("/repositories/{workspace}/{repo_slug}/hooks/{uid}", webhook::delete)
            .says("Delete a webhook"),
        Operation::get("/doorward/repositories/{workspace}/{repo_slug}/hooks/{uid}/deliveries", webhook::deliveries)
            .says("What became of the messages to a webhook"),
        // Files
        Operation::get("/repositories/{workspace}/{repo_slug}/src", source::main_branch)
            .says("Leads to the top of the main branch"),
        Operation::post("/repositories/{workspace}/{repo_slug}/src", upload::upload).says("Upload files as a commit"),
        Operation::get("/repositories/{workspace}/{repo_slug}/src/", source::main_branch).hidden(),
        Operation::post("/repositories/{workspace}/{repo_slug}/src/", upload::upload).hidden(),
        Operation::get("/repositories/{workspace}/{repo_slug}/src/{commit}", source::root).hidden(),
        Operation::get("/repositories/{workspace}/{repo_slug}/src/{commit}/", source::root).says("What is at the top"),
        Operation::get("/repositories/{workspace}/{repo_slug}/src/{commit}/{*path}", source::path)
            .says("A file, or what is in a directory"),
        Operation::get("/repositories/{workspace}/{repo_slug}/filehistory/{commit}/{*path}", commits::file_history)
            .says("The commits that changed a file"),
    ]
}

/// What is answered for an address that is none of ours.
async fn nothing_here(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    method: Method,
    uri: Uri,
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

async fn wrong_method(Extension(context): Extension<Context>, method: Method, uri: Uri) -> Response<Body> {
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
