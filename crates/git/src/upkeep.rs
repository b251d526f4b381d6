//! Keeps repositories fast to read: rolls the many small packs that pushes leave into few, and many loose refs into one file.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use doorward_rules::RepositoryId;

use crate::line::Asker;
use crate::{GitError, Repositories};

/// Which repositories are being kept, so that no repository is kept twice at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upkeep(Arc<Mutex<HashSet<RepositoryId>>>);

impl Repositories {
    /// Starts upkeep in the background if a repository needs it, to which so many refs were pushed, and nobody is at it already.
    pub(crate) fn keep_up(&self, id: RepositoryId, pushed: usize) {
        let directory = self.directory(id);
        let (packs, refs) = (packs(&directory) > PACKS, self.snapshots.loose(id) + pushed > LOOSE);
        if !(packs || refs) || !self.upkeep.lock().insert(id) {
            return;
        }
        let all = self.clone();
        self.tasks.spawn(async move {
            let kept = async {
                if packs {
                    all.repack(&directory).await?;
                }
                if refs {
                    all.pack_refs(&directory).await?;
                }
                Ok::<_, GitError>(())
            };
            if let Err(error) = kept.await {
                tracing::warn!(repository = %id, %error, "upkeep failed; it is tried again after a later push");
            }
            all.upkeep.lock().remove(&id);
        });
    }

    /// Rolls packs together so that each is at least twice as large as the next smaller one. Nothing is pruned, so that
    /// no push in flight loses an object it counts on; readers of a pack that goes keep it open or find the new one.
    async fn repack(&self, directory: &Path) -> Result<(), GitError> {
        let _slot = self.slots.long(Asker::Server).await?;
        let mut command = self.git.command(directory);
        command.args(["repack", "-d", "-l", "-q", "--geometric=2"]);
        self.git.run("repack", &mut command).await.map(drop)
    }
}

impl Repositories {
    /// Puts all refs into one file. Whoever reads them finds each in one place or the other.
    async fn pack_refs(&self, directory: &Path) -> Result<(), GitError> {
        let _slot = self.slots.short().await?;
        let mut command = self.git.command(directory);
        self.git.run("pack-refs", command.args(["pack-refs", "--all", "--prune"])).await.map(drop)
    }
}

impl Upkeep {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<RepositoryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn packs(repository: &Path) -> usize {
    let entries = std::fs::read_dir(repository.join("objects/pack")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count()
}

/// How many refs may be loose before they are packed.
const LOOSE: usize = 1000;
/// How many packs a repository may have before they are rolled together. A fetch looks into each.
const PACKS: usize = 50;
