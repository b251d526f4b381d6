//! Reads objects by their names.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Decompress;

use crate::inflate::inflate_at;
use crate::links::Commit;
use crate::objects::Objects;
use crate::pack::{Form, Pack};
use crate::{Id, Kind, PackError, delta, loose};

/// One who reads objects of a repository as they were when it began, and remembers what it read last.
#[derive(Debug)]
pub struct Reader<'a> {
    objects: &'a Objects,
    pub(crate) packs: Arc<[Arc<Pack>]>,
    /// The pack in which something was found last: what belongs together lies together.
    last: usize,
    known: HashMap<(usize, u64), Arc<Object>>,
    known_bytes: usize,
    state: Decompress,
    /// How much may still be done, in bytes that are read or made.
    budget: usize,
    /// Set when nobody waits for what is done any more.
    stop: Arc<AtomicBool>,
    /// Whether packs were listed once more because something was missing.
    is_listed_again: bool,
}

/// An object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In one of the packs, from an offset on.
    Packed(usize, u64),
    Loose,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(objects: &'a Objects, packs: Arc<[Arc<Pack>]>) -> Self {
        let (known, state) = (HashMap::new(), Decompress::new(true));
        let (stop, is_listed_again) = (Arc::default(), false);
        Self { objects, packs, last: 0, known, known_bytes: 0, state, budget: BUDGET, stop, is_listed_again }
    }

    /// Gives up as soon as this is set.
    pub fn stop_by(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// Counts what is done: whoever sends little may ask for much.
    ///
    /// # Errors
    /// [`PackError`] if that is too much, or nobody waits for it any more.
    pub fn spend(&mut self, bytes: usize) -> Result<(), PackError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(PackError::Stopped);
        }
        self.budget = self.budget.checked_sub(bytes).ok_or(PackError::TooMuch("more than is looked through here"))?;
        Ok(())
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// [`PackError`] if that cannot be found out.
    pub fn has(&mut self, id: &Id) -> Result<bool, PackError> {
        Ok(self.find(id)?.is_some())
    }

    /// What kind of object it is, and what it holds.
    ///
    /// # Errors
    /// [`PackError`] if it is not there, or cannot be read.
    pub fn object(&mut self, id: &Id) -> Result<(Kind, Vec<u8>), PackError> {
        let object = self.read(id)?;
        Ok((object.kind, object.bytes.clone()))
    }

    /// How many bytes it holds, without reading more of it than that takes.
    ///
    /// # Errors
    /// [`PackError`] if it is not there, or cannot be read.
    pub fn size(&mut self, id: &Id) -> Result<u64, PackError> {
        match self.place(id)? {
            Place::Loose => loose::size(self.objects.directory(), id)?.ok_or(PackError::Missing(*id)),
            Place::Packed(pack, offset) => {
                let file = Arc::clone(&self.packs[pack]);
                let head = file.head(offset)?;
                if let Form::Whole(_) = head.form {
                    return Ok(head.size);
                }
                // What a delta makes stands at its beginning.
                self.spend(usize::try_from(head.size).unwrap_or(usize::MAX))?;
                let delta = inflate_at(&file.file, offset + head.length, head.size, &mut self.state)?;
                let (_, rest) = delta::size(&delta)?;
                Ok(delta::size(rest)?.0)
            }
        }
    }

    /// What a commit leads to; `None` if it is no commit.
    ///
    /// # Errors
    /// [`PackError`] if it is not there, or cannot be read.
    pub fn commit(&mut self, id: &Id) -> Result<Option<Commit>, PackError> {
        let object = self.read(id)?;
        if object.kind == Kind::Commit { Commit::read(&object.bytes).map(Some) } else { Ok(None) }
    }

    /// Where an object is. Upkeep may have put it elsewhere since the packs were listed.
    pub(crate) fn find(&mut self, id: &Id) -> Result<Option<Place>, PackError> {
        if let Some(found) = self.find_listed(id)? {
            return Ok(Some(found));
        }
        if std::mem::replace(&mut self.is_listed_again, true) {
            return Ok(None);
        }
        let now = self.objects.packs()?;
        let is_known = |pack: &&Arc<Pack>| self.packs.iter().any(|known| Arc::ptr_eq(known, pack));
        let new: Vec<Arc<Pack>> = now.iter().filter(|pack| !is_known(pack)).cloned().collect();
        if new.is_empty() {
            return Ok(None);
        }
        self.packs = self.packs.iter().cloned().chain(new).collect();
        self.find_listed(id)
    }

    fn find_listed(&mut self, id: &Id) -> Result<Option<Place>, PackError> {
        for place in std::iter::once(self.last).chain((0..self.packs.len()).filter(|place| *place != self.last)) {
            let Some(pack) = self.packs.get(place) else { continue };
            if let Some(found) = pack.index.find(id)? {
                self.last = place;
                return Ok(Some(Place::Packed(place, pack.index.offset(found)?)));
            }
        }
        Ok(loose::path(self.objects.directory(), id).exists().then_some(Place::Loose))
    }

    pub(crate) fn place(&mut self, id: &Id) -> Result<Place, PackError> {
        self.find(id)?.ok_or(PackError::Missing(*id))
    }

    pub(crate) fn read(&mut self, id: &Id) -> Result<Arc<Object>, PackError> {
        match self.place(id)? {
            Place::Packed(pack, offset) => self.read_at(pack, offset),
            Place::Loose => loose::read(self.objects.directory(), id)?.map(Arc::new).ok_or(PackError::Missing(*id)),
        }
    }

    /// The object of an entry, made of its delta and what that is one of.
    pub(crate) fn read_at(&mut self, pack: usize, offset: u64) -> Result<Arc<Object>, PackError> {
        let packs = Arc::clone(&self.packs);
        let file = &packs[pack];
        let (mut deltas, mut at) = (Vec::new(), offset);
        let mut object = loop {
            if let Some(known) = self.known.get(&(pack, at)) {
                break Arc::clone(known);
            }
            let head = file.head(at)?;
            let base = match head.form {
                Form::Whole(kind) => {
                    self.spend(usize::try_from(head.size).unwrap_or(usize::MAX))?;
                    let bytes = inflate_at(&file.file, at + head.length, head.size, &mut self.state)?;
                    break self.remember(pack, at, Object { kind, bytes });
                }
                Form::DeltaBehind(distance) => at.checked_sub(distance).filter(|_| distance > 0),
                Form::DeltaOf(base) => file.index.find(&base)?.map(|place| file.index.offset(place)).transpose()?,
            };
            deltas.push((at, at + head.length, head.size));
            at = base.filter(|_| deltas.len() <= DEEPEST).ok_or(PackError::Damaged("a delta has no base"))?;
        };
        for (at, data, size) in deltas.into_iter().rev() {
            let delta = inflate_at(&file.file, data, size, &mut self.state)?;
            let bytes = delta::apply(&object.bytes, &delta)?;
            self.spend(delta.len() + bytes.len())?;
            object = self.remember(pack, at, Object { kind: object.kind, bytes });
        }
        Ok(object)
    }

    /// What kind of object it is, without reading more of it than that takes.
    pub(crate) fn kind(&mut self, id: &Id) -> Result<Kind, PackError> {
        let Place::Packed(pack, mut at) = self.place(id)? else { return Ok(self.read(id)?.kind) };
        let file = Arc::clone(&self.packs[pack]);
        for _ in 0..DEEPEST {
            let base = match file.head(at)?.form {
                Form::Whole(kind) => return Ok(kind),
                Form::DeltaBehind(distance) => at.checked_sub(distance).filter(|_| distance > 0),
                Form::DeltaOf(base) => file.index.find(&base)?.map(|place| file.index.offset(place)).transpose()?,
            };
            at = base.ok_or(PackError::Damaged("a delta has no base"))?;
        }
        Err(PackError::Damaged("a delta has no base"))
    }

    fn remember(&mut self, pack: usize, offset: u64, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        if object.bytes.len() <= MOST_KNOWN / 4 {
            self.known_bytes += object.bytes.len() + EACH;
            if self.known_bytes > MOST_KNOWN {
                self.known.clear();
                self.known_bytes = object.bytes.len() + EACH;
            }
            self.known.insert((pack, offset), Arc::clone(&object));
        }
        object
    }
}

/// Bytes that are read or made for one answer at most: half a second's work, about.
const BUDGET: usize = 512 * 1024 * 1024;
/// How many deltas one upon the other are followed.
const DEEPEST: usize = 512;
/// Bytes of objects that are remembered.
const MOST_KNOWN: usize = 8 * 1024 * 1024;
/// Bytes that one takes beside its own.
const EACH: usize = 100;
