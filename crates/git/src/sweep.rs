//! Removes what a killed git process leaves in a repository: quarantined packs, temporary files, locks.
//!
//! A lock left on a ref would refuse every later push to it. But a process of a server that was killed may still be
//! finishing its work, so the sweep waits until there is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::GitError;

/// Waits until no other process changes the repository, then removes what such processes left.
pub(crate) async fn sweep(repository: PathBuf) -> Result<(), GitError> {
    let work = move || {
        let began = Instant::now();
        while is_being_changed(&repository) {
            if began.elapsed() > PATIENCE {
                tracing::warn!(repository = %repository.display(), "a git process of a former server still works here");
                return Err(GitError::Busy(PATIENCE));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        remove_leftovers(&repository)
    };
    let swept = tokio::task::spawn_blocking(work).await;
    swept.map_err(|error| GitError::run("sweep")(std::io::Error::other(error)))?
}

/// Whether a git process that may write has the repository as its working directory, as all that we start have.
/// Where processes cannot be listed there is no telling, and the answer is no.
fn is_being_changed(repository: &Path) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes.flatten().map(|process| process.path()).any(|process| {
        let here = fs::read_link(process.join("cwd")).is_ok_and(|directory| directory == repository);
        here && writes(&fs::read(process.join("cmdline")).unwrap_or_default())
    })
}

/// Whether a command line, its words separated by zeros, is one of git's that changes a repository.
fn writes(command_line: &[u8]) -> bool {
    let words: Vec<String> =
        command_line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let program = words[0].rsplit('/').next().unwrap_or_default();
    let command = if program == "git" {
        command_of(words.get(1..).unwrap_or_default())
    } else {
        program.strip_prefix("git-").unwrap_or("")
    };
    WRITING.contains(&command)
}

/// The command among git's arguments, which options of git's own may come before.
fn command_of(arguments: &[String]) -> &str {
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "-c" | "-C" | "--git-dir" | "--work-tree" | "--namespace" | "--config-env" | "--attr-source" => {
                arguments.next();
            }
            option if option.starts_with('-') => {}
            command => return command,
        }
    }
    ""
}

fn remove_leftovers(repository: &Path) -> Result<(), GitError> {
    for entry in entries(&repository.join("objects")) {
        if name(&entry).starts_with("tmp_objdir-") {
            removed(&entry, fs::remove_dir_all(&entry))?;
        }
    }
    for entry in entries(&repository.join("objects/pack")) {
        let half_made = name(&entry).starts_with("tmp_") || name(&entry).starts_with(".tmp-");
        // A pack is kept from upkeep while the push that brought it is not over.
        let kept_by_push =
            || name(&entry).ends_with(".keep") && fs::read(&entry).is_ok_and(|text| text.starts_with(b"receive-pack "));
        if half_made || name(&entry).ends_with(".lock") || kept_by_push() {
            removed(&entry, fs::remove_file(&entry))?;
        }
    }
    for entry in entries(repository) {
        remove_if_lock(&entry)?;
    }
    for directory in ["objects/info/commit-graphs", "objects/pack/multi-pack-index.d"] {
        for entry in entries(&repository.join(directory)).into_iter().filter(|entry| name(entry).starts_with("tmp_")) {
            removed(&entry, fs::remove_file(&entry))?;
        }
    }
    remove_locks_below(&repository.join("objects/info"))?;
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

/// How long a process of a former server is waited for. Its input has ended, so it is at its last steps.
const PATIENCE: Duration = Duration::from_secs(60);
const WRITING: &[&str] = &[
    "receive-pack",
    "index-pack",
    "unpack-objects",
    "update-ref",
    "rev-list",
    "repack",
    "multi-pack-index",
    "commit-graph",
    "pack-refs",
    "symbolic-ref",
    "fetch",
    "gc",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_git_that_writes_is_waited_for() {
        assert!(writes(b"/usr/bin/git\0receive-pack\0--stateless-rpc\0.\0") && writes(b"git-receive-pack\0.\0"));
        assert!(writes(b"git\0-c\0core.fsync=all\0--no-pager\0-C\0/srv/x.git\0update-ref\0refs/heads/a\0"));
        for other in [
            &b"git\0-c\0repack\0log\0"[..],
            b"git",
            b"git\0-c",
            b"less\0/var/log/git.log\0",
            b"git\0upload-pack\0.\0",
            b"git\0log\0",
            b"",
            b"vim\0git\0repack\0",
        ] {
            assert!(!writes(other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[tokio::test]
    async fn leftovers_go_and_everything_else_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        let left = [
            "objects/tmp_objdir-incoming-1/pack/x",
            "objects/pack/tmp_pack_1",
            "refs/heads/a/b.lock",
            "packed-refs.lock",
            "objects/pack/multi-pack-index.lock",
            "objects/info/commit-graphs/tmp_graph_1",
            "objects/info/commit-graphs/commit-graph-chain.lock",
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
