//! A pack (gitformat-pack): its entries, and where each begins and ends.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::bitmap::Bitmaps;
use crate::delta;
use crate::index::Index;
use crate::{Id, Kind, PackError};

/// A pack with its index.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) index: Index,
    length: u64,
    order: OnceLock<Order>,
    bitmaps: OnceLock<Option<Bitmaps>>,
}

/// The entries of a pack as they lie in it.
#[derive(Debug)]
pub(crate) struct Order {
    /// Where each begins.
    offsets: Box<[u64]>,
    /// The place of each in the index.
    places: Box<[u32]>,
    end: u64,
}

/// What an entry begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    pub(crate) form: Form,
    /// Bytes of what follows, inflated.
    pub(crate) size: u64,
    /// Bytes of the head itself.
    pub(crate) length: u64,
}

/// How an object is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole(Kind),
    /// As a delta of the entry that begins so many bytes before this one.
    DeltaBehind(u64),
    /// As a delta of an object.
    DeltaOf(Id),
}

impl Pack {
    /// Opens the pack whose index this is.
    pub(crate) fn open(index: &Path) -> Result<Self, PackError> {
        let path = index.with_extension("pack");
        let (file, index) = (File::open(&path)?, Index::open(index)?);
        let length = file.metadata()?.len();
        let mut head = [0; HEAD as usize];
        file.read_exact_at(&mut head, 0)?;
        let counted = head[..8] == *b"PACK\0\0\0\x02" && head[8..] == index.count().to_be_bytes();
        if !counted || length < HEAD + TRAILER {
            return Err(PackError::Damaged("a pack is not what its index says"));
        }
        Ok(Self { path, file, index, length, order: OnceLock::new(), bitmaps: OnceLock::new() })
    }

    /// Bytes of the whole file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What the entry at a place begins with.
    pub(crate) fn head(&self, offset: u64) -> Result<EntryHead, PackError> {
        let mut bytes = [0; LONGEST_HEAD];
        let read = self.file.read_at(&mut bytes, offset)?;
        EntryHead::read(&bytes[..read])
    }

    /// Its entries as they lie in it. Made when it is first needed.
    pub(crate) fn order(&self) -> Result<&Order, PackError> {
        if let Some(order) = self.order.get() {
            return Ok(order);
        }
        if self.index.count() > MOST {
            return Err(PackError::TooMuch("a pack has more objects than are put in order here"));
        }
        let offsets = self.index.all_offsets()?;
        let mut places: Vec<u32> = (0..self.index.count()).collect();
        places.sort_unstable_by_key(|place| offsets[*place as usize]);
        let offsets: Box<[u64]> = places.iter().map(|place| offsets[*place as usize]).collect();
        let end = self.length - TRAILER;
        let grows = offsets.windows(2).all(|pair| pair[0] < pair[1]);
        if !grows || offsets.first().is_some_and(|first| *first != HEAD) || offsets.last().is_some_and(|at| *at >= end)
        {
            return Err(PackError::Damaged("a pack's index has entries where none can be"));
        }
        Ok(self.order.get_or_init(|| Order { offsets, places: places.into(), end }))
    }

    /// What its commits lead to, if that is known.
    pub(crate) fn bitmaps(&self) -> Result<Option<&Bitmaps>, PackError> {
        if let Some(known) = self.bitmaps.get() {
            return Ok(known.as_ref());
        }
        let read = Bitmaps::open(&self.path.with_extension("bitmap"), self)?;
        Ok(self.bitmaps.get_or_init(|| read).as_ref())
    }

    /// The sum that ends it.
    pub(crate) fn trailer(&self) -> Result<[u8; TRAILER as usize], PackError> {
        let mut trailer = [0; TRAILER as usize];
        self.file.read_exact_at(&mut trailer, self.length - TRAILER)?;
        Ok(trailer)
    }

    /// Bytes of memory, about.
    pub(crate) fn size(&self) -> usize {
        let order = self.order.get().map_or(0, |order| order.offsets.len() * 12);
        let bitmaps = self.bitmaps.get().and_then(Option::as_ref).map_or(0, Bitmaps::size);
        4096 + self.index.size() + order + bitmaps
    }
}

impl Order {
    /// How many entries there are.
    pub(crate) fn count(&self) -> usize {
        self.offsets.len()
    }

    /// The rank of the entry that begins at an offset.
    pub(crate) fn rank(&self, offset: u64) -> Result<usize, PackError> {
        self.offsets.binary_search(&offset).map_err(|_| PackError::Damaged("no entry of a pack begins there"))
    }

