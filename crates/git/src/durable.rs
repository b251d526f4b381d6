//! Makes directory entries durable, which git leaves to chance.
//!
//! Git writes a file, fsyncs it (as configured in `program.rs`) and renames it to its place. The rename itself is in
//! the directory, which git never fsyncs: after a power loss the ref may have its old value again, though the push was
//! acknowledged. So the directories that a push touched are fsynced before its report goes out.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::GitError;

/// Makes what has changed in directories survive a power loss.
pub(crate) async fn make_durable(directories: BTreeSet<PathBuf>) -> Result<(), GitError> {
    let work = move || directories.iter().try_for_each(|directory| sync(directory));
    tokio::task::spawn_blocking(work).await.map_err(|error| GitError::run("fsync")(std::io::Error::other(error)))?
}

/// Fsyncs one directory or file. One that is gone, as after the deletion of its last ref, has nothing to keep.
pub(crate) fn sync(path: &Path) -> Result<(), GitError> {
    match File::open(path) {
        Ok(file) => file.sync_all().map_err(GitError::file(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(GitError::file(path)(error)),
    }
}

/// Puts a file of a repository in the place of another, under git's own lock for it, and makes it durable.
pub(crate) fn replace(directory: &Path, name: &str, content: &[u8]) -> Result<(), GitError> {
    let (path, lock) = (directory.join(name), directory.join(format!("{name}.lock")));
    let mut file = File::create_new(&lock).map_err(GitError::file(&lock))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&lock, &path)).map_err(|error| {
        let _ = fs::remove_file(&lock);
        GitError::file(&lock)(error)
    })?;
    sync(directory)
}

/// The directories that a push of these refs may have changed: those of new packs, of loose refs up to the repository, and of
/// `packed-refs`, each once.
pub(crate) fn touched_by(repository: &Path, refs: &[Vec<u8>]) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::from([repository.join("objects/pack"), repository.to_path_buf()]);
    for name in refs {
        let path = repository.join(path_of(name));
        let parents = path.ancestors().skip(1).take_while(|parent| *parent != repository);
        directories.extend(parents.map(Path::to_path_buf));
    }
    directories
}

fn path_of(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_up_to_the_repository_is_named_once() {
        let refs = [b"refs/heads/a/b".to_vec(), b"refs/heads/c".to_vec()];
        let names: Vec<_> =
            touched_by(Path::new("/r"), &refs).into_iter().map(|path| path.display().to_string()).collect();
        assert_eq!(names, ["/r", "/r/objects/pack", "/r/refs", "/r/refs/heads", "/r/refs/heads/a"]);
    }
}
