//! Places for git processes, so that their number is bounded whatever the load.

use std::future::pending;
use std::time::Duration;

use tokio::time::timeout;

use crate::GitError;
use crate::line::{Asker, Full, Line, Place, Waiting};

/// Places for processes of several sorts, which do not wait for each other.
#[derive(Debug, Clone)]
pub struct Slots {
    short: Line,
    long: Line,
    fetches: Line,
    clones: Line,
    brings: Line,
    slow: Line,
    settings: SlotSettings,
}

/// How many processes there may be at once, and how long one waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSettings {
    /// Short ones, whose answers are small and of which every other may need one first.
    pub short: usize,
    /// Those that last as long as their client takes: pushes, and what is read by REST.
    pub long: usize,
    /// Those that make the answer to whoever has a part already; and as many that bring what is new into mirrors.
    pub fetches: usize,
    /// Those that make the answer to whoever has nothing yet.
    pub clones: usize,
    /// How many may wait for a place of each sort.
    pub waiting: usize,
    /// How long one waits who cannot be told of it.
    pub patience: Duration,
    /// How long one waits who is told how it goes on.
    pub told_patience: Duration,
    /// How long a client may take for a piece of an answer.
    pub idle: Duration,
}

impl Slots {
    /// Places for so many processes of each sort.
    pub fn new(settings: SlotSettings) -> Self {
        let line = |places| Line::new(places, settings.waiting);
        Self {
            short: line(settings.short),
            long: line(settings.long),
            fetches: line(settings.fetches),
            clones: line(settings.clones),
            brings: line(settings.fetches),
            slow: Line::new(settings.long, usize::MAX),
            settings,
        }
    }

    /// How long a client may take for a piece of an answer.
    pub(crate) fn idle(&self) -> Duration {
        self.settings.idle
    }

    /// How long one waits who cannot be told of it.
    pub fn patience(&self) -> Duration {
        self.settings.patience
    }

    /// How long one waits who is told how it goes on.
    pub fn told_patience(&self) -> Duration {
        self.settings.told_patience
    }

    /// How many long processes may still be started.
    pub fn long_free(&self) -> usize {
        self.long.free()
    }

    /// How many wait for a process of any sort.
    pub fn waiting(&self) -> usize {
        [&self.short, &self.long, &self.fetches, &self.clones, &self.brings].map(Line::waiting).iter().sum()
    }

    pub(crate) async fn short(&self) -> Result<Place, GitError> {
        self.take(&self.short, Asker::Server).await
    }

    pub(crate) async fn long(&self, asker: Asker) -> Result<Place, GitError> {
        self.take(&self.long, asker).await
    }

    /// Joins the line for making an answer to a fetch.
    pub(crate) fn answer(&self, is_clone: bool, asker: Asker) -> Result<Waiting, GitError> {
        let line = if is_clone { &self.clones } else { &self.fetches };
        line.join(asker).map_err(|Full| GitError::Crowded)
    }

    /// Joins the line for bringing something into a mirror.
    pub(crate) fn bring(&self, asker: Asker) -> Result<Waiting, GitError> {
        self.brings.join(asker).map_err(|Full| GitError::Crowded)
    }

    /// Waits for a place among those who go on at the pace of their clients, of whom there may be as many as of long ones.
    pub(crate) async fn slow(&self, asker: Asker) -> Place {
        match self.slow.join(asker) {
            Ok(mut waiting) => waiting.place().await,
            Err(Full) => pending().await,
        }
    }

    async fn take(&self, line: &Line, asker: Asker) -> Result<Place, GitError> {
        let mut waiting = line.join(asker).map_err(|Full| GitError::Crowded)?;
        let patience = self.settings.patience;
        timeout(patience, waiting.place()).await.map_err(|_| GitError::Busy(patience))
    }
}
