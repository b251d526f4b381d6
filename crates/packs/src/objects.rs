//! All objects of a repository: its packs, kept open, and its loose files.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
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
        Self { directory, packs: Mutex::default() }
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

    /// Bytes of memory, about.
    pub fn size(&self) -> usize {
        self.lock().packs.iter().map(|pack| pack.size()).sum()
    }

    /// How many packs are open.
    pub fn open(&self) -> usize {
        self.lock().packs.len()
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The packs that there are now, those that came last first.
    pub(crate) fn packs(&self) -> Result<Arc<[Arc<Pack>]>, PackError> {
        let directory = self.directory.join("pack");
        let mut listed = self.lock();
        let changed = match fs::metadata(&directory) {
            Ok(data) => Some(data.modified()?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        // What has changed a moment ago may change again without a sign.
        let is_old = changed.is_some_and(|at| at.elapsed().is_ok_and(|age| age > TICK));
        if is_old && listed.changed == changed {
            return Ok(Arc::clone(&listed.packs));
        }
        let known: HashMap<&Path, &Arc<Pack>> = listed.packs.iter().map(|pack| (&*pack.path, pack)).collect();
        let mut packs: Vec<(SystemTime, Arc<Pack>)> = Vec::new();
        let entries = match changed {
            Some(_) => Some(fs::read_dir(&directory)?),
            None => None,
        };
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
                Ok(found) => packs.push(found),
                // Upkeep has just taken it away.
                Err(PackError::Read(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        packs.sort_by_key(|(modified, _)| Reverse(*modified));
        let packs: Arc<[Arc<Pack>]> = packs.into_iter().map(|(_, pack)| pack).collect();
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

/// How long a change may go unseen after another: clocks of file systems tick every few milliseconds, some every second or two.
const TICK: std::time::Duration = std::time::Duration::from_secs(3);
