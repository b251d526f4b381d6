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
    /// Since when one asks all the same.
    probed: Option<Instant>,
}

/// Leave to ask, until this is dropped.
#[derive(Debug)]
pub(crate) struct Leave {
    breaker: Arc<Breaker>,
    probes: bool,
    /// Whether it was waited for, together with others.
    pub(crate) waited: bool,
}

impl Breaker {
    /// Waits for leave to ask; `None` if there is none before the deadline. Only who `may_probe` finds out for the others whether the
    /// upstream is back: what takes long to send would keep them waiting.
    pub(crate) async fn leave(self: &Arc<Self>, deadline: Instant, may_probe: bool) -> Option<Leave> {
        let mut waited = false;
        loop {
            let changed = self.changed.notified();
            let until = {
                let mut state = self.lock();
                let now = Instant::now();
                let is_probed = state.probed.is_some_and(|since| since + PROBE > now);
                match state.rests {
                    None => return Some(self.give(false, waited)),
                    Some(until) if until <= now && !may_probe => return Some(self.give(false, waited)),
                    Some(until) if until <= now && !is_probed => {
                        state.probed = Some(now);
                        return Some(self.give(true, false));
                    }
                    Some(until) if is_probed => until.max(now + LONGEST),
                    Some(until) => until,
                }
            };
            waited = true;
            let wake = until.min(deadline);
            let _ = timeout_at(wake.into(), changed).await;
            if Instant::now() >= deadline {
                return None;
            }
        }
    }

    fn give(self: &Arc<Self>, probes: bool, waited: bool) -> Leave {
        Leave { breaker: Arc::clone(self), probes, waited }
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
            self.breaker.lock().probed = None;
            self.breaker.changed.notify_waiters();
        }
    }
}

/// Troubles in a row after which it is left alone.
const MANY: u32 = 5;
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);
/// How long others wait for what one finds out, before another one tries.
const PROBE: Duration = Duration::from_secs(10);

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
            breaker.leave(soon(), true).await.expect("leave").failed();
        }
        assert!(breaker.rests());
        assert!(breaker.leave(Instant::now(), true).await.is_none(), "nobody may for now");
        let probe = breaker.leave(soon(), true).await.expect("one may, after a while");
        let waiting = tokio::spawn({
            let breaker = Arc::clone(&breaker);
            async move { breaker.leave(soon(), true).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        probe.answered();
        drop(probe);
        assert!(waiting.await.expect("it ends") && !breaker.rests());
    }

    #[tokio::test]
    async fn what_takes_long_to_send_finds_out_nothing_for_others_and_waits_for_nobody_who_does() {
        let breaker = Arc::new(Breaker::default());
        for _ in 0..MANY {
            breaker.leave(soon(), true).await.expect("leave").failed();
        }
        let push = breaker.leave(soon(), false).await.expect("leave, after a while");
        let probe = breaker.leave(soon(), true).await.expect("another finds out meanwhile");
        breaker.leave(soon(), false).await.expect("and another push need not wait for that");
        probe.answered();
        drop(push);
        assert!(!breaker.rests());
    }

    #[tokio::test]
    async fn one_who_gives_up_lets_another_find_out() {
        let breaker = Arc::new(Breaker::default());
        for _ in 0..MANY {
            breaker.leave(soon(), true).await.expect("leave").failed();
        }
        drop(breaker.leave(soon(), true).await.expect("a probe"));
        breaker.leave(soon(), true).await.expect("another").answered();
        assert!(!breaker.rests());
    }
}
