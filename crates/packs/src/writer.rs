//! Writes a pack (gitformat-pack): what is selected, most of it as it lies in the packs that are there.
//!
//! Everything is read or looked at that may be amiss before the first byte is written.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest, Sha1};

use crate::pack::{EntryHead, Form, HEAD, LONGEST_HEAD, Pack};
use crate::reader::{Object, Place, Reader};
use crate::selection::{Base, rank};
use crate::{Id, PackError, Selection};

/// What a client takes in a pack (gitprotocol-v2, "fetch").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Deltas of objects that it has (`thin-pack`).
    pub thin: bool,
    /// Deltas that name their base by how far it is before them (`ofs-delta`).
    pub offsets: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Objects.
    pub objects: u64,
    /// Bytes of the pack.
    pub bytes: u64,
}

/// Writes what is selected as one pack, piece by piece.
///
/// # Errors
/// [`PackError::Write`] if a piece is not taken. Any other before the first piece, or if a file changes meanwhile.
pub fn write(
    reader: &mut Reader<'_>,
    selection: &Selection,
    client: Client,
    take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<Written, PackError> {
    let objects = selection.count() as u64;
    let count = u32::try_from(objects).map_err(|_| PackError::TooMuch("more objects than a pack can have"))?;
    let mut out = Out { take, sum: Sha1::new(), at: 0 };
    if client.offsets
        && let Some((file, length)) = selection.whole_pack(reader)?
    {
        out.copy(&file, 0, length, false)?;
        return Ok(Written { objects, bytes: out.at });
    }
    let base = match &selection.base {
        Some(base) => base_pieces(reader, base, client)?,
        None => Vec::new(),
    };
    let mut places = HashMap::with_capacity(selection.chosen.len());
    for id in &selection.chosen {
        places.insert(*id, reader.place(id)?);
    }
    let chosen = selection.chosen.iter().map(|id| Ok((*id, how(reader, selection, client, (id, &places))?)));
    let chosen = chosen.collect::<Result<Vec<_>, PackError>>()?;

    let mut head = b"PACK\0\0\0\x02".to_vec();
    head.extend_from_slice(&count.to_be_bytes());
    out.put(&head)?;
    for piece in &base {
        match piece {
            Piece::Lying { begin, end } => {
                let pack = selection.base.as_ref().map(|base| Arc::clone(&reader.packs[base.pack]));
                let pack = pack.ok_or(PackError::Damaged("a pack is gone"))?;
                out.copy(&pack.file, *begin, *end, true)?;
            }
            Piece::Made(bytes) => out.put(bytes)?,
        }
    }
    let mut written: HashMap<Id, u64> = HashMap::new();
    for (id, how) in chosen {
        let begin = out.at;
        match how {
            How::Lying { pack, begin, end } => out.copy(&Arc::clone(&reader.packs[pack]).file, begin, end, true)?,
            How::Delta { pack, of, size, begin, end } => {
                let form = match written.get(&of).filter(|_| client.offsets) {
                    Some(base) => Form::DeltaBehind(out.at - base),
                    None => Form::DeltaOf(of),
                };
                let mut head = Vec::with_capacity(LONGEST_HEAD);
                EntryHead::write(form, size, &mut head);
                out.put(&head)?;
                out.copy(&Arc::clone(&reader.packs[pack]).file, begin, end, true)?;
            }
            How::Anew => {
                let object = reader.read(&id)?;
                out.put(&anew(&object)?)?;
            }
        }
        written.insert(id, begin);
    }
    let sum: [u8; 20] = out.sum.finalize_reset().into();
    out.put(&sum)?;
    Ok(Written { objects, bytes: out.at })
}

/// A part of what is taken of one pack.
enum Piece {
    /// As it lies there.
    Lying {
        begin: u64,
        end: u64,
    },
    Made(Vec<u8>),
}

/// How an object is written.
enum How {
    /// As it lies in a pack.
    Lying { pack: usize, begin: u64, end: u64 },
    /// As the delta that lies there, with a head of its own.
    Delta { pack: usize, of: Id, size: u64, begin: u64, end: u64 },
    /// From what it holds.
    Anew,
}

/// What is taken of a pack, in its order. Entries that name their base by how far it is before them are written again where
/// something between the two is left out.
fn base_pieces(reader: &mut Reader<'_>, base: &Base, client: Client) -> Result<Vec<Piece>, PackError> {
    let pack = Arc::clone(&reader.packs[base.pack]);
    let order = pack.order()?;
    let mut pieces = Pieces { done: Vec::new(), run: None, at: HEAD, shifts: vec![(0, 0)], made: 0 };
    let mut heads = Heads::new(&pack);
    let all = base.bits.is_full() && client.offsets;
    for rank in (0..order.count()).filter(|rank| base.bits.has(*rank)) {
        let (begin, end) = (order.begin(rank), order.end(rank));
        if all {
            pieces.lying(begin, end);
            continue;
        }
        let head = heads.at(begin)?;
        check(begin, head, end)?;
        let of = match head.form {
            Form::Whole(_) => None,
            Form::DeltaBehind(distance) => {
                Some(begin.checked_sub(distance).ok_or(PackError::Damaged("a delta has no base"))?)
            }
            Form::DeltaOf(id) => {
                let place = pack.index.find(&id)?.ok_or(PackError::Damaged("a delta has no base"))?;
                Some(pack.index.offset(place)?)
            }
        };
        let Some(of) = of else {
            pieces.lying(begin, end);
            continue;
        };
        let base_rank = order.rank(of)?;
        if !base.bits.has(base_rank) {
            let object = reader.read_at(base.pack, begin)?;
            pieces.made(begin, anew(&object)?)?;
            continue;
        }
        let form = match head.form {
            Form::DeltaBehind(_) if client.offsets => {
                let distance =
                    pieces.at.checked_sub(pieces.moved(of)).ok_or(PackError::Damaged("a delta has no base"))?;
                Form::DeltaBehind(distance)
            }
            Form::DeltaBehind(_) => Form::DeltaOf(pack.index.id(order.place(base_rank))?),
            other => other,
        };
        if form == head.form {
            pieces.lying(begin, end);
        } else {
            let mut bytes = Vec::with_capacity(LONGEST_HEAD);
            EntryHead::write(form, head.size, &mut bytes);
            pieces.headed(begin, bytes, begin + head.length, end)?;
        }
    }
    Ok(pieces.finish())
}

/// The pieces of a pack that are taken so far.
struct Pieces {
    done: Vec<Piece>,
    run: Option<(u64, u64)>,
    /// Where in the new pack the next one will be.
    at: u64,
    /// From which offset in the old pack on what is taken has moved by how much.
    shifts: Vec<(u64, i64)>,
    /// Bytes that were made.
    made: usize,
}

impl Pieces {
    fn lying(&mut self, begin: u64, end: u64) {
        self.note(begin);
        self.extend(begin, end);
        self.at += end - begin;
    }

    fn headed(&mut self, begin: u64, head: Vec<u8>, data: u64, end: u64) -> Result<(), PackError> {
        self.note(begin);
        self.at += head.len() as u64 + (end - data);
        self.put(head)?;
        self.extend(data, end);
        Ok(())
    }

    fn made(&mut self, begin: u64, bytes: Vec<u8>) -> Result<(), PackError> {
        self.note(begin);
        self.at += bytes.len() as u64;
        self.put(bytes)
    }

    fn extend(&mut self, begin: u64, end: u64) {
        match &mut self.run {
            Some((_, before)) if *before == begin => *before = end,
            _ => {
                self.flush();
                self.run = Some((begin, end));
            }
        }
    }

    fn put(&mut self, bytes: Vec<u8>) -> Result<(), PackError> {
        self.flush();
        self.made += bytes.len();
        if self.made > MOST_MADE {
            return Err(PackError::TooMuch("more of a pack has to be made anew than is held in memory"));
        }
        match self.done.last_mut() {
            Some(Piece::Made(last)) => last.extend_from_slice(&bytes),
            _ => self.done.push(Piece::Made(bytes)),
        }
        Ok(())
    }

    fn flush(&mut self) {
        self.done.extend(self.run.take().map(|(begin, end)| Piece::Lying { begin, end }));
    }

    fn note(&mut self, begin: u64) {
        let shift = self.at.cast_signed() - begin.cast_signed();
        if self.shifts.last().is_none_or(|(_, last)| *last != shift) {
            self.shifts.push((begin, shift));
        }
    }

    /// Where an entry that was taken is in the new pack.
    fn moved(&self, offset: u64) -> u64 {
        let after = self.shifts.partition_point(|(from, _)| *from <= offset);
        offset.wrapping_add_signed(self.shifts[after - 1].1)
    }

    fn finish(mut self) -> Vec<Piece> {
        self.flush();
        self.done
    }
}

/// Reads the heads of entries one after the other.
struct Heads<'p> {
    pack: &'p Pack,
    buffer: Vec<u8>,
    from: u64,
    filled: usize,
}

