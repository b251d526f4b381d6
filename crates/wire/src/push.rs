//! The head of a push: the list of ref updates that a client sends before its pack (gitprotocol-pack, "Reference
//! Update Request").

use std::fmt;

use thiserror::Error;

use crate::{PktError, PktLine, RefName, RefNameError};

/// What one push asks for, as it was sent. See [`PushHead::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushHead {
    /// The refs to create, move or delete. None is what git sends to find out whether it must authenticate.
    pub updates: Vec<UnverifiedUpdate>,
    /// What the client says it can do.
    pub capabilities: Vec<String>,
    /// Whether the client says where its own history is cut off.
    pub is_cut_off: bool,
}

/// One ref to create, move or delete, under a name that may not be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedUpdate {
    /// What the client believes the ref to be.
    pub old: ObjectId,
    /// What it shall be.
    pub new: ObjectId,
    /// The bytes that stand for its name.
    pub name: Vec<u8>,
}

/// One ref to create, move or delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// What the client believes the ref to be; null if it should not exist yet.
    pub old: ObjectId,
    /// What it shall be; null to delete it.
    pub new: ObjectId,
    /// The ref.
    pub name: RefName,
}

/// An object's name: 40 hexadecimal digits (SHA-1) or 64 (SHA-256).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ObjectId(Box<str>);

/// How much a push may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushLimits {
    /// Ref updates in one push.
    pub updates: usize,
    /// Components of a ref's name.
    pub ref_depth: usize,
    /// Bytes of all lines before the pack.
    pub head_bytes: usize,
}

/// Why the head of a push cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PushError {
    /// The bytes are no pkt-lines.
    #[error("the push cannot be read: {0}")]
    PktLine(#[from] PktError),
    /// A line is not one of those that may stand there.
    #[error("the push cannot be read: line {0} is not `OLD NEW REF`")]
    Line(usize),
    /// An object's name of a length that git does not have.
    #[error("the push cannot be read: line {0} has an object name that is not 40 or 64 hexadecimal digits")]
    ObjectId(usize),
    /// More bytes than [`PushLimits::head_bytes`].
    #[error("the list of refs in the push is longer than {0} bytes; push them in several parts")]
    TooLong(usize),
    /// A signed push, which was not offered.
    #[error("signed pushes are not supported; push without --signed")]
    Signed,
}

/// Why a push that can be read is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PushRefusal {
    /// A name that no ref can have.
    #[error("`{name}` cannot be pushed: {error}")]
    RefName {
        /// The name.
        name: String,
        /// What is wrong with it.
        error: RefNameError,
    },
    /// A name that is kept for the server.
    #[error("`{0}` cannot be pushed: refs below refs/doorward/ belong to the server")]
    Reserved(String),
    /// A ref is named twice.
    #[error("`{0}` is named twice in one push")]
    Twice(String),
    /// More updates than [`PushLimits::updates`].
    #[error("the push updates more than {0} refs; push them in several parts")]
    TooManyUpdates(usize),
    /// A name with more components than [`PushLimits::ref_depth`].
    #[error("`{name}` has more than {limit} components")]
    TooDeep {
        /// The ref.
        name: String,
        /// How many it may have.
        limit: usize,
    },
}

/// Reads the head of a push from bytes as they arrive, without ever holding more than its limit.
#[derive(Debug)]
pub struct PushHeadReader {
    limits: PushLimits,
    bytes: Vec<u8>,
    read: usize,
    lines: usize,
    section: Section,
    head: PushHead,
}

#[derive(Debug, PartialEq, Eq)]
enum Section {
    Updates,
    Options,
    Done,
}

impl PushHeadReader {
    /// A reader at the beginning of a push.
    pub fn new(limits: PushLimits) -> Self {
        let head = PushHead { updates: Vec::new(), capabilities: Vec::new(), is_cut_off: false };
        Self { limits, bytes: Vec::new(), read: 0, lines: 0, section: Section::Updates, head }
    }

    /// Takes in more bytes; `true` once the head is complete.
    ///
    /// # Errors
    /// [`PushError`] as soon as the head cannot be accepted any more.
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, PushError> {
        self.bytes.extend_from_slice(bytes);
        while self.section != Section::Done {
            let Some((line, length)) = PktLine::read(&self.bytes[self.read..])? else {
                return if self.bytes.len() > self.limits.head_bytes {
                    Err(PushError::TooLong(self.limits.head_bytes))
                } else {
                    Ok(false)
                };
            };
            let data = match line {
                PktLine::Flush => None,
                PktLine::Data(data) => Some(data.to_vec()),
                PktLine::Delimiter | PktLine::ResponseEnd => return Err(PushError::Line(self.lines + 1)),
            };
            self.read += length;
            if self.read > self.limits.head_bytes {
                return Err(PushError::TooLong(self.limits.head_bytes));
            }
            self.line(data.as_deref())?;
        }
        Ok(true)
    }

    /// What was read, the bytes it was read from, and those after it: the beginning of the pack.
    pub fn finish(mut self) -> (PushHead, Vec<u8>, Vec<u8>) {
        let pack = self.bytes.split_off(self.read);
        (self.head, self.bytes, pack)
    }

