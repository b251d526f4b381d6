//! Places for git processes, so that their number is bounded whatever the load.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::GitError;

/// Places for processes of two sorts, which do not wait for each other: short ones, whose answers are small and of
/// which every clone and push needs one first, and long ones, which last as long as their client takes.
#[derive(Debug, Clone)]
pub struct Slots {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    patience: Duration,
    idle: Duration,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

impl Slots {
    /// Places for so many processes of each sort. Who does not get one within `patience` is turned away; who does not
    /// take a piece of an answer within `idle` loses it.
    pub fn new(short: usize, long: usize, patience: Duration, idle: Duration) -> Self {
        Self { short: Arc::new(Semaphore::new(short)), long: Arc::new(Semaphore::new(long)), patience, idle }
    }

    /// How long a client may take for a piece of an answer.
    pub(crate) fn idle(&self) -> Duration {
        self.idle
    }

    /// How many long processes may still be started.
    pub fn long_free(&self) -> usize {
        self.long.available_permits()
    }

    pub(crate) async fn short(&self) -> Result<Slot, GitError> {
        self.take(&self.short).await
    }

    pub(crate) async fn long(&self) -> Result<Slot, GitError> {
        self.take(&self.long).await
    }

    /// Places are given in the order in which they were asked for.
    async fn take(&self, places: &Arc<Semaphore>) -> Result<Slot, GitError> {
        match timeout(self.patience, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot(permit)),
            _ => Err(GitError::Busy(self.patience)),
        }
    }
}
