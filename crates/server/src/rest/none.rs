//! Lists of what there is not on this server, and a picture for everything.

use axum::body::Body;
use axum::extract::RawPathParams;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use doorward_rules::Action;

use super::call::{Call, Place};
use super::page::Page;

/// An empty list, for whoever may read the repository.
pub(super) async fn list(call: Call, names: RawPathParams) -> Response<Body> {
    let named = |name: &str| names.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value).to_owned();
    let (workspace, repository) = (named("workspace"), named("repo_slug"));
    call.carry_out(Action::ReadRepository, Place::Repository(&workspace, &repository), async |_| {
        let page = Page::read(&call.query)?;
        let address = format!("{}{}", call.base(), call.uri.path());
        call.json(page.answer(page.of(Vec::new()), &address, &call.query))
    })
    .await
}

/// `GET /2.0/doorward/avatar.svg`.
pub(super) async fn avatar() -> Response<Body> {
    let mut response = Response::new(Body::from(PICTURE));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    response
}

/// A door.
const PICTURE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\" width=\"64\" height=\"64\">\
    <rect width=\"64\" height=\"64\" fill=\"#456\"/><path d=\"M18 58V28a14 14 0 0 1 28 0v30z\" fill=\"#fff\"/>\
    <circle cx=\"40\" cy=\"42\" r=\"2.5\" fill=\"#456\"/></svg>";
