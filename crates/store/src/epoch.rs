//! The count of changes as every process on this machine sees it, without asking the database.
//!
//! A file with a number. It is odd while a change is being committed and even otherwise, and it never comes back to what
//! it was: what was looked up after it was read as even holds for as long as it stays the same. Whoever changes it holds
//! the file's lock from before the commit until after it. A program that is killed while it commits leaves an odd number behind: then
//! everybody asks the database, until the next change makes it even again. It is not kept through a restart of the
//! machine, nor need it be, since what depends on it is in memory.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::database::fill_random;

/// The file, open.
#[derive(Debug)]
pub(crate) struct Epoch(File);

/// Held while a change is committed. Whatever comes of it, afterwards the number is another one and even; were it not, because
/// the file cannot be written, everybody would ask the database, and nothing would be wrong.
#[derive(Debug)]
pub(crate) struct Committing<'a>(&'a Epoch);

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

    /// Says that a change is being committed, for as long as what this returns is held. Called with the write lock of the
    /// database held, so that whoever else has the file's lock has committed already and is about to let go of it.
    pub(crate) async fn begin(&self) -> io::Result<Committing<'_>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.0.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "another program holds doorward.epoch"));
                }
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(1)).await,
            }
        }
        let committing = Committing(self);
        let number = self.read().unwrap_or_else(unused);
        self.write(number + 1 + number % 2)?;
        Ok(committing)
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

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        let number = self.0.read().unwrap_or_else(unused);
        let ended = self.0.write(number + 2 - number % 2).and_then(|()| self.0.0.unlock());
        if let Err(error) = ended {
            tracing::error!(%error, "doorward.epoch cannot be written; every decision asks the database");
        }
    }
}

/// A number to go on from when the file has none: one that nobody can have seen.
fn unused() -> u64 {
    let mut random = [0; 8];
    fill_random(&mut random);
    u64::from_le_bytes(random) >> 2 << 1
}

/// How long to wait for another program that has committed and has not said so yet.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::Epoch;

    #[tokio::test]
    async fn a_change_is_seen_while_it_is_made_and_afterwards_and_a_half_written_number_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let (ours, theirs) =
            (Epoch::open(directory.path()).expect("ours"), Epoch::open(directory.path()).expect("theirs"));
        assert_eq!(theirs.settled(), None);
        for _ in 0..3 {
            let committing = ours.begin().await.expect("begun");
            assert_eq!(theirs.settled(), None);
            drop(committing);
            let settled = theirs.settled();
            assert!(settled.is_some());
            // Somebody was killed here: its lock is gone, and it did not say that it was done.
            let killed = Epoch::open(directory.path()).expect("a third");
            std::mem::forget(killed.begin().await.expect("begun"));
            drop(killed);
            assert_eq!(theirs.settled(), None);
            drop(theirs.begin().await.expect("begun"));
            assert!(ours.settled().is_some() && ours.settled() != settled);
        }
        let before = theirs.settled();
        std::fs::write(directory.path().join("doorward.epoch"), [7; 16]).expect("written");
        assert_eq!(ours.settled(), None);
        drop(ours.begin().await.expect("begun"));
        assert!(theirs.settled().is_some() && theirs.settled() != before);
    }

    #[tokio::test]
    async fn of_two_that_commit_one_waits_until_the_other_has_said_so() {
        let directory = tempfile::tempdir().expect("a directory");
        let (one, other) = (Epoch::open(directory.path()).expect("one"), Epoch::open(directory.path()).expect("other"));
        let committing = one.begin().await.expect("begun");
        let mut waiting = std::pin::pin!(other.begin());
        let late = tokio::time::timeout(std::time::Duration::from_millis(50), &mut waiting).await;
        assert!(late.is_err(), "{late:?}");
        drop(committing);
        let committing = waiting.await.expect("begun");
        assert_eq!(one.settled(), None);
        drop(committing);
        assert!(one.settled().is_some());
    }
}
