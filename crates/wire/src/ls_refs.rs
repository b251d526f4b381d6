//! A question for refs in version 2 of the protocol (gitprotocol-v2, "ls-refs").

use crate::PktLine;

/// What a client wants to have listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// What tags lead to is wanted.
    pub peel: bool,
    /// What symbolic refs stand for is wanted.
    pub symrefs: bool,
    /// HEAD is wanted also if it leads to nothing.
    pub unborn: bool,
    /// Names of which those that are wanted begin with one; all, if there is none. In order, and none begins with another.
    pub prefixes: Vec<Box<[u8]>>,
    /// The format of objects that the client counts on; SHA-1, if it names none.
    pub format: Option<Box<str>>,
}

/// What the beginning of a request turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListQuestion {
    /// A question for refs.
    Refs(Box<ListRequest>),
    /// Something else, or nothing that can be read: git has to say.
    Other,
    /// It takes more bytes to tell.
    More,
}

impl ListRequest {
    /// Reads what has come of a request so far.
    pub fn read(bytes: &[u8]) -> ListQuestion {
        let (mut rest, mut lines, mut arguments) = (bytes, 0, false);
        let (mut request, mut prefixes) = (Self::default(), Vec::new());
        loop {
            let (line, length) = match PktLine::read(rest) {
                Ok(Some(read)) => read,
                Ok(None) if lines > 0 || COMMAND_LINE.starts_with(&rest[..rest.len().min(COMMAND_LINE.len())]) => {
                    return ListQuestion::More;
                }
                Ok(None) | Err(_) => return ListQuestion::Other,
            };
            rest = &rest[length..];
            lines += 1;
            let line = match line {
                PktLine::Data(line) => line.strip_suffix(b"\n").unwrap_or(line),
                PktLine::Delimiter if lines > 1 && !arguments => {
                    arguments = true;
                    continue;
                }
                // What comes after the end is another question.
                PktLine::Flush if lines > 1 && rest.is_empty() => break,
                _ => return ListQuestion::Other,
            };
            match (lines, arguments, line) {
                (1, _, b"command=ls-refs") => {}
                (1, ..) => return ListQuestion::Other,
                (_, false, line) => match line.strip_prefix(b"object-format=") {
                    Some(format) => request.format = Some(String::from_utf8_lossy(format).into()),
                    None if is_harmless(line) => {}
                    None => return ListQuestion::Other,
                },
                (_, true, b"peel") => request.peel = true,
                (_, true, b"symrefs") => request.symrefs = true,
                (_, true, b"unborn") => request.unborn = true,
                (_, true, line) => match line.strip_prefix(b"ref-prefix ") {
                    Some(prefix) => prefixes.push(Box::from(prefix)),
                    None => return ListQuestion::Other,
                },
            }
        }
        request.prefixes = prefixes;
        request.prefixes.sort();
        request.prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter));
        ListQuestion::Refs(Box::new(request))
    }
}

/// Whether a capability changes nothing about the answer.
fn is_harmless(capability: &[u8]) -> bool {
    [&b"agent="[..], b"session-id=", b"server-option="].iter().any(|known| capability.starts_with(known))
}

const COMMAND_LINE: &[u8] = b"0014command=ls-refs\n";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_for_refs_is_told_from_others_as_soon_as_it_can_be() {
        let mut whole = Vec::new();
        for line in [&b"command=ls-refs\n"[..], b"agent=git/2.47.3"] {
            PktLine::write(line, &mut whole);
        }
        whole.extend_from_slice(b"0001");
        for line in [&b"peel"[..], b"ref-prefix refs/heads/\n", b"ref-prefix HEAD", b"ref-prefix refs/heads/a"] {
            PktLine::write(line, &mut whole);
        }
        whole.extend_from_slice(b"0000");
        let ListQuestion::Refs(request) = ListRequest::read(&whole) else { panic!("{:?}", ListRequest::read(&whole)) };
        assert!(request.peel && !request.symrefs && !request.unborn);
        assert_eq!(request.prefixes, [Box::from(&b"HEAD"[..]), Box::from(&b"refs/heads/"[..])]);
        for length in 0..whole.len() {
            assert_eq!(ListRequest::read(&whole[..length]), ListQuestion::More, "{length}");
        }
        for other in [&b"0012command=fetch\n"[..], b"0011command=fetch", b"0000", b"PACK", b"0032want 0123456789"] {
            assert_eq!(ListRequest::read(other), ListQuestion::Other, "{}", String::from_utf8_lossy(other));
        }
        let unknown = b"0014command=ls-refs\n0001000anonsens0000";
        assert_eq!(ListRequest::read(unknown), ListQuestion::Other);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ListRequest::read(&bytes);
            let mut with_command = COMMAND_LINE.to_vec();
            with_command.extend(bytes);
            let _ = ListRequest::read(&with_command);
        }
    }
}
