//! An answer to a fetch that is made here, of the packs as they lie, without git (gitprotocol-v2, "fetch").

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use doorward_packs::{Client, Id, Objects, PackError, Reader, Selection, difference, everything, write};
use doorward_wire::{FetchRequest, PktLine};

use crate::refs::Snapshot;

/// Makes the answer, and gives it away piece by piece.
///
/// All that is wanted must be there. Of a client whose own history is cut off or has gaps nothing may be asked.
///
/// # Errors
/// [`PackError`] if git has to be asked, or if a piece is not taken. Nothing was given away before all that may be amiss was looked at,
/// but for a disk that fails meanwhile.
pub(super) fn make(
    objects: &Objects,
    request: &FetchRequest,
    refs: &Snapshot,
    stop: Arc<AtomicBool>,
    put: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), PackError> {
    let mut reader = objects.reader()?.stop_by(stop);
    let (wants, haves) = (ids(request.wants())?, ids(request.haves())?);
    let everywhere = request.takes_side_band_anywhere();
    let mut out = Frames { put, before: Vec::new(), frame: Vec::with_capacity(FRAME), everywhere };
    let mut selection = if haves.is_empty() {
        everything(&mut reader, &wants)?
    } else {
        let found = difference(&mut reader, &wants, &haves)?;
        let is_over = request.is_done() || (found.is_bounded && !request.waits_for_done());
        let selection = match (is_over, found.common.is_empty()) {
            (false, _) => None,
            (true, true) => Some(everything(&mut reader, &wants)?),
            (true, false) => Some(found.select(&mut reader)?),
        };
        if !request.is_done() {
            out.line(b"acknowledgments\n");
            if found.common.is_empty() {
                out.line(b"NAK\n");
            }
            for have in &found.common {
                out.line(format!("ACK {have}\n").as_bytes());
            }
            if is_over {
                out.line(b"ready\n");
            }
        }
        let Some(selection) = selection else { return out.end() };
        if !request.is_done() {
            out.before.extend_from_slice(b"0001");
        }
        selection
    };
    if request.includes_tags() {
        selection.add_tags(&mut reader, &tags(refs)?)?;
    }
    send(&mut reader, &selection, request, out)
}

fn send(
    reader: &mut Reader<'_>,
    selection: &Selection,
    request: &FetchRequest,
    mut out: Frames<impl FnMut(&[u8]) -> io::Result<()>>,
) -> Result<(), PackError> {
    out.line(b"packfile\n");
    if request.wants_progress() {
        let text = format!("Total {}, as they lie\n", selection.count());
        out.before.extend(PktLine::side_band(2, text.as_bytes()));
    }
    let client = Client { thin: request.takes_thin_packs(), offsets: request.takes_offsets() };
    write(reader, selection, client, |piece| out.pack(piece))?;
    out.end()
}

/// Pairs of an annotated tag and what it leads to in the end.
fn tags(refs: &Snapshot) -> Result<Vec<(Id, Id)>, PackError> {
    let mut tags = Vec::new();
    let mut whole = true;
    refs.walk(b"refs/tags/", None, |named| {
        if let Some(peeled) = named.peeled {
            match (Id::from_hex(named.id), Id::from_hex(peeled)) {
                (Some(tag), Some(peeled)) => tags.push((tag, peeled)),
                _ => whole = false,
            }
        }
        whole
    });
    if whole { Ok(tags) } else { Err(STRANGE) }
}

fn ids<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Id>, PackError> {
    names.map(|name| Id::from_hex(name).ok_or(STRANGE)).collect()
}

/// Packets of the protocol. A pack comes in the first of three bands (gitprotocol-common, "side-band").
struct Frames<P> {
    put: P,
    /// What goes out with the first packet of the pack: until then git can still be asked instead.
    before: Vec<u8>,
    /// What of a pack has not been given away yet, as a packet whose length is still to be written.
    frame: Vec<u8>,
    /// Whether every line comes in a band.
    everywhere: bool,
}

impl<P: FnMut(&[u8]) -> io::Result<()>> Frames<P> {
    fn line(&mut self, line: &[u8]) {
        match self.everywhere {
            true => self.before.extend(PktLine::side_band(1, line)),
            false => PktLine::write(line, &mut self.before),
        }
    }

    fn pack(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            if self.frame.is_empty() {
                self.frame.extend_from_slice(b"0000\x01");
            }
            let length = piece.len().min(FRAME - self.frame.len());
            self.frame.extend_from_slice(&piece[..length]);
            piece = &piece[length..];
            if self.frame.len() == FRAME {
                self.give()?;
            }
        }
        Ok(())
    }

    /// Gives away what there is.
    fn give(&mut self) -> io::Result<()> {
        if !self.before.is_empty() {
            (self.put)(&std::mem::take(&mut self.before))?;
        }
        if self.frame.is_empty() {
            return Ok(());
        }
        let length = format!("{:04x}", self.frame.len());
        self.frame[..4].copy_from_slice(length.as_bytes());
        let given = (self.put)(&self.frame);
        self.frame.clear();
        given
    }

    fn end(mut self) -> Result<(), PackError> {
        self.give().and_then(|()| (self.put)(b"0000")).map_err(PackError::Write)
    }
}

/// Bytes of the longest packet: the most that git takes.
const FRAME: usize = 65_520;
const STRANGE: PackError = PackError::TooMuch("names that are no SHA-1");
