//! What is to be packed: entries of one large pack, and other objects one by one.

use std::collections::HashSet;
use std::fs::File;

use crate::ewah::Bits;
use crate::reader::Reader;
use crate::{Id, Kind, PackError, tag_target};

/// What is to be packed.
#[derive(Debug, Default)]
pub struct Selection {
    /// A pack of which most is taken as it lies.
    pub(crate) base: Option<Base>,
    /// What is not in that.
    pub(crate) chosen: Vec<Id>,
    is_chosen: HashSet<Id>,
    /// Of what is not packed, what whoever gets this is known to have.
    pub(crate) there: HashSet<Id>,
}

/// A pack, and which of its entries are taken.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) pack: usize,
    pub(crate) bits: Bits,
}

impl Selection {
    pub(crate) fn of_pack(pack: usize, bits: Bits) -> Self {
        Self { base: Some(Base { pack, bits }), ..Self::default() }
    }

    /// How many objects it is.
    pub fn count(&self) -> usize {
        self.chosen.len() + self.base.as_ref().map_or(0, |base| base.bits.count())
    }

    /// Takes an object in; whether it was not in it.
    pub(crate) fn add(&mut self, reader: &Reader<'_>, id: Id) -> Result<bool, PackError> {
        if let Some(base) = &mut self.base
            && let Some(rank) = rank(reader, base.pack, &id)?
        {
            return Ok(base.bits.add(rank));
        }
        let is_new = self.is_chosen.insert(id);
        if is_new {
            if self.chosen.len() == MOST_CHOSEN {
                return Err(PackError::TooMuch("more objects than are packed one by one here"));
            }
            self.chosen.push(id);
        }
        Ok(is_new)
    }

    /// Whether an object is in it.
    pub(crate) fn has(&self, reader: &Reader<'_>, id: &Id) -> Result<bool, PackError> {
        if self.is_chosen.contains(id) {
            return Ok(true);
        }
        match &self.base {
            Some(base) => Ok(rank(reader, base.pack, id)?.is_some_and(|rank| base.bits.has(rank))),
            None => Ok(false),
        }
    }

    /// Adds the tags, of pairs of a tag and what it leads to in the end, that lead to what is in it.
    ///
    /// # Errors
    /// [`PackError`] if a tag cannot be read.
    pub fn add_tags(&mut self, reader: &mut Reader<'_>, tags: &[(Id, Id)]) -> Result<(), PackError> {
        for (tag, target) in tags {
            if self.has(reader, target)? {
                self.add_tag(reader, *tag)?;
            }
        }
        Ok(())
    }

    /// Adds a tag, and those that it leads to; what is at the end of them.
    pub(crate) fn add_tag(&mut self, reader: &mut Reader<'_>, tag: Id) -> Result<(Id, Kind), PackError> {
        let mut id = tag;
        for _ in 0..LONGEST_CHAIN {
            let object = reader.read(&id)?;
            if object.kind != Kind::Tag {
                return Ok((id, object.kind));
            }
            self.add(reader, id)?;
            id = tag_target(&object.bytes)?;
        }
        Err(PackError::TooMuch("tags of tags of tags"))
    }

    /// The file of the pack that this is the whole of, and how long that is; `None` if it is no whole pack.
    ///
    /// # Errors
    /// [`PackError`] if it cannot be opened once more.
    pub fn whole_pack(&self, reader: &Reader<'_>) -> Result<Option<(File, u64)>, PackError> {
        match &self.base {
            Some(base) if self.chosen.is_empty() && base.bits.is_full() => {
                let pack = &reader.packs[base.pack];
                Ok(Some((pack.file.try_clone()?, pack.length())))
            }
            _ => Ok(None),
        }
    }
}

/// The rank of an object among the entries of a pack.
pub(crate) fn rank(reader: &Reader<'_>, pack: usize, id: &Id) -> Result<Option<usize>, PackError> {
    let pack = &reader.packs[pack];
    match pack.index.find(id)? {
        Some(place) => pack.order()?.rank(pack.index.offset(place)?).map(Some),
        None => Ok(None),
    }
}

/// How many objects are packed one by one at most.
const MOST_CHOSEN: usize = 20_000;
/// How many tags one upon the other are followed.
const LONGEST_CHAIN: usize = 50;
