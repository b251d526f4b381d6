//! What was seen for a connection.
//!
//! A git command makes several requests on one connection, and each of them would be a question to the upstream. The first one,
//! for `info/refs`, is always asked anew; those that follow within seconds, with the same credential, are parts of the same command,
//! and what it saw is not older than that. Another connection never gains by it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use doorward_git::Listing;
use doorward_rules::RepositoryId;
use doorward_upstream::Print;

/// What the last look on a connection has seen. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visit(Arc<Mutex<Option<Look>>>);

#[derive(Debug)]
struct Look {
    repository: RepositoryId,
    print: Option<Print>,
    refs: Listing,
    at: Instant,
}

impl Visit {
    /// What was seen of a repository with a credential a moment ago.
    pub(super) fn recall(&self, repository: RepositoryId, print: Option<Print>) -> Option<Listing> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = kept.as_ref()?;
        if look.at.elapsed() >= MOMENT {
            *kept = None;
            return None;
        }
        (look.repository == repository && look.print == print).then(|| look.refs.clone())
    }

    pub(super) fn keep(&self, repository: RepositoryId, print: Option<Print>, refs: &Listing) {
        let look = Look { repository, print, refs: refs.clone(), at: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
    }
}

/// Longer than git takes between two requests of one command.
const MOMENT: Duration = Duration::from_secs(5);
