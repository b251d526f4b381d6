//! `/.well-known/oauth-authorization-server`: what there is, for programs (RFC 8414).

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use doorward_rules::{Scope, Vocabulary};
use serde_json::json;

use super::answer_with;
use crate::app::App;
use crate::rest::base;

pub(super) async fn discovery(State(app): State<App>, headers: HeaderMap) -> Response<Body> {
    let issuer = base(&app, &headers);
    let at = |path: &str| format!("{issuer}{path}");
    let scopes: Vec<_> =
        Scope::ALL.iter().filter(|scope| scope.is_of(Vocabulary::Old)).map(|scope| scope.name()).collect();
    answer_with(&json!({
        "issuer": issuer,
        "authorization_endpoint": at("/site/oauth2/authorize"),
        "token_endpoint": at("/site/oauth2/access_token"),
        "revocation_endpoint": at("/site/oauth2/revoke"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code", "client_credentials", "refresh_token", super::token::JWT_GRANT,
        ],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}
