//! What whoever has some commits lacks of others: the commits between, and what is new in each.

use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use crate::reader::Reader;
use crate::trees::select_tree;
use crate::{Commit, Id, Kind, PackError, Selection};

/// What lies between what somebody has and what they want.
#[derive(Debug)]
pub struct Difference {
    /// What they have that is here, too.
    pub common: Vec<Id>,
    /// Whether everything wanted builds on something that they have: more that they could name would change little.
    pub is_bounded: bool,
    nodes: HashMap<Id, Node>,
    /// The commits that they lack, the newest first.
    commits: Vec<Id>,
    /// What is wanted and is no commit itself, before what it leads to.
    tags: Vec<Id>,
}

#[derive(Debug)]
struct Node {
    commit: Commit,
    /// Whether they have it.
    is_common: bool,
    is_queued: bool,
}

/// Finds what lies between. All that is wanted must be here; what is not here of what they have does not matter. Whoever has a commit
/// is taken to have all that it leads to, so that nobody may be asked about whose history is cut off.
///
/// # Errors
/// [`PackError`] if it cannot be found out here.
pub fn difference(reader: &mut Reader<'_>, wants: &[Id], haves: &[Id]) -> Result<Difference, PackError> {
    let mut walk = Walk { reader, nodes: HashMap::new(), queue: BinaryHeap::new(), waiting: 0 };
    let (mut common, mut tags, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for have in haves {
        if walk.reader.has(have)? {
            common.push(*have);
            if let Some(commit) = walk.commit_of(*have)? {
                walk.meet(commit, true)?;
            }
        }
    }
    for want in wants.iter().filter(|want| !common.contains(want)) {
        let commit = walk.commit_of(*want)?.ok_or(PackError::TooMuch("something is wanted that is no commit"))?;
        if commit != *want {
            tags.push(*want);
        }
        walk.meet(commit, false)?;
        ends.push(commit);
    }
    let commits = walk.go()?;
    let nodes = walk.nodes;
    let is_bounded = !common.is_empty() && are_bounded(&nodes, &ends);
    let commits = commits.into_iter().filter(|id| nodes.get(id).is_some_and(|node| !node.is_common)).collect();
    Ok(Difference { common, is_bounded, nodes, commits, tags })
}

impl Difference {
    /// What they lack.
    ///
    /// # Errors
    /// [`PackError`] if it cannot be found out here.
    pub fn select(&self, reader: &mut Reader<'_>) -> Result<Selection, PackError> {
        let mut selection = Selection::default();
        select_commits(reader, &mut selection, &self.commits, |id| self.nodes.get(id).map(|node| &node.commit))?;
        let had = self.nodes.iter().filter(|(_, node)| node.is_common).map(|(id, _)| *id);
        selection.there.extend(had);
        for tag in &self.tags {
            selection.add_tag(reader, *tag)?;
        }
        Ok(selection)
    }
}

/// Selects commits, and what is new in each beside its parents.
pub(crate) fn select_commits<'c>(
    reader: &mut Reader<'_>,
    selection: &mut Selection,
    commits: &[Id],
    commit: impl Fn(&Id) -> Option<&'c Commit>,
) -> Result<(), PackError> {
    for id in commits {
        selection.add(reader, *id)?;
    }
    let parents = |id: &Id| commit(id).map_or(&[][..], |commit| &commit.parents);
    for id in &parents_first(commits.iter(), parents) {
        let found = commit(id).ok_or(PackError::Missing(*id))?;
        let old: Option<BTreeSet<Id>> =
            found.parents.iter().map(|parent| commit(parent).map(|parent| parent.tree)).collect();
        let old: Vec<Id> = old.ok_or(PackError::Missing(*id))?.into_iter().collect();
        select_tree(reader, selection, found.tree, &old, 0)?;
    }
    Ok(())
}

