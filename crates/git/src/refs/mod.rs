//! What refs a repository has, from memory: looked at again after each change of our own, and several times a second for those
//! that somebody else makes. One look for all who ask at once; no git process, unless there are tags that were never seen.

mod answer;
mod capabilities;
mod change;
mod listing;
mod loose;
mod packed;
mod snapshot;
mod stamp;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use doorward_lookout::Lookout;
use doorward_rules::RepositoryId;
use doorward_wire::ObjectId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::process::Process;
use crate::{GitError, Repositories};
pub(crate) use capabilities::Capabilities;
pub(crate) use change::Held;
pub use listing::Listing;
use snapshot::{Looked, look};
pub(crate) use snapshot::{Named, Snapshot};

/// The snapshots of all repositories that were asked about lately.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    kept: Mutex<HashMap<RepositoryId, Kept>>,
    lookout: Lookout<RepositoryId, Result<Option<Arc<Snapshot>>, Trouble>>,
}

/// What is known of one repository.
#[derive(Debug, Default)]
struct Kept {
    snapshot: Option<Arc<Snapshot>>,
    /// When the look began that it is from, or that found it unchanged.
    looked: Option<Instant>,
    /// Grows with each change of our own; and what it was when that look began.
    changes: u64,
    seen: u64,
    /// Commits that we brought in ourselves: no need to ask what they are.
    plain: HashSet<Box<[u8]>>,
    used: Option<Instant>,
}

/// Why a look failed, for all who wait for it.
#[derive(Debug, Clone)]
struct Trouble(Arc<GitError>);

impl Snapshots {
    /// Forgets what was known, since we have changed it ourselves; and notes the commits that were brought in.
    pub(crate) fn touch<'a>(&self, id: RepositoryId, commits: impl Iterator<Item = &'a ObjectId>) {
        let mut kept = self.lock();
        let kept = kept.entry(id).or_default();
        kept.changes += 1;
        if kept.plain.len() < MOST_PLAIN {
            kept.plain.extend(commits.map(|id| Box::from(id.as_str().as_bytes())));
        }
    }

    /// How many loose refs a repository has, as far as is known.
    pub(crate) fn loose(&self, id: RepositoryId) -> usize {
        self.lock().get(&id).and_then(|kept| kept.snapshot.as_ref()).map_or(0, |snapshot| snapshot.loose())
    }

    /// Forgets a repository.
    pub(crate) fn forget(&self, id: RepositoryId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RepositoryId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, if it is known well enough.
    fn known(&self, id: RepositoryId) -> Option<Arc<Snapshot>> {
        let mut all = self.lock();
        let kept = all.get_mut(&id)?;
        let fresh = kept.seen == kept.changes && kept.looked.is_some_and(|looked| looked.elapsed() < TRUSTED);
        let snapshot = kept.snapshot.clone().filter(|_| fresh)?;
        kept.used = Some(Instant::now());
        Some(snapshot)
    }

    fn keep(&self, id: RepositoryId, snapshot: &Arc<Snapshot>, began: Instant, seen: u64) {
        let mut all = self.lock();
        let kept = all.entry(id).or_default();
        // A look that began before another ended tells no more than that.
        if kept.looked.is_some_and(|looked| looked > began) {
            return;
        }
        (kept.snapshot, kept.looked, kept.seen, kept.used) =
            (Some(Arc::clone(snapshot)), Some(began), seen, Some(began));
        if kept.changes == seen {
            kept.plain.clear();
        }
        make_room(&mut all);
    }
}

/// Forgets what was not used for longest, until the rest is not too much.
fn make_room(all: &mut HashMap<RepositoryId, Kept>) {
    let size = |kept: &Kept| kept.snapshot.as_ref().map_or(0, |snapshot| snapshot.size()) + OVERHEAD;
    let mut total: usize = all.values().map(size).sum();
    while total > MOST_BYTES {
        let with = all.values_mut().filter(|kept| kept.snapshot.is_some());
        let Some(oldest) = with.min_by_key(|kept| kept.used) else { return };
        // Its changes are still counted: a look that began before one of them must not be taken for fresh.
        total -= size(oldest);
        (oldest.snapshot, oldest.looked, oldest.plain) = (None, None, HashSet::new());
    }
}

