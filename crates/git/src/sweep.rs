//! Removes what a killed git process leaves in a repository: quarantined packs, temporary files, locks.
//!
//! A lock left on a ref would refuse every later push to it. But a process of a server that was killed may still be
//! finishing its work, so the sweep waits until there is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::GitError;

/// Waits until no other process changes the repository, then removes what such processes left.
pub(crate) async fn sweep(repository: PathBuf) -> Result<(), GitError> {
    while is_being_changed(&repository) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let swept = tokio::task::spawn_blocking(move || remove_leftovers(&repository)).await;
    swept.map_err(|error| GitError::run("sweep")(std::io::Error::other(error)))?
}

/// Whether a git process that may write has the repository as its working directory, as all that we start have.
/// Where processes cannot be listed there is no telling, and the answer is no.
fn is_being_changed(repository: &Path) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().map(|process| process.path()).any(|process| {
        let here = fs::read_link(process.join("cwd")).is_ok_and(|directory| directory == repository);
        let command = || fs::read(process.join("cmdline")).unwrap_or_default();
        here && {
            let command = String::from_utf8_lossy(&command()).into_owned();
            command.contains("git") && !command.contains("upload-pack") && !command.contains("pack-objects")
        }
    })
}

fn remove_leftovers(repository: &Path) -> Result<(), GitError> {
    for entry in entries(&repository.join("objects")) {
        if name(&entry).starts_with("tmp_objdir-") {
            removed(&entry, fs::remove_dir_all(&entry))?;
        }
    }
    for entry in entries(&repository.join("objects/pack")) {
        if name(&entry).starts_with("tmp_") {
            removed(&entry, fs::remove_file(&entry))?;
        }
    }
    for entry in entries(repository) {
        remove_if_lock(&entry)?;
    }
    remove_locks_below(&repository.join("refs"))
}

fn remove_locks_below(directory: &Path) -> Result<(), GitError> {
    for entry in entries(directory) {
        if entry.is_dir() {
            remove_locks_below(&entry)?;
        } else {
            remove_if_lock(&entry)?;
        }
    }
    Ok(())
}

fn remove_if_lock(entry: &Path) -> Result<(), GitError> {
    if name(entry).ends_with(".lock") { removed(entry, fs::remove_file(entry)) } else { Ok(()) }
}

fn removed(entry: &Path, result: std::io::Result<()>) -> Result<(), GitError> {
    match result {
        Ok(()) => {
            tracing::info!(file = %entry.display(), "removed what a killed git process left");
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(GitError::file(entry)(error)),
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn leftovers_go_and_everything_else_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        let left = [
            "objects/tmp_objdir-incoming-1/pack/x",
            "objects/pack/tmp_pack_1",
            "refs/heads/a/b.lock",
            "packed-refs.lock",
        ];
        let kept = ["objects/pack/pack-1.pack", "refs/heads/a/b", "packed-refs", "HEAD", "objects/ab/cdef"];
        for file in left.iter().chain(&kept) {
            fs::create_dir_all(root.join(file).parent().expect("a parent")).expect("made");
            fs::write(root.join(file), "").expect("written");
        }
        sweep(root.to_path_buf()).await.expect("swept");
        for file in left {
            assert!(!root.join(file).exists(), "{file}");
        }
        for file in kept {
            assert!(root.join(file).exists(), "{file}");
        }
    }
}
