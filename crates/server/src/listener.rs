//! Connections: accepted up to a bound, each with time-outs at every step, and let finish when the server stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

use crate::activity::{Activity, MOMENT};
use crate::app::App;
use crate::gateway::Visit;
use crate::observe::Connection;
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
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let take = |connections: &mut JoinSet<()>, (stream, peer): (TcpStream, SocketAddr), place| {
        let (router, app, tls, stopping) = (router.clone(), app.clone(), tls.clone(), stopping.subscribe());
        connections.spawn(async move {
            let _counted = app.metrics.count_connection();
            connection(stream, peer, tls, router, &app, stopping).await;
            drop(place);
        });
    };
    loop {
        // At the bound, whoever connects waits in the system's own queue.
        let place = tokio::select! {
            () = &mut stop => break,
            Ok(place) = Arc::clone(&places).acquire_owned() => place,
        };
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => take(&mut connections, accepted, place),
                Err(error) => {
                    // Out of file descriptors or memory: it passes when connections end, and spinning does not help.
                    tracing::error!(%error, "a connection cannot be accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
        while connections.try_join_next().is_some() {}
    }
    app.drain();
    // Whoever has connected already is still served, and nobody else.
    while let (Ok(place), Some(Ok(accepted))) =
        (Arc::clone(&places).try_acquire_owned(), now_or_never(listener.accept()))
    {
        take(&mut connections, accepted, place);
    }
    drop(listener);
    let _ = stopping.send(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(app.settings.grace, finished).await.is_err() {
        tracing::warn!("the time of grace is over; connections with requests in flight are closed");
    }
    connections.shutdown().await;
}

/// What a future has to say at once, if it has.
fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Tls>,
    router: Router,
    app: &App,
    stopping: Stopping,
) {
    let limits = &app.settings.limits;
    // Until it says something a connection has no buffers, so that many idle ones cost little.
    let (mut stopped, mut first) = (stopping.clone(), [0]);
    tokio::select! {
        spoken = timeout(limits.head_time, stream.peek(&mut first)) => if !matches!(spoken, Ok(Ok(1..))) {
            return;
        },
        () = quiet_while_stopping(&mut stopped) => return,
    }
    // A statement of its own: inside the one with `await`, the place it is moved from would stay reserved.
    let speaking = Box::pin(speak(stream, peer, tls, router, app, stopping));
    speaking.await;
}

/// Resolves when the server stops and a moment has passed.
async fn quiet_while_stopping(stopping: &mut Stopping) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
    tokio::time::sleep(MOMENT).await;
}

async fn speak(stream: TcpStream, peer: SocketAddr, tls: Option<Tls>, router: Router, app: &App, stopping: Stopping) {
    let limits = &app.settings.limits;
    // Answers are written in whole pieces; waiting to join them only adds delay.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.idle_time));
    let stream = Box::pin(stream);
    let served = match tls {
        None => serve_one(stream, false, peer, router, app, stopping).await,
        Some(tls) => match timeout(limits.head_time, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                serve_one(stream, http2, peer, router, app, stopping).await
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
    stopping: Stopping,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let limits = &app.settings.limits;
    let activity = Activity::new();
    let connection = Connection { peer, activity: activity.clone(), visit: Visit::default() };
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let ready_to_stop = ready_to_stop(stopping, activity.clone(), app.settings.grace / 2);
    if http2 {
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(limits.head_time)
            .keep_alive_timeout(limits.head_time)
            .serve_connection(TokioIo::new(stream), service);
        let stalled = activity.stalled_for(limits.idle_time);
        // HTTP/1 has a time-out for a client that does not go on; HTTP/2 has none for one that never begins, or that only keeps the
        // connection alive.
        let enough = async {
            tokio::select! {
                () = ready_to_stop => {}
                () = activity.quiet_for(limits.head_time) => {}
            }
        };
        tokio::select! {
            ended = until_finished(connection, enough, &activity) => ended?,
            // Nothing is written to a client that opens no window, so the time-out for writing never meets it.
            () = stalled => return Err("the client took nothing of an answer".into()),
        }
    } else {
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(limits.head_bytes.max(SMALLEST_BUFFER))
            .serve_connection(TokioIo::new(stream), service);
        until_finished(connection, ready_to_stop, &activity).await?;
    }
    Ok(())
}

/// Whether the server stops.
type Stopping = watch::Receiver<bool>;

/// Resolves when the server stops and the connection is between two commands of its client, or has kept on for `patience`.
async fn ready_to_stop(mut stopping: Stopping, activity: Activity, patience: Duration) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
    let _ = timeout(patience, activity.quiet_for(MOMENT)).await;
}

/// Drives a connection to its end. Once it has had enough it takes no further request; and if its client does not let go then, it is
/// dropped.
async fn until_finished<C: GracefulConnection>(
    connection: C,
    enough: impl Future<Output = ()>,
    activity: &Activity,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = enough => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = &mut connection => ended,
        () = activity.quiet_for(MOMENT) => Ok(()),
    }
}

/// Requests that may be in flight on one HTTP/2 connection.
const STREAMS: u32 = 100;
/// The least that hyper takes.
const SMALLEST_BUFFER: usize = 8192;
