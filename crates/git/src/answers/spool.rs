//! An answer on its way: written once, to a file that has no name, and read by as many as want it while it grows.
//!
//! A file without a name is gone with the last one who holds it, and with the process. What is written to one and dropped soon
//! seldom reaches the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use doorward_wire::PktLine;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::sync::watch;

use super::room::Room;

/// An answer that is being written or has been.
#[derive(Debug)]
pub(crate) struct Spool {
    file: Arc<File>,
    told: watch::Sender<Told>,
    readers: Mutex<Readers>,
    /// A reader has gone on or gone.
    moved: Condvar,
    /// Whether there is no room for the whole of it: what all have read is given up, and nobody can begin any more.
    passing: AtomicBool,
    /// Whether its question was asked before.
    again: bool,
    /// How long a reader may take for a piece when there is no room for those that come after it.
    patience: Duration,
    room: Arc<Room>,
}

/// Why an answer was not written to its end.
#[derive(Debug)]
pub(crate) enum FillError {
    /// What it comes from.
    Read(io::Error),
    /// Where it goes to.
    Write(io::Error),
}

/// How far it is.
#[derive(Debug, Clone)]
struct Told {
    written: u64,
    stage: Stage,
}

/// What is to be expected of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody writes yet; and how many others come first.
    Waiting {
        /// How many.
        ahead: usize,
    },
    /// Somebody writes.
    Growing,
    /// That was all.
    Whole,
    /// There will be no more, though it was not all.
    Broken(Arc<str>),
}

#[derive(Debug, Default)]
struct Readers {
    /// Those who have not gone.
    here: Vec<Arc<Position>>,
    /// How many there were.
    ever: usize,
    given_up: u64,
}

/// Where a reader is.
#[derive(Debug, Default)]
struct Position {
    at: AtomicU64,
    /// Whether it was too slow: what it would read next is not kept for it any more.
    lost: AtomicBool,
}

/// One who reads an answer from its beginning.
#[derive(Debug)]
pub(crate) struct Reader {
    spool: Arc<Spool>,
    told: watch::Receiver<Told>,
    position: Arc<Position>,
    buffers: Buffers,
}

impl Spool {
    /// An empty one.
    pub(crate) fn new(room: Arc<Room>, again: bool, patience: Duration) -> io::Result<Self> {
        let file = Arc::new(tempfile::tempfile_in(room.directory())?);
        let told = watch::Sender::new(Told { written: 0, stage: Stage::Waiting { ahead: 0 } });
        let passing = AtomicBool::new(false);
        Ok(Self { file, told, readers: Mutex::default(), moved: Condvar::new(), passing, again, patience, room })
    }

    /// One more who reads it; `None` if its beginning is gone.
    pub(crate) fn read(self: &Arc<Self>) -> Option<Reader> {
        let mut readers = self.lock();
        if self.passing.load(Ordering::Acquire) {
            return None;
        }
        let position = Arc::new(Position::default());
        readers.here.push(Arc::clone(&position));
        readers.ever += 1;
        Some(Reader { spool: Arc::clone(self), told: self.told.subscribe(), position, buffers: Buffers::default() })
    }

    /// Whether somebody reads it.
    pub(crate) fn is_read(&self) -> bool {
        !self.lock().here.is_empty()
    }

    /// Resolves when nobody reads it.
    pub(crate) async fn abandoned(&self) {
        let mut told = self.told.subscribe();
        while self.is_read() {
            // The spool tells as long as it is there.
            let _ = told.changed().await;
        }
    }

    /// Bytes that it holds.
    pub(crate) fn written(&self) -> u64 {
        self.told.borrow().written
    }

