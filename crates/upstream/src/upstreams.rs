//! All upstreams of a server, which may be others while it runs.

use std::sync::{Arc, PoisonError, RwLock};

use crate::Upstream;

/// All upstreams of a server; at first, none. Cheap to clone; what is put in their place is there for all clones.
#[derive(Debug, Clone, Default)]
pub struct Upstreams(Arc<RwLock<Arc<[Upstream]>>>);

impl Upstreams {
    /// Those of now.
    pub fn all(&self) -> Arc<[Upstream]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in their place. Requests that are under way finish with what they began with.
    pub fn replace(&self, upstreams: Vec<Upstream>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = upstreams.into();
    }
}
