//! Answers to fetches: made once for all who ask the same at once, and kept for those who come later when it is likely that some
//! will.
//!
//! What a question is about is in the question: names of objects, which never mean anything else; questions that name refs are git's
//! to answer. So an answer stays good as long as the asker may have what it asks for; and that is looked at anew for each, see
//! [`Repository::ask`]. At worst it does not know of an object that the asker has and that has come to be here since, and sends more.
//!
//! Three of four answers are never asked for again. One is kept when its question comes a second time while it is remembered that it
//! came before, or when a second one asks while the first is still being answered.

mod asked;
mod flight;
mod here;
mod reader_output;
mod room;
mod spool;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use doorward_rules::RepositoryId;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::GitError;
use crate::line::Waiting;
pub use asked::Asked;
pub(crate) use flight::Stop;
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
    /// How long a client may take for a piece of an answer.
    patience: Duration,
    counts: Counts,
}

/// How often fetches were answered in which way.
#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    packed: AtomicU64,
    joined: AtomicU64,
    kept: AtomicU64,
    passed: AtomicU64,
}

/// What became of questions so far, and what is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Answers that were made.
    pub made: u64,
    /// Those of them that were packed here, without git.
    pub packed: u64,
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
struct Key {
    repository: RepositoryId,
    question: [u8; 32],
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<Key, Held>,
    asked: Recent,
    /// Until when none are made, because the disk did not take one.
    off: Option<Instant>,
}

#[derive(Debug)]
enum Held {
    /// Being made, or read by somebody still; and who has to be told of others who wait for it.
    Passing(Weak<Spool>, mpsc::UnboundedSender<Waiting>),
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
    /// An answer that is there.
    Reader(Reader),
    /// An answer that is being made, or waits to be.
    Under(Reader, mpsc::UnboundedSender<Waiting>),
    /// A spool that is still to be filled.
    Empty {
        /// Who reads it.
        reader: Reader,
        /// The turn of whoever begins.
        turn: Waiting,
        /// Where it is told who else waits for it.
        others: mpsc::UnboundedReceiver<Waiting>,
    },
    /// Nothing: it has to be answered by itself.
    Off,
}

impl Key {
    /// What is asked of a repository, and whatever else the answer depends on.
    fn of(repository: RepositoryId, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self { repository, question: hash.finalize().into() }
    }
}

impl Answers {
    /// The answers in a directory, which is made when it is needed.
    pub(crate) fn new(directory: PathBuf, settings: CacheSettings, patience: Duration) -> Self {
        let room = Arc::new(Room::new(directory, settings.bytes));
        Self(Arc::new(Inner {
            table: Mutex::default(),
            room,
            keep: settings.keep,
            patience,
            counts: Counts::default(),
        }))
    }

    pub(crate) fn counts(&self) -> AnswerCounts {
        let Counts { made, packed, joined, kept, passed } = &self.0.counts;
        let counts = [made, packed, joined, kept, passed].map(|count| count.load(Ordering::Relaxed));
        let [made, packed, joined, kept, passed] = counts;
        AnswerCounts { made, packed, joined, kept, passed, bytes: self.0.room.used() }
    }