/// The same commits, each after those of its parents that are among them: a tree that stood in a history before and comes back is
/// complete when what is new beside it is looked for.
pub(crate) fn parents_first<'a, 'c>(
    commits: impl Iterator<Item = &'a Id>,
    parents: impl Fn(&Id) -> &'c [Id],
) -> Vec<Id> {
    let all: HashSet<Id> = commits.copied().collect();
    let (mut order, mut done) = (Vec::with_capacity(all.len()), HashSet::with_capacity(all.len()));
    for id in &all {
        // Without a stack of calls: a history may be long.
        let mut path = vec![(*id, 0)];
        while let Some((id, next)) = path.pop() {
            if done.contains(&id) {
                continue;
            }
            match parents(&id).get(next) {
                Some(parent) => {
                    path.push((id, next + 1));
                    if all.contains(parent) && !done.contains(parent) {
                        path.push((*parent, 0));
                    }
                }
                None => {
                    done.insert(id);
                    order.push(id);
                }
            }
        }
    }
    order
}

/// A walk from the newest commits to the oldest, until all that is left is what they have.
struct Walk<'r, 'a> {
    reader: &'r mut Reader<'a>,
    nodes: HashMap<Id, Node>,
    queue: BinaryHeap<(i64, Id)>,
    /// How many are in the queue that they lack.
    waiting: usize,
}

impl Walk<'_, '_> {
    /// The commit that something is or, as a tag, leads to.
    fn commit_of(&mut self, id: Id) -> Result<Option<Id>, PackError> {
        let (end, kind) = Selection::default().add_tag(self.reader, id)?;
        Ok((kind == Kind::Commit).then_some(end))
    }

    fn meet(&mut self, id: Id, is_common: bool) -> Result<(), PackError> {
        if let Some(node) = self.nodes.get_mut(&id) {
            if is_common && !node.is_common {
                node.is_common = true;
                match node.is_queued {
                    true => self.waiting -= 1,
                    // What it leads to is to be known as theirs, too.
                    false => {
                        node.is_queued = true;
                        self.queue.push((node.commit.date, id));
                    }
                }
            }
            return Ok(());
        }
        if self.nodes.len() == MOST {
            return Err(PackError::TooMuch("more commits than are walked through here"));
        }
        let commit = self.reader.commit(&id)?.ok_or(PackError::Damaged("a commit's parent is none"))?;
        self.queue.push((commit.date, id));
        self.waiting += usize::from(!is_common);
        self.nodes.insert(id, Node { commit, is_common, is_queued: true });
        Ok(())
    }

    fn go(&mut self) -> Result<Vec<Id>, PackError> {
        let mut lacked = Vec::new();
        while self.waiting > 0
            && let Some((_, id)) = self.queue.pop()
        {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            node.is_queued = false;
            let (is_common, parents) = (node.is_common, node.commit.parents.clone());
            if !is_common {
                self.waiting -= 1;
                lacked.push(id);
            }
            for parent in parents {
                self.meet(parent, is_common)?;
            }
        }
        Ok(lacked)
    }
}

/// Whether something that they have comes below each of these.
fn are_bounded(nodes: &HashMap<Id, Node>, ends: &[Id]) -> bool {
    let mut known: HashMap<Id, bool> = HashMap::new();
    ends.iter().all(|end| {
        // Depth first, without a stack of calls: a history may be long.
        let mut path = vec![(*end, 0)];
        while let Some((id, next)) = path.pop() {
            let Some(node) = nodes.get(&id) else { continue };
            if node.is_common {
                known.insert(id, true);
            }
            if known.get(&id) == Some(&true) {
                continue;
            }
            let parents = &node.commit.parents;
            if next > 0 && parents.get(next - 1).is_some_and(|parent| known.get(parent) == Some(&true)) {
                known.insert(id, true);
                continue;
            }
            known.entry(id).or_insert(false);
            if let Some(parent) = parents.get(next) {
                path.push((id, next + 1));
                if !known.contains_key(parent) {
                    path.push((*parent, 0));
                }
            }
        }
        known.get(end) == Some(&true)
    })
}

/// How many commits are walked through.
const MOST: usize = 4096;
