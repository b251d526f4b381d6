//! The body of a request as a bounded stream: decompressed, never longer than it may be, never waiting for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader, ReadBuf};
use tokio_io_timeout::TimeoutReader;
use tokio_util::io::StreamReader;

use crate::refusal::Refusal;

/// Bytes of a request.
pub(crate) type RequestBody = Pin<Box<dyn AsyncRead + Send>>;

/// Opens a body. `limit` is in bytes and counts what comes out of the decompression.
pub(crate) fn open(body: Body, headers: &HeaderMap, limit: u64, idle: Duration) -> Result<RequestBody, Refusal> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_long(limit));
    }
    let mut bytes = TimeoutReader::new(StreamReader::new(Bodies(body.into_data_stream())));
    bytes.set_timeout(Some(idle));
    let bytes = Box::pin(bytes);
    let encoding = headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some(b"" | b"identity") => Ok(Box::pin(Limited { inner: bytes, left: limit, limit })),
        Some(b"gzip" | b"x-gzip") => {
            let plain = GzipDecoder::new(BufReader::new(bytes));
            Ok(Box::pin(Limited { inner: Box::pin(plain), left: limit, limit }))
        }
        Some(other) => {
            let other = String::from_utf8_lossy(other).into_owned();
            let sentence = format!("the request is compressed in a way that this server does not know: `{other}`");
            let remedy = "send it with `Content-Encoding: gzip`, or without compression";
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding_unsupported", sentence, remedy))
        }
    }
}

/// Reads a body to its end and forgets it, so that a client that still sends can hear the answer. Gives up on a long one.
pub(crate) async fn discard(body: RequestBody) {
    let mut buffer = vec![0; 64 * 1024];
    let mut body = body.take(DISCARDED);
    while matches!(body.read(&mut buffer).await, Ok(1..)) {}
}

fn too_long(limit: u64) -> Refusal {
    let sentence = format!("the request is longer than the {limit} bytes that it may have");
    let remedy = "push in several parts, or ask an administrator to raise the limit";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_long", sentence, remedy)
}

/// A body's data stream with the errors of I/O.
struct Bodies(axum::body::BodyDataStream);

impl Stream for Bodies {
    type Item = io::Result<bytes::Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context).map(|next| next.map(|bytes| bytes.map_err(io::Error::other)))
    }
}

/// Fails, rather than ends, when more comes than may.
struct Limited<R> {
    inner: Pin<Box<R>>,
    left: u64,
    limit: u64,
}

impl<R: AsyncRead> AsyncRead for Limited<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = self.inner.as_mut().poll_read(context, buffer);
        let read = (buffer.filled().len() - before) as u64;
        if read > self.left {
            buffer.set_filled(before);
            let error = format!("the request is longer than {} bytes", self.limit);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, error)));
        }
        self.left -= read;
        polled
    }
}

const DISCARDED: u64 = 64 * 1024 * 1024;
