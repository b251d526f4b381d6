//! Keeps repositories fast to read: one large pack with bitmaps, of which a clone gets most as it lies; the many small packs that
//! pushes leave beside it rolled into few; an index over all of them; and many loose refs in one file.

use std::collections::{HashMap, HashSet};
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
    /// Bytes of packs that those had whose large pack was last made in the life of this server, or could not be.
    gathered: Arc<Mutex<HashMap<RepositoryId, u64>>>,
    /// They are kept one after the other.
    line: Line,
}

/// The packs of a repository.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Packs {
    count: usize,
    bytes: u64,
    /// Bytes of the largest one that has bitmaps of what its commits lead to.
    base: u64,
    /// The name of that.
    base_name: Option<String>,
}

/// What is to be done to packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Gathers all in one pack, with bitmaps.
    Gather,
    /// Rolls the small ones together.
    Roll,
}

impl Repositories {
    /// Starts upkeep in the background if a repository needs it.
    pub fn look_after(&self, id: RepositoryId) {
        self.keep_up(id, 0);
    }

    /// The same of one to which so many refs were pushed.
    pub(crate) fn keep_up(&self, id: RepositoryId, pushed: usize) {
        let directory = self.directory(id);
        let (packs, refs) = (self.work_on_packs(id, &directory), self.snapshots.loose(id) + pushed > LOOSE);
        if !(packs.is_some() || refs) || !self.upkeep.lock().insert(id) {
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
                if let Some(work) = packs {
                    all.repack(id, &directory, work).await?;
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

    /// What packs need. Where bitmaps cannot be written, as beside objects of another repository, it is tried again when there is
    /// much more.
    fn work_on_packs(&self, id: RepositoryId, directory: &Path) -> Option<Work> {
        let packs = Packs::of(directory);
        let before = self.upkeep.gathered().get(&id).copied();
        match packs.work() {
            Some(Work::Gather) if before.is_some_and(|before| packs.bytes < before + before / SHARE) => {
                (packs.count > MOST).then_some(Work::Roll)
            }
            work => work,
        }
    }

    /// Works on packs, and notes of each commit what it changes. What nothing leads to is kept, so that no push in flight loses an
    /// object it counts on; readers of a pack that goes keep it open or find the new one.
    async fn repack(&self, id: RepositoryId, directory: &Path, work: Work) -> Result<(), GitError> {
        let base = Packs::of(directory).base_name;
        let arguments: &[&str] = match (work, &base) {
            // Bitmaps of the index over all would take those of the large pack away.
            (Work::Roll, Some(_)) => &["--geometric=2", "--write-midx"],
            (Work::Roll, None) => &["--geometric=2", "--write-midx", "--write-bitmap-index"],
            (Work::Gather, _) if self.git.is_at_least(2, 37) => &["--cruft", "--cruft-expiration=never", "-b"],
            (Work::Gather, _) => &["-a", "-k", "-b"],
        };
        let mut command = self.git.command(directory);
        command.args(["repack", "-d", "-l", "-q"]).args(arguments);
        if let (Work::Roll, Some(base)) = (work, &base) {
            command.arg(format!("--keep-pack={base}"));
        }
        let repacked = self.git.run_with("repack", &mut command, Importance::Low).await;
        // Packs that have gone are not to be kept open for one that nobody asks about again.
        self.stored.forget(id);
        repacked?;
        if work == Work::Gather {
            self.upkeep.gathered().insert(id, Packs::of(directory).bytes);
        }
        let mut command = self.git.command(directory);
        command.args(["commit-graph", "write", "--reachable", "--changed-paths", "--split", "--no-progress"]);
        self.git.run_with("commit-graph", &mut command, Importance::Low).await.map(drop)
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
        Self { kept: Arc::default(), gathered: Arc::default(), line: Line::new(1, usize::MAX) }
    }
}

impl Upkeep {
    fn gathered(&self) -> std::sync::MutexGuard<'_, HashMap<RepositoryId, u64>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<RepositoryId>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packs {
    fn of(repository: &Path) -> Self {
        let mut packs = Self::default();
        let entries = std::fs::read_dir(repository.join("objects/pack")).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "pack")) {
            let bytes = path.metadata().map_or(0, |data| data.len());
            packs.count += 1;
            packs.bytes += bytes;
            if bytes > packs.base && path.with_extension("bitmap").exists() {
                packs.base = bytes;
                packs.base_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            }
        }
        packs
    }

    fn work(&self) -> Option<Work> {
        if self.bytes - self.base > SMALL.max(self.base / SHARE) {
            return Some(Work::Gather);
        }
        (self.count > MOST).then_some(Work::Roll)
    }
}

/// How many refs may be loose before they are packed.
const LOOSE: usize = 1000;
/// How many packs a repository may have before they are rolled together. A fetch looks into each that has no common index.
const MOST: usize = 50;
/// Bytes of packs whose objects are counted quickly also without bitmaps.
const SMALL: u64 = 1024 * 1024;
/// The small packs may have one of so many parts of what the large one has.
const SHARE: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_of_the_pack_with_bitmaps_is_gathered_when_it_is_much() {
        let directory = tempfile::tempdir().expect("a directory");
        let pack = directory.path().join("objects/pack");
        assert_eq!(Packs::of(directory.path()).work(), None, "nothing is there");
        std::fs::create_dir_all(&pack).expect("made");
        let write = |name: &str, bytes: usize| std::fs::write(pack.join(name), vec![0; bytes]).expect("written");
        write("pack-1.pack", 1000);
        assert_eq!(Packs::of(directory.path()).work(), None, "a small one");
        write("pack-2.pack", 8 << 20);
        assert_eq!(Packs::of(directory.path()).work(), Some(Work::Gather), "a large one");
        write("pack-2.bitmap", 10);
        assert_eq!(Packs::of(directory.path()).work(), None, "a large one with bitmaps");
        write("pack-3.pack", 3 << 20);
        assert_eq!(Packs::of(directory.path()).work(), Some(Work::Gather), "much beside it");
        write("pack-3.pack", 1 << 20);
        (4..=MOST).for_each(|number| write(&format!("pack-{number}.pack"), 10));
        assert_eq!(Packs::of(directory.path()).work(), None, "little beside it");
        write("pack-more.pack", 10);
        assert_eq!(Packs::of(directory.path()).work(), Some(Work::Roll), "little, in many");
    }
}
