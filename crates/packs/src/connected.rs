//! Whether everything is there that new objects need.

use std::collections::HashSet;

use crate::reader::{Place, Reader};
use crate::{Id, Kind, PackError, TreeEntries, tag_target};

/// Sees to it that everything is there that some new objects need. What is complete already is not looked through: commits of which
/// `is_complete` says so, and whatever is in a pack with bitmaps, which has all that it needs in itself.
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
    let mut walk = Walk { reader, seen: HashSet::new(), deepest };
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
    while let Some(id) = open.pop() {
        if is_complete(&id) || !walk.first(id)? || walk.is_whole(&id)? {
            continue;
        }
        let commit = walk.reader.commit(&id)?.ok_or(PackError::Damaged("a commit's parent is none"))?;
        let mut old = Vec::with_capacity(commit.parents.len());
        for parent in &commit.parents {
            old.push(walk.reader.commit(parent)?.ok_or(PackError::Damaged("a commit's parent is none"))?.tree);
        }
        open.extend(commit.parents);
        walk.tree(commit.tree, &old, 0)?;
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

    /// Whether something is in a pack that has all that it needs in itself.
    fn is_whole(&mut self, id: &Id) -> Result<bool, PackError> {
        match self.reader.place(id)? {
            Place::Packed(pack, _) => Ok(self.reader.packs[pack].bitmaps()?.is_some()),
            Place::Loose => Ok(false),
        }
    }

    /// Looks through a tree, but for what stands at the same place in one of `old`, which are looked through, too.
    fn tree(&mut self, tree: Id, old: &[Id], depth: usize) -> Result<(), PackError> {
        if old.contains(&tree) || !self.first(tree)? || self.is_whole(&tree)? {
            return Ok(());
        }
        if depth > self.deepest {
            return Err(PackError::TooMuch("directories are nested too deeply"));
        }
        let object = self.reader.read(&tree)?;
        if object.kind != Kind::Tree {
            return Err(PackError::Damaged("a tree is none"));
        }
        let old: Vec<_> = old.iter().map(|old| self.reader.read(old)).collect::<Result<_, _>>()?;
        let mut before = Vec::new();
        for old in &old {
            for entry in TreeEntries::of(&old.bytes) {
                before.push(entry?);
            }
        }
        let unchanged: HashSet<Id> = before.iter().map(|entry| entry.id).collect();
        for entry in TreeEntries::of(&object.bytes) {
            let entry = entry?;
            match entry.kind {
                Some(_) if unchanged.contains(&entry.id) => {}
                Some(Kind::Tree) => {
                    let same = before.iter().filter(|old| old.kind == Some(Kind::Tree) && old.name == entry.name);
                    let same: Vec<Id> = same.map(|old| old.id).collect();
                    self.tree(entry.id, &same, depth + 1)?;
                }
                Some(_) if self.first(entry.id)? => {
                    self.reader.place(&entry.id)?;
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

/// How many objects are looked through.
const MOST: usize = 10_000;
