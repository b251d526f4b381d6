//! What was asked on a connection.
//!
//! A git command makes several requests on one connection, and each of them would be a question to the upstream. The first one,
//! for `info/refs`, is always asked anew; those that follow within seconds, with the same credential, are parts of the same command,
//! and what was last seen with that credential is not older than that. So it is behind a proxy, too, which may send what follows on
//! another one of its connections: what the command has seen itself is the newest there, or something newer is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use doorward_git::Service;
use doorward_rules::RepositoryId;
use doorward_upstream::Print;

/// What was last asked on a connection with `info/refs`, and answered. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visit(Arc<Mutex<Option<Asked>>>);

#[derive(Debug)]
struct Asked {
    repository: RepositoryId,
    print: Option<Print>,
    service: Service,
    at: Instant,
}

impl Visit {
    /// Whether a repository was asked about for a service, with a credential, a moment ago.
    pub(super) fn has_asked(&self, repository: RepositoryId, print: Option<Print>, service: Service) -> bool {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.as_ref().is_some_and(|asked| {
            let is_same = (asked.repository, asked.print, asked.service) == (repository, print, service);
            is_same && asked.at.elapsed() < MOMENT
        })
    }

    pub(super) fn note(&self, repository: RepositoryId, print: Option<Print>, service: Service) {
        let asked = Asked { repository, print, service, at: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
    }
}

/// Longer than git takes between two requests of one command.
const MOMENT: Duration = Duration::from_secs(5);
