//! A part of a file: `Range: bytes=…` (RFC 9110, section 14). One part at a time; who asks for several gets the whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::header::{IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use futures_core::Stream;

use crate::refusal::Refusal;

/// What of a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Whole,
    /// So many bytes from a place on.
    Part { first: u64, length: u64 },
    /// Something beyond its end.
    Nothing,
}

impl Wanted {
    /// What a request asks for of a file of `size` bytes. What cannot be read is passed over, as the RFC has it; so is a range that
    /// was asked for if the file is another one than the caller knows.
    pub(crate) fn read(headers: &HeaderMap, size: u64, etag: &str) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if text(IF_RANGE).is_some_and(|known| known.trim() != etag) {
            return Self::Whole;
        }
        let range = text(RANGE).and_then(|range| range.trim().strip_prefix("bytes="));
        let Some((first, last)) = range.and_then(|range| range.split_once('-')) else { return Self::Whole };
        let (first, last) = (first.trim(), last.trim());
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(first) || !is_number(last) || (first.is_empty() && last.is_empty()) {
            return Self::Whole;
        }
        // A number that is too large for us is beyond the end of every file.
        let number = |text: &str| text.parse().unwrap_or(u64::MAX);
        let (first, end) = match (first.is_empty(), last.is_empty()) {
            (true, _) => (size.saturating_sub(number(last)), size),
            (false, true) => (number(first), size),
            (false, false) if number(last) < number(first) => return Self::Whole,
            (false, false) => (number(first), number(last).saturating_add(1).min(size)),
        };
        match end.checked_sub(first) {
            Some(length @ 1..) => Self::Part { first, length },
            _ => Self::Nothing,
        }
    }
}

/// What tells which part of how much an answer is.
pub(crate) fn content_range(first: u64, length: u64, size: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("bytes {first}-{}/{size}", first + length - 1)).ok()
}

/// What is said to whoever asks for what is beyond the end of something.
pub(crate) fn beyond(what: &str, size: u64) -> Refusal {
    let sentence = format!("the {what} has {size} bytes, and none of those that were asked for");
    Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_there", sentence, "ask for a part of what there is")
}

/// The part of a stream that is wanted. It ends there, and with it whoever makes the rest.
pub(super) struct Window<S> {
    inner: S,
    skip: u64,
    left: u64,
}

impl<S> Window<S> {
    pub(super) fn new(inner: S, first: u64, length: u64) -> Self {
        Self { inner, skip: first, left: length }
    }
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Stream for Window<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while self.left > 0 {
            let mut bytes = match Pin::new(&mut self.inner).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => bytes,
                other => return other,
            };
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            let mut bytes = bytes.split_off(skipped);
            bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= bytes.len() as u64;
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Wanted::{Nothing, Part, Whole};
    use axum::http::HeaderValue;

    #[test]
    fn what_is_asked_for_is_read_as_the_rfc_has_it() {
        let part = |first, length| Part { first, length };
        for (range, wanted) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-5", part(2, 4)),
            ("bytes=8-", part(8, 2)),
            ("bytes=8-99999999999999999999999", part(8, 2)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-99", part(0, 10)),
            ("bytes=10-", Nothing),
            ("bytes=99999999999999999999999-", Nothing),
            ("bytes=-0", Nothing),
            ("bytes=5-2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=x-", Whole),
            ("bytes=-", Whole),
            ("lines=1-2", Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static(range));
            assert_eq!(Wanted::read(&headers, 10, "\"a\""), wanted, "{range}");
            headers.insert(IF_RANGE, HeaderValue::from_static("\"b\""));
            assert_eq!(Wanted::read(&headers, 10, "\"a\""), Whole, "{range}");
        }
    }
}
