//! What is new in a tree beside others.

use std::collections::{HashMap, HashSet};

use crate::reader::Reader;
use crate::{Id, Kind, PackError, Selection, TreeEntries};

/// Selects a tree and all in it but what stands at the same place in one of the `old` ones, whose every object is selected already or
/// is with whoever gets this.
pub(crate) fn select_tree(
    reader: &mut Reader<'_>,
    selection: &mut Selection,
    tree: Id,
    old: &[Id],
    depth: usize,
) -> Result<(), PackError> {
    if old.contains(&tree) || !selection.add(reader, tree)? {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(PackError::TooMuch("directories are nested too deeply"));
    }
    let mut before = Before::default();
    for old in old {
        before.add(reader, old)?;
    }
    selection.there.extend(old.iter().chain(&before.ids));
    let object = reader.read(&tree)?;
    if object.kind != Kind::Tree {
        return Err(PackError::Damaged("a tree is none"));
    }
    for entry in TreeEntries::of(&object.bytes) {
        let entry = entry?;
        match entry.kind {
            Some(_) if before.has(&entry.id) => {}
            Some(Kind::Tree) => {
                select_tree(reader, selection, entry.id, before.below(entry.name), depth + 1)?;
            }
            Some(_) => {
                selection.add(reader, entry.id)?;
            }
            // A commit of another repository.
            None => {}
        }
    }
    Ok(())
}

/// What stands in some trees.
#[derive(Debug, Default)]
pub(crate) struct Before {
    ids: HashSet<Id>,
    directories: HashMap<Vec<u8>, Vec<Id>>,
}

impl Before {
    /// Takes in what stands in one more. A commit of another repository is no object that is here, whatever else has its name.
    pub(crate) fn add(&mut self, reader: &mut Reader<'_>, tree: &Id) -> Result<(), PackError> {
        let tree = reader.read(tree)?;
        for entry in TreeEntries::of(&tree.bytes) {
            let entry = entry?;
            reader.spend(EACH)?;
            if entry.kind.is_none() {
                continue;
            }
            self.ids.insert(entry.id);
            if entry.kind == Some(Kind::Tree) {
                let same = self.directories.entry(entry.name.into()).or_default();
                if !same.contains(&entry.id) {
                    same.push(entry.id);
                }
            }
        }
        Ok(())
    }

    /// Whether an object stands in one of them.
    pub(crate) fn has(&self, id: &Id) -> bool {
        self.ids.contains(id)
    }

    /// The directories of this name.
    pub(crate) fn below(&self, name: &[u8]) -> &[Id] {
        self.directories.get(name).map_or(&[], Vec::as_slice)
    }
}

/// What an entry costs beside its bytes.
const EACH: usize = 64;
/// How deeply directories may be nested here; deeper ones take more of a thread's stack than it may have.
pub(crate) const DEEPEST: usize = 500;