    fn line(&mut self, data: Option<&[u8]>) -> Result<(), PushError> {
        self.lines += 1;
        match (&self.section, data) {
            (Section::Updates, None) => {
                let options = self.head.capabilities.iter().any(|capability| capability == "push-options");
                self.section = if options { Section::Options } else { Section::Done };
            }
            (_, None) => self.section = Section::Done,
            (Section::Updates, Some(data)) => self.update_line(data)?,
            // Push options are for hooks, of which there are none; git gets them with the rest.
            (_, Some(_)) => {}
        }
        Ok(())
    }

    fn update_line(&mut self, data: &[u8]) -> Result<(), PushError> {
        let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
        let (command, capabilities) = data.split_at(end);
        let command = command.strip_suffix(b"\n").unwrap_or(command);
        if command.starts_with(b"push-cert") {
            return Err(PushError::Signed);
        }
        if let Some(id) = command.strip_prefix(b"shallow ") {
            self.head.is_cut_off = true;
            return ObjectId::parse(id).map(drop).ok_or(PushError::ObjectId(self.lines));
        }
        if self.head.updates.is_empty() {
            let text = String::from_utf8_lossy(capabilities);
            let words = text.trim_start_matches('\0').split_ascii_whitespace();
            self.head.capabilities = words.map(str::to_owned).collect();
        }
        let mut words = command.splitn(3, |byte| *byte == b' ');
        let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
            return Err(PushError::Line(self.lines));
        };
        let (Some(old), Some(new)) = (ObjectId::parse(old), ObjectId::parse(new)) else {
            return Err(PushError::ObjectId(self.lines));
        };
        self.head.updates.push(UnverifiedUpdate { old, new, name: name.to_vec() });
        Ok(())
    }
}

impl PushHead {
    /// Whether it asks for nothing more than that each of its refs is moved, for a history that is whole.
    pub fn is_plain(&self) -> bool {
        !self.is_cut_off && !self.capabilities.iter().any(|capability| capability == "atomic")
    }

    /// Whether the client takes progress and report on a side band of one answer.
    pub fn side_band(&self) -> bool {
        self.capabilities.iter().any(|capability| capability == "side-band-64k")
    }

    /// Whether the client takes a report of what became of each ref.
    pub fn report_status(&self) -> bool {
        self.capabilities.iter().any(|capability| matches!(capability.as_str(), "report-status" | "report-status-v2"))
    }

    /// The updates, if each of them may be asked for.
    ///
    /// # Errors
    /// [`PushRefusal`] for the first that may not.
    pub fn check(&self, limits: &PushLimits) -> Result<Vec<RefUpdate>, PushRefusal> {
        if self.updates.len() > limits.updates {
            return Err(PushRefusal::TooManyUpdates(limits.updates));
        }
        let updates: Vec<RefUpdate> =
            self.updates.iter().map(|update| update.check(limits)).collect::<Result<_, _>>()?;
        let mut names: Vec<&RefName> = updates.iter().map(|update| &update.name).collect();
        names.sort();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(PushRefusal::Twice(printable(pair[0].as_bytes()))),
            None => Ok(updates),
        }
    }
}

impl UnverifiedUpdate {
    fn check(&self, limits: &PushLimits) -> Result<RefUpdate, PushRefusal> {
        let name =
            RefName::parse(&self.name).map_err(|error| PushRefusal::RefName { name: printable(&self.name), error })?;
        if name.as_bytes().starts_with(b"refs/doorward/") {
            return Err(PushRefusal::Reserved(printable(&self.name)));
        }
        if name.depth() > limits.ref_depth {
            return Err(PushRefusal::TooDeep { name: printable(&self.name), limit: limits.ref_depth });
        }
        Ok(RefUpdate { old: self.old.clone(), new: self.new.clone(), name })
    }
}

/// A report as `git receive-pack` writes it (gitprotocol-pack, "Report Status"): what became of the pack, and of each ref, by its name,
/// why it was refused if it was; in the first side band, if the client takes bands.
pub fn push_report<'a>(
    unpack: &str,
    refs: impl Iterator<Item = (&'a [u8], Option<&'a str>)>,
    side_band: bool,
) -> Vec<u8> {
    let mut report = Vec::new();
    PktLine::write(format!("unpack {unpack}\n").as_bytes(), &mut report);
    for (name, refused) in refs {
        let line = match refused {
            None => [b"ok ", name, b"\n"].concat(),
            Some(why) => [b"ng ", name, b" ", why.as_bytes(), b"\n"].concat(),
        };
        PktLine::write(&line, &mut report);
    }
    report.extend_from_slice(b"0000");
    if !side_band {
        return report;
    }
    let mut banded: Vec<u8> =
        report.chunks(PktLine::LONGEST - 5).flat_map(|piece| PktLine::side_band(1, piece)).collect();
    banded.extend_from_slice(b"0000");
    banded
}

