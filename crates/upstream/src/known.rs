//! What is known of credentials from what an upstream has said of them before.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use doorward_rules::RepositoryId;

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
    /// Repositories that somebody without a credential was let in to, and when.
    open: HashMap<RepositoryId, Instant>,
    /// Credentials that worked and were refused for good since, and when, while none has worked; and since when these are too many to
    /// be believed.
    fallen: HashMap<(Print, Bucket), Instant>,
    everybody: [Option<Instant>; 2],
    /// What an upstream has given out for transfers, and when.
    vouched: HashMap<Print, Instant>,
}

/// Whether a refusal is to be doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It is believed.
    None,
    /// The credential has worked before.
    OfKnown,
    /// Nothing is known of the credential, and others were refused for no reason a moment ago.
    OfStranger,
}

#[derive(Debug)]
struct Credential {
    worked: Option<Instant>,
    /// Whether it was refused for so long since that it is believed.
    refused: bool,
    /// Whether it may be remembered when the server ends.
    lasting: bool,
    seen: Instant,
    /// Repositories where it was let in, or where it was refused and this is believed. A token for one repository is refused in all
    /// others, which says nothing of it.
    places: HashMap<RepositoryId, Place>,
}

/// What a credential is good for in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LetsIn,
    Refuses,
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

    /// Notes that a credential has worked for a repository; one that is `lasting` is remembered.
    pub(crate) fn worked(&self, print: Print, at: Bucket, repository: RepositoryId, lasting: bool) {
        let mut state = self.lock();
        let now = Instant::now();
        let known = state.credentials.entry((print, at)).or_insert(Credential::new(now));
        if !repository.0.is_nil() {
            known.note(repository, Place::LetsIn);
        }
        // What was written a day ago is good enough.
        let is_news = known.refused || known.worked.is_none_or(|worked| worked.elapsed() > DAY);
        (known.worked, known.refused, known.lasting, known.seen) = (Some(now), false, lasting, now);
        state.fallen.retain(|(_, other), _| *other != at);
        state.everybody[at as usize] = None;
        state.make_room();
        drop(state);
        if is_news && lasting {
            self.remember();
        }
    }

    /// Notes that a credential was refused for a repository, and that this is believed: of the credential as a whole, unless it is
    /// one that works elsewhere and never did there.
    ///
    /// Not if several that worked are refused one after the other and none works any more: that is the upstream's fault rather than
    /// theirs, and whoever believed it would have all jobs' credentials thrown away. True is returned then, and nothing is believed,
    /// for a while.
    pub(crate) fn refused(&self, print: Print, at: Bucket, repository: RepositoryId) -> bool {
        let mut state = self.lock();
        let known = state.credentials.entry((print, at)).or_insert(Credential::new(Instant::now()));
        let works_elsewhere = known.works_but_for(repository);
        if known.worked.is_some() && !works_elsewhere && state.falls(print, at) {
            return true;
        }
        let known = state.credentials.entry((print, at)).or_insert(Credential::new(Instant::now()));
        match works_elsewhere {
            true if repository.0.is_nil() => {}
            true => known.note(repository, Place::Refuses),
            false => known.refused = true,
        }
        let is_forgotten = known.lasting && !works_elsewhere;
        state.make_room();
        drop(state);
        if is_forgotten {
            self.remember();
        }
        false
    }

    /// Notes that somebody without a credential was let in.
    pub(crate) fn opened(&self, repository: RepositoryId) {
        note_now(&mut self.lock().open, repository, DAY);
    }

    /// Notes that a credential is wanted now, and that this is believed.
    pub(crate) fn closed(&self, repository: RepositoryId) {
        self.lock().open.remove(&repository);
    }

    /// Whether somebody without a credential was let in not long ago, and it was not closed since.
    pub(crate) fn is_open(&self, repository: RepositoryId) -> bool {
        self.lock().open.get(&repository).is_some_and(|at| at.elapsed() < DAY)
    }

    /// Notes what an upstream has given out for a transfer, to somebody who was let in.
    pub(crate) fn vouched(&self, print: Print) {
        note_now(&mut self.lock().vouched, print, OF_TRANSFERS);
    }

    /// Whether a credential has worked at all and is not refused since, or was given out for a transfer.
    pub(crate) fn works(&self, print: Print, at: Bucket) -> bool {
        let state = self.lock();
        let is_vouched = state.vouched.get(&print).is_some_and(|at| at.elapsed() < OF_TRANSFERS);
        is_vouched || state.credentials.get(&(print, at)).is_some_and(|known| known.worked.is_some() && !known.refused)
    }

    /// Whether a credential, if it is refused, is of no use wherever it is presented: it never worked, or does not any more.
    pub(crate) fn is_useless(&self, print: Print, at: Bucket) -> bool {
        self.lock().credentials.get(&(print, at)).is_none_or(|known| known.refused || known.worked.is_none())
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

    /// Whether a refusal is to be doubted: the credential worked before, and was not refused for good since, neither as a whole nor
    /// for this repository; or it is not known, and others were refused for no reason a moment ago.
    pub(crate) fn doubts(&self, print: Print, at: Bucket, repository: RepositoryId) -> Doubt {
        let state = self.lock();
        match state.credentials.get(&(print, at)) {
            Some(known) => {
                let is_good = known.worked.is_some_and(|worked| worked.elapsed() < TRUSTED) && !known.refused;
                match is_good && known.places.get(&repository) != Some(&Place::Refuses) {
                    true => Doubt::OfKnown,
                    false => Doubt::None,
                }
            }
            None if state.flaky.is_some_and(|flaky| flaky.elapsed() < FLAKY) => Doubt::OfStranger,
            None => Doubt::None,
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

    /// Notes that one that worked is refused; whether that is so of too many to be believed.
    fn falls(&mut self, print: Print, at: Bucket) -> bool {
        self.fallen.retain(|_, fell| fell.elapsed() < FLAKY);
        self.fallen.insert((print, at), Instant::now());
        let count = self.fallen.keys().filter(|(_, other)| *other == at).count();
        if count < EVERYBODY || self.everybody[at as usize].get_or_insert_with(Instant::now).elapsed() > FLAKY {
            return false;
        }
        // What was believed of the first ones was wrong, too.
        for (key, known) in &mut self.credentials {
            if key.1 == at && self.fallen.contains_key(key) {
                known.refused = false;
            }
        }
        true
    }

    fn make_room(&mut self) {
        if self.credentials.len() > MOST {
            // Those go first that never worked: anybody can bring as many as they like.
            let least = self.credentials.iter().min_by_key(|(_, known)| (known.worked.is_some(), known.seen));
            let oldest = least.map(|(key, _)| *key);
            oldest.map(|key| self.credentials.remove(&key));
        }
    }
}

impl Credential {
    fn new(seen: Instant) -> Self {
        Self { worked: None, refused: false, lasting: false, seen, places: HashMap::new() }
    }

    /// Whether it lets in at another place and never did at this one, so that a refusal here says nothing of it as a whole. Of what
    /// is about no repository nobody knows what it is for.
    fn works_but_for(&self, repository: RepositoryId) -> bool {
        let lets_in = |place: &Place| *place == Place::LetsIn;
        let elsewhere = !self.places.get(&repository).is_some_and(lets_in) && self.places.values().any(lets_in);
        self.worked.is_some() && (repository.0.is_nil() || elsewhere)
    }

    fn note(&mut self, repository: RepositoryId, place: Place) {
        if self.places.len() >= MOST_PLACES && !self.places.contains_key(&repository) {
            // What is forgotten is found out again.
            let any = self.places.keys().next().copied();
            any.map(|any| self.places.remove(&any));
        }
        self.places.insert(repository, place);
    }
}

/// Notes that something is so now, among what is remembered for as long as `life`.
fn note_now<K: Eq + Hash>(all: &mut HashMap<K, Instant>, key: K, life: Duration) {
    if all.len() >= MOST {
        all.retain(|_, at| at.elapsed() < life);
        if all.len() >= MOST {
            all.clear();
        }
    }
    all.insert(key, Instant::now());
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
/// How long what was given out for a transfer is known.
const OF_TRANSFERS: Duration = Duration::from_secs(3600);
/// How many good credentials are refused when it is the upstream that is wrong.
const EVERYBODY: usize = 3;
/// How many repositories are remembered of one credential.
const MOST_PLACES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::PrintKey;

    fn doubts(known: &Known, print: Print, at: Bucket, repository: RepositoryId) -> bool {
        known.doubts(print, at, repository) != Doubt::None
    }

    fn repository(number: u128) -> RepositoryId {
        RepositoryId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_refusal_is_doubted_of_what_worked_and_of_nothing_else() {
        let (known, key, here) = (Known::default(), PrintKey::new(), repository(1));
        let [good, bad] = ["good", "bad"].map(|secret| key.print(&[secret]));
        assert!(!doubts(&known, good, Bucket::Git, here), "never seen");
        known.worked(good, Bucket::Git, here, false);
        assert!(doubts(&known, good, Bucket::Git, here) && !doubts(&known, bad, Bucket::Git, here));
        assert!(doubts(&known, good, Bucket::Git, repository(2)), "it may be good there, too");
        assert!(!doubts(&known, good, Bucket::Rest, here), "what is good for git may be of no use for REST");
        known.refused(good, Bucket::Git, here);
        assert!(known.is_useless(good, Bucket::Git));
        assert!(!doubts(&known, good, Bucket::Git, here), "it was refused for good");
        assert!(!doubts(&known, good, Bucket::Git, repository(2)), "everywhere, since it had worked there");
        known.worked(good, Bucket::Git, here, false);
        assert!(doubts(&known, good, Bucket::Git, here), "and works again");
    }

    #[test]
    fn what_is_for_one_repository_is_trusted_there_after_it_was_refused_for_another() {
        let (known, key) = (Known::default(), PrintKey::new());
        let (token, [its_own, other]) = (key.print(&["token"]), [1, 2].map(repository));
        known.worked(token, Bucket::Git, its_own, false);
        known.refused(token, Bucket::Git, other);
        assert!(!known.is_useless(token, Bucket::Git) && doubts(&known, token, Bucket::Git, its_own));
        known.worked(token, Bucket::Git, its_own, false);
        assert!(!doubts(&known, token, Bucket::Git, other), "it is not waited for again");
    }

    #[test]
    fn while_good_ones_are_refused_a_stranger_is_doubted_once() {
        let (known, key, here) = (Known::default(), PrintKey::new(), repository(1));
        let [good, stranger] = ["good", "stranger"].map(|secret| key.print(&[secret]));
        known.worked(good, Bucket::Git, here, false);
        known.was_flaky();
        assert!(doubts(&known, stranger, Bucket::Git, here));
        known.refused(stranger, Bucket::Git, here);
        assert!(!doubts(&known, stranger, Bucket::Git, here), "it was waited for already");
        known.refused(good, Bucket::Git, here);
        assert!(!doubts(&known, good, Bucket::Git, here));
    }

    #[tokio::test]
    async fn what_is_remembered_from_before_a_start_is_refused_as_a_whole() {
        let (directory, key) = (tempfile::tempdir().expect("a directory"), PrintKey::new());
        let (print, memory) = (key.print(&["token"]), Memory::new(directory.path(), "upstream"));
        memory.write(&[(print, Bucket::Git, Duration::from_secs(60))]).expect("written");
        let known = Known::remembered(memory);
        assert!(doubts(&known, print, Bucket::Git, repository(1)));
        known.refused(print, Bucket::Git, repository(1));
        assert!(known.is_useless(print, Bucket::Git), "nobody knows of a place where it works");
    }

    #[test]
    fn when_all_are_refused_it_is_believed_of_none() {
        let (known, key, here) = (Known::default(), PrintKey::new(), repository(1));
        let all = ["a", "b", "c", "d"].map(|secret| key.print(&[secret]));
        all.iter().for_each(|print| known.worked(*print, Bucket::Git, here, false));
        assert_eq!(all.map(|print| known.refused(print, Bucket::Git, here)), [false, false, true, true]);
        assert!(all.iter().all(|print| doubts(&known, *print, Bucket::Git, here)), "not of the first ones either");
        // One that works shows that the others are refused in earnest.
        known.worked(all[3], Bucket::Git, here, false);
        assert!(!known.refused(all[0], Bucket::Git, here) && !doubts(&known, all[0], Bucket::Git, here));
        known.worked(all[3], Bucket::Git, here, false);
        assert!(!known.refused(all[1], Bucket::Git, here) && !known.refused(all[2], Bucket::Git, here));
    }

    #[test]
    fn who_came_without_a_credential_and_was_let_in_is_let_in_again() {
        let (known, here) = (Known::default(), repository(1));
        assert!(!known.is_open(here));
        known.opened(here);
        assert!(known.is_open(here) && !known.is_open(repository(2)));
        known.closed(here);
        assert!(!known.is_open(here));
    }

    #[test]
    fn however_many_strangers_come_what_worked_is_known() {
        let (known, key, here) = (Known::default(), PrintKey::new(), repository(1));
        let good = key.print(&["good"]);
        known.worked(good, Bucket::Git, here, false);
        for number in 0..=MOST {
            known.refused(key.print(&[&number.to_string()]), Bucket::Git, here);
        }
        assert!(doubts(&known, good, Bucket::Git, here));
        assert_eq!(known.lock().credentials.len(), MOST);
    }
}
