//! What tells that a file or a directory has changed, without reading it.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What a file or a directory was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    length: u64,
    file: u64,
    /// Whether a change of the same moment would have the same stamp: it was looked at too soon after it was changed.
    young: bool,
}

impl Stamp {
    /// What something is like now; `None` if it is not there.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt;
        let now = SystemTime::now();
        let found = match std::fs::metadata(path) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let modified = found.modified()?;
        // Clocks of file systems tick every few milliseconds, and some every second or two.
        let tick = if found.mtime_nsec() == 0 { COARSE } else { FINE };
        let young = now.duration_since(modified).map_or(true, |age| age < tick);
        Ok(Some(Self { modified, length: found.len(), file: found.ino(), young }))
    }

    /// Whether what is like this now is what was like `before`: nothing has changed.
    pub(super) fn proves(self, before: Self) -> bool {
        !before.young && (self.modified, self.length, self.file) == (before.modified, before.length, before.file)
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self { modified: SystemTime::UNIX_EPOCH, length: 0, file: 0, young: false }
    }
}

const FINE: Duration = Duration::from_millis(100);
const COARSE: Duration = Duration::from_secs(3);