impl ObjectId {
    /// Reads an object's name.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let hexadecimal = matches!(text.len(), 40 | 64) && text.iter().all(u8::is_ascii_hexdigit);
        hexadecimal.then(|| Self(String::from_utf8_lossy(text).to_ascii_lowercase().into()))
    }

    /// Whether it is all zeros: no object.
    pub fn is_null(&self) -> bool {
        self.0.bytes().all(|digit| digit == b'0')
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

/// Foreign bytes as they may stand in a message: short, and without control characters.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(200).map(|c| if c.is_control() { '�' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NULL: &str = "0000000000000000000000000000000000000000";
    const LIMITS: PushLimits = PushLimits { updates: 3, ref_depth: 5, head_bytes: 2000 };

    fn bytes(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            match *line {
                "" => bytes.extend(b"0000"),
                line => PktLine::write(line.as_bytes(), &mut bytes),
            }
        }
        bytes
    }

    fn read(lines: &[&str]) -> Result<(PushHead, Vec<u8>), PushError> {
        let mut reader = PushHeadReader::new(LIMITS);
        let complete = reader.take(&bytes(lines))?;
        assert!(complete, "the head is not complete");
        let (head, _, pack) = reader.finish();
        Ok((head, pack))
    }

    #[test]
    fn updates_capabilities_and_options_are_read_and_the_pack_is_left() {
        let mut all = bytes(&[
            &format!("{NULL} {A} refs/heads/main\0 report-status side-band-64k push-options object-format=sha1"),
            &format!("shallow {A}\n"),
            &format!("{A} {NULL} refs/tags/v1\n"),
            "",
            "ci.skip",
            "",
        ]);
        all.extend(b"PACK....");
        let mut reader = PushHeadReader::new(LIMITS);
        for (place, byte) in all.iter().enumerate() {
            let complete = reader.take(&[*byte]).expect("well formed");
            assert_eq!(complete, place + 1 >= all.len() - 8, "at byte {place}");
        }
        let (head, raw, pack) = reader.finish();
        assert_eq!(pack, b"PACK....");
        assert_eq!([raw, pack].concat(), all);
        assert!(head.side_band() && head.updates[1].new.is_null());
        let updates = head.check(&LIMITS).expect("may be asked for");
        let names: Vec<_> = updates.iter().map(|update| update.name.to_string()).collect();
        assert_eq!(names, ["refs/heads/main", "refs/tags/v1"]);
    }

    #[test]
    fn a_probe_without_updates_is_an_empty_push() {
        let (head, pack) = read(&[""]).expect("well formed");
        assert!(head.updates.is_empty() && pack.is_empty());
    }

    #[test]
    fn what_cannot_be_read_says_which_line() {
        for (line, message) in [
            (format!("{NULL} {A}"), "the push cannot be read: line 1 is not `OLD NEW REF`"),
            ("0 1 refs/heads/main".into(), "the push cannot be read: line 1 has an object name"),
            ("push-cert\0 atomic".into(), "signed pushes are not supported"),
        ] {
            let error = read(&[&line, ""]).expect_err(&line).to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn what_may_not_be_pushed_is_refused_by_name() {
        for (name, message) in [
            ("HEAD", "`HEAD` cannot be pushed: a ref's name begins with refs/"),
            ("refs/heads/../../config", "`refs/heads/../../config` cannot be pushed: a ref's name has"),
            ("refs/heads/a\nb", "`refs/heads/a�b` cannot be pushed"),
            ("refs/doorward/x", "`refs/doorward/x` cannot be pushed: refs below refs/doorward/"),
            ("refs/heads/a/b/c/d", "`refs/heads/a/b/c/d` has more than 5 components"),
        ] {
            let (head, _) = read(&[&format!("{NULL} {A} {name}"), ""]).expect("can be read");
            let error = head.check(&LIMITS).expect_err(name).to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let main = format!("{NULL} {A} refs/heads/main");
        let (head, _) = read(&[&main, &main, ""]).expect("can be read");
        assert!(matches!(head.check(&LIMITS), Err(PushRefusal::Twice(_))));
    }

    #[test]
    fn a_push_cannot_grow_beyond_its_limits() {
        let line = |n| format!("{NULL} {A} refs/heads/b{n}");
        let (head, _) = read(&[&line(1), &line(2), &line(3), &line(4), ""]).expect("can be read");
        assert_eq!(head.check(&LIMITS), Err(PushRefusal::TooManyUpdates(3)));
        let long = format!("{NULL} {A} refs/heads/{}", "x".repeat(2000));
        assert_eq!(read(&[&long, ""]), Err(PushError::TooLong(2000)));
        let mut reader = PushHeadReader::new(LIMITS);
        let endless = bytes(&[&format!("{NULL} {A} refs/heads/a\0push-options"), ""]);
        assert_eq!(reader.take(&endless), Ok(false));
        let mut result = Ok(false);
        for _ in 0..1000 {
            result = result.and_then(|_| reader.take(&bytes(&["option"])));
        }
        assert_eq!(result, Err(PushError::TooLong(2000)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..5)) {
            let mut reader = PushHeadReader::new(LIMITS);
            for chunk in chunks {
                if reader.take(&chunk) != Ok(false) {
                    break;
                }
            }
        }
    }
}
