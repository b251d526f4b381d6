//! One at a time for each name: who asks for a name that is taken waits until it is free.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// The names that are taken or waited for.
#[derive(Debug, Default)]
pub(crate) struct Keyed(Mutex<HashMap<String, Arc<Turn<()>>>>);

impl Keyed {
    /// Waits for a name, which is taken until what this returns is dropped.
    pub(crate) async fn take(&self, name: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(name.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::Keyed;

    #[tokio::test]
    async fn a_name_is_taken_once_at_a_time_and_forgotten_when_nobody_has_it() {
        let keyed = Keyed::default();
        let (one, _other) = (keyed.take("a").await, keyed.take("b").await);
        let late = tokio::time::timeout(std::time::Duration::from_millis(20), keyed.take("a")).await;
        assert!(late.is_err());
        drop(one);
        drop(keyed.take("a").await);
        drop(keyed.take("c").await);
        assert_eq!(keyed.0.lock().expect("a lock").len(), 2);
    }
}