impl<'p> Heads<'p> {
    fn new(pack: &'p Pack) -> Self {
        Self { pack, buffer: vec![0; HEADS], from: 0, filled: 0 }
    }

    fn at(&mut self, offset: u64) -> Result<EntryHead, PackError> {
        let is_here = offset >= self.from && offset + LONGEST_HEAD as u64 <= self.from + self.filled as u64;
        if !is_here {
            self.from = offset;
            self.filled = self.pack.file.read_at(&mut self.buffer, offset)?;
        }
        EntryHead::read(&self.buffer[(offset - self.from) as usize..self.filled])
    }
}

/// How an object that is packed by itself is best written. All those have one place each from which they are taken: else one might
/// be written as a delta of another, and that as one of the first.
fn how(
    reader: &mut Reader<'_>,
    selection: &Selection,
    client: Client,
    (id, places): (&Id, &HashMap<Id, Place>),
) -> Result<How, PackError> {
    let Some(&Place::Packed(place, offset)) = places.get(id) else {
        reader.read(id)?;
        return Ok(How::Anew);
    };
    let pack = Arc::clone(&reader.packs[place]);
    let head = pack.head(offset)?;
    let order = pack.order()?;
    let end = order.end(order.rank(offset)?);
    check(offset, head, end)?;
    let (of, at) = match head.form {
        Form::Whole(_) => return Ok(How::Lying { pack: place, begin: offset, end }),
        Form::DeltaBehind(distance) => {
            let at = offset.checked_sub(distance).ok_or(PackError::Damaged("a delta has no base"))?;
            (pack.index.id(order.place(order.rank(at)?))?, at)
        }
        Form::DeltaOf(of) => {
            let found = pack.index.find(&of)?.ok_or(PackError::Damaged("a delta has no base"))?;
            (of, pack.index.offset(found)?)
        }
    };
    let is_packed = match places.get(&of) {
        Some(base) => *base == Place::Packed(place, at),
        None => match &selection.base {
            Some(base) => rank(reader, base.pack, &of)?.is_some_and(|rank| base.bits.has(rank)),
            None => false,
        },
    };
    if is_packed || (client.thin && selection.there.contains(&of) && !places.contains_key(&of)) {
        return Ok(How::Delta { pack: place, of, size: head.size, begin: offset + head.length, end });
    }
    reader.read_at(place, offset)?;
    Ok(How::Anew)
}

