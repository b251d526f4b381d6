//! Room on the disk for what is kept until an upstream has taken it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_git::Repositories;
use doorward_rules::OwnFault;
use doorward_upstream::Print;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::refusal::Refusal;

/// Places for files, of which one credential has a part at most.
#[derive(Debug, Clone)]
pub(super) struct Spools {
    disk: Repositories,
    places: Arc<Places>,
}

#[derive(Debug, Default)]
struct Places {
    taken: Mutex<HashMap<Option<Print>, usize>>,
    freed: Notify,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct SpoolPlace {
    places: Arc<Places>,
    print: Option<Print>,
}

impl Spools {
    pub(super) fn new(disk: Repositories) -> Self {
        Self { disk, places: Arc::default() }
    }

    /// Takes a place, or waits for one.
    ///
    /// # Errors
    /// The refusal, if none becomes free in time, or the disk is nearly full.
    pub(super) async fn take(&self, print: Option<Print>, patience: Duration) -> Result<SpoolPlace, Refusal> {
        self.check_room()?;
        let taking = async {
            loop {
                let freed = self.places.freed.notified();
                if self.places.take(print) {
                    return SpoolPlace { places: Arc::clone(&self.places), print };
                }
                freed.await;
            }
        };
        timeout(patience, taking).await.map_err(|_| Refusal::unavailable(OwnFault::Busy))
    }

    /// Whether there is room for more.
    ///
    /// # Errors
    /// The refusal, if the disk is nearly full: what else is kept on it comes first.
    pub(super) fn check_room(&self) -> Result<(), Refusal> {
        if self.disk.is_nearly_full() {
            let directory = self.disk.root().display();
            tracing::error!(%directory, "the disk is nearly full: nothing is kept for upstreams");
            return Err(Refusal::unavailable(OwnFault::Busy));
        }
        Ok(())
    }
}

impl Places {
    fn take(&self, print: Option<Print>) -> bool {
        let mut taken = self.lock();
        let own = taken.get(&print).copied().unwrap_or(0);
        let is_free = taken.values().sum::<usize>() < PLACES && own < PLACES / 2;
        if is_free {
            taken.insert(print, own + 1);
        }
        is_free
    }

    fn give_back(&self, print: Option<Print>) {
        let mut taken = self.lock();
        if let Some(own) = taken.get_mut(&print) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&print);
            }
        }
        drop(taken);
        self.freed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<Print>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SpoolPlace {
    fn drop(&mut self) {
        self.places.give_back(self.print);
    }
}

/// How many files there may be at once.
const PLACES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_credential_has_half_of_the_places_and_gives_them_back() {
        let places = Places::default();
        assert!((0..PLACES / 2).all(|_| places.take(None)) && !places.take(None));
        places.give_back(None);
        assert!(places.take(None) && !places.take(None));
        (0..PLACES / 2).for_each(|_| places.give_back(None));
        assert!(places.lock().is_empty());
    }
}
