//! Answers to fetches: made once for all who ask the same at once, and kept for those who come later when it is likely that some
//! will.
//!
//! What a question is about is in the question: names of objects, which never mean anything else. So an answer stays true as long as
//! the asker may have what it asks for; and that is looked at anew for each, see [`Repository::ask`].
//!
//! Three of four answers are never asked for again. One is kept when its question comes a second time while it is remembered that it
//! came before, or when a second one asks while the first is still being answered.

mod asked;
mod flight;
mod reader_output;
mod room;
mod spool;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

pub use asked::Asked;
pub(crate) use reader_output::ReaderOutput;
use room::Room;
use spool::{Reader, Spool, Stage};

#[cfg(doc)]
use crate::Repository;

/// The answers of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Answers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    room: Arc<Room>,
    keep: Duration,
    counts: Counts,
}

/// How often fetches were answered in which way.
#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    joined: AtomicU64,
    kept: AtomicU64,
    passed: AtomicU64,
}

/// What became of questions so far, and what is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Answers that git made.
    pub made: u64,
    /// Questions that were answered with what was being made for another.
    pub joined: u64,
    /// Questions that were answered with what had been kept.
    pub kept: u64,
    /// Questions whose answer is nobody else's.
    pub passed: u64,
    /// Bytes of answers, kept or on their way.
    pub bytes: u64,
}

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes of all answers together; 0 for none, and no sharing.
    pub bytes: u64,
    /// How long after it was last asked for an answer is kept.
    pub keep: Duration,
}

/// What a question is: the same for all whose answer is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key([u8; 32]);

#[derive(Debug, Default)]
struct Table {
    held: HashMap<Key, Held>,
    asked: Recent,
    /// Until when none are made, because the disk did not take one.
    off: Option<Instant>,
}

#[derive(Debug)]
enum Held {
    /// Being made, or read by somebody still.
    Passing(Weak<Spool>),
    /// Kept for those who come later; and when it was last asked for.
    Kept(Arc<Spool>, Instant),
}

/// The questions that were asked last.
#[derive(Debug, Default)]
struct Recent {
    order: VecDeque<Key>,
    keys: HashSet<Key>,
}

/// What one who asks gets.
enum Joined {
    /// An answer that is there, or is being made.
    Reader(Reader),
    /// A spool that is still to be filled, and who reads it.
    Empty(Reader),
    /// Nothing: it has to be answered by itself.
    Off,
}

