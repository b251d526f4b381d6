//! The count of changes as every process on this machine sees it, without asking the database.
//!
//! A file of two numbers. It is odd while a change is being committed and even otherwise, so whoever reads the same even
//! number before and after may rely on what was found in between; and what was found under one even number holds for as
//! long as the file says that number. A program that is killed while it commits leaves an odd number behind: then
//! everybody asks the database, until the next change makes it even again. It is not kept through a restart of the
//! machine, nor need it be, since what depends on it is in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file, open.
#[derive(Debug)]
pub(crate) struct Epoch(File);

/// A number that stands for all changes that were made before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled(u64);

impl Epoch {
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("doorward.epoch");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self(file))
    }

    /// The number, if no change is being committed.
    pub(crate) fn settled(&self) -> Option<Settled> {
        self.read().filter(|number| number.is_multiple_of(2)).map(Settled)
    }

    /// Called by whoever holds the write lock of the database, before a change is committed.
    pub(crate) fn begin(&self) -> io::Result<()> {
        let number = self.read().unwrap_or(0);
        self.write(number + 1 + number % 2)
    }

    /// Called by whoever holds the write lock of the database, after a change was committed, or was not.
    pub(crate) fn end(&self) -> io::Result<()> {
        let number = self.read().unwrap_or(1);
        self.write(number + 2 - number % 2)
    }

    /// Written twice, so that half a write is noticed.
    fn read(&self) -> Option<u64> {
        let mut bytes = [0; 16];
        if self.0.read_exact_at(&mut bytes, 0).is_err() {
            return None;
        }
        let (one, other) = bytes.split_at(8);
        let number = u64::from_le_bytes(one.try_into().ok()?);
        (number == !u64::from_le_bytes(other.try_into().ok()?)).then_some(number)
    }

    fn write(&self, number: u64) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..].copy_from_slice(&(!number).to_le_bytes());
        self.0.write_all_at(&bytes, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Epoch;

    #[test]
    fn a_change_is_seen_while_it_is_made_and_afterwards_and_a_half_written_number_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let (ours, theirs) =
            (Epoch::open(directory.path()).expect("ours"), Epoch::open(directory.path()).expect("theirs"));
        assert_eq!(theirs.settled(), None);
        for _ in 0..3 {
            ours.begin().expect("begun");
            assert_eq!(theirs.settled(), None);
            ours.end().expect("ended");
            let settled = theirs.settled();
            assert!(settled.is_some());
            // Somebody was killed here.
            ours.begin().expect("begun");
            assert_eq!(theirs.settled(), None);
            theirs.begin().expect("begun");
            theirs.end().expect("ended");
            assert!(ours.settled().is_some() && ours.settled() != settled);
        }
        std::fs::write(directory.path().join("doorward.epoch"), [7; 16]).expect("written");
        assert_eq!(ours.settled(), None);
        ours.begin().expect("begun");
        ours.end().expect("ended");
        assert!(theirs.settled().is_some());
    }
}
