//! A plain push: a small pack, and refs that are created or moved. Git checks the pack; the rest is done here, as git would do it, in
//! one process instead of three.
//!
//! Whatever is not quite as it should be is left to `git receive-pack` before anything is changed: it says best what is wrong.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use doorward_packs::{Id, Kind, Objects, connected};
use doorward_wire::RefUpdate;
use tokio::io::AsyncReadExt;

use super::{CHEAPER, Push};
use crate::apart::Apart;
use crate::process::{Process, feed};
use crate::refs::{Held, Snapshot};
use crate::report::ReportedRef;
use crate::{GitError, ObjectFormat};

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
        updates.len() <= MOST && updates.iter().all(is_plain)
    }

    /// Carries it out with the pack that came; `None` if git has to. Then nothing was changed.
    pub(super) async fn carry_out_plainly(&self, pack: &Bytes) -> Result<Option<Moved>, GitError> {
        let Some(before) = self.all.snapshot(self.id).await? else { return Ok(None) };
        // Where changes of refs are noted in files, git notes them.
        let is_ours =
            before.format == ObjectFormat::Sha1 && !before.has_alternates && !self.directory.join("logs").exists();
        let Some(stored) = self.all.stored.of(self.id, &self.directory).filter(|_| is_ours) else { return Ok(None) };
        let Some(apart) = self.index(pack).await? else { return Ok(None) };
        before.prepare().await?;
        let (updates, directory, deepest) = (self.updates.clone(), self.directory.clone(), self.all.git.tree_depth());
        let checked = self.blocking(move || {
            if !is_whole(&stored, &apart, &before, &updates, deepest) {
                return Ok(None);
            }
            match Held::take(&directory, &updates) {
                Ok(held) => Ok(Some((apart, held))),
                Err(error) => {
                    tracing::debug!(%error, "git is asked to move refs");
                    Ok(None)
                }
            }
        });
        let Some((apart, mut held)) = checked.await? else { return Ok(None) };
        // What others have done before the locks were taken is seen now.
        let Some(now) = self.all.snapshot(self.id).await? else { return Ok(None) };
        let (updates, directory) = (self.updates.clone(), self.directory.clone());
        self.blocking(move || {
            if !held.are_as_expected(&directory, &now, &updates).map_err(GitError::file(&directory))? {
                return Ok(None);
            }
            held.write().map_err(GitError::file(&directory))?;
            if let Some(apart) = apart {
                apart.settle()?;
            }
            let (done, directories) = held.put();
            let refs = updates.iter().zip(done).map(|(update, done)| ReportedRef {
                name: update.name.as_bytes().to_vec(),
                refused: done.err().map(|error| format!("failed to update ref: {error}")),
            });
            Ok(Some(Moved { refs: refs.collect(), directories }))
        })
        .await
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
            .args(["index-pack", "--threads=1", "--stdin", "--fix-thin"])
            .args(self.all.git.pack_checks());
        let (process, stdin, mut stdout) = Process::start("index-pack", &mut command)?;
        let mut told = Vec::new();
        let (fed, read) = tokio::join!(feed(&pack[..], stdin), stdout.read_to_end(&mut told));
        fed.and(read).map_err(GitError::run("index-pack"))?;
        Ok(process.wait().await?.success().then_some(Some(apart)))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, GitError> + Send + 'static,
    ) -> Result<T, GitError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| GitError::run("push")(std::io::Error::other(error)))?
    }
}

/// Whether everything is there that the refs will need, and branches lead to commits.
fn is_whole(
    stored: &Arc<Objects>,
    apart: &Option<Apart>,
    refs: &Snapshot,
    updates: &[RefUpdate],
    deepest: usize,
) -> bool {
    let check = || {
        let incoming = apart.as_ref().map(|apart| Objects::new(apart.directory().to_path_buf()));
        let mut reader = match &incoming {
            Some(incoming) => stored.reader_with(incoming)?,
            None => stored.reader()?,
        };
        let mut new = Vec::with_capacity(updates.len());
        for update in updates {
            let Some(id) = Id::from_hex(update.new.as_str().as_bytes()) else { return Ok(false) };
            if update.name.as_bytes().starts_with(b"refs/heads/") && reader.object(&id)?.0 != Kind::Commit {
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
