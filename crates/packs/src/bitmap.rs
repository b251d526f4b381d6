//! The bitmaps of a pack (gitformat-bitmap): of some of its commits, everything that they lead to.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::ewah::{Bits, after};
use crate::pack::Pack;
use crate::{Id, PackError};

/// The bitmaps of a pack.
#[derive(Debug)]
pub struct Bitmaps {
    bytes: Box<[u8]>,
    entries: Vec<Entry>,
    /// The entry of a commit, by its place in the pack's index.
    of: HashMap<u32, usize>,
    /// How many objects the pack has.
    objects: usize,
}

#[derive(Debug)]
struct Entry {
    /// Where its set begins.
    at: usize,
    /// It is stored as how it differs from the one so many before it; 0 if it is stored by itself.
    differs_from: u8,
}

impl Bitmaps {
    /// The bitmaps in a file; `None` if there is none, or one for another pack.
    pub(crate) fn open(path: &Path, pack: &Pack) -> Result<Option<Self>, PackError> {
        match fs::metadata(path) {
            Ok(data) if data.len() <= LARGEST => {}
            Ok(_) => return Err(PackError::TooMuch("a pack's bitmaps are larger than is held in memory")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let read = Self::read(fs::read(path)?, pack.index.count() as usize)?;
        Ok(if read.bytes[HEAD - Id::LENGTH..HEAD] == pack.trailer()? { Some(read) } else { None })
    }

    /// Reads the bitmaps of a pack of so many objects.
    ///
    /// # Errors
    /// [`PackError::Damaged`] if they are none.
    pub fn read(bytes: Vec<u8>, objects: usize) -> Result<Self, PackError> {
        let head = bytes.get(..HEAD).ok_or(DAMAGED)?;
        // Of every commit in it all is in the pack.
        let is_whole = head[7] & 1 == 1;
        if head[..6] != *b"BITM\0\x01" || !is_whole {
            return Err(DAMAGED);
        }
        let count = u32::from_be_bytes(head[8..12].try_into().map_err(|_| DAMAGED)?) as usize;
        // The sets of all commits, trees, files and tags come first.
        let mut rest = (0..4).try_fold(&bytes[HEAD..], |rest, _| after(rest))?;
        let (mut entries, mut of) = (Vec::new(), HashMap::new());
        for number in 0..count {
            let entry = rest.get(..6).ok_or(DAMAGED)?;
            let place = u32::from_be_bytes(entry[..4].try_into().map_err(|_| DAMAGED)?);
            let differs_from = entry[4];
            if usize::from(differs_from) > number || place as usize >= objects {
                return Err(DAMAGED);
            }
            of.insert(place, number);
            entries.push(Entry { at: bytes.len() - rest.len() + 6, differs_from });
            rest = after(&rest[6..])?;
        }
        Ok(Self { bytes: bytes.into(), entries, of, objects })
    }

    /// Everything that the commit at a place of the pack's index leads to; `None` if there is no bitmap of it.
    pub(crate) fn of(&self, place: u32) -> Result<Option<Bits>, PackError> {
        let Some(&number) = self.of.get(&place) else { return Ok(None) };
        self.set(number).map(Some)
    }

    /// Whether there is a bitmap of the commit at a place.
    pub(crate) fn has(&self, place: u32) -> bool {
        self.of.contains_key(&place)
    }

    fn set(&self, mut number: usize) -> Result<Bits, PackError> {
        let mut set = Bits::none(self.objects);
        loop {
            let entry = &self.entries[number];
            set.toggle_all(&Bits::read(&self.bytes[entry.at..], self.objects)?);
            if entry.differs_from == 0 {
                return Ok(set);
            }
            number -= usize::from(entry.differs_from);
        }
    }

    /// Reads all there is; for the fuzzer.
    ///
    /// # Errors
    /// [`PackError::Damaged`] if one of them is none.
    #[doc(hidden)]
    pub fn read_all(&self) -> Result<usize, PackError> {
        (0..self.entries.len()).try_fold(0, |sum, number| Ok(sum + self.set(number)?.count()))
    }

    /// Bytes of memory, about.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * 40
    }
}

const DAMAGED: PackError = PackError::Damaged("bitmaps cannot be read");
/// Bytes before the first set: a mark, a version, flags, how many, and the sum of the pack.
const HEAD: usize = 12 + Id::LENGTH;
/// Bytes of a file of bitmaps that is held in memory.
const LARGEST: u64 = 64 * 1024 * 1024;
