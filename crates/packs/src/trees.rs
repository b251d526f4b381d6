//! What is new in a tree beside others.

use std::collections::{HashMap, HashSet};

use crate::reader::Reader;
use crate::{Id, Kind, PackError, Selection, TreeEntries};

/// Selects a tree and all in it but what stands at the same place in one of the `old` ones, whose every object is selected already,
/// will be, or is with whoever gets this.
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
    let (mut unchanged, mut below) = (HashSet::new(), HashMap::<Vec<u8>, Vec<Id>>::new());
    for old in old {
        let object = reader.read(old)?;
        for entry in TreeEntries::of(&object.bytes) {
            let entry = entry?;
            unchanged.insert(entry.id);
            if entry.kind == Some(Kind::Tree) {
                below.entry(entry.name.into()).or_default().push(entry.id);
            }
        }
    }
    selection.there.extend(old.iter().chain(&unchanged));
    let object = reader.read(&tree)?;
    if object.kind != Kind::Tree {
        return Err(PackError::Damaged("a tree is none"));
    }
    for entry in TreeEntries::of(&object.bytes) {
        let entry = entry?;
        match entry.kind {
            Some(_) if unchanged.contains(&entry.id) => {}
            Some(Kind::Tree) => {
                let old = below.get(entry.name).map_or(&[][..], Vec::as_slice);
                select_tree(reader, selection, entry.id, old, depth + 1)?;
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

/// How deeply directories may be nested: as git has it by default, rounded down.
const DEEPEST: usize = 2000;
