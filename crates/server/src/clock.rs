//! The present moment, as the server tells it: the machine's, or in a sandbox another one that goes on from there.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use doorward_rules::Timestamp;

/// Tells the time.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Milliseconds that this clock is ahead of the machine's.
    ahead: AtomicI64,
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(machine().saturating_add(self.ahead.load(Ordering::Relaxed)))
    }

    /// From now on it is this late, and time goes on from there.
    pub(crate) fn set(&self, now: Timestamp) {
        self.ahead.store(now.0.saturating_sub(machine()), Ordering::Relaxed);
    }
}

fn machine() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
