//! The answer of a git process, as it is made.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::answers::ReaderOutput;

/// Bytes as a process writes them. At most a few chunks wait for a slow reader; then the process waits.
///
/// Ends with an error if the answer could not be finished, so that a broken one is never taken for a whole one.
/// Dropping it tells the process that nobody reads any more.
#[derive(Debug)]
pub struct Output(Source);

#[derive(Debug)]
enum Source {
    /// All of it.
    Whole(Option<Bytes>),
    /// From where it is written, by whoever made it, for all who asked.
    Read(ReaderOutput),
    /// As it is made.
    Pieces(mpsc::Receiver<io::Result<Bytes>>),
}

/// The writing side of an [`Output`].
#[derive(Debug)]
pub(crate) struct OutputSender {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    patience: Duration,
}

impl Output {
    /// An output whose reader may take `patience` for each chunk. A connection has its own time-out for writing, but
    /// one that is never written to, as by a client of HTTP/2 that opens no window, never meets it.
    pub(crate) fn channel(patience: Duration) -> (OutputSender, Self) {
        let (chunks, receiver) = mpsc::channel(CHUNKS);
        (OutputSender { chunks, patience }, Self(Source::Pieces(receiver)))
    }

    /// An output that is there already.
    pub fn of(bytes: Bytes) -> Self {
        Self(Source::Whole(Some(bytes)))
    }

    /// An output that is read from where it is written.
    pub(crate) fn read(reader: ReaderOutput) -> Self {
        Self(Source::Read(reader))
    }

    /// How many bytes it has, if that is known.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Source::Whole(bytes) => Some(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Read(reader) => reader.length(),
            Source::Pieces(_) => None,
        }
    }

    /// All of it, if it is there already.
    ///
    /// # Errors
    /// The output itself, if it is still being made.
    pub fn into_whole(self) -> Result<Bytes, Self> {
        match self.0 {
            Source::Whole(bytes) => Ok(bytes.unwrap_or_default()),
            source => Err(Self(source)),
        }
    }
}

impl OutputSender {
    /// Passes a chunk on; an error if nobody reads any more, or not within the time.
    pub(crate) async fn send(&self, chunk: io::Result<Bytes>) -> io::Result<()> {
        match timeout(self.patience, self.chunks.send(chunk)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Resolves when nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.chunks.closed().await;
    }
}

impl Stream for Output {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.0 {
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Source::Read(reader) => reader.poll(context),
            Source::Pieces(receiver) => receiver.poll_recv(context),
        }
    }
}

/// How much is read from a process at once: what a pipe holds on Linux.
pub(crate) const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 4;
