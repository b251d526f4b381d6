//! Connections: accepted up to a bound, each with time-outs at every step, and let finish when the server stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

use crate::app::App;
use crate::observe::Peer;
use crate::tls::Tls;

/// Serves connections until `stop` resolves, then lets those that are open finish within the time of grace.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    app: App,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let places = Arc::new(Semaphore::new(app.settings.limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        // At the bound, whoever connects waits in the system's own queue.
        let place = tokio::select! {
            () = &mut stop => break,
            Ok(place) = Arc::clone(&places).acquire_owned() => place,
        };
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors or memory: it passes when connections end, and spinning does not help.
                    tracing::error!(%error, "a connection cannot be accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (router, app, tls, watcher) = (router.clone(), app.clone(), tls.clone(), graceful.watcher());
        connections.spawn(async move {
            app.metrics.connections.inc();
            connection(stream, peer, tls, router, &app, watcher).await;
            app.metrics.connections.dec();
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    app.drain();
    if timeout(app.settings.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "the time of grace is over; closing connections with requests in flight"
        );
    }
    connections.shutdown().await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Tls>,
    router: Router,
    app: &App,
    watcher: Watcher,
) {
    let limits = &app.settings.limits;
    // Answers are written in whole pieces; waiting to join them only adds delay.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.idle_time));
    let stream = Box::pin(stream);
    let served = match tls {
        None => serve_one(stream, false, peer, router, app, watcher).await,
        Some(tls) => match timeout(limits.head_time, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                serve_one(stream, http2, peer, router, app, watcher).await
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err("the TLS handshake took too long".into()),
        },
    };
    if let Err(error) = served {
        tracing::debug!(address = %peer.ip(), %error, "a connection ended early");
    }
}

/// The version of HTTP is known beforehand (ALPN, or 1.1 in the clear), so that no client can hold a connection by
/// never completing the bytes that would tell it.
async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    peer: SocketAddr,
    router: Router,
    app: &App,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let limits = &app.settings.limits;
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    if http2 {
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(limits.head_time)
            .keep_alive_timeout(limits.head_time)
            .serve_connection(TokioIo::new(stream), service);
        Ok(watcher.watch(connection).await?)
    } else {
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(limits.head_bytes.max(SMALLEST_BUFFER))
            .serve_connection(TokioIo::new(stream), service);
        Ok(watcher.watch(connection).await?)
    }
}

/// Requests that may be in flight on one HTTP/2 connection.
const STREAMS: u32 = 100;
/// The least that hyper takes.
const SMALLEST_BUFFER: usize = 8192;
