//! How much of the disk answers may take.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::statvfs;

/// A bound on the bytes of all answers together.
#[derive(Debug)]
pub(crate) struct Room {
    directory: PathBuf,
    most: u64,
    used: AtomicU64,
}

impl Room {
    /// So many bytes in a directory; and never more than half of what its disk has free.
    pub(crate) fn new(directory: PathBuf, most: u64) -> Self {
        Self { directory, most, used: AtomicU64::new(0) }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Bytes that may be taken.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Bytes that are taken.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes room for some bytes; not if that would be too much.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let free = statvfs(&self.directory).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let fits = |used: u64| used + bytes <= self.most.min((free + used) / 2);
        let add = |used| fits(used).then_some(used + bytes);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Takes it though it is too much: for what is given back soon.
    pub(crate) fn take_anyway(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