/// Sees to it that an entry is not shorter than its head.
fn check(begin: u64, head: EntryHead, end: u64) -> Result<(), PackError> {
    if begin + head.length < end { Ok(()) } else { Err(PackError::Damaged("an entry of a pack ends too soon")) }
}

/// An entry made from what an object holds.
fn anew(object: &Object) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::with_capacity(object.bytes.len() / 2 + LONGEST_HEAD);
    EntryHead::write(Form::Whole(object.kind), object.bytes.len() as u64, &mut bytes);
    let mut encoder = ZlibEncoder::new(bytes, Compression::default());
    encoder.write_all(&object.bytes).and_then(|()| encoder.finish()).map_err(PackError::Write)
}

/// Where the pack goes.
struct Out<T> {
    take: T,
    sum: Sha1,
    at: u64,
}

impl<T: FnMut(&[u8]) -> io::Result<()>> Out<T> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.sum.update(bytes);
        self.at += bytes.len() as u64;
        (self.take)(bytes).map_err(PackError::Write)
    }

    /// Copies a part of a file; it counts for the sum, unless it has one of its own.
    fn copy(&mut self, file: &File, begin: u64, end: u64, is_summed: bool) -> Result<(), PackError> {
        let mut buffer = vec![0; usize::try_from(end - begin).map_or(PIECE, |length| length.min(PIECE))];
        let mut at = begin;
        while at < end {
            let length = usize::try_from(end - at).map_or(buffer.len(), |rest| rest.min(buffer.len()));
            let piece = &mut buffer[..length];
            file.read_exact_at(piece, at)?;
            if is_summed {
                self.sum.update(&piece);
            }
            self.at += length as u64;
            (self.take)(piece).map_err(PackError::Write)?;
            at += length as u64;
        }
        Ok(())
    }
}

/// Bytes that are copied at once.
const PIECE: usize = 128 * 1024;
/// Bytes in which heads of entries are looked for at once.
const HEADS: usize = 4096;
/// Bytes of a pack that are made anew before the first is written.
const MOST_MADE: usize = 16 * 1024 * 1024;
