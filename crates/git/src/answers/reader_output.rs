//! What a reader reads, as a stream.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::spool::Reader;

/// The pieces of an answer, and how many bytes they are, if that is known.
pub(crate) struct ReaderOutput {
    next: Option<Next>,
    length: Option<u64>,
}

type Next = Pin<Box<dyn Future<Output = (Reader, Option<io::Result<Bytes>>)> + Send>>;

impl ReaderOutput {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { length: reader.length(), next: Some(next(reader)) }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(future) = &mut self.next else { return Poll::Ready(None) };
        let (reader, piece) = std::task::ready!(future.as_mut().poll(context));
        self.next = matches!(piece, Some(Ok(_))).then(|| next(reader));
        Poll::Ready(piece)
    }
}

fn next(mut reader: Reader) -> Next {
    Box::pin(async move {
        let piece = reader.next().await;
        (reader, piece)
    })
}

impl std::fmt::Debug for ReaderOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReaderOutput").field("length", &self.length).finish_non_exhaustive()
    }
}
