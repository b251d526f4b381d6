//! The objects of repositories, kept open for those who are asked about often.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use doorward_packs::Objects;
use doorward_rules::RepositoryId;

use crate::ObjectFormat;
use crate::refs::Snapshot;

/// The objects of all repositories that were asked about lately.
#[derive(Debug, Default)]
pub(crate) struct Stored(Mutex<HashMap<RepositoryId, Kept>>);

#[derive(Debug)]
struct Kept {
    objects: Arc<Objects>,
    used: Instant,
    /// Until when git is asked instead, because something could not be read here after all.
    distrusted: Option<Instant>,
}

impl Stored {
    /// The objects of a repository with these refs; `None` if git is to be asked: also where they are not of SHA-1, or another
    /// repository's are part of them.
    pub(crate) fn of(&self, id: RepositoryId, repository: &Path, refs: &Snapshot) -> Option<Arc<Objects>> {
        if refs.format != ObjectFormat::Sha1 || refs.has_alternates {
            return None;
        }
        let mut all = self.lock();
        let kept = all.entry(id).or_insert_with(|| {
            let objects = Arc::new(Objects::new(repository.join("objects")));
            Kept { objects, used: Instant::now(), distrusted: None }
        });
        kept.used = Instant::now();
        if kept.distrusted.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let objects = Arc::clone(&kept.objects);
        make_room(&mut all, id);
        Some(objects)
    }

    /// Notes that something could not be read here after all.
    pub(crate) fn distrust(&self, id: RepositoryId) {
        if let Some(kept) = self.lock().get_mut(&id) {
            kept.distrusted = Some(Instant::now() + DISTRUSTED);
        }
    }

    /// Forgets a repository.
    pub(crate) fn forget(&self, id: RepositoryId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RepositoryId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what was not used for longest, until the rest is not too much.
fn make_room(all: &mut HashMap<RepositoryId, Kept>, but: RepositoryId) {
    loop {
        let (bytes, open) = all
            .values()
            .fold((0, 0), |(bytes, open), kept| (bytes + kept.objects.size(), open + FILES * kept.objects.open()));
        if bytes <= MOST_BYTES && open <= MOST_OPEN && all.len() <= MOST_OPEN {
            return;
        }
        let oldest = all.iter().filter(|(id, _)| **id != but).min_by_key(|(_, kept)| kept.used);
        let Some((&id, _)) = oldest else { return };
        all.remove(&id);
    }
}

/// How long git is asked instead.
const DISTRUSTED: Duration = Duration::from_secs(600);
/// Bytes of what is remembered of all packs.
const MOST_BYTES: usize = 24 * 1024 * 1024;
/// How many files are open.
const MOST_OPEN: usize = 1000;
/// How many a pack has open: itself and, if it is large, its index.
const FILES: usize = 2;
