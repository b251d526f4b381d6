//! Objects that have come and are not part of a repository yet.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::{GitError, durable};

/// Objects that are not part of a repository yet. What is not settled is gone with this.
#[derive(Debug)]
pub(crate) struct Apart {
    directory: PathBuf,
    objects: PathBuf,
}

impl Apart {
    /// A directory in a repository, for whatever comes from somewhere.
    pub(crate) fn new(repository: &Path, from: &str) -> Result<Self, GitError> {
        let objects = repository.join("objects");
        // A name that the sweep knows.
        let made = tempfile::Builder::new().prefix(&format!("tmp_objdir-{from}-")).tempdir_in(&objects);
        let directory = made.map_err(GitError::file(&objects))?.keep();
        Ok(Self { directory, objects })
    }

    /// Lets a command write here, and read there as well.
    pub(crate) fn with<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("GIT_OBJECT_DIRECTORY", &self.directory);
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &self.objects)
    }

    /// Where they are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes them part of the repository; how many bytes there were. An index comes last: without it nobody looks for its pack; and
    /// first what keeps a pack from whoever would remove it because no ref leads to it yet.
    pub(crate) fn settle(self) -> Result<u64, GitError> {
        let (from, to) = (self.directory.join("pack"), self.objects.join("pack"));
        let entries = fs::read_dir(&from).map_err(GitError::file(&from))?.flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        let has_end = |path: &Path, wanted: &str| path.extension().is_some_and(|end| end == wanted);
        files.sort_by_key(|path| (!has_end(path, "keep"), has_end(path, "idx")));
        let mut bytes = 0;
        for path in files {
            bytes += path.metadata().map_or(0, |data| data.len());
            let name = path.file_name().unwrap_or_default();
            fs::rename(&path, to.join(name)).map_err(GitError::file(&path))?;
        }
        durable::sync(&to)?;
        Ok(bytes)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
