//! Sorts what `git receive-pack` writes: progress goes on at once, the report is held back until the push is durable.

use bytes::{Bytes, BytesMut};
use doorward_wire::PktLine;

/// Splits an answer as it arrives.
///
/// With a side band, each pkt-line begins with its band: 1 is the report, 2 progress, 3 a fatal error
/// (gitprotocol-common, "side-band"). Without one, everything is the report.
#[derive(Debug)]
pub(crate) struct ReportSplitter {
    side_band: bool,
    unread: BytesMut,
    held: BytesMut,
    report: Vec<u8>,
}

/// What became of one ref, from the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportedRef {
    pub(crate) name: Vec<u8>,
    /// `None` if it was updated, else why not.
    pub(crate) refused: Option<String>,
}

impl ReportSplitter {
    pub(crate) fn new(side_band: bool) -> Self {
        Self { side_band, unread: BytesMut::new(), held: BytesMut::new(), report: Vec::new() }
    }

    /// Takes in bytes and returns those that may go on at once.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Bytes {
        if !self.side_band {
            self.held.extend_from_slice(bytes);
            self.report.extend_from_slice(bytes);
            return Bytes::new();
        }
        self.unread.extend_from_slice(bytes);
        let mut onward = BytesMut::new();
        while let Ok(Some((line, length))) = PktLine::read(&self.unread) {
            let progress = match line {
                // An empty piece of the report is git's sign of life while it works.
                PktLine::Data([1]) => true,
                PktLine::Data([1, report @ ..]) => {
                    self.report.extend_from_slice(report);
                    false
                }
                PktLine::Data(_) => true,
                _ => false,
            };
            let line = self.unread.split_to(length);
            if progress { onward.unsplit(line) } else { self.held.unsplit(line) }
        }
        onward.freeze()
    }

    /// What was held back, with whatever could not be read; and what it says.
    pub(crate) fn finish(mut self) -> (Bytes, Vec<ReportedRef>) {
        self.held.unsplit(self.unread);
        (self.held.freeze(), reported(&self.report))
    }
}

/// The refs in a report: `unpack …`, then `ok REF` or `ng REF REASON` for each (gitprotocol-pack, "Report Status").
fn reported(mut report: &[u8]) -> Vec<ReportedRef> {
    let mut refs = Vec::new();
    while let Ok(Some((line, length))) = PktLine::read(report) {
        report = &report[length..];
        let PktLine::Data(data) = line else { continue };
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        if let Some(name) = data.strip_prefix(b"ok ") {
            refs.push(ReportedRef { name: name.to_vec(), refused: None });
        } else if let Some(rest) = data.strip_prefix(b"ng ") {
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            let reason = String::from_utf8_lossy(&rest[end..]).trim().to_owned();
            refs.push(ReportedRef { name: rest[..end].to_vec(), refused: Some(reason) });
        }
    }
    refs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_goes_on_and_the_report_is_held() {
        let mut report = Vec::new();
        PktLine::write(b"unpack ok\n", &mut report);
        PktLine::write(b"ok refs/heads/main\n", &mut report);
        PktLine::write(b"ng refs/heads/x no such object\n", &mut report);
        report.extend(b"0000");
        let mut answer = Vec::new();
        PktLine::write(b"\x02working\n", &mut answer);
        PktLine::write(b"\x01", &mut answer);
        let progress = answer.clone();
        PktLine::write(&[&[1], report.as_slice()].concat(), &mut answer);
        answer.extend(b"0000");

        let mut splitter = ReportSplitter::new(true);
        let onward: Vec<u8> = answer.iter().flat_map(|byte| splitter.take(&[*byte])).collect();
        assert_eq!(onward, progress);
        let (held, refs) = splitter.finish();
        assert_eq!(held, answer[progress.len()..]);
        assert_eq!(refs[0], ReportedRef { name: b"refs/heads/main".to_vec(), refused: None });
        assert_eq!(refs[1], ReportedRef { name: b"refs/heads/x".to_vec(), refused: Some("no such object".into()) });
    }

    #[test]
    fn without_a_side_band_everything_is_held() {
        let mut splitter = ReportSplitter::new(false);
        assert!(splitter.take(b"0016ok refs/heads/main\n").is_empty());
        let (held, _) = splitter.finish();
        assert_eq!(held, b"0016ok refs/heads/main\n"[..]);
    }
}
