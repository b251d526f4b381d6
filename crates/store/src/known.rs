//! What was found about credentials lately, for as long as nothing has changed.
//!
//! Every entry holds under one number of the epoch and under no other, so an answer from here is as fresh as one from the
//! database. Nothing is kept for longer than a second even so, should somebody change the database by hand, which the
//! epoch does not see. Only what proven credentials asked for is kept: strangers cannot fill it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use doorward_rules::Calendar;
use doorward_wire::{AccountName, Presentation, PresentedName, RepositorySlug, WorkspaceSlug};

use crate::epoch::Settled;
use crate::{Finding, Named};

/// What was found lately.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Shelf>);

/// One question: all of it that the answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    digest: [u8; 32],
    presentation: (doorward_rules::Scheme, PresentedName),
    workspace: Option<WorkspaceSlug>,
    repository: Option<RepositorySlug>,
    account: Option<AccountName>,
}

#[derive(Debug, Default)]
struct Shelf {
    under: Option<Settled>,
    since: Option<Instant>,
    /// Filled until it is full; then it becomes the older half, and what nobody asked for since is gone.
    young: HashMap<Question, Arc<Finding>>,
    old: HashMap<Question, Arc<Finding>>,
    calendar: Option<Arc<Calendar>>,
}

impl Question {
    /// `None` for a question that is not worth keeping: with a user name that nobody can have, which may be long.
    pub(crate) fn new(presentation: &Presentation, named: Named<'_>) -> Option<Self> {
        let long = matches!(&presentation.name, PresentedName::Other(name) if name.len() > LONGEST_NAME);
        (!long).then(|| Self {
            digest: *presentation.token.digest.as_bytes(),
            presentation: (presentation.scheme, presentation.name.clone()),
            workspace: named.workspace().cloned(),
            repository: named.repository().cloned(),
            account: named.account().cloned(),
        })
    }
}

impl Known {
    pub(crate) fn finding(&self, under: Settled, question: &Question) -> Option<Arc<Finding>> {
        let mut shelf = self.shelf(under);
        if let Some(found) = shelf.young.get(question) {
            return Some(found.clone());
        }
        let found = shelf.old.remove(question)?;
        shelf.keep(question.clone(), found.clone());
        Some(found)
    }

    pub(crate) fn keep_finding(&self, under: Settled, question: Question, found: Arc<Finding>) {
        self.shelf(under).keep(question, found);
    }

    pub(crate) fn calendar(&self, under: Settled) -> Option<Arc<Calendar>> {
        self.shelf(under).calendar.clone()
    }

    pub(crate) fn keep_calendar(&self, under: Settled, calendar: Arc<Calendar>) {
        self.shelf(under).calendar = Some(calendar);
    }

    /// The shelf for a number of the epoch; what stood there under another is thrown away.
    fn shelf(&self, under: Settled) -> std::sync::MutexGuard<'_, Shelf> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = shelf.since.is_some_and(|since| since.elapsed() < LIFE);
        if shelf.under != Some(under) || !fresh {
            *shelf = Shelf { under: Some(under), since: Some(Instant::now()), ..Shelf::default() };
        }
        shelf
    }
}

impl Shelf {
    fn keep(&mut self, question: Question, found: Arc<Finding>) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(question, found);
    }
}

/// How long anything is kept.
const LIFE: Duration = Duration::from_secs(1);
/// The longest user name is an e-mail address.
const LONGEST_NAME: usize = 254;
/// How many entries make a half. Of about a kilobyte each, both halves take some 32 MB at most.
const HALF: usize = 16_384;
