//! What git can ask for and this server does not do, each with what to do instead.

use axum::Extension;
use axum::body::Body;
use axum::http::{Response, StatusCode};

use crate::context::Context;
use crate::refusal::Refusal;

/// `git-upload-archive`, which is `git archive --remote`.
pub(crate) async fn upload_archive(Extension(context): Extension<Context>) -> Response<Body> {
    archive().respond(context.id)
}

/// `HEAD` and `objects/…`, which clients of the dumb protocol read as files.
pub(crate) async fn dumb(Extension(context): Extension<Context>) -> Response<Body> {
    dumb_protocol().respond(context.id)
}

pub(super) fn archive() -> Refusal {
    let sentence = "archives are not made here: `git archive --remote` is not supported";
    let remedy = "run `git clone --depth 1` and then `git archive` in the clone";
    Refusal::new(StatusCode::FORBIDDEN, "archive_unsupported", sentence, remedy)
}

pub(super) fn dumb_protocol() -> Refusal {
    let sentence = "repositories are not served as plain files: the dumb HTTP protocol is not supported";
    let remedy = "use git 1.6.6 or later, and do not set GIT_SMART_HTTP=0";
    Refusal::new(StatusCode::FORBIDDEN, "dumb_protocol_unsupported", sentence, remedy)
}

pub(super) fn service() -> Refusal {
    let sentence = "there are two services here: git-upload-pack and git-receive-pack";
    Refusal::new(StatusCode::FORBIDDEN, "service_unsupported", sentence, "use git, which asks for one of them")
}
