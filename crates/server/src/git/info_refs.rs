//! `GET …/info/refs?service=…`: where every clone, fetch and push begins, and the one place where git shows its user
//! the text of a refusal.

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response};
use doorward_git::Service;
use doorward_rules::{Reason, Surface};

use super::{Segments, answer, body_of, named, protocol, unsupported};
use crate::admit::Wish;
use crate::app::App;
use crate::context::Context;

pub(crate) async fn info_refs(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    segments: Segments,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let service = match service(query.as_deref()) {
        Ok(service) => service,
        Err(refusal) => return refusal.respond(context.id),
    };
    let name = match named(segments) {
        Ok(name) => name,
        Err(refusal) => {
            return app.absent(refusal, &Reason::RepositoryInvisible, Surface::Git, &context).respond(context.id);
        }
    };
    let wish = Wish::git(service.action(), &name);
    let admitted = match app.admit(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let noted = admitted.noted;
    let id = match app.tally(&context, wish, admitted.decision).await {
        Ok(id) => id,
        Err(refusal) => return refusal.respond(context.id),
    };
    let refs = async { app.repositories.open(&admitted.permit)?.advertise(protocol(&headers)).await };
    match refs.await {
        Ok(refs) => answer(service, "advertisement", body_of(refs), id, noted),
        Err(error) => crate::refusal::Refusal::from(error).respond_recorded(id),
    }
}

/// The service in a query; a query without one is what dumb clients send.
pub(crate) fn service(query: Option<&str>) -> Result<Service, crate::refusal::Refusal> {
    let asked = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("service="));
    match asked {
        None => Err(unsupported::dumb_protocol()),
        Some("git-upload-archive") => Err(unsupported::archive()),
        Some(name) => Service::from_name(name).ok_or_else(unsupported::service),
    }
}
