//! Sets of entries of a pack as bits, and how git compresses them (gitformat-bitmap; EWAH, "Enhanced Word-Aligned Hybrid").

use crate::PackError;

/// A set of entries of a pack, by their rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    /// None of so many.
    pub(crate) fn none(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)], length }
    }

    pub(crate) fn has(&self, rank: usize) -> bool {
        self.words.get(rank / 64).is_some_and(|word| word >> (rank % 64) & 1 == 1)
    }

    /// Puts one in; whether it was not there.
    pub(crate) fn add(&mut self, rank: usize) -> bool {
        let is_new = !self.has(rank);
        self.words[rank / 64] |= 1 << (rank % 64);
        is_new
    }

    /// Puts all of another set in.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Keeps what is in one of both alone.
    pub(crate) fn toggle_all(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word ^= other);
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether all are in.
    pub(crate) fn is_full(&self) -> bool {
        self.count() == self.length
    }

    /// Reads a compressed set of entries of a pack that has so many.
    pub(crate) fn read(bytes: &[u8], length: usize) -> Result<Self, PackError> {
        let (words, _) = parts(bytes)?;
        let mut set = Self::none(length);
        let mut words =
            words.chunks_exact(8).map(|eight| eight.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        let mut at = 0;
        while let Some(marker) = words.next() {
            // A run of words that are all alike, and then so many as they are.
            let (bit, run, literal) = (marker & 1, (marker >> 1) & 0xffff_ffff, marker >> 33);
            let run =
                usize::try_from(run).ok().filter(|run| *run <= set.words.len().saturating_sub(at)).ok_or(DAMAGED)?;
            if bit == 1 {
                set.words[at..at + run].fill(u64::MAX);
            }
            at += run;
            for _ in 0..literal {
                *set.words.get_mut(at).ok_or(DAMAGED)? = words.next().ok_or(DAMAGED)?;
                at += 1;
            }
        }
        // A run may go on beyond the last one.
        if let Some(last) = set.words.last_mut().filter(|_| !length.is_multiple_of(64)) {
            *last &= (1 << (length % 64)) - 1;
        }
        Ok(set)
    }
}

/// The words of a compressed set, and what follows it.
fn parts(bytes: &[u8]) -> Result<(&[u8], &[u8]), PackError> {
    let count = bytes.get(4..8).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes).ok_or(DAMAGED)?;
    let rest = &bytes[8..];
    let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(8)).ok_or(DAMAGED)?;
    // After the words it says which of them was the last marker.
    let words = rest.get(..length).ok_or(DAMAGED)?;
    Ok((words, rest.get(length + 4..).ok_or(DAMAGED)?))
}

/// What follows a compressed set.
pub(crate) fn after(bytes: &[u8]) -> Result<&[u8], PackError> {
    parts(bytes).map(|(_, rest)| rest)
}

const DAMAGED: PackError = PackError::Damaged("a bitmap cannot be read");
