//! What was last seen of repositories, and by whom: for a moment, so that the requests of one command of git need one look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use doorward_git::Listing;

use crate::upstream::Subject;

/// The newest looks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latest(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    looks: HashMap<Subject, Look>,
    bytes: usize,
    /// Whether what is too old is about to be thrown away.
    sweeps: bool,
}

#[derive(Debug)]
struct Look {
    began: Instant,
    ended: Instant,
    refs: Listing,
    bytes: usize,
}

impl Latest {
    /// Keeps what a look saw that began and ended at these moments.
    pub(crate) fn note(&self, subject: Subject, (began, ended): (Instant, Instant), refs: &Listing) {
        let mut state = self.lock();
        if state.looks.get(&subject).is_some_and(|look| look.began > began) {
            return;
        }
        state.forget(subject);
        let bytes = refs.bytes();
        // Without it each request of a command is a look of its own.
        if state.bytes + bytes > MOST_BYTES || state.looks.len() >= MOST {
            return;
        }
        state.bytes += bytes;
        state.looks.insert(subject, Look { began, ended, refs: refs.clone(), bytes });
        if !std::mem::replace(&mut state.sweeps, true) {
            tokio::spawn(self.clone().sweep());
        }
    }

    /// Forgets it: the caller may not see it any more.
    pub(crate) fn forget(&self, subject: Subject) {
        self.lock().forget(subject);
    }

    /// What was seen a moment ago.
    pub(crate) fn recall(&self, subject: Subject) -> Option<Listing> {
        let state = self.lock();
        let look = state.looks.get(&subject).filter(|look| look.ended.elapsed() < MOMENT)?;
        Some(look.refs.clone())
    }

    async fn sweep(self) {
        loop {
            tokio::time::sleep(MOMENT).await;
            let mut state = self.lock();
            let old: Vec<Subject> =
                (state.looks.iter()).filter(|(_, look)| look.ended.elapsed() >= MOMENT).map(|(key, _)| *key).collect();
            old.into_iter().for_each(|subject| state.forget(subject));
            if state.looks.is_empty() {
                state.sweeps = false;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, subject: Subject) {
        if let Some(look) = self.looks.remove(&subject) {
            self.bytes -= look.bytes;
        }
    }
}

/// Longer than git takes between two requests of one command.
const MOMENT: Duration = Duration::from_secs(5);
/// How many looks are kept.
const MOST: usize = 10_000;
/// Bytes of the lists that are kept: some three million refs.
const MOST_BYTES: usize = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use doorward_git::ObjectFormat;
    use doorward_rules::RepositoryId;

    use super::*;

    #[tokio::test]
    async fn the_newest_look_counts_and_none_that_is_old() {
        let latest = Latest::default();
        let [one, other] =
            [1, 2].map(|number| Subject { repository: RepositoryId(uuid::Uuid::from_u128(number)), print: None });
        let listed = |id: &str| {
            let line = format!("{} refs/heads/main\n", id.repeat(40));
            let answer = format!("{:04x}{line}0000", line.len() + 4);
            Listing::read(answer.as_bytes(), ObjectFormat::Sha1).expect("a list")
        };
        let (now, recalled) = (Instant::now(), |subject| {
            let refs = latest.recall(subject);
            refs.map(|refs| refs.find(b"refs/heads/main").map(|id| id[0]))
        });
        latest.note(one, (now, now), &listed("2"));
        latest.note(one, (now - Duration::from_secs(1), now), &listed("1"));
        assert_eq!((recalled(one), recalled(other)), (Some(Some(b'2')), None));
        latest.forget(one);
        assert_eq!((recalled(one), latest.lock().bytes), (None, 0));
        latest.note(other, (now - MOMENT, now - MOMENT), &listed("3"));
        assert_eq!(recalled(other), None, "it is too old");
    }
}
