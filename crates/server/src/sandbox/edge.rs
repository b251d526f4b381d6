//! The headers that Bitbucket Cloud's own proxies put on the answers of its API.

use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, SERVER, VARY, X_FRAME_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use doorward_wire::RequestId;

/// Puts them on an answer to a request for a path, if it is one of the API.
pub(crate) fn dress(path: &str, status: StatusCode, id: RequestId, headers: &mut HeaderMap) {
    if !path.starts_with("/2.0/") && !path.starts_with("/api/2.0/") {
        return;
    }
    // A wrong pair is turned away by another proxy than the one that passes answers on.
    let server = if status == StatusCode::UNAUTHORIZED { "envoy" } else { "AtlassianEdge" };
    let vary = "Authorization, Origin, cookie, user-context, Accept-Encoding";
    for (name, value) in [
        (SERVER, server),
        (VARY, vary),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
        (CACHE_CONTROL, "private"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(HeaderName::from_static("x-trace-id"), id);
    }
}
