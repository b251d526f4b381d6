//! What an orchestrator or a monitor asks.

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::address::is_in;
use crate::app::App;
use crate::context::Context;
use crate::router::nothing_here;

/// `/healthz`: the process runs and answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `/readyz`: requests can be decided now.
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    if app.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is finishing what it has begun and takes no more\n")
            .into_response();
    }
    match timeout(app.settings.limits.store_time, app.store.check()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be used\n").into_response()
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer in time\n").into_response(),
    }
}

/// `/metrics`, for the addresses that may read them; for others there is nothing here.
///
/// A request that says it was forwarded is not from the proxy's own address, also if nobody has named the proxy.
pub(crate) async fn metrics(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let unnamed_proxy = headers.contains_key("x-forwarded-for") && app.settings.trusted_proxies.is_empty();
    if unnamed_proxy || !is_in(context.address, &app.settings.metrics_from) {
        return nothing_here(&context, &uri);
    }
    let text = app.metrics.render(&app.repositories, &app.gateway.upstreams());
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
