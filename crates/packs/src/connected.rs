//! Whether everything is there that new objects need.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::difference::parents_first;
use crate::reader::{Place, Reader};
use crate::trees::{Before, DEEPEST};
use crate::{Commit, Id, Kind, PackError, TreeEntries, tag_target};

/// Sees to it that everything is there that some new objects need. What is complete already is not looked through: commits of which
/// `is_complete` says so, and those of which there is a bitmap.
///
/// # Errors
/// [`PackError::Missing`] if something is not there; [`PackError::TooMuch`] if it takes too long to find out, or directories are
/// nested more deeply than `deepest`.
pub fn connected(
    reader: &mut Reader<'_>,
    new: &[Id],
    deepest: usize,
    is_complete: impl Fn(&Id) -> bool,
) -> Result<(), PackError> {
    let mut walk = Walk { reader, seen: HashSet::new(), deepest: deepest.min(DEEPEST) };
    let mut open = Vec::new();
    for id in new {
        let mut id = *id;
        loop {
            let object = walk.reader.read(&id)?;
            match object.kind {
                Kind::Tag if walk.first(id)? => id = tag_target(&object.bytes)?,
                Kind::Tag | Kind::Blob => break,
                Kind::Tree => {
                    walk.tree(id, &[], 0)?;
                    break;
                }
                Kind::Commit => {
                    open.push(id);
                    break;
                }
            }
        }
    }
    let mut commits = HashMap::new();
    while let Some(id) = open.pop() {
        if is_complete(&id) || !walk.first(id)? || walk.is_whole(&id)? {
            continue;
        }
        let commit = walk.commit(&id)?;
        open.extend(&commit.parents);
        commits.insert(id, commit);
    }
    for id in parents_first(commits.keys(), |id| commits.get(id).map_or(&[], |commit| &commit.parents)) {
        let commit = &commits[&id];
        let mut old = BTreeSet::new();
        for parent in &commit.parents {
            old.insert(match commits.get(parent) {
                Some(parent) => parent.tree,
                None => walk.commit(parent)?.tree,
            });
        }
        walk.tree(commit.tree, &old.into_iter().collect::<Vec<_>>(), 0)?;
    }
    Ok(())
}

struct Walk<'r, 'a> {
    reader: &'r mut Reader<'a>,
    seen: HashSet<Id>,
    deepest: usize,
}

impl Walk<'_, '_> {
    /// Whether something is met for the first time.
    fn first(&mut self, id: Id) -> Result<bool, PackError> {
        if self.seen.len() == MOST {
            return Err(PackError::TooMuch("more objects than are looked through here"));
        }
        Ok(self.seen.insert(id))
    }

    fn commit(&mut self, id: &Id) -> Result<Commit, PackError> {
        self.reader.commit(id)?.ok_or(OTHER)
    }

    /// Whether it is known of a commit that all that it needs is beside it: there is a bitmap of that.
    fn is_whole(&mut self, id: &Id) -> Result<bool, PackError> {
        let Place::Packed(pack, _) = self.reader.place(id)? else { return Ok(false) };
        let pack = &self.reader.packs[pack];
        match (pack.bitmaps()?, pack.index.find(id)?) {
            (Some(bitmaps), Some(place)) => Ok(bitmaps.has(place)),
            _ => Ok(false),
        }
    }

    /// Looks through a tree, but for what stands at the same place in one of `old`, which are looked through, too.
    fn tree(&mut self, tree: Id, old: &[Id], depth: usize) -> Result<(), PackError> {
        if old.contains(&tree) || !self.first(tree)? {
            return Ok(());
        }
        if depth > self.deepest {
            return Err(PackError::TooMuch("directories are nested too deeply"));
        }
        let object = self.reader.read(&tree)?;
        if object.kind != Kind::Tree {
            return Err(OTHER);
        }
        let mut before = Before::default();
        for old in old {
            before.add(self.reader, old)?;
        }
        for entry in TreeEntries::of(&object.bytes) {
            let entry = entry?;
            match entry.kind {
                Some(_) if before.has(&entry.id) => {}
                Some(Kind::Tree) => self.tree(entry.id, before.below(entry.name), depth + 1)?,
                Some(kind) if self.first(entry.id)? && self.reader.kind(&entry.id)? != kind => return Err(OTHER),
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

const OTHER: PackError = PackError::Damaged("an object is of another kind than where it is named");
/// How many objects are looked through.
const MOST: usize = 10_000;
