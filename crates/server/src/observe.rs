//! Watches every request: its id, its log line, its place in the metrics, and the bound on requests per address.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::middleware::Next;
use bytes::Bytes;
use doorward_rules::{OwnFault, Surface};
use doorward_store::Decision;
use doorward_upstream::Upstream;
use doorward_wire::{RequestId, redact};
use futures_util::FutureExt;
use http_body::{Body as _, Frame, SizeHint};

use crate::activity::{Activity, Busy};
use crate::address::client_address;
use crate::app::{App, InFlight};
use crate::context::Context;
use crate::diagnostics::Diagnostics;
use crate::gateway::Visit;
use crate::refusal::Refusal;
use crate::sandbox;

/// What a handler wants the log line to say. Travels with the response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted {
    repository: Option<String>,
    account: Option<String>,
    credential: Option<String>,
    reason: Option<&'static str>,
    diagnostics: Diagnostics,
}

/// The id under which a request can be found, if it is not the one it arrived with. Travels with the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundAs(pub(crate) RequestId);

/// The upstream from whose mirror an answer is. Travels with the response.
#[derive(Debug, Clone)]
pub(crate) struct Served(pub(crate) Upstream);

/// The connection that a request came on. Travels with the request.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) activity: Activity,
    /// What the gateway has seen for it.
    pub(crate) visit: Visit,
}

impl Noted {
    pub(crate) fn about(subject: String) -> Self {
        Self { repository: Some(subject), ..Self::default() }
    }

    /// With more headers for the holder of the credential.
    pub(crate) fn telling(mut self, diagnostics: Diagnostics) -> Self {
        self.diagnostics.add(diagnostics);
        self
    }

    pub(crate) fn by(mut self, decision: &Decision) -> Self {
        self.account.clone_from(&decision.account);
        self.credential.clone_from(&decision.credential);
        self
    }

    pub(crate) fn refused(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }
}

/// The outermost layer: whatever happens further in, the answer has an id and the log a line.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let connection = request.extensions_mut().remove::<Connection>();
    let peer = connection.as_ref().map_or(IpAddr::from([0; 4]), |connection| connection.peer.ip());
    let visit = connection.as_ref().map(|connection| connection.visit.clone());
    let mut busy = connection.map(|connection| connection.activity.begin());
    let address = client_address(peer, request.headers(), &app.settings.trusted_proxies);
    if let Some(sandbox) = app.sandbox.as_ref().filter(|_| !is_operation(request.uri().path())) {
        tokio::time::sleep(sandbox.delay()).await;
    }
    name_host(&mut request);
    let context = Context::new(app.clock.now(), address, request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("other", |path| route_name(path.as_str()));
    let line = Line {
        id: context.id,
        method: request.method().clone(),
        path: shown_path(request.uri().path()),
        route,
        context: context.clone(),
        noted: Noted::default(),
        status: StatusCode::OK,
        started,
    };
    let in_flight = app.begin(address);
    let mut response = if in_flight.is_some() {
        request.extensions_mut().insert(context.clone());
        visit.map(|visit| request.extensions_mut().insert(visit));
        // A mistake of ours must not look like a connection that was cut off: git takes that for a refusal when it
        // comes between its first request and the one with the credential.
        AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(request = %context.id, "a request was not answered for a mistake in this program");
            app.metrics.refused(OwnFault::Bug.code());
            let api = ["/2.0/", "/api/2.0/"].iter().any(|prefix| line.path.starts_with(prefix));
            let surface = if api { Surface::Rest } else { Surface::Git };
            Refusal::unavailable(OwnFault::Bug).on(surface).respond(context.id)
        })
    } else {
        app.metrics.refused("too_many_requests");
        Refusal::too_many(app.settings.limits.requests_per_address).respond(context.id)
    };
    let id = response.extensions().get::<FoundAs>().map_or(context.id, |found| found.0);
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    let mut noted = response.extensions_mut().remove::<Noted>().unwrap_or_default();
    let diagnostics = std::mem::take(&mut noted.diagnostics);
    // Bitbucket Cloud tells nobody anything whom it has not let in that far.
    if app.sandbox.is_none() || response.status() != StatusCode::UNAUTHORIZED {
        diagnostics.put(response.headers_mut());
    }
    if app.sandbox.is_some() {
        let status = response.status();
        sandbox::dress(&line.path, status, id, response.headers_mut());
    }
    let served = response.extensions_mut().remove::<Served>();
    let line = Line { id, noted, status: response.status(), ..line };
    if let Some(busy) = &mut busy {
        busy.set_waiting(true);
    }
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    response
        .map(|body| Body::new(Observed { body, bytes: 0, length, ended: false, line, app, in_flight, busy, served }))
}

/// A path as it may be read by whoever reads the log: of a link to choose a password by, not what makes it one.
fn shown_path(path: &str) -> String {
    match path.strip_prefix(WELCOME) {
        Some(_) => format!("{WELCOME}***"),
        None => redact(path).chars().take(PATH_LENGTH).collect(),
    }
}

/// HTTP/2 has the name of the host in another place.
fn name_host(request: &mut Request) {
    let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().insert(HOST, authority);
    }
}

/// Whether a path is for whoever runs the server, and no part of what a sandbox plays.
fn is_operation(path: &str) -> bool {
    path.starts_with("/_sandbox/") || ["/healthz", "/readyz", "/metrics"].contains(&path)
}

/// A response's body that is watched until it has been sent or given up.
struct Observed {
    body: Body,
    bytes: u64,
    length: Option<u64>,
    ended: bool,
    line: Line,
    app: App,
    #[expect(dead_code, reason = "held for its Drop")]
    in_flight: Option<InFlight>,
    busy: Option<Busy>,
    served: Option<Served>,
}

/// What the log line of a request says, apart from how its answer went.
struct Line {
    id: RequestId,
    method: Method,
    path: String,
    route: &'static str,
    context: Context,
    noted: Noted,
    status: StatusCode,
    started: Instant,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Some(busy) = &mut self.busy {
            busy.set_waiting(matches!(polled, Poll::Ready(Some(_))));
        }
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Poll::Ready(None) => self.ended = true,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let seconds = self.line.started.elapsed().as_secs_f64();
        // A body whose length was told is not asked whether there is more.
        let ended = self.ended || self.body.is_end_stream() || self.length == Some(self.bytes);
        let line = &self.line;
        if let Some(Served(upstream)) = &self.served {
            upstream.count_served(self.bytes);
        }
        self.app.metrics.answered(line.route, line.status.as_u16(), seconds, self.bytes);
        tracing::info!(
            request = %line.id,
            method = %line.method,
            path = line.path,
            status = line.status.as_u16(),
            bytes = self.bytes,
            duration_ms = (seconds * 1e6).round() / 1e3,
            whole = ended,
            address = %line.context.address,
            agent = line.context.agent,
            repository = line.noted.repository,
            account = line.noted.account,
            credential = line.noted.credential,
            reason = line.noted.reason,
            "answered"
        );
    }
}

/// A route's name in the metrics: its last segment.
fn route_name(path: &str) -> &'static str {
    ROUTES.iter().find(|name| path.ends_with(**name)).copied().unwrap_or("other")
}

const ROUTES: &[&str] = &[
    "info/refs",
    "git-upload-pack",
    "git-receive-pack",
    "/user",
    "/user/workspaces",
    "/repositories/{workspace}/{repository}",
    "healthz",
    "readyz",
    "metrics",
];
const PATH_LENGTH: usize = 300;
const WELCOME: &str = "/account/welcome/";
