//! Creates and moves refs as git does it (git-update-ref; refs/files-backend): each under a lock of its own, which is a file that
//! becomes the ref.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use doorward_wire::RefUpdate;

use super::loose::Value;
use super::snapshot::Snapshot;

/// Refs that nobody else can change until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    locks: Vec<Lock>,
    /// The directories that will have changed.
    directories: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct Lock {
    file: File,
    lock: PathBuf,
    path: PathBuf,
    new: String,
}

impl Held {
    /// Takes the locks of some refs. None of them may be one that is to be deleted. Blocks.
    ///
    /// # Errors
    /// If one is locked already, or something else is in the way; then none is held.
    pub(crate) fn take(repository: &Path, updates: &[RefUpdate]) -> io::Result<Self> {
        let mut held = Self { locks: Vec::with_capacity(updates.len()), directories: BTreeSet::new() };
        for update in updates {
            let path = repository.join(OsStr::from_bytes(update.name.as_bytes()));
            let mut lock = path.clone().into_os_string();
            lock.push(".lock");
            let lock = PathBuf::from(lock);
            if path.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            held.make_directories(repository, &path)?;
            let file = File::create_new(&lock)?;
            held.locks.push(Lock { file, lock, path, new: format!("{}\n", update.new.as_str()) });
        }
        Ok(held)
    }

    /// Makes the directories that a ref is in, and notes those that get an entry.
    fn make_directories(&mut self, repository: &Path, path: &Path) -> io::Result<()> {
        let above: Vec<&Path> = path.ancestors().skip(1).take_while(|above| *above != repository).collect();
        if let Some(directory) = above.first().filter(|directory| !directory.exists()) {
            fs::create_dir_all(directory)?;
        }
        // Whoever has made one of them may not have come to make that durable.
        self.directories.extend(above.iter().map(|above| above.to_path_buf()));
        Ok(())
    }

    /// Whether all are what their updates expect, and may be where they are. Of one that is new that can only be told as long as the
    /// packed refs are those of the snapshot; loose ones it meets on the disk. Blocks.
    pub(crate) fn are_as_expected(
        &self,
        repository: &Path,
        snapshot: &Snapshot,
        updates: &[RefUpdate],
    ) -> io::Result<bool> {
        for update in updates {
            let name = update.name.as_bytes();
            let is_expected = match snapshot.value_now(repository, name)? {
                Some(Value::Id(id)) => *id == *update.old.as_str().as_bytes(),
                Some(Value::Symbolic(_)) => false,
                None => {
                    update.old.is_null() && snapshot.has_packed_refs_of(repository)? && !snapshot.is_crossed_by(name)
                }
            };
            if !is_expected {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes what they become, so that it is on the disk before it counts. Blocks.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.locks.iter_mut().try_for_each(|one| {
            one.file.write_all(one.new.as_bytes())?;
            one.file.sync_all()
        })
    }

    /// Makes it count; of each whether that was done, and the directories that have to reach the disk before that is certain. Blocks.
    pub(crate) fn put(self) -> (Vec<io::Result<()>>, BTreeSet<PathBuf>) {
        let put = |one: &Lock| if one.is_own() { fs::rename(&one.lock, &one.path) } else { Err(LOST.into()) };
        (self.locks.iter().map(put).collect(), self.directories)
    }
}

impl Lock {
    /// Whether the file is still the one that was made here: not if it has become the ref, or somebody took it away.
    fn is_own(&self) -> bool {
        match (self.file.metadata(), fs::metadata(&self.lock)) {
            (Ok(own), Ok(there)) => own.ino() == there.ino(),
            _ => false,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_own() {
            let _ = fs::remove_file(&self.lock);
        }
    }
}

/// What is said of a lock that somebody took away.
const LOST: io::ErrorKind = io::ErrorKind::NotFound;
