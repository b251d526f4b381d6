//! A plain push: a small pack, and refs that are created or moved. Git checks the pack; the rest is done here, as git would do it, in
//! one process instead of three.
//!
//! Whatever is not quite as it should be is left to `git receive-pack` before anything is changed: it says best what is wrong.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use doorward_packs::{Id, Objects, connected};
use doorward_wire::RefUpdate;
use tokio::io::AsyncReadExt;

use super::{CHEAPER, Push};
use crate::GitError;
use crate::apart::Apart;
use crate::process::{Process, feed};
use crate::refs::{Held, Snapshot};
use crate::report::ReportedRef;

/// What a push came to.
pub(super) struct Moved {
    pub(super) refs: Vec<ReportedRef>,
    /// The directories that have to reach the disk.
    pub(super) directories: BTreeSet<PathBuf>,
}

impl Push {
    /// Whether refs are created or moved, and not too many.
    pub(super) fn is_plain(updates: &[RefUpdate]) -> bool {
        // Git takes none straight below `refs/`.
        let is_deep = |name: &[u8]| name.iter().filter(|byte| **byte == b'/').count() > 1;
        let is_plain = |update: &RefUpdate| {
            !update.new.is_null() && update.new.as_str().len() == 40 && is_deep(update.name.as_bytes())
        };
        // Of two that cannot be beside each other git says which it takes.
        let crosses = |one: &RefUpdate, other: &RefUpdate| {
            other.name.as_bytes().strip_prefix(one.name.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
        };
        updates.len() <= MOST
            && updates.iter().all(is_plain)
            && !updates.iter().any(|one| updates.iter().any(|other| crosses(one, other)))
    }

    /// Carries it out with the pack that came; `None` if git has to. Then nothing was changed.
    pub(super) async fn carry_out_here(&self, pack: &Bytes) -> Result<Option<Moved>, GitError> {
        let Some(before) = self.all.snapshot(self.id).await? else { return Ok(None) };
        let _at_work = self.all.at_work(self.id).await;
        let stored = self.all.stored.of(self.id, &self.directory, &before).filter(|_| !wants_git(&self.directory));
        let Some(stored) = stored else { return Ok(None) };
        let Some(apart) = self.index(pack).await? else { return Ok(None) };
        before.prepare().await?;
        let (updates, directory, deepest) = (self.updates.clone(), self.directory.clone(), self.all.git.tree_depth());
        let work = move || {
            if !is_whole(&stored, apart.as_ref(), &before, &updates, deepest) {
                return Ok(None);
            }
            move_all(&directory, apart, &before, &updates)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| GitError::run("push")(io::Error::other(error)))?
    }

    /// Lets git check the pack and make its index, apart from the repository. The outer `None` if it does not take it, the inner one
    /// if there is nothing in it.
    async fn index(&self, pack: &Bytes) -> Result<Option<Option<Apart>>, GitError> {
        match pack.get(..HEAD) {
            Some(head) if head[8..] == [0; 4] => return Ok(Some(None)),
            Some(_) => {}
            None => return Ok(None),
        }
        let apart = Apart::new(&self.directory, "incoming")?;
        let mut command = self.all.git.command(&self.directory);
        for setting in CHEAPER {
            command.args(["-c", setting]);
        }
        apart
            .with(&mut command)
            .args(["index-pack", "--threads=1", "--stdin", "--fix-thin", "--keep=receive-pack (doorward)"])
            .args(self.all.git.pack_checks());
        let (process, stdin, mut stdout) = Process::start("index-pack", &mut command)?;
        let mut told = Vec::new();
        let (fed, read) = tokio::join!(feed(&pack[..], stdin), stdout.read_to_end(&mut told));
        fed.and(read).map_err(GitError::run("index-pack"))?;
        Ok(process.wait().await?.success().then_some(Some(apart)))
    }
}

/// Moves the refs, when their pack is in its place; `None` if one of them is not as it should be. Blocks.
fn move_all(
    repository: &Path,
    apart: Option<Apart>,
    before: &Snapshot,
    updates: &[RefUpdate],
) -> Result<Option<Moved>, GitError> {
    let mut held = match Held::take(repository, updates) {
        Ok(held) => held,
        Err(error) => {
            tracing::debug!(%error, "git is asked to move refs");
            return Ok(None);
        }
    };
    if !held.are_as_expected(repository, before, updates).map_err(GitError::file(repository))? {
        return Ok(None);
    }
    held.write().map_err(GitError::file(repository))?;
    let _kept = apart.as_ref().map(|apart| Kept::of(apart, repository));
    apart.map(Apart::settle).transpose()?;
    let (done, directories) = held.put();
    let refs = updates.iter().zip(done).map(|(update, done)| ReportedRef {
        name: update.name.as_bytes().to_vec(),
        refused: done.err().map(|error| format!("failed to update ref: {error}")),
    });
    Ok(Some(Moved { refs: refs.collect(), directories }))
}

/// What keeps a pack from whoever would remove it because no ref leads to it yet. Removed when this is dropped.
struct Kept(Vec<PathBuf>);

impl Kept {
    /// That of the packs that are still apart.
    fn of(apart: &Apart, repository: &Path) -> Self {
        let names = fs::read_dir(apart.directory().join("pack")).into_iter().flatten().flatten();
        let names = names.map(|entry| PathBuf::from(entry.file_name()));
        let kept = names.filter(|name| name.extension().is_some_and(|end| end == "keep"));
        Self(kept.map(|name| repository.join("objects/pack").join(name)).collect())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for path in &self.0 {
            // The sweep removes what is left.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether git has to move refs: where changes of them are noted in files, branches are checked out, or files are to have other
/// permissions than by default.
fn wants_git(repository: &Path) -> bool {
    if ["logs", "worktrees"].iter().any(|name| repository.join(name).exists()) {
        return true;
    }
    let Ok(config) = fs::read_to_string(repository.join("config")) else { return true };
    let config: String = config.to_ascii_lowercase().split([' ', '\t']).collect();
    ["logallrefupdates", "sharedrepository", "bare=false"].iter().any(|setting| config.contains(setting))
}

/// Whether everything is there that the refs will need, and branches lead to commits.
fn is_whole(
    stored: &Arc<Objects>,
    apart: Option<&Apart>,
    refs: &Snapshot,
    updates: &[RefUpdate],
    deepest: usize,
) -> bool {
    let check = || {
        let incoming = apart.map(|apart| Objects::new(apart.directory().to_path_buf()));
        let mut reader = match &incoming {
            Some(incoming) => stored.reader_with(incoming)?,
            None => stored.reader()?,
        };
        let mut new = Vec::with_capacity(updates.len());
        for update in updates {
            let Some(id) = Id::from_hex(update.new.as_str().as_bytes()) else { return Ok(false) };
            if update.name.as_bytes().starts_with(b"refs/heads/") && reader.commit(&id)?.is_none() {
                return Ok(false);
            }
            new.push(id);
        }
        connected(&mut reader, &new, deepest, |id| refs.leads_to(id.to_string().as_bytes()))?;
        Ok::<_, doorward_packs::PackError>(true)
    };
    check().unwrap_or_else(|error| {
        tracing::debug!(%error, "git is asked to check a push");
        false
    })
}

/// How many refs are moved at most.
const MOST: usize = 20;
/// Bytes of a pack before its entries; the last four say how many those are.
const HEAD: usize = 12;
/// Bytes of a small pack, which is held in memory.
pub(super) const SMALL: usize = 1024 * 1024;