    /// Whether it is likely to be wanted by others: its question was asked before, or more than one have read it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.again || self.lock().ever > 1
    }

    /// Whether its beginning is not kept.
    pub(crate) fn is_passing(&self) -> bool {
        self.passing.load(Ordering::Acquire)
    }

    /// Resolves when its beginning is not kept any more.
    pub(crate) async fn passing(&self) {
        let mut told = self.told.subscribe();
        while !self.is_passing() {
            // The spool tells as long as it is there.
            let _ = told.changed().await;
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.told.borrow().stage.clone()
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.told.send_modify(|told| told.stage = stage);
    }

    /// Whether its last packet says why there is no more: an error in the protocol, or in its third side band.
    pub(crate) fn says_why(&self, written: u64) -> bool {
        let mut end = vec![0; usize::try_from(written).map_or(LONGEST_WHY, |written| written.min(LONGEST_WHY))];
        let from = written - end.len() as u64;
        if self.file.read_exact_at(&mut end, from).is_err() {
            return false;
        }
        (0..end.len()).any(|begin| match PktLine::read(&end[begin..]) {
            Ok(Some((PktLine::Data(line), length))) => {
                begin + length == end.len() && (line.starts_with(b"ERR ") || line.first() == Some(&3))
            }
            _ => false,
        })
    }

    /// Writes what comes from a process, to its end; how many bytes that was. When there is no room, `make_room` may make some.
    /// Blocks.
    pub(crate) fn fill(&self, mut from: impl io::Read, make_room: impl Fn() -> bool) -> Result<u64, FillError> {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = match from.read(&mut buffer) {
                Ok(0) => return Ok(self.written()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(FillError::Read(error)),
            };
            self.put(&buffer[..length], &make_room).map_err(FillError::Write)?;
        }
    }

    /// Writes a piece. Blocks.
    pub(crate) fn put(&self, bytes: &[u8], make_room: impl Fn() -> bool) -> io::Result<()> {
        let length = bytes.len() as u64;
        while !self.room.take(length) {
            if !make_room() {
                self.wait_for_readers();
                self.room.take_anyway(length);
                break;
            }
        }
        let written = self.written();
        let done = self.file.write_all_at(bytes, written);
        match done {
            Ok(()) => self.told.send_modify(|told| told.written += length),
            Err(_) => self.room.give_back(length),
        }
        done
    }

    /// Waits until the slowest reader is near, or there is none, and gives up what all have read.
    fn wait_for_readers(&self) {
        let written = self.written();
        let mut readers = self.lock();
        if !self.passing.swap(true, Ordering::AcqRel) {
            self.told.send_modify(|_| {});
        }
        loop {
            let slowest = readers.here.iter().filter(|reader| !reader.lost.load(Ordering::Acquire));
            let slowest = slowest.map(|reader| reader.at.load(Ordering::Acquire)).min().unwrap_or(written);
            if slowest + WINDOW >= written {
                let from = readers.given_up;
                readers.given_up = slowest.max(from);
                drop(readers);
                if slowest > from {
                    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                    // Where a file cannot have holes it stays as large as it is.
                    let _ = fallocate(&*self.file, hole, from, slowest - from);
                    self.room.give_back(slowest - from);
                }
                return;
            }
            let waited = self.moved.wait_timeout(readers, self.patience);
            let (back, late) = waited.unwrap_or_else(PoisonError::into_inner);
            readers = back;
            if late.timed_out() {
                // Who has taken nothing for so long keeps the others from going on.
                let behind = |reader: &&Arc<Position>| reader.at.load(Ordering::Acquire) == slowest;
                readers.here.iter().filter(behind).for_each(|reader| reader.lost.store(true, Ordering::Release));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.room.give_back(self.written() - self.lock().given_up);
        // A large file is not gone in a moment, and this may be where others wait.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let file = Arc::clone(&self.file);
            runtime.spawn_blocking(move || drop(file));
        }
    }
}

impl Reader {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let Told { written, stage } = self.told.borrow_and_update().clone();
            let at = self.position.at.load(Ordering::Relaxed);
            if self.position.lost.load(Ordering::Acquire) {
                return Some(Err(io::ErrorKind::TimedOut.into()));
            }
            if at < written {
                return Some(self.piece(at, written - at).await);
            }
            match stage {
                Stage::Whole => return None,
                Stage::Broken(why) => return Some(Err(io::Error::other(String::from(&*why)))),
                // The spool is held, so that whoever tells is never gone.
                Stage::Waiting { .. } | Stage::Growing => drop(self.told.changed().await),
            }
        }
    }

    /// Waits for a stage.
    pub(crate) async fn stage(&mut self, is_it: impl Fn(&Stage) -> bool) -> Stage {
        let found = self.told.wait_for(|told| is_it(&told.stage)).await.map(|told| told.stage.clone());
        found.unwrap_or_else(|_| self.spool.stage())
    }

    /// How many bytes it will be, if that is known already.
    pub(crate) fn length(&self) -> Option<u64> {
        let told = self.told.borrow();
        (told.stage == Stage::Whole).then_some(told.written)
    }

    pub(crate) fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    async fn piece(&mut self, at: u64, there: u64) -> io::Result<Bytes> {
        let most = usize::try_from(there).unwrap_or(PIECE).min(PIECE);
        let mut buffer = self.buffers.take();
        let into = &mut buffer.bytes[..most];
        // What is in memory is read at once; what is on the disk, where it may block.
        let read = match preadv2(&*self.spool.file, &mut [io::IoSliceMut::new(into)], at, ReadWriteFlags::NOWAIT) {
            Ok(read @ 1..) => read,
            Ok(0) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
                let spool = Arc::clone(&self.spool);
                let blocking = tokio::task::spawn_blocking(move || {
                    let read = spool.file.read_at(&mut buffer.bytes[..most], at);
                    (read, buffer)
                });
                let (read, back) = blocking.await.map_err(io::Error::other)?;
                buffer = back;
                read?
            }
            Err(error) => return Err(error.into()),
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What was given up meanwhile is zeros.
        if self.position.lost.load(Ordering::Acquire) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.position.at.store(at + read as u64, Ordering::Release);
        if self.spool.is_passing() {
            drop(self.spool.lock());
            self.spool.moved.notify_one();
        }
        buffer.length = read;
        Ok(Bytes::from_owner(buffer))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.spool.lock().here.retain(|position| !Arc::ptr_eq(position, &self.position));
        self.spool.moved.notify_one();
        // Whoever writes may want to know that nobody reads.
        self.spool.told.send_modify(|_| {});
    }
}

