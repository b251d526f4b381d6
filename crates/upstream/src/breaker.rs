//! Leaves an upstream alone that does not answer: after some troubles in a row one request at a time finds out whether it is back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

/// Whether an upstream answers.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Troubles in a row.
    troubles: u32,
    /// Until when nobody asks.
    rests: Option<Instant>,
    /// Whether one asks all the same.
    probed: bool,
}

/// Leave to ask, until this is dropped.
#[derive(Debug)]
pub(crate) struct Leave {
    breaker: Arc<Breaker>,
    probes: bool,
}

impl Breaker {
    /// Waits for leave to ask; `None` if there is none before the deadline.
    pub(crate) async fn leave(self: &Arc<Self>, deadline: Instant) -> Option<Leave> {
        loop {
            let changed = self.changed.notified();
            let until = {
                let mut state = self.lock();
                match state.rests {
                    None => return Some(Leave { breaker: Arc::clone(self), probes: false }),
                    Some(until) if until <= Instant::now() && !state.probed => {
                        state.probed = true;
                        return Some(Leave { breaker: Arc::clone(self), probes: true });
                    }
                    Some(until) if state.probed => until.max(Instant::now() + LONGEST),
                    Some(until) => until,
                }
            };
            let wake = until.min(deadline);
            let _ = timeout_at(wake.into(), changed).await;
            if Instant::now() >= deadline {
                return None;
            }
        }
    }

    /// Whether it rests.
    pub(crate) fn rests(&self) -> bool {
        self.lock().rests.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave {
    /// It has answered, whatever it said.
    pub(crate) fn answered(&self) {
        let mut state = self.breaker.lock();
        (state.troubles, state.rests) = (0, None);
        drop(state);
        self.breaker.changed.notify_waiters();
    }

    /// It has not, or has trouble.
    pub(crate) fn failed(&self) {
        let mut state = self.breaker.lock();
        state.troubles = state.troubles.saturating_add(1);
        if state.troubles >= MANY || self.probes {
            let rest = FIRST.saturating_mul(1 << state.troubles.saturating_sub(MANY).min(8)).min(LONGEST);
            state.rests = Some(Instant::now() + rest);
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.probes {
            self.breaker.lock().probed = false;
            self.breaker.changed.notify_waiters();
        }
    }
}

/// Troubles in a row after which it is left alone.
const MANY: u32 = 5;
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn after_some_troubles_one_asks_and_the_others_wait_for_what_it_finds() {
        let breaker = Arc::new(Breaker::default());
        for _ in 0..MANY {
            breaker.leave(soon()).await.expect("leave").failed();
        }
        assert!(breaker.rests());
        assert!(breaker.leave(Instant::now()).await.is_none(), "nobody may for now");
        let probe = breaker.leave(soon()).await.expect("one may, after a while");
        let waiting = tokio::spawn({
            let breaker = Arc::clone(&breaker);
            async move { breaker.leave(soon()).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        probe.answered();
        drop(probe);
        assert!(waiting.await.expect("it ends") && !breaker.rests());
    }

    #[tokio::test]
    async fn one_who_gives_up_lets_another_find_out() {
        let breaker = Arc::new(Breaker::default());
        for _ in 0..MANY {
            breaker.leave(soon()).await.expect("leave").failed();
        }
        drop(breaker.leave(soon()).await.expect("a probe"));
        breaker.leave(soon()).await.expect("another").answered();
        assert!(!breaker.rests());
    }
}
