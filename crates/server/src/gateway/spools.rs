//! Room on the disk for what is kept until an upstream has taken it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::refusal::Refusal;
use doorward_git::Repositories;
use doorward_rules::OwnFault;
use doorward_upstream::Print;

/// Places for files, of which one credential has a part at most.
#[derive(Debug, Clone)]
pub(super) struct Spools {
    disk: Repositories,
    taken: Arc<Mutex<HashMap<Option<Print>, usize>>>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct SpoolPlace {
    spools: Spools,
    print: Option<Print>,
}

impl Spools {
    pub(super) fn new(disk: Repositories) -> Self {
        Self { disk, taken: Arc::default() }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// The refusal, if there is none, or the disk is nearly full.
    pub(super) fn take(&self, print: Option<Print>) -> Result<SpoolPlace, Refusal> {
        self.check_room()?;
        let mut taken = self.lock();
        if taken.values().sum::<usize>() >= PLACES || taken.get(&print).is_some_and(|own| *own >= PLACES / 4) {
            return Err(Refusal::unavailable(OwnFault::Busy));
        }
        *taken.entry(print).or_default() += 1;
        drop(taken);
        Ok(SpoolPlace { spools: self.clone(), print })
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<Print>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SpoolPlace {
    fn drop(&mut self) {
        let mut taken = self.spools.lock();
        if let Some(own) = taken.get_mut(&self.print) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.print);
            }
        }
    }
}

/// How many files there may be at once.
const PLACES: usize = 64;
