//! What tells that a file or a directory has changed, without reading it.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What a file or a directory was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    /// When it was changed in any way, which nobody can set: seconds, and the rest.
    changed: (i64, i64),
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
        let changed = (found.ctime(), found.ctime_nsec());
        let last = modified.max(SystemTime::UNIX_EPOCH + Duration::from_secs(changed.0.unsigned_abs()));
        let young = now.duration_since(last).map_or(true, |age| age < tick);
        Ok(Some(Self { modified, changed, length: found.len(), file: found.ino(), young }))
    }

    /// Whether what is like this now is what was like `before`: nothing has changed.
    pub(super) fn proves(self, before: Self) -> bool {
        let same = (self.modified, self.changed) == (before.modified, before.changed);
        !before.young && same && (self.length, self.file) == (before.length, before.file)
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self { modified: SystemTime::UNIX_EPOCH, changed: (0, 0), length: 0, file: 0, young: false }
    }
}

const FINE: Duration = Duration::from_millis(100);
const COARSE: Duration = Duration::from_secs(3);
