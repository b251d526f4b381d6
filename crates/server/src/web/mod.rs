//! The web pages: routes, and what all of them share.
//!
//! Each page is a call like those of REST, asked about and counted the same; its credential is the session in a cookie. Handlers
//! fill the values of `doorward-pages`, and every form is looked at before it gets to one (see [`dress`]).

mod account;
mod challenges;
pub(crate) mod cookie;
mod credentials;
mod dress;
mod form;
mod halfway;
mod passkey;
mod password;
mod records;
mod repository;
mod security;
mod server;
mod session;
mod sign_in;
mod sso;
mod totp;
mod visit;
mod workspace;

pub(crate) use challenges::Challenges;
pub(crate) use halfway::Halfway;
pub(crate) use password::Passwords;
pub(crate) use sso::Sso;
pub use sso::SsoSettings;
pub(crate) use visit::{Visit, html};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use tower_service::Service;

use crate::app::App;
use crate::refusal::{Refusal, shown};

/// What is answered to a browser at an address that is none of ours: a page, too.
pub(crate) async fn nowhere(app: &App, request: Request) -> Response<Body> {
    let page = async |visit: Visit, uri: Uri| {
        let sentence = format!("there is nothing at `{}`", shown(uri.path()));
        let remedy = "begin at the list of repositories";
        visit.call.refuse(&Refusal::new(StatusCode::NOT_FOUND, "nothing_here", sentence, remedy))
    };
    let mut pages =
        Router::new().fallback(page).layer(from_fn_with_state(app.clone(), dress::dress)).with_state(app.clone());
    pages.call(request).await.unwrap_or_else(|never| match never {})
}

/// The table of pages.
pub(crate) fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/", get(account::home))
        // Signing in
        .route("/account/signin", get(sign_in::page).post(sign_in::password))
        .route("/account/signin/step", get(sign_in::step_page).post(sign_in::step))
        .route("/account/signin/step/passkey", post(passkey::step))
        .route("/account/signin/passkey", post(passkey::sign_in))
        .route("/account/sso", get(sso::begin))
        .route("/account/sso/callback", get(sso::end))
        .route("/account/signout", post(sign_in::out))
        .route("/account/welcome/{link}", get(sign_in::welcome).post(sign_in::choose))
        // One's own
        .route("/account/credentials", get(credentials::list))
        .route("/account/credentials/new", get(credentials::new).post(credentials::create))
        .route("/account/credentials/{id}", get(credentials::show))
        .route("/account/credentials/{id}/rotate", post(credentials::rotate))
        .route("/account/credentials/{id}/revoke", post(credentials::revoke))
        .route("/account/grants/{id}/revoke", post(credentials::revoke_grant))
        .route("/account/refusals", get(records::own))
        .route("/account/refusals/{request}", get(records::why))
        .route("/account/security", get(security::page))
        .route("/account/security/password", post(security::password))
        .route("/account/security/recovery", post(security::recovery))
        .route("/account/security/two-step", post(security::two_step))
        .route("/account/security/two-step/confirm", post(security::confirm))
        .route("/account/security/two-step/off", post(security::off))
        .route("/account/security/passkeys", post(passkey::begin))
        .route("/account/security/passkeys/new", post(passkey::add))
        .route("/account/security/passkeys/{id}/remove", post(passkey::remove))
        .route("/account/security/sessions/{id}/end", post(security::end_session))
        // The server
        .route("/site/status", get(server::status))
        .route("/site/calendar", get(server::calendar).post(server::plan))
        .route("/site/refusals", get(records::all))
        .route("/site/refusals/{request}", get(records::why_of_server))
        .route("/site/oauth2/authorize", get(crate::oauth::ask).post(crate::oauth::answer))
        // Workspaces
        .route("/{workspace}", get(workspace::repositories))
        .route("/{workspace}/", get(workspace::repositories))
        .route("/{workspace}/workspace/settings", get(workspace::settings))
        .route("/{workspace}/workspace/settings/", get(workspace::settings))
        .route("/{workspace}/workspace/settings/upstreams", get(workspace::upstreams))
        .route("/{workspace}/workspace/settings/members", get(workspace::members).post(workspace::add_member))
        .route("/{workspace}/workspace/settings/members/{account}/remove", post(workspace::remove_member))
        .route("/{workspace}/workspace/settings/permissions", post(workspace::set_permission))
        .route("/{workspace}/workspace/settings/tokens", get(workspace::tokens))
        .route("/{workspace}/workspace/settings/tokens/new", get(workspace::new_token).post(workspace::create_token))
        .route("/{workspace}/workspace/settings/tokens/{id}", get(workspace::token))
        .route("/{workspace}/workspace/settings/tokens/{id}/rotate", post(workspace::rotate_token))
        .route("/{workspace}/workspace/settings/tokens/{id}/revoke", post(workspace::revoke_token))
        .route("/{workspace}/workspace/settings/consumers", get(workspace::consumers).post(workspace::create_consumer))
        .route("/{workspace}/workspace/settings/consumers/{key}/rotate", post(workspace::rotate_consumer))
        .route("/{workspace}/workspace/settings/consumers/{key}/revoke", post(workspace::revoke_consumer))
        .route("/{workspace}/workspace/settings/policy", get(workspace::policy).post(workspace::set_policy))
        .route("/{workspace}/workspace/settings/refusals", get(records::of_workspace))
        .route("/{workspace}/workspace/settings/refusals/{request}", get(records::why_of_workspace))
        // Repositories
        .route("/{workspace}/{repository}", get(repository::top))
        .route("/{workspace}/{repository}/", get(repository::top))
        .route("/{workspace}/{repository}/src", get(repository::top))
        .route("/{workspace}/{repository}/src/{revision}", get(repository::root))
        .route("/{workspace}/{repository}/src/{revision}/", get(repository::root))
        .route("/{workspace}/{repository}/src/{revision}/{*path}", get(repository::path))
        .route("/{workspace}/{repository}/raw/{revision}/{*path}", get(repository::raw))
        .route("/{workspace}/{repository}/commits", get(repository::commits))
        .route("/{workspace}/{repository}/commits/{revision}", get(repository::commit))
        .route("/{workspace}/{repository}/branches", get(repository::branches))
        .route("/{workspace}/{repository}/tags", get(repository::tags))
        .layer(from_fn_with_state(app.clone(), dress::dress))
        .layer(from_fn(crate::compress::compress))
        // What is asked by nobody's browser
        .route("/account/sso/logout", post(sso::logged_out))
        // What everybody may have, and nobody is asked about
        .route("/site/assets/{mark}/{name}", get(dress::asset))
}
