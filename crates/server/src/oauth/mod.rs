//! OAuth 2.0: people let applications act for them, and applications act for their workspaces.
//!
//! RFC 6749 with what RFC 9700 asks of it by now: PKCE (RFC 7636) by S256 alone, redirects to exactly what was registered, rotating
//! refresh tokens of which a stolen one is noticed, and who answers named in the answer (RFC 9207). No implicit grant, and none of
//! passwords, as at Bitbucket Cloud.

mod authorize;
mod client;
mod discovery;
mod jwt;
mod redirect;
mod token;

pub(crate) use authorize::{answer, ask};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::app::App;
use crate::refusal::Refusal;

/// What applications ask; what people's browsers ask is a page.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/site/oauth2/access_token", post(token::token))
        .route("/site/oauth2/revoke", post(token::revoke))
        .route("/.well-known/oauth-authorization-server", get(discovery::discovery))
}

/// An error as RFC 6749 §5.2 has it.
#[derive(Debug)]
struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    retry_after: Option<u64>,
}

impl OAuthError {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into(), retry_after: None }
    }

    fn respond(&self) -> Response<Body> {
        let mut response = answer_with(&json!({ "error": self.error, "error_description": self.description }));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"Doorward OAuth\", charset=\"UTF-8\""),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Trouble of our own says nothing about what was sent (RFC 6749 has no better word at the token endpoint).
impl From<Refusal> for OAuthError {
    fn from(refusal: Refusal) -> Self {
        let error = if refusal.status.is_server_error() { "temporarily_unavailable" } else { "invalid_request" };
        let retry_after = refusal.retry_after.map(|after| after.as_secs());
        // Letters that RFC 6749 §5.2 does not allow there.
        let description = format!("{}; {}", refusal.sentence, refusal.remedy);
        let description =
            description.replace(|letter: char| !(' '..='~').contains(&letter) || letter == '"' || letter == '\\', "?");
        let status =
            if refusal.status == StatusCode::UNSUPPORTED_MEDIA_TYPE { StatusCode::BAD_REQUEST } else { refusal.status };
        Self { status, error, description, retry_after }
    }
}

impl From<doorward_store::StoreError> for OAuthError {
    fn from(error: doorward_store::StoreError) -> Self {
        Refusal::from(error).into()
    }
}

/// JSON that nobody may keep: there may be a secret in it (RFC 6749 §5.1).
fn answer_with(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("pragma", HeaderValue::from_static("no-cache"));
    response
}
