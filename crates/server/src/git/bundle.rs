//! `GET …/bundles/NAME`: most of a history as a file, for clients that take it before they ask for the rest.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use doorward_rules::{Reason, Surface};

use super::{Service, body_of, named};
use crate::admit::Wish;
use crate::app::App;
use crate::context::Context;
use crate::observe::FoundAs;
use crate::refusal::Refusal;
use crate::rest::range::{Wanted, beyond, content_range};

pub(crate) async fn bundle(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Path((workspace, repository, asked)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    let name = match named(Ok(Path((workspace, repository)))) {
        Ok(name) => name,
        Err(refusal) => {
            return app.absent(refusal, &Reason::RepositoryInvisible, Surface::Git, &context).respond(context.id);
        }
    };
    let wish = Wish::git(Service::UploadPack.action(), &name);
    let admitted = match app.admit(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let id = match app.tally(&context, wish, admitted.decision).await {
        Ok(id) => id,
        Err(refusal) => return refusal.respond(context.id),
    };
    let found = async { app.repositories.open(&admitted.permit)?.bundle().await };
    let bundle = match found.await {
        Ok(Some(bundle)) if bundle.name() == asked => bundle,
        Ok(_) => return gone().respond_recorded(id),
        Err(error) => return Refusal::from(error).respond_recorded(id),
    };
    let (size, patience) = (bundle.length(), app.settings.limits.idle_time);
    let (status, first, length) = match Wanted::read(&headers, size, "") {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part { first, length } => (StatusCode::PARTIAL_CONTENT, first, length),
        Wanted::Nothing => return beyond("bundle", size).respond_recorded(id),
    };
    let mut response = Response::new(body_of(bundle.read(first, length, patience)));
    *response.status_mut() = status;
    let set = response.headers_mut();
    set.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-git-bundle"));
    set.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if status == StatusCode::PARTIAL_CONTENT
        && let Some(range) = content_range(first, length, size)
    {
        set.insert(CONTENT_RANGE, range);
    }
    response.extensions_mut().insert(FoundAs(id));
    response.extensions_mut().insert(admitted.noted);
    response
}

fn gone() -> Refusal {
    let sentence = "there is no such bundle any more";
    Refusal::new(StatusCode::NOT_FOUND, "bundle_gone", sentence, "clone again; git goes on without it anyway")
}
