//! One look for many who ask the same, and never an answer that is older than its question.
//!
//! Whoever asks while nobody looks, looks at once. Whoever asks while a look is under way does not join it, since that may have
//! seen what was before the question; all such wait together, and share the one look that begins when that has ended. So at most
//! one look for a key is under way and at most one is to come, however many ask.
//!
//! A look is carried out by one of those who wait for it. If that one gives up, another one of them begins anew; if nobody is
//! left, nobody looks.

mod sync;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::hash::Hash;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sync::{Arc, Mutex, MutexGuard};

/// Looks that are shared, by what they are at.
#[derive(Debug)]
pub struct Lookout<K, V>(Mutex<HashMap<K, Posts<V>>>);

/// Who looks and who waits, for one key.
#[derive(Debug)]
struct Posts<V> {
    /// The round that looks, or is about to.
    present: Arc<Mutex<Round<V>>>,
    /// The round that looks next.
    next: Option<Arc<Mutex<Round<V>>>>,
}

/// Those who share one look.
#[derive(Debug)]
struct Round<V> {
    /// Whether its time has come: the round before it has ended.
    called: bool,
    /// Whether one of them looks.
    led: bool,
    /// What that has seen.
    seen: Option<V>,
    /// Who is to be told of a change, by the number that each was given.
    waiting: Vec<(u64, Waker)>,
    /// How many of them have not gone.
    members: usize,
    numbers: u64,
}

/// What one who asks is to do next.
enum Turn<V> {
    /// Wait for somebody else.
    Wait,
    /// Look.
    Lead,
    /// Take what was seen.
    Take(V),
}

/// One who asks, until it has an answer or gives up.
struct Member<'a, K: Eq + Hash + Clone, V: Clone> {
    lookout: &'a Lookout<K, V>,
    key: K,
    round: Arc<Mutex<Round<V>>>,
    number: u64,
    leads: bool,
}

impl<K, V> Default for Lookout<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Lookout<K, V> {
    /// What a look sees that began after this was called: `look`, or that of another who asked for the same key.
    ///
    /// `look` is called once at most, and not at all if another one's was shared. Dropping the future gives up.
    pub async fn ask<F: Future<Output = V>>(&self, key: K, look: impl FnOnce() -> F) -> V {
        let mut member = self.join(key);
        if let Some(seen) = poll_fn(|context| member.poll_turn(context)).await {
            return seen;
        }
        let seen = pin!(look()).await;
        member.report(seen.clone());
        seen
    }

    /// How many keys somebody asks for at the moment.
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Whether nobody asks for anything at the moment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Joins the round that has not begun to look yet.
    fn join(&self, key: K) -> Member<'_, K, V> {
        let mut all = lock(&self.0);
        let round = match all.get_mut(&key) {
            None => {
                let round = Round::new(true);
                all.insert(key.clone(), Posts { present: Arc::clone(&round), next: None });
                round
            }
            Some(posts) => {
                // One that is called and not led yet has not begun to look: what it sees is new to whoever asks now.
                let begun = lock(&posts.present).led;
                match begun {
                    false => Arc::clone(&posts.present),
                    true => Arc::clone(posts.next.get_or_insert_with(|| Round::new(false))),
                }
            }
        };
        let number = lock(&round).enter();
        drop(all);
        Member { lookout: self, key, round, number, leads: false }
    }

    /// Ends a round that has seen what there is, or in which nobody is left; and calls the next one if there is somebody in it.
    fn relieve(&self, key: &K, ended: &Arc<Mutex<Round<V>>>) {
        let mut all = lock(&self.0);
        let Some(posts) = all.get_mut(key).filter(|posts| Arc::ptr_eq(&posts.present, ended)) else { return };
        {
            let ended = lock(ended);
            // Somebody may have joined it in the meantime.
            if ended.seen.is_none() && ended.members > 0 {
                return;
            }
        }
        match posts.next.take().filter(|next| lock(next).members > 0) {
            None => drop(all.remove(key)),
            Some(next) => {
                lock(&next).called = true;
                posts.present = Arc::clone(&next);
                drop(all);
                wake(&next);
            }
        }
    }
}

impl<V: Clone> Round<V> {
    fn new(called: bool) -> Arc<Mutex<Self>> {
        let round = Self { called, led: false, seen: None, waiting: Vec::new(), members: 0, numbers: 0 };
        Arc::new(Mutex::new(round))
    }

    fn enter(&mut self) -> u64 {
        self.members += 1;
        self.numbers += 1;
        self.numbers
    }

    fn turn(&mut self) -> Turn<V> {
        match &self.seen {
            Some(seen) => Turn::Take(seen.clone()),
            None if self.called && !self.led => {
                self.led = true;
                Turn::Lead
            }
            None => Turn::Wait,
        }
    }

    fn wait(&mut self, number: u64, waker: &Waker) {
        match self.waiting.iter_mut().find(|(known, _)| *known == number) {
            Some((_, known)) => known.clone_from(waker),
            None => self.waiting.push((number, waker.clone())),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Member<'_, K, V> {
    /// Ready with what somebody else has seen, or with nothing if this one is to look.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Option<V>> {
        let mut round = lock(&self.round);
        match round.turn() {
            Turn::Take(seen) => Poll::Ready(Some(seen)),
            Turn::Lead => {
                self.leads = true;
                Poll::Ready(None)
            }
            Turn::Wait => {
                round.wait(self.number, context.waker());
                Poll::Pending
            }
        }
    }

    /// Tells the others what was seen.
    fn report(&mut self, seen: V) {
        self.leads = false;
        lock(&self.round).seen = Some(seen);
        wake(&self.round);
        self.lookout.relieve(&self.key, &self.round);
    }
}

/// Whoever goes without an answer leaves its place to the others.
impl<K: Eq + Hash + Clone, V: Clone> Drop for Member<'_, K, V> {
    fn drop(&mut self) {
        let mut round = lock(&self.round);
        round.members -= 1;
        round.waiting.retain(|(number, _)| *number != self.number);
        if self.leads {
            round.led = false;
        }
        let (left, over) = (round.members, round.seen.is_some());
        drop(round);
        if over {
            return;
        }
        if left > 0 {
            // One of them may have been told to look, and be this one.
            wake(&self.round);
            return;
        }
        self.lookout.relieve(&self.key, &self.round);
    }
}

fn wake<V>(round: &Mutex<Round<V>>) {
    let waiting = std::mem::take(&mut lock(round).waiting);
    waiting.into_iter().for_each(|(_, waker)| waker.wake());
}

/// What is behind these locks is whole whenever they are free: nothing that can panic is done under them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
