//! Keeps repositories fast to read: rolls the many small packs that pushes leave into few, says for all of them together where
//! objects are and what commits lead to, and puts many loose refs into one file.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use doorward_rules::RepositoryId;

use crate::line::{Asker, Line};
use crate::process::Importance;
use crate::{GitError, Repositories};

/// Which repositories are being kept, so that no repository is kept twice at once.
#[derive(Debug, Clone)]
pub(crate) struct Upkeep {
    kept: Arc<Mutex<HashSet<RepositoryId>>>,
    /// Those for which bitmaps were written in the life of this server, or could not be.
    mapped: Arc<Mutex<HashSet<RepositoryId>>>,
    /// They are kept one after the other.
    line: Line,
}

/// The packs of a repository.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Packs {
    count: usize,
    bytes: u64,
    /// Whether there is an index over all of them, with bitmaps of what commits lead to.
    is_mapped: bool,
}

impl Repositories {
    /// Starts upkeep in the background if a repository needs it.
    pub fn look_after(&self, id: RepositoryId) {
        self.keep_up(id, 0);
    }

    /// The same of one to which so many refs were pushed.
    pub(crate) fn keep_up(&self, id: RepositoryId, pushed: usize) {
        let directory = self.directory(id);
        let (packs, refs) = (self.packs_need_work(id, &directory), self.snapshots.loose(id) + pushed > LOOSE);
        if !(packs || refs) || !self.upkeep.lock().insert(id) {
            return;
        }
        let all = self.clone();
        let Ok(mut turn) = self.upkeep.line.join(Asker::Server) else { return };
        self.tasks.spawn(async move {
            let _turn = turn.place().await;
            let kept = async {
                // What has not begun is left to the next start.
                if all.tasks.is_closed() {
                    return Ok(());
                }
                if packs {
                    all.repack(&directory).await?;
                }
                if refs {
                    all.pack_refs(&directory).await?;
                }
                Ok::<_, GitError>(())
            };
            if let Err(error) = kept.await {
                // A killed one leaves locks that would be in the way of the next.
                all.must_sweep(id);
                tracing::warn!(repository = %id, %error, "upkeep failed; it is tried again after a later push");
            }
            all.upkeep.lock().remove(&id);
        });
    }

    /// Whether packs are many, or have no bitmaps. Where bitmaps cannot be written, as beside objects of another repository, it is
    /// tried once.
    fn packs_need_work(&self, id: RepositoryId, directory: &Path) -> bool {
        let packs = Packs::of(directory);
        packs.count > MOST
            || (packs.need_bitmaps() && self.upkeep.mapped.lock().unwrap_or_else(PoisonError::into_inner).insert(id))
    }

    /// Rolls packs together so that each is at least twice as large as the next smaller one, with one index and bitmaps for all;
    /// and notes of each commit what it changes. Nothing is pruned, so that no push in flight loses an object it counts on;
    /// readers of a pack that goes keep it open or find the new one.
    async fn repack(&self, directory: &Path) -> Result<(), GitError> {
        let commands: [(&'static str, &[&str]); 2] = [
            ("repack", &["repack", "-d", "-l", "-q", "--geometric=2", "--write-midx", "--write-bitmap-index"]),
            ("commit-graph", &["commit-graph", "write", "--reachable", "--changed-paths", "--split", "--no-progress"]),
        ];
        for (what, arguments) in commands {
            let mut command = self.git.command(directory);
            self.git.run_with(what, command.args(arguments), Importance::Low).await?;
        }
        Ok(())
    }

    /// Puts all refs into one file. Whoever reads them finds each in one place or the other.
    async fn pack_refs(&self, directory: &Path) -> Result<(), GitError> {
        let _slot = self.slots.short().await?;
        let mut command = self.git.command(directory);
        let arguments = ["pack-refs", "--all", "--prune"];
        self.git.run_with("pack-refs", command.args(arguments), Importance::Low).await.map(drop)
    }
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { kept: Arc::default(), mapped: Arc::default(), line: Line::new(1, usize::MAX) }
    }
}

impl Upkeep {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<RepositoryId>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packs {
    fn of(repository: &Path) -> Self {
        let mut packs = Self::default();
        for entry in std::fs::read_dir(repository.join("objects/pack")).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".pack") {
                packs.count += 1;
                packs.bytes += entry.metadata().map_or(0, |data| data.len());
            }
            packs.is_mapped |= name.ends_with(".bitmap");
        }
        packs
    }

    fn need_bitmaps(self) -> bool {
        !self.is_mapped && self.bytes > SMALL
    }
}

/// How many refs may be loose before they are packed.
const LOOSE: usize = 1000;
/// How many packs a repository may have before they are rolled together. A fetch looks into each that has no common index.
const MOST: usize = 50;
/// Bytes of packs whose objects are counted quickly also without bitmaps.
const SMALL: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_packs_without_bitmaps_need_some() {
        let directory = tempfile::tempdir().expect("a directory");
        let pack = directory.path().join("objects/pack");
        assert!(!Packs::of(directory.path()).need_bitmaps(), "nothing is there");
        std::fs::create_dir_all(&pack).expect("made");
        let write = |name: &str, bytes: usize| std::fs::write(pack.join(name), vec![0; bytes]).expect("written");
        write("pack-1.pack", 1000);
        assert!(!Packs::of(directory.path()).need_bitmaps(), "a small one");
        write("pack-2.pack", 2 << 20);
        assert!(Packs::of(directory.path()).need_bitmaps(), "a large one");
        write("multi-pack-index-1.bitmap", 10);
        assert!(!Packs::of(directory.path()).need_bitmaps(), "a large one with bitmaps");
        assert_eq!(Packs::of(directory.path()).count, 2);
    }
}
