//! The pack in an upstream's answer to a fetch (gitprotocol-v2, "fetch"): what is in the first side band, after the line that says so.

use std::io;

use bytes::{Bytes, BytesMut};
use doorward_wire::{PktLine, redact};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The bytes of a pack, read out of an answer. Ends with an error if the answer says that there is none, or breaks off.
pub(crate) fn pack(answer: impl AsyncRead + Send + Unpin) -> impl AsyncRead + Send {
    let reading = Reading { answer, bytes: BytesMut::new(), began: false, before: 0 };
    let pieces = futures_util::stream::try_unfold(reading, |mut reading| async move {
        Ok::<_, io::Error>(reading.next().await?.map(|piece| (piece, reading)))
    });
    tokio_util::io::StreamReader::new(pieces)
}

/// What an upstream says in the place of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    /// That it does not have what is wanted.
    #[error("{0}")]
    Absent(String),
    /// Something else, which may be trouble of its own.
    #[error("{0}")]
    Otherwise(String),
}

struct Reading<R> {
    answer: R,
    bytes: BytesMut,
    began: bool,
    /// Bytes that came before the pack.
    before: usize,
}

impl<R: AsyncRead + Unpin> Reading<R> {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let (kind, length) = match PktLine::read(&self.bytes).map_err(io::Error::other)? {
                None => {
                    if self.answer.read_buf(&mut self.bytes).await? == 0 {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer broke off"));
                    }
                    continue;
                }
                Some((PktLine::Flush | PktLine::ResponseEnd, _)) if self.began => return Ok(None),
                Some((PktLine::Flush | PktLine::ResponseEnd, _)) => {
                    return Err(io::Error::other("the answer has no pack"));
                }
                Some((PktLine::Delimiter, length)) => (None, length),
                Some((PktLine::Data(line), length)) => (line.first().copied(), length),
            };
            let line = self.bytes.split_to(length).freeze();
            let data = line.slice(4.min(line.len())..);
            if !self.began {
                self.before += length;
                if self.before > MOST_BEFORE {
                    return Err(io::Error::other("the answer has too much before its pack"));
                }
                if let Some(why) = data.strip_prefix(b"ERR ") {
                    return Err(refused(why));
                }
                // What comes before the pack is about other things.
                self.began = data.strip_suffix(b"\n").unwrap_or(&data) == b"packfile";
                continue;
            }
            match kind {
                // An empty piece is a sign of life.
                Some(1) if data.len() > 1 => return Ok(Some(data.slice(1..))),
                Some(3) => return Err(io::Error::other(in_words(&data[1..]))),
                _ => {}
            }
        }
    }
}

/// What an upstream said in the place of a pack. That it does not have what is wanted is told from trouble by its kind.
fn refused(why: &[u8]) -> io::Error {
    let why = in_words(why);
    // As git says it, and as JGit does.
    let is_absent = why.contains("not our ref") || why.starts_with("want ") && why.contains("not valid");
    io::Error::other(if is_absent { Refused::Absent(why) } else { Refused::Otherwise(why) })
}

/// What an upstream has said in the place of a pack, if an error is that.
pub(crate) fn refusal(error: &io::Error) -> Option<&Refused> {
    error.get_ref()?.downcast_ref()
}

fn in_words(said: &[u8]) -> String {
    redact(String::from_utf8_lossy(said).trim()).into_owned()
}

/// Bytes of what may come before a pack.
const MOST_BEFORE: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        lines.iter().for_each(|line| PktLine::write(line, &mut bytes));
        bytes
    }

    async fn read(answer: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Box::pin(pack(answer)).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    #[tokio::test]
    async fn the_pack_is_what_the_first_band_has() {
        let begin = lines(&[b"shallow-info\n", b"shallow 1"]);
        let rest = lines(&[b"packfile\n", b"\x02Counting\n", b"\x01PA", b"\x01", b"\x01CK"]);
        let answer = [&begin[..], b"0001", &rest, b"0000"].concat();
        assert_eq!(read(&answer).await.expect("a pack"), b"PACK");
        for length in 0..answer.len() {
            assert!(read(&answer[..length]).await.is_err(), "it breaks off after {length}");
        }
    }

    #[tokio::test]
    async fn what_the_upstream_says_instead_is_the_error() {
        let refused = lines(&[b"ERR upload-pack: not our ref 12\n"]);
        assert!(read(&refused).await.expect_err("none").to_string().contains("not our ref"));
        let died = lines(&[b"packfile\n", b"\x01PA", b"\x03out of memory\n"]);
        assert!(read(&died).await.expect_err("none").to_string().contains("out of memory"));
        assert!(read(b"0000").await.is_err() && read(b"<html>").await.is_err());
    }
}