/// Memory for pieces, used again when the piece is sent: what was just in the processor's cache is so still.
#[derive(Debug, Clone, Default)]
struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

#[derive(Debug)]
struct Buffer {
    bytes: Box<[u8]>,
    length: usize,
    home: Buffers,
}

impl Buffers {
    fn take(&self) -> Buffer {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Buffer { bytes: kept.unwrap_or_else(|| vec![0; PIECE].into()), length: 0, home: self.clone() }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

/// Bytes that are read or written at once.
const PIECE: usize = 128 * 1024;
/// How far the slowest reader may be behind when there is no room.
const WINDOW: u64 = 4 * 1024 * 1024;
/// Bytes of the longest packet that says why there is no more.
const LONGEST_WHY: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// So many bytes, each of which tells where it is.
    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|place| (place / 7 + place / 65_536) as u8).collect()
    }

    async fn read(mut reader: Reader, every: usize) -> Vec<u8> {
        let (mut whole, mut count) = (Vec::new(), 0);
        while let Some(piece) = reader.next().await {
            whole.extend_from_slice(&piece.expect("nothing is wrong"));
            count += 1;
            if count % every == 0 {
                tokio::task::yield_now().await;
            }
        }
        whole
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn all_read_the_same_however_little_room_there_is_and_all_room_is_given_back(
            length in 1_usize..12_000_000,
            most in prop::sample::select(vec![0_u64, 100_000, 3_000_000, 1 << 30]),
            paces in prop::collection::vec(1_usize..5, 1..5),
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let room = Arc::new(Room::new(directory.path().into(), most));
            let whole = pattern(length);
            let read = runtime().block_on(async {
                let spool = Arc::new(Spool::new(Arc::clone(&room), false, Duration::from_secs(60)).expect("a file"));
                let readers: Vec<_> = paces.iter().map(|_| spool.read().expect("from its beginning")).collect();
                let (filled, source) = (Arc::clone(&spool), whole.clone());
                let filling = tokio::task::spawn_blocking(move || {
                    filled.enter(Stage::Growing);
                    let written = filled.fill(&source[..], || false);
                    filled.enter(Stage::Whole);
                    written.expect("it is written")
                });
                let reading: Vec<_> =
                    readers.into_iter().zip(&paces).map(|(reader, every)| tokio::spawn(read(reader, *every))).collect();
                drop(spool);
                let mut all = Vec::new();
                for reading in reading {
                    all.push(reading.await.expect("its end"));
                }
                (all, filling.await.expect("its end"))
            });
            prop_assert_eq!(read.1, length as u64);
            prop_assert!(read.0.iter().all(|read| *read == whole));
            prop_assert_eq!(room.used(), 0);
        }
    }

    #[test]
    fn who_writes_does_not_wait_for_those_who_have_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let room = Arc::new(Room::new(directory.path().into(), 0));
        runtime().block_on(async {
            let spool = Arc::new(Spool::new(Arc::clone(&room), false, Duration::from_secs(60)).expect("a file"));
            let mut reader = spool.read().expect("from its beginning");
            let filled = Arc::clone(&spool);
            let filling = tokio::task::spawn_blocking(move || filled.fill(&pattern(20_000_000)[..], || false));
            reader.next().await.expect("a piece").expect("nothing is wrong");
            drop(reader);
            filling.await.expect("its end").expect("it is written");
            assert!(spool.is_passing() && spool.read().is_none(), "its beginning is gone");
            spool.abandoned().await;
        });
        assert_eq!(room.used(), 0);
    }
}