    /// Where an entry begins.
    pub(crate) fn begin(&self, rank: usize) -> u64 {
        self.offsets[rank]
    }

    /// Where it ends.
    pub(crate) fn end(&self, rank: usize) -> u64 {
        self.offsets.get(rank + 1).copied().unwrap_or(self.end)
    }

    /// Its place in the index.
    pub(crate) fn place(&self, rank: usize) -> u32 {
        self.places[rank]
    }
}

impl EntryHead {
    /// Reads the head with which some bytes begin.
    ///
    /// # Errors
    /// [`PackError::Damaged`] if it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, PackError> {
        let damaged = || PackError::Damaged("an entry of a pack cannot be read");
        let (&first, mut rest) = bytes.split_first().ok_or_else(damaged)?;
        let mut size = u64::from(first & 0x0f);
        if first & 0x80 != 0 {
            let (more, after) = delta::size(rest).map_err(|_| damaged())?;
            size |= more.checked_mul(16).ok_or_else(damaged)?;
            rest = after;
        }
        let form = match first >> 4 & 7 {
            6 => {
                let mut distance = 0_u64;
                for place in 0.. {
                    let (&byte, after) = rest.split_first().ok_or_else(damaged)?;
                    rest = after;
                    // Each byte but the first stands for one more than it says, so that no distance can be written in two ways.
                    let before = if place == 0 { 0 } else { distance.checked_add(1).ok_or_else(damaged)? };
                    distance = before.checked_mul(128).ok_or_else(damaged)? | u64::from(byte & 0x7f);
                    if byte & 0x80 == 0 {
                        break;
                    }
                }
                Form::DeltaBehind(distance)
            }
            7 => {
                let (id, after) = rest.split_at_checked(Id::LENGTH).ok_or_else(damaged)?;
                rest = after;
                Form::DeltaOf(Id::from_bytes(id).ok_or_else(damaged)?)
            }
            number => Form::Whole(Kind::from_number(number).ok_or_else(damaged)?),
        };
        Ok(Self { form, size, length: (bytes.len() - rest.len()) as u64 })
    }

    /// Writes one.
    pub(crate) fn write(form: Form, size: u64, out: &mut Vec<u8>) {
        let number = match form {
            Form::Whole(kind) => kind.number(),
            Form::DeltaBehind(_) => 6,
            Form::DeltaOf(_) => 7,
        };
        let (mut byte, mut rest) = (number << 4 | (size & 0x0f) as u8, size >> 4);
        while rest > 0 {
            out.push(byte | 0x80);
            (byte, rest) = ((rest & 0x7f) as u8, rest >> 7);
        }
        out.push(byte);
        match form {
            Form::Whole(_) => {}
            Form::DeltaOf(id) => out.extend_from_slice(&id.0),
            Form::DeltaBehind(distance) => {
                let (mut bytes, mut rest) = (vec![(distance & 0x7f) as u8], distance >> 7);
                while rest > 0 {
                    rest -= 1;
                    bytes.push(0x80 | (rest & 0x7f) as u8);
                    rest >>= 7;
                }
                out.extend(bytes.iter().rev());
            }
        }
    }
}

/// Bytes before the first entry.
pub(crate) const HEAD: u64 = 12;
/// Bytes after the last one: the SHA-1 of all before.
pub(crate) const TRAILER: u64 = 20;
/// Bytes of the longest head: a size, and a distance or a name.
pub(crate) const LONGEST_HEAD: usize = 40;
/// How many objects of a pack are put in order at most, at twelve bytes each.
const MOST: u32 = 2_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_head_that_is_written_is_read_as_the_same(size: u64, distance: u64, id: [u8; 20], which in 0..6) {
            let size = size >> 8;
            let form = match which {
                0 => Form::DeltaBehind(distance >> 8),
                1 => Form::DeltaOf(Id(id)),
                2 => Form::Whole(Kind::Tag),
                3 => Form::Whole(Kind::Commit),
                4 => Form::Whole(Kind::Tree),
                _ => Form::Whole(Kind::Blob),
            };
            let mut bytes = Vec::new();
            EntryHead::write(form, size, &mut bytes);
            prop_assert!(bytes.len() <= LONGEST_HEAD);
            let head = EntryHead { form, size, length: bytes.len() as u64 };
            prop_assert_eq!(EntryHead::read(&bytes).expect("a head"), head);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = EntryHead::read(&bytes);
        }
    }
}
