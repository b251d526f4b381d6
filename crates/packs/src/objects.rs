//! All objects of a repository: its packs, kept open, and its loose files.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::PackError;
use crate::pack::Pack;
use crate::reader::Reader;

/// The objects of one repository. Packs are kept open, so that what was found in one can be read also after upkeep has put another
/// in its place.
#[derive(Debug)]
pub struct Objects {
    directory: PathBuf,
    packs: Mutex<Listed>,
    /// Bytes of memory and packs that were open when they were last listed.
    bytes: AtomicUsize,
    open: AtomicUsize,
}

/// The packs as they were listed last.
#[derive(Debug, Default)]
struct Listed {
    packs: Arc<[Arc<Pack>]>,
    /// When their directory had been changed last.
    changed: Option<SystemTime>,
}

impl Objects {
    /// The objects in `directory`, which is the `objects` of a repository. Nothing is read yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, packs: Mutex::default(), bytes: AtomicUsize::new(0), open: AtomicUsize::new(0) }
    }

    /// One who reads them as they are now.
    ///
    /// # Errors
    /// [`PackError`] if packs cannot be listed or opened.
    pub fn reader(&self) -> Result<Reader<'_>, PackError> {
        Ok(Reader::new(self, self.packs()?))
    }

    /// One who reads these as they are now, and also those in packs of `other`, which are not part of them yet.
    ///
    /// # Errors
    /// [`PackError`] if packs cannot be listed or opened.
    pub fn reader_with(&self, other: &Self) -> Result<Reader<'_>, PackError> {
        let (own, others) = (self.packs()?, other.packs()?);
        Ok(Reader::new(self, others.iter().chain(&*own).cloned().collect()))
    }

    /// Bytes of memory, about, as far as is known without waiting.
    pub fn size(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many packs are open, as far as is known without waiting.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The packs that there are now, those that came last first.
    pub(crate) fn packs(&self) -> Result<Arc<[Arc<Pack>]>, PackError> {
        let directory = self.directory.join("pack");
        let mut listed = self.lock();
        let (is_there, changed) = match fs::metadata(&directory) {
            Ok(data) => (true, Some(data.modified()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (false, None),
            Err(error) => return Err(error.into()),
        };
        // What has changed a moment ago may change again without a sign.
        let changed = changed.filter(|at| at.elapsed().is_ok_and(|age| age > TICK));
        if changed.is_some() && listed.changed == changed {
            self.bytes.store(listed.packs.iter().map(|pack| pack.size()).sum(), Ordering::Relaxed);
            return Ok(Arc::clone(&listed.packs));
        }
        let known: HashMap<&Path, &Arc<Pack>> = listed.packs.iter().map(|pack| (&*pack.path, pack)).collect();
        let mut packs: Vec<(SystemTime, Arc<Pack>)> = Vec::new();
        let entries = if is_there { Some(fs::read_dir(&directory)?) } else { None };
        for entry in entries.into_iter().flatten() {
            let path = entry?.path();
            if path.extension() != Some(OsStr::new("idx")) || !is_pack(&path) {
                continue;
            }
            let found = match known.get(&*path.with_extension("pack")) {
                Some(pack) => Ok((pack.file.metadata()?.modified()?, Arc::clone(pack))),
                None => open(&path),
            };
            match found {
                Ok(_) if packs.len() == MOST => return Err(PackError::TooMuch("more packs than are kept open")),
                Ok(found) => packs.push(found),
                // Upkeep has just taken it away.
                Err(PackError::Read(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        packs.sort_by_key(|(modified, _)| Reverse(*modified));
        let packs: Arc<[Arc<Pack>]> = packs.into_iter().map(|(_, pack)| pack).collect();
        self.open.store(packs.len(), Ordering::Relaxed);
        self.bytes.store(packs.iter().map(|pack| pack.size()).sum(), Ordering::Relaxed);
        *listed = Listed { packs: Arc::clone(&packs), changed };
        Ok(packs)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listed> {
        self.packs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(index: &Path) -> Result<(SystemTime, Arc<Pack>), PackError> {
    let pack = Pack::open(index)?;
    let modified = pack.file.metadata()?.modified()?;
    Ok((modified, Arc::new(pack)))
}

/// Whether it is the index of a pack that is in use, and no half-made one.
fn is_pack(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"pack-"))
}

/// How many packs of a repository are kept open.
const MOST: usize = 500;
/// How long a change may go unseen after another: clocks of file systems tick every few milliseconds, some every second or two.
const TICK: std::time::Duration = std::time::Duration::from_secs(3);