    fn count_packed(&self) {
        self.0.counts.packed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_passed(&self) {
        self.0.counts.passed.fetch_add(1, Ordering::Relaxed);
    }

    /// Joins those who ask the same; or begins, with a turn in the line of those who wait for a process.
    fn join(&self, key: Key, turn: impl FnOnce() -> Result<Waiting, GitError>) -> Result<Joined, GitError> {
        let again = {
            let mut table = self.lock();
            if self.0.room.most() == 0 || table.off.is_some_and(|until| Instant::now() < until) {
                return Ok(Joined::Off);
            }
            if let Some(joined) = self.joined(&mut table, key) {
                return Ok(joined);
            }
            table.asked.note(key)
        };
        // A file is made while nobody waits for the table.
        let made = std::fs::create_dir_all(self.directory())
            .and_then(|()| Spool::new(Arc::clone(&self.0.room), again, self.0.patience));
        let mut table = self.lock();
        let spool = match made {
            Ok(spool) => Arc::new(spool),
            Err(error) => {
                self.switch_off(&mut table, &error);
                return Ok(Joined::Off);
            }
        };
        if let Some(joined) = self.joined(&mut table, key) {
            return Ok(joined);
        }
        let turn = turn()?;
        let Some(reader) = spool.read() else { return Ok(Joined::Off) };
        self.0.counts.made.fetch_add(1, Ordering::Relaxed);
        table.held.retain(|_, held| held.is_there());
        let (sender, others) = mpsc::unbounded_channel();
        table.held.insert(key, Held::Passing(Arc::downgrade(&spool), sender));
        Ok(Joined::Empty { reader, turn, others })
    }

    /// Joins those who ask the same, if there are any.
    fn joined(&self, table: &mut Table, key: Key) -> Option<Joined> {
        let (spool, others) = match table.held.get_mut(&key)? {
            Held::Kept(spool, used) => {
                *used = Instant::now();
                (Arc::clone(spool), None)
            }
            Held::Passing(spool, others) => (spool.upgrade()?, Some(others.clone())),
        };
        let stage = spool.stage();
        if matches!(stage, Stage::Broken(_)) {
            return None;
        }
        let reader = spool.read()?;
        if let Some(others) = others.filter(|_| stage != Stage::Whole) {
            self.0.counts.joined.fetch_add(1, Ordering::Relaxed);
            return Some(Joined::Under(reader, others));
        }
        self.0.counts.kept.fetch_add(1, Ordering::Relaxed);
        table.asked.note(key);
        self.keep(table, key, &spool);
        Some(Joined::Reader(reader))
    }

    /// Keeps a whole answer for those who come later.
    fn keep(&self, table: &mut Table, key: Key, spool: &Arc<Spool>) {
        if table.held.insert(key, Held::Kept(Arc::clone(spool), Instant::now())).is_some_and(|held| held.is_kept()) {
            return;
        }
        if table.held.values().filter(|held| held.is_kept()).count() > MOST_KEPT {
            table.drop_oldest(|_| true);
        }
        let (answers, spool) = (Arc::downgrade(&self.0), Arc::downgrade(spool));
        let mut pause = self.0.keep;
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(answers) = answers.upgrade().map(Answers) else { return };
                let mut table = answers.lock();
                let Some(Held::Kept(held, used)) = table.held.get(&key) else { return };
                // Another one has been made and kept meanwhile.
                if Arc::as_ptr(held) != spool.as_ptr() {
                    return;
                }
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
    fn refused(&self, key: Key, spool: &Arc<Spool>) {
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

    /// Forgets what is kept of a repository.
    pub(crate) fn forget(&self, repository: RepositoryId) {
        self.lock().held.retain(|key, held| key.repository != repository || !held.is_kept());
    }

    /// Gives up the kept answer that was not asked for longest; whether there was one.
    fn make_room(&self) -> bool {
        // Of one that is read the room is not free before that ends.
        self.lock().drop_oldest(|spool| Arc::strong_count(spool) == 1)
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

    /// Drops the kept answer that was not asked for longest of those that may go; whether there was one.
    fn drop_oldest(&mut self, may_go: impl Fn(&Arc<Spool>) -> bool) -> bool {
        let kept = self.held.iter().filter_map(|(key, held)| match held {
            Held::Kept(spool, used) if may_go(spool) => Some((*used, *key)),
            Held::Kept(..) | Held::Passing(..) => None,
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
            Self::Passing(spool, _) => spool.strong_count() > 0,
            Self::Kept(..) => true,
        }
    }

    fn is(&self, other: &Arc<Spool>) -> bool {
        match self {
            Self::Passing(spool, _) => spool.as_ptr() == Arc::as_ptr(other),
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