impl Repositories {
    /// The refs of a repository: as they are now, or were a moment ago if nobody but a stranger can have changed them. `None`
    /// if only git can make something of them.
    pub(crate) async fn snapshot(&self, id: RepositoryId) -> Result<Option<Arc<Snapshot>>, GitError> {
        if let Some(known) = self.snapshots.known(id) {
            return Ok(Some(known));
        }
        // In a task of its own: a look at files cannot be given up, and whoever gives up would leave it to run beside the next.
        let all = self.clone();
        let seen = tokio::spawn(async move { all.snapshots.lookout.ask(id, || all.look(id)).await });
        let seen = seen.await.map_err(|error| GitError::run("refs")(std::io::Error::other(error)))?;
        seen.map_err(|Trouble(error)| match &*error {
            GitError::Busy(patience) => GitError::Busy(*patience),
            GitError::Crowded => GitError::Crowded,
            error => GitError::Run { what: "refs", source: std::io::Error::other(error.to_string()) },
        })
    }

    async fn look(&self, id: RepositoryId) -> Result<Option<Arc<Snapshot>>, Trouble> {
        self.look_at(id).await.map_err(|error| Trouble(Arc::new(error)))
    }

    async fn look_at(&self, id: RepositoryId) -> Result<Option<Arc<Snapshot>>, GitError> {
        let (began, directory) = (Instant::now(), self.directory(id));
        let (before, seen, plain) = {
            let mut all = self.snapshots.lock();
            let kept = all.entry(id).or_default();
            (kept.snapshot.clone(), kept.changes, kept.plain.clone())
        };
        let (place, known, trusted) = (directory.clone(), before.clone(), plain.clone());
        let looked = tokio::task::spawn_blocking(move || look(&place, known.as_deref(), &trusted)).await;
        let looked = looked.map_err(|error| GitError::run("refs")(std::io::Error::other(error)))?;
        let looked = looked.unwrap_or_else(|error| {
            // Git may know better, or say what is wrong.
            tracing::info!(repository = %id, %error, "refs cannot be read here; git is asked");
            Looked::Foreign
        });
        let snapshot = match looked {
            Looked::Foreign => return Ok(None),
            Looked::Same => match before {
                Some(before) => before,
                None => return Ok(None),
            },
            Looked::Changed(found) => {
                let told = self.told_of(&directory, &found.unknown).await?;
                // What is not there leaves the whole answer to git, which says so.
                let Some(told) = told else { return Ok(None) };
                Arc::new(found.settled(before.as_deref(), &plain, told))
            }
        };
        self.snapshots.keep(id, &snapshot, began, seen);
        Ok(Some(snapshot))
    }

    /// Asks git what objects are: of each what it leads to, if it is a tag. `None` if one of them is not there.
    async fn told_of(
        &self,
        directory: &Path,
        unknown: &[Box<[u8]>],
    ) -> Result<Option<HashMap<Box<[u8]>, Option<Box<[u8]>>>>, GitError> {
        if unknown.is_empty() {
            return Ok(Some(HashMap::new()));
        }
        let _slot = self.slots.short().await?;
        let mut command = self.git.command(directory);
        command.args(["cat-file", "--batch-check=%(objectname)", "--buffer"]);
        let (process, mut stdin, mut stdout) = Process::start("cat-file", &mut command)?;
        let mut questions = Vec::with_capacity(unknown.len() * 45);
        for id in unknown {
            questions.extend_from_slice(id);
            questions.extend_from_slice(b"^{}\n");
        }
        let mut answers = Vec::new();
        let (asked, read) = tokio::join!(
            async {
                let asked = stdin.write_all(&questions).await;
                drop(stdin);
                asked
            },
            stdout.read_to_end(&mut answers)
        );
        process.wait().await?;
        asked.and(read.map(drop)).map_err(GitError::run("cat-file"))?;
        let lines: Vec<&[u8]> = answers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let whole = lines.len() == unknown.len() && lines.iter().all(|line| !line.contains(&b' '));
        let told = unknown.iter().zip(lines);
        let told = told.map(|(id, line)| (id.clone(), (line != &**id).then(|| Box::from(line))));
        Ok(whole.then(|| told.collect()))
    }
}

/// How long a look is trusted, if nothing was changed by ourselves. Whatever somebody else changes is seen after that.
const TRUSTED: Duration = Duration::from_millis(250);
/// How many commits of our own are remembered between two looks.
const MOST_PLAIN: usize = 10_000;
/// Bytes of all snapshots together.
const MOST_BYTES: usize = 256 * 1024 * 1024;
/// Bytes that a repository takes at least.
const OVERHEAD: usize = 1024;
