//! The answer of a git process, as it is made.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;

/// Bytes as a process writes them. At most a few chunks wait for a slow reader; then the process waits.
///
/// Ends with an error if the answer could not be finished, so that a broken one is never taken for a whole one.
/// Dropping it tells the process that nobody reads any more.
#[derive(Debug)]
pub struct Output(mpsc::Receiver<io::Result<Bytes>>);

/// The writing side of an [`Output`].
pub(crate) type OutputSender = mpsc::Sender<io::Result<Bytes>>;

impl Output {
    pub(crate) fn channel() -> (OutputSender, Self) {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        (sender, Self(receiver))
    }

    /// An answer that is there already.
    pub fn ready(bytes: Bytes) -> Self {
        let (sender, output) = Self::channel();
        // The channel is new and has room.
        let _ = sender.try_send(Ok(bytes));
        output
    }
}

impl Stream for Output {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// How much is read from a process at once: what a pipe holds on Linux.
pub(crate) const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 4;
