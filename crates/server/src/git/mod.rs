//! Git over HTTPS (gitprotocol-http): one file per endpoint.

mod bundle;
mod info_refs;
pub(crate) mod question;
mod receive_pack;
mod unsupported;
mod upload_pack;

pub(crate) use bundle::bundle;
pub(crate) use info_refs::{info_refs, service};
pub(crate) use receive_pack::{asked, read_head, receive_pack, report};
pub(crate) use unsupported::{dumb, upload_archive};
pub(crate) use upload_pack::{QUIET, upload_pack};

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, PRAGMA};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use doorward_git::{Output, Service};
use doorward_rules::Reason;
use doorward_rules::Surface;
use doorward_wire::{RepositoryName, RequestId};
use futures_core::Stream;
use http_body::{Frame, SizeHint};

use crate::admit::TurnedAway;
use crate::observe::{FoundAs, Noted};
use crate::refusal::Refusal;
use crate::request_body::{self, RequestBody};

/// The two segments of a path that name a repository, as they came.
pub(crate) type Segments = Result<Path<(String, String)>, PathRejection>;

/// The repository that a path names. What can be no repository's name is answered as an absent repository is.
pub(crate) fn named(segments: Segments) -> Result<RepositoryName, Refusal> {
    let absent = || Refusal::of_reason(&Reason::RepositoryInvisible, Surface::Git);
    let Path((workspace, slug)) = segments.map_err(|_| absent())?;
    RepositoryName::from_url(&workspace, &slug).map_err(|error| Refusal { sentence: error.to_string(), ..absent() })
}

/// The client's `Git-Protocol` header, if it is one that git may see.
pub(crate) fn protocol(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("git-protocol")?.to_str().ok()?;
    let harmless = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=:._-".contains(&byte));
    (harmless && value.len() <= 200).then_some(value)
}

/// Checks that a request is of the media type that its service takes.
fn check_media_type(headers: &HeaderMap, service: Service) -> Result<(), Refusal> {
    let expected = format!("application/x-{}-request", service.name());
    if headers.get(CONTENT_TYPE).is_some_and(|found| found.as_bytes().eq_ignore_ascii_case(expected.as_bytes())) {
        return Ok(());
    }
    let sentence = format!("this address takes `{expected}` and nothing else");
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_unsupported", sentence, "use git, which sends it"))
}

/// Reads what every `POST` to a service begins with: its media type, its repository, and its body, of which `limit`
/// bytes at most are taken.
fn open(
    service: Service,
    segments: Segments,
    headers: &HeaderMap,
    body: Body,
    limit: u64,
    idle: Duration,
) -> Result<(RepositoryName, RequestBody), Refusal> {
    let name = named(segments)?;
    Ok((name, open_named(service, headers, body, limit, idle)?))
}

/// The same of a repository whose name is known.
pub(crate) fn open_named(
    service: Service,
    headers: &HeaderMap,
    body: Body,
    limit: u64,
    idle: Duration,
) -> Result<RequestBody, Refusal> {
    check_media_type(headers, service)?;
    request_body::open(body, headers, limit, idle)
}

/// What git says, as a body.
pub(crate) fn body_of(output: Output) -> Body {
    output.into_whole().map_or_else(|output| Body::new(OutputBody(output)), Body::from)
}

/// An answer of git's that tells how long it is, if that is known.
struct OutputBody(Output);

impl http_body::Body for OutputBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.0).poll_next(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.0.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A successful answer of a service: `kind` is `advertisement` or `result`.
pub(crate) fn answer(service: Service, kind: &str, body: Body, id: RequestId, noted: Noted) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Ok(media_type) = HeaderValue::from_str(&format!("application/x-{}-{kind}", service.name())) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0, must-revalidate"));
    headers.insert(EXPIRES, HeaderValue::from_static("Fri, 01 Jan 1980 00:00:00 GMT"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response.extensions_mut().insert(FoundAs(id));
    response.extensions_mut().insert(noted);
    response
}

impl TurnedAway {
    pub(crate) fn respond(self) -> Response<Body> {
        let mut response = match self.recorded {
            true => self.refusal.respond_recorded(self.id),
            false => self.refusal.respond(self.id),
        };
        response.extensions_mut().insert(FoundAs(self.id));
        response.extensions_mut().insert(self.noted);
        response
    }
}
