//! The index of a pack (gitformat-pack, "pack-*.idx files"): where in the pack an object is.
//!
//! A small index is held in memory. Of a large one the piece is read in which a name must be, since names are spread evenly.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::{Id, PackError};

/// The index of a pack, in version 2.
#[derive(Debug)]
pub(crate) struct Index {
    bytes: Bytes,
    /// How many names begin with each byte or a smaller one.
    fanout: Box<[u32; 256]>,
    /// Bytes of the whole file.
    length: u64,
}

#[derive(Debug)]
enum Bytes {
    Here(Box<[u8]>),
    There(File),
}

impl Index {
    pub(crate) fn open(path: &Path) -> Result<Self, PackError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let bytes = match usize::try_from(length).ok().filter(|length| *length <= SMALL) {
            Some(length) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, 0)?;
                Bytes::Here(bytes.into())
            }
            None => Bytes::There(file),
        };
        Self::of(bytes, length)
    }

    fn of(bytes: Bytes, length: u64) -> Result<Self, PackError> {
        let mut head = [0; HEAD];
        bytes.read(&mut head, 0)?;
        if head[..8] != *b"\xfftOc\0\0\0\x02" {
            return Err(PackError::Damaged("a pack's index is of no version that is known"));
        }
        let mut fanout = Box::new([0; 256]);
        for (count, four) in fanout.iter_mut().zip(head[8..].chunks_exact(4)) {
            *count = be_u32(four);
        }
        let rises = fanout.windows(2).all(|pair| pair[0] <= pair[1]);
        let index = Self { bytes, fanout, length };
        if !rises || index.large_offsets() + 40 > length {
            return Err(PackError::Damaged("a pack's index is too short for what it says"));
        }
        Ok(index)
    }

    /// How many objects the pack has.
    pub(crate) fn count(&self) -> u32 {
        self.fanout[255]
    }

    /// The place of a name among all.
    pub(crate) fn find(&self, id: &Id) -> Result<Option<u32>, PackError> {
        let first = usize::from(id.0[0]);
        let (mut low, mut high) = (if first == 0 { 0 } else { self.fanout[first - 1] }, self.fanout[first]);
        // Where it would be if names were spread quite evenly; then by halves.
        let next = u64::from(be_u32(&id.0[1..5]));
        let mut guess = low + ((u64::from(high - low) * next) >> 32) as u32;
        let mut window = [0; WINDOW as usize * Id::LENGTH];
        while low < high {
            let from = guess.saturating_sub(WINDOW / 2).clamp(low, high.saturating_sub(WINDOW).max(low));
            let count = (high - from).min(WINDOW);
            let names = &mut window[..count as usize * Id::LENGTH];
            self.bytes.read(names, NAMES + u64::from(from) * Id::LENGTH as u64)?;
            let name = |place: usize| &names[place * Id::LENGTH..][..Id::LENGTH];
            if name(0) > &id.0[..] {
                high = from;
            } else if name(count as usize - 1) < &id.0[..] {
                low = from + count;
            } else {
                let (mut a, mut b) = (0, count as usize);
                while a < b {
                    let middle = usize::midpoint(a, b);
                    match name(middle).cmp(&id.0) {
                        std::cmp::Ordering::Less => a = middle + 1,
                        std::cmp::Ordering::Greater => b = middle,
                        std::cmp::Ordering::Equal => return Ok(Some(from + middle as u32)),
                    }
                }
                return Ok(None);
            }
            guess = u32::midpoint(low, high);
        }
        Ok(None)
    }

    /// The name at a place.
    pub(crate) fn id(&self, place: u32) -> Result<Id, PackError> {
        let mut id = Id([0; Id::LENGTH]);
        if place >= self.count() {
            return Err(PackError::Damaged("there is no such object in a pack"));
        }
        self.bytes.read(&mut id.0, NAMES + u64::from(place) * Id::LENGTH as u64)?;
        Ok(id)
    }

    /// Where in the pack the object at a place begins.
    pub(crate) fn offset(&self, place: u32) -> Result<u64, PackError> {
        let mut four = [0; 4];
        self.bytes.read(&mut four, self.offsets() + u64::from(place) * 4)?;
        self.full(be_u32(&four))
    }

    /// Where all objects begin, in the order of their names.
    pub(crate) fn all_offsets(&self) -> Result<Vec<u64>, PackError> {
        let mut bytes = vec![0; self.count() as usize * 4];
        self.bytes.read(&mut bytes, self.offsets())?;
        bytes.chunks_exact(4).map(|four| self.full(be_u32(four))).collect()
    }

    /// An offset as its table has it: one beyond 2 GiB is in another.
    fn full(&self, offset: u32) -> Result<u64, PackError> {
        let Some(place) = offset.checked_sub(LARGE) else { return Ok(u64::from(offset)) };
        let mut eight = [0; 8];
        let at = self.large_offsets() + u64::from(place) * 8;
        if at + 8 > self.length {
            return Err(PackError::Damaged("a pack's index points beyond its end"));
        }
        self.bytes.read(&mut eight, at)?;
        Ok(u64::from_be_bytes(eight))
    }

    /// Bytes of memory, about.
    pub(crate) fn size(&self) -> usize {
        match &self.bytes {
            Bytes::Here(bytes) => bytes.len(),
            Bytes::There(_) => 0,
        }
    }

    fn offsets(&self) -> u64 {
        NAMES + u64::from(self.count()) * (Id::LENGTH as u64 + 4)
    }

    fn large_offsets(&self) -> u64 {
        self.offsets() + u64::from(self.count()) * 4
    }
}

impl Bytes {
    fn read(&self, into: &mut [u8], at: u64) -> Result<(), PackError> {
        match self {
            Self::There(file) => Ok(file.read_exact_at(into, at)?),
            Self::Here(bytes) => {
                let found = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.get(..into.len()));
                into.copy_from_slice(found.ok_or(PackError::Damaged("a pack's index is too short"))?);
                Ok(())
            }
        }
    }
}

fn be_u32(four: &[u8]) -> u32 {
    four.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Bytes of an index that is held in memory: about 10,000 objects.
const SMALL: usize = 320 * 1024;
/// Bytes before the names.
const HEAD: usize = 8 + 256 * 4;
const NAMES: u64 = HEAD as u64;
/// How many names are read at once.
const WINDOW: u32 = 128;
/// The bit that says that the rest is a place in the table of large offsets.
const LARGE: u32 = 1 << 31;