impl Key {
    /// What is asked of a repository, and whatever else the answer depends on.
    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl Answers {
    /// The answers in a directory, which is made when it is needed.
    pub(crate) fn new(directory: PathBuf, settings: CacheSettings) -> Self {
        let room = Arc::new(Room::new(directory, settings.bytes));
        Self(Arc::new(Inner { table: Mutex::default(), room, keep: settings.keep, counts: Counts::default() }))
    }

    pub(crate) fn counts(&self) -> AnswerCounts {
        let Counts { made, joined, kept, passed } = &self.0.counts;
        let [made, joined, kept, passed] = [made, joined, kept, passed].map(|count| count.load(Ordering::Relaxed));
        AnswerCounts { made, joined, kept, passed, bytes: self.0.room.used() }
    }

    pub(crate) fn count_passed(&self) {
        self.0.counts.passed.fetch_add(1, Ordering::Relaxed);
    }

    /// Joins those who ask the same; or begins.
    fn join(&self, key: Key) -> Joined {
        let mut table = self.lock();
        if self.0.room.most() == 0 || table.off.is_some_and(|until| Instant::now() < until) {
            return Joined::Off;
        }
        let again = table.asked.note(key);
        let counts = &self.0.counts;
        let spool = match table.held.get_mut(&key) {
            Some(Held::Kept(spool, used)) => {
                *used = Instant::now();
                Some(Arc::clone(spool))
            }
            Some(Held::Passing(spool)) => spool.upgrade(),
            None => None,
        };
        let usable = spool.filter(|spool| !matches!(spool.stage(), Stage::Broken(_)));
        if let Some(reader) = usable.and_then(|spool| spool.read()) {
            let whole = reader.spool().stage() == Stage::Whole;
            let count = if whole { &counts.kept } else { &counts.joined };
            count.fetch_add(1, Ordering::Relaxed);
            if whole {
                self.keep(&mut table, key, reader.spool());
            }
            return Joined::Reader(reader);
        }
        let made =
            std::fs::create_dir_all(self.0.room.directory()).and_then(|()| Spool::new(Arc::clone(&self.0.room), again));
        match made {
            Ok(spool) => {
                let spool = Arc::new(spool);
                let Some(reader) = spool.read() else { return Joined::Off };
                counts.made.fetch_add(1, Ordering::Relaxed);
                table.held.retain(|_, held| held.is_there());
                table.held.insert(key, Held::Passing(Arc::downgrade(&spool)));
                Joined::Empty(reader)
            }
            Err(error) => {
                self.switch_off(&mut table, &error);
                Joined::Off
            }
        }
    }

    /// Keeps a whole answer for those who come later.
    fn keep(&self, table: &mut Table, key: Key, spool: &Arc<Spool>) {
        if table.held.insert(key, Held::Kept(Arc::clone(spool), Instant::now())).is_some_and(|held| held.is_kept()) {
            return;
        }
        if table.held.values().filter(|held| held.is_kept()).count() > MOST_KEPT {
            table.drop_oldest();
        }
        let answers = Arc::downgrade(&self.0);
        let mut pause = self.0.keep;
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(answers) = answers.upgrade().map(Answers) else { return };
                let mut table = answers.lock();
                let Some(Held::Kept(_, used)) = table.held.get(&key) else { return };
                pause = answers.0.keep.saturating_sub(used.elapsed());
                if pause.is_zero() {
                    table.held.remove(&key);
                    return;
                }
            }
        });
    }

    /// Notes that an answer is whole: it is kept if it is likely to be wanted again.
    fn landed(&self, key: Key, spool: &Arc<Spool>) {
        let mut table = self.lock();
        spool.enter(Stage::Whole);
        if spool.is_wanted() && !spool.is_passing() {
            self.keep(&mut table, key, spool);
        }
    }

    /// Notes that an answer is whole, though it is no more than why there is none: for those who wait for it, and nobody else.
    fn passed(&self, key: Key, spool: &Arc<Spool>) {
        let mut table = self.lock();
        spool.enter(Stage::Whole);
        table.forget(key, spool);
    }

    /// Notes that there will be no more of an answer. Whoever asks now begins anew.
    fn broke(&self, key: Key, spool: &Arc<Spool>, why: &str) {
        let mut table = self.lock();
        spool.enter(Stage::Broken(why.into()));
        table.forget(key, spool);
    }

    /// Takes an answer out that nobody reads any more; not if somebody has come meanwhile.
    fn abandon(&self, key: Key, spool: &Arc<Spool>) -> bool {
        let mut table = self.lock();
        if spool.is_read() {
            return false;
        }
        table.forget(key, spool);
        true
    }

    /// Gives up the kept answer that was not asked for longest; whether there was one.
    fn make_room(&self) -> bool {
        self.lock().drop_oldest()
    }

    /// Makes no answers for a while: the disk does not take them.
    fn trouble(&self, error: &std::io::Error) {
        self.switch_off(&mut self.lock(), error);
    }

    fn switch_off(&self, table: &mut Table, error: &std::io::Error) {
        let directory = self.0.room.directory().display();
        tracing::error!(%error, %directory, "answers cannot be written; each fetch is answered by itself for a while");
        table.off = Some(Instant::now() + OFF);
    }

    /// Where they are.
    fn directory(&self) -> &Path {
        self.0.room.directory()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes an answer out, unless there is another one in its place.
    fn forget(&mut self, key: Key, spool: &Arc<Spool>) {
        if self.held.get(&key).is_some_and(|held| held.is(spool)) {
            self.held.remove(&key);
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let kept = self.held.iter().filter_map(|(key, held)| match held {
            Held::Kept(_, used) => Some((*used, *key)),
            Held::Passing(_) => None,
        });
        let Some((_, key)) = kept.min_by_key(|(used, _)| *used) else { return false };
        self.held.remove(&key);
        true
    }
}

impl Held {
    fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(..))
    }

    fn is_there(&self) -> bool {
        match self {
            Self::Passing(spool) => spool.strong_count() > 0,
            Self::Kept(..) => true,
        }
    }

    fn is(&self, other: &Arc<Spool>) -> bool {
        match self {
            Self::Passing(spool) => spool.as_ptr() == Arc::as_ptr(other),
            Self::Kept(spool, _) => Arc::ptr_eq(spool, other),
        }
    }
}

impl Recent {
    /// Notes a question; whether it was asked before.
    fn note(&mut self, key: Key) -> bool {
        if !self.keys.insert(key) {
            return true;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        false
    }
}

/// Where answers are, below the data directory.
pub(crate) fn directory(data: &Path) -> PathBuf {
    data.join("cache")
}

/// How many answers are kept at most: each has a file open.
const MOST_KEPT: usize = 1000;
/// How many questions are remembered.
const REMEMBERED: usize = 10_000;
/// How long no answers are made after the disk did not take one.
const OFF: Duration = Duration::from_secs(30);
