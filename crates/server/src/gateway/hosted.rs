//! Which workspaces are here, for an upstream that has all others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use doorward_store::Workspace;

use crate::app::App;
use crate::refusal::Refusal;

/// The workspaces that were here a moment ago.
#[derive(Debug, Default)]
pub(super) struct Hosted(Mutex<Option<(Instant, Arc<HashSet<String>>)>>);

impl Hosted {
    /// Whether a workspace is here.
    pub(super) async fn has(&self, app: &App, workspace: &str) -> Result<bool, Refusal> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let names = match known.filter(|(at, _)| at.elapsed() < MOMENT) {
            Some((_, names)) => names,
            None => {
                let found = app.store.workspaces().await?;
                // REST takes their ids as well.
                let both = |found: Workspace| [found.slug.as_str().to_owned(), format!("{{{}}}", found.id)];
                let names: HashSet<String> = found.into_iter().flat_map(both).collect();
                let names = Arc::new(names);
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&names)));
                names
            }
        };
        Ok(names.contains(&workspace.to_lowercase()))
    }
}

/// How long it takes until a new workspace is found here.
const MOMENT: Duration = Duration::from_secs(1);
