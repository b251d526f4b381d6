//! What is remembered of credentials beyond the life of a server: that they worked, by their prints. A server that has just started
//! would otherwise take a refusal for no reason for a real one.
//!
//! Prints are keyed, and only those of tokens are kept, which have more randomness than anybody can guess; passwords never.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Print;
use crate::budget::Bucket;
use crate::caller::PrintKey;

/// A file with what is remembered of one upstream.
#[derive(Debug, Clone)]
pub(crate) struct Memory(PathBuf);

/// A credential that worked where, so long ago.
pub(crate) type Remembered = (Print, Bucket, Duration);

impl Memory {
    pub(crate) fn new(data: &Path, upstream: &str) -> Self {
        Self(data.join("upstreams").join(format!("{upstream}.credentials")))
    }

    /// What is remembered; nothing if that cannot be read.
    pub(crate) fn read(&self) -> Vec<Remembered> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let entry = |line: &str| {
            let mut words = line.split(' ');
            let print = Print::from_hex(words.next()?)?;
            let bucket =
                [Bucket::Git, Bucket::Rest].into_iter().find(|bucket| Some(bucket.word()) == line.split(' ').nth(1))?;
            let at = Duration::from_secs(words.nth(1)?.parse().ok()?);
            Some((print, bucket, now.saturating_sub(at)))
        };
        text.lines().filter_map(entry).collect()
    }

    /// Writes what is to be remembered, in the place of what was.
    pub(crate) fn write(&self, entries: &[Remembered]) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = |(print, bucket, age): &Remembered| {
            format!("{} {} {}\n", print.hex(), bucket.word(), now.saturating_sub(*age).as_secs())
        };
        let text: String = entries.iter().map(line).collect();
        let directory = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        // Two may write at once while one takes the place of the other.
        let new = self.0.with_extension(format!("new-{}", WRITTEN.fetch_add(1, Ordering::Relaxed)));
        private(&new)?.write_all(text.as_bytes())?;
        fs::rename(new, &self.0)
    }
}

/// The key of prints of a data directory, which is made when it is not there.
pub(crate) fn key(data: &Path) -> io::Result<PrintKey> {
    let path = data.join("keys").join("prints");
    let mut key = Vec::new();
    match File::open(&path) {
        Ok(mut file) => file.read_to_end(&mut key).map(drop)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(data))?;
            key = vec![0; LENGTH];
            getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
            let new = path.with_extension("new");
            let mut file = private(&new)?;
            file.write_all(&key)?;
            file.sync_all()?;
            fs::rename(new, &path)?;
        }
        Err(error) => return Err(error),
    }
    if key.len() != LENGTH {
        return Err(io::Error::other(format!(
            "{} has not {LENGTH} bytes; remove it, and a new one is made",
            path.display()
        )));
    }
    Ok(PrintKey::from_bytes(&key))
}

/// A new file that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)
}

/// How often something was written.
static WRITTEN: AtomicU64 = AtomicU64::new(0);
const LENGTH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = super::key(directory.path()).expect("a key");
        let print = key.print(&["secret"]);
        assert_eq!(super::key(directory.path()).expect("the same").print(&["secret"]), print);
        let memory = Memory::new(directory.path(), "bitbucket");
        assert!(memory.read().is_empty());
        memory
            .write(&[(print, Bucket::Git, Duration::from_secs(100)), (print, Bucket::Rest, Duration::ZERO)])
            .expect("written");
        let read = memory.read();
        assert_eq!(
            read.iter().map(|(print, bucket, _)| (*print, *bucket)).collect::<Vec<_>>(),
            [(print, Bucket::Git), (print, Bucket::Rest)]
        );
        assert!((99..110).contains(&read[0].2.as_secs()), "{read:?}");
        fs::write(&memory.0, format!("{} git\nnonsense\n\n{} git 1\n", print.hex(), &print.hex()[1..]))
            .expect("written");
        assert!(memory.read().is_empty());
    }
}
