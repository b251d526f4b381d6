//! HTTP, from our side: connections that are kept, waits that end when nothing moves any more, and what went wrong in words.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::CONTENT_LENGTH;
use http_body::{Body as _, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::time::{Sleep, sleep, timeout};

pub use bytes::Bytes;

/// What is sent.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A client that keeps its connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    /// How long the other side may be quiet.
    quiet: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoAnswer {
    /// In words, without secrets.
    pub(crate) why: String,
    /// Whether it is certain that nothing of the request has arrived.
    pub(crate) unsent: bool,
}

/// What is sent, and how it goes on.
struct Watched {
    body: Body,
    /// Bytes that are still to be taken, if that is known.
    left: Option<u64>,
    progress: Arc<Progress>,
}

/// How far the sending of a request has come.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    /// When a piece was last taken, in milliseconds since then.
    moved: AtomicU64,
    /// Whether all was taken.
    over: AtomicBool,
}

/// What is answered. It ends with an error when nothing comes for a while.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    quiet: Pin<Box<Sleep>>,
    patience: Duration,
}

impl Agent {
    pub(crate) fn new(quiet: Duration) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = rustls::crypto::ring::default_provider();
        let tls = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(Duration::from_secs(60)));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        // With HTTP/2 all would share one connection, which stands still for everybody when a few clients do not read.
        let connector = https.enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        Ok(Self { client, quiet })
    }

    /// Sends a request; what is answered as soon as its head is there. Also tells, in `whole`, whether all of the request was taken.
    pub(crate) async fn send(
        &self,
        request: http::Request<Body>,
        whole: &AtomicBool,
    ) -> Result<http::Response<Answer>, NoAnswer> {
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let left = announced.or(request.body().size_hint().exact());
        let progress = Arc::new(Progress::new(request.body().is_end_stream()));
        let request = request.map(|body| Watched { body, left, progress: Arc::clone(&progress) }.boxed_unsync());
        let answered = tokio::select! {
            answered = self.client.request(request) => {
                answered.map_err(|error| NoAnswer { unsent: error.is_connect(), why: in_words(&error) })
            }
            why = progress.stalled(self.quiet) => Err(NoAnswer { unsent: false, why }),
        };
        whole.store(progress.over.load(Ordering::Relaxed), Ordering::Relaxed);
        let (quiet, patience) = (Box::pin(sleep(self.quiet)), self.quiet);
        answered.map(|response| response.map(|body| Answer { body, quiet, patience }))
    }
}

impl Progress {
    fn new(over: bool) -> Self {
        Self { began: Instant::now(), moved: AtomicU64::new(0), over: AtomicBool::new(over) }
    }

    fn note(&self, over: bool) {
        let moved = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(moved, Ordering::Relaxed);
        self.over.fetch_or(over, Ordering::Relaxed);
    }

    /// Resolves when the other side has taken nothing for too long, or has taken all and not answered for too long.
    async fn stalled(&self, quiet: Duration) -> String {
        loop {
            let (patience, what) = match self.over.load(Ordering::Relaxed) {
                true => (HEAD, "it did not answer"),
                false => (quiet, "it took nothing of the request"),
            };
            let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
            let left = (moved + patience).saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return format!("{what} within {} s", patience.as_secs());
            }
            sleep(left).await;
        }
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(frame) = &polled {
            let taken =
                frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, |data| data.len() as u64);
            self.left = self.left.map(|left| left.saturating_sub(taken));
            // Nobody asks for the end of what is as long as was announced.
            self.progress.note(frame.is_none() || self.left == Some(0) || self.body.is_end_stream());
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

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                let again = tokio::time::Instant::now() + self.patience;
                self.quiet.as_mut().reset(again);
                Poll::Ready(frame.map(|frame| frame.map_err(|error| io::Error::other(in_words(&error)))))
            }
            Poll::Pending => self.quiet.as_mut().poll(context).map(|()| {
                let why = format!("nothing of the answer came for {} s", self.patience.as_secs());
                Some(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes to send.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A file to send, from its beginning. It is read through a handle of its own.
pub(crate) fn file(file: &std::fs::File, length: u64) -> io::Result<Body> {
    use std::os::unix::fs::FileExt;
    let file = file.try_clone()?;
    let pieces = futures_util::stream::try_unfold((file, 0_u64), move |(file, at)| async move {
        if at >= length {
            return Ok(None);
        }
        let want = usize::try_from((length - at).min(CHUNK)).unwrap_or(1);
        let (file, piece) = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; want];
            file.read_exact_at(&mut piece, at).map(|()| (file, piece))
        })
        .await
        .map_err(io::Error::other)??;
        Ok(Some((Frame::data(Bytes::from(piece)), (file, at + want as u64))))
    });
    Ok(BodyExt::boxed_unsync(StreamBody::new(Box::pin(pieces))))
}

/// As much of an answer as may be; an error if it is longer, or breaks off.
pub(crate) async fn collect(body: Answer, limit: u64) -> Result<Vec<u8>, NoAnswer> {
    let mut bytes = Vec::new();
    let mut reader = reader_of(body).take(limit + 1);
    let read = timeout(BODY, reader.read_to_end(&mut bytes)).await;
    let broken = |why: String| NoAnswer { why, unsent: false };
    match read {
        Ok(Ok(_)) if bytes.len() as u64 > limit => Err(broken(format!("its answer is longer than {limit} bytes"))),
        Ok(Ok(_)) => Ok(bytes),
        Ok(Err(error)) => Err(broken(format!("its answer broke off: {error}"))),
        Err(_) => Err(broken(format!("its answer did not end within {} s", BODY.as_secs()))),
    }
}

/// The bytes of an answer.
pub(crate) fn reader_of(body: Answer) -> impl tokio::io::AsyncRead + Send + Unpin + use<> {
    tokio_util::io::StreamReader::new(body.into_data_stream())
}

/// An error with what is behind it.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        source = error.source();
    }
    words
}

/// How long an upstream may take to begin an answer to what it has received whole.
const HEAD: Duration = Duration::from_secs(120);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(50);
/// How long a short answer may take to its end.
const BODY: Duration = Duration::from_secs(300);
/// Bytes that are read from a file at once.
const CHUNK: u64 = 64 * 1024;
