//! `POST …/git-upload-pack`: a question of clone or fetch, answered as a stream.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use doorward_git::Service;

use super::{Segments, answer, open, protocol};
use crate::admit::Wish;
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;

pub(crate) async fn upload_pack(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    segments: Segments,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let limits = &app.settings.limits;
    let (name, request) =
        match open(Service::UploadPack, segments, &headers, body, limits.fetch_bytes, limits.idle_time) {
            Ok(opened) => opened,
            Err(refusal) => return refusal.respond(context.id),
        };
    let wish = Wish::git(Service::UploadPack.action(), &name);
    let (admitted, placed) = match app.admit_to_place(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let noted = admitted.noted;
    let id = match app.tally(&context, wish, admitted.decision).await {
        Ok(id) => id,
        Err(refusal) => return refusal.respond(context.id),
    };
    match placed.fetch(protocol(&headers), request).await {
        Ok(output) => answer(Service::UploadPack, "result", Body::from_stream(output), id, noted),
        Err(error) => Refusal::from(error).respond_recorded(id),
    }
}
