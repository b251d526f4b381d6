//! What is known of credentials from what an upstream has said of them before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Print;
use crate::budget::Bucket;
use crate::memory::{Memory, Remembered};

/// What is known of the credentials of one upstream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    memory: Option<Memory>,
    /// Whether what is remembered is about to be written.
    writes: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    credentials: HashMap<(Print, Bucket), Credential>,
    /// When a credential was last refused for no reason.
    flaky: Option<Instant>,
}

#[derive(Debug)]
struct Credential {
    worked: Option<Instant>,
    /// Whether it was refused for so long since that it is believed.
    refused: bool,
    /// Whether it may be remembered when the server ends.
    lasting: bool,
    seen: Instant,
}

impl Known {
    /// What is known of the credentials of an upstream when a server starts: what a file remembers.
    pub(crate) fn remembered(memory: Memory) -> Self {
        let mut state = State::default();
        let now = Instant::now();
        for (print, at, age) in memory.read().into_iter().filter(|(.., age)| *age < TRUSTED) {
            let Some(worked) = now.checked_sub(age) else { continue };
            let known = Credential { worked: Some(worked), lasting: true, ..Credential::new(worked) };
            state.credentials.insert((print, at), known);
        }
        Self(Arc::new(Inner { state: Mutex::new(state), memory: Some(memory), writes: AtomicBool::new(false) }))
    }

    /// Notes that a credential has worked; one that is `lasting` is remembered.
    pub(crate) fn worked(&self, print: Print, at: Bucket, lasting: bool) {
        let mut state = self.lock();
        let now = Instant::now();
        let known = state.credentials.entry((print, at)).or_insert(Credential::new(now));
        // What was written a day ago is good enough.
        let is_news = known.refused || known.worked.is_none_or(|worked| worked.elapsed() > DAY);
        (known.worked, known.refused, known.lasting, known.seen) = (Some(now), false, lasting, now);
        state.make_room();
        drop(state);
        if is_news && lasting {
            self.remember();
        }
    }

    /// Notes that a credential was refused, and that this is believed.
    pub(crate) fn refused(&self, print: Print, at: Bucket) {
        if let Some(known) = self.lock().credentials.get_mut(&(print, at)) {
            known.refused = true;
        }
        self.remember();
    }

    /// Writes what is to be remembered, in a moment: more may be news until then.
    fn remember(&self) {
        if self.0.memory.is_none() || self.0.writes.swap(true, Ordering::Relaxed) {
            return;
        }
        let known = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SOON).await;
            known.0.writes.store(false, Ordering::Relaxed);
            let entries: Vec<_> = known.lock().remembered().collect();
            let written = tokio::task::spawn_blocking(move || match &known.0.memory {
                Some(memory) => memory.write(&entries),
                None => Ok(()),
            });
            if let Ok(Err(error)) = written.await {
                tracing::warn!(%error, "which credentials worked cannot be written down");
            }
        });
    }

    /// Notes that a credential was refused for no reason: it has worked again.
    pub(crate) fn was_flaky(&self) {
        self.lock().flaky = Some(Instant::now());
    }

    /// Whether a refusal is to be doubted: the credential worked before, and was not refused for good since; or it is not known, and
    /// others were refused for no reason a moment ago.
    pub(crate) fn doubts(&self, print: Print, at: Bucket) -> bool {
        let state = self.lock();
        match state.credentials.get(&(print, at)) {
            Some(known) => !known.refused && known.worked.is_some_and(|worked| worked.elapsed() < TRUSTED),
            None => state.flaky.is_some_and(|flaky| flaky.elapsed() < FLAKY),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is remembered when the server ends.
    fn remembered(&self) -> impl Iterator<Item = Remembered> {
        let lasting = self.credentials.iter().filter(|(_, known)| known.lasting && !known.refused);
        lasting.filter_map(|((print, at), known)| Some((*print, *at, known.worked?.elapsed())))
    }

    fn make_room(&mut self) {
        if self.credentials.len() > MOST {
            let oldest = self.credentials.iter().min_by_key(|(_, known)| known.seen).map(|(key, _)| *key);
            oldest.map(|key| self.credentials.remove(&key));
        }
    }
}

impl Credential {
    fn new(seen: Instant) -> Self {
        Self { worked: None, refused: false, lasting: false, seen }
    }
}

/// How long a credential is trusted that has worked once.
const TRUSTED: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long an upstream is mistrusted that has refused a good credential.
const FLAKY: Duration = Duration::from_secs(15 * 60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long news is collected.
const SOON: Duration = Duration::from_millis(200);
/// How many credentials are known at most.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::PrintKey;

    #[test]
    fn a_refusal_is_doubted_of_what_worked_and_of_nothing_else() {
        let (known, key) = (Known::default(), PrintKey::new());
        let [good, bad] = ["good", "bad"].map(|secret| key.print(&[secret]));
        assert!(!known.doubts(good, Bucket::Git), "never seen");
        known.worked(good, Bucket::Git, false);
        assert!(known.doubts(good, Bucket::Git) && !known.doubts(bad, Bucket::Git));
        assert!(!known.doubts(good, Bucket::Rest), "what is good for git may be of no use for REST");
        known.refused(good, Bucket::Git);
        assert!(!known.doubts(good, Bucket::Git), "it was refused for good");
        known.worked(good, Bucket::Git, false);
        assert!(known.doubts(good, Bucket::Git), "and works again");
    }

    #[test]
    fn while_good_ones_are_refused_a_stranger_is_doubted_too() {
        let (known, key) = (Known::default(), PrintKey::new());
        let [good, stranger] = ["good", "stranger"].map(|secret| key.print(&[secret]));
        known.worked(good, Bucket::Git, false);
        known.was_flaky();
        assert!(known.doubts(stranger, Bucket::Git));
        known.refused(good, Bucket::Git);
        assert!(!known.doubts(good, Bucket::Git));
    }
}
