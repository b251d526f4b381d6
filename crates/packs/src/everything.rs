//! What a clone wants: everything that some commits lead to, found with the bitmaps of a pack.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

use crate::difference::select_commits;
use crate::ewah::Bits;
use crate::reader::Reader;
use crate::selection::rank;
use crate::{Commit, Id, Kind, PackError, Selection, difference};

/// Everything that is wanted, with what it leads to.
///
/// # Errors
/// [`PackError`] if it cannot be found out here: without bitmaps, if it is more than a few thousand commits; with them, if as many
/// came since they were written.
pub fn everything(reader: &mut Reader<'_>, wants: &[Id]) -> Result<Selection, PackError> {
    match base(reader)? {
        Some(base) => Ok(with_base(reader, base, wants)?.0),
        None => difference(reader, wants, &[])?.select(reader),
    }
}

/// The same, with the large pack that has bitmaps; and those objects in it to which something leads from elsewhere, or that are wanted:
/// they lead to all of it that is selected.
fn with_base(reader: &mut Reader<'_>, base: usize, wants: &[Id]) -> Result<(Selection, Vec<Id>), PackError> {
    let packs = Arc::clone(&reader.packs);
    let pack = &packs[base];
    let mut selection = Selection::of_pack(base, Bits::none(pack.order()?.count()));
    let (mut open, mut ways_in) = (Vec::new(), Vec::new());
    for want in wants {
        let (end, kind) = selection.add_tag(reader, *want)?;
        if end != *want && pack.index.find(want)?.is_some() {
            ways_in.push(*want);
        }
        if kind != Kind::Commit {
            return Err(PackError::TooMuch("something is wanted that is no commit"));
        }
        open.push(end);
    }
    // The last one comes first: those of which a bitmap tells everything, then what is newer than those, which leads to most others.
    let turn = |id: &Id| -> Result<u8, PackError> {
        let Some(place) = pack.index.find(id)? else { return Ok(1) };
        Ok(if pack.bitmaps()?.is_some_and(|bitmaps| bitmaps.has(place)) { 2 } else { 0 })
    };
    let mut turns = open.into_iter().map(|id| Ok((turn(&id)?, id))).collect::<Result<Vec<_>, PackError>>()?;
    turns.sort_unstable();
    let mut open: Vec<(Id, bool)> = turns.into_iter().map(|(_, id)| (id, true)).collect();
    // Those without a bitmap; their trees are looked through when all that can be known is known.
    let (mut walked, mut commits, mut seen) = (Vec::new(), HashMap::<Id, Commit>::new(), HashSet::new());
    while let Some((id, is_way_in)) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(place) = pack.index.find(&id)? {
            let is_known =
                rank(reader, base, &id)?.zip(selection.base.as_ref()).is_some_and(|(rank, base)| base.bits.has(rank));
            if is_known {
                continue;
            }
            ways_in.extend(is_way_in.then_some(id));
            if let Some(bitmaps) = pack.bitmaps()?
                && let Some(leads_to) = bitmaps.of(place)?
            {
                if let Some(base) = &mut selection.base {
                    base.bits.add_all(&leads_to);
                }
                continue;
            }
        }
        if walked.len() == MOST {
            return Err(PackError::TooMuch("more commits without bitmaps than are walked through here"));
        }
        let commit = reader.commit(&id)?.ok_or(PackError::Damaged("a commit's parent is none"))?;
        let comes_from_elsewhere = pack.index.find(&id)?.is_none();
        open.extend(commit.parents.iter().map(|parent| (*parent, comes_from_elsewhere)));
        walked.push(id);
        commits.insert(id, commit);
    }
    for id in &walked {
        for parent in commits[id].parents.clone() {
            if let Entry::Vacant(place) = commits.entry(parent) {
                place.insert(reader.commit(&parent)?.ok_or(PackError::Damaged("a commit's parent is none"))?);
            }
        }
    }
    select_commits(reader, &mut selection, &walked, |id| commits.get(id))?;
    Ok((selection, ways_in))
}

/// A pack that some objects lead to the whole of.
#[derive(Debug)]
pub struct WholePack {
    /// Its file.
    pub file: File,
    /// Bytes of that.
    pub length: u64,
    /// What tells it from any other, in hexadecimal.
    pub sum: String,
    /// Those of its objects that lead to all others.
    pub tips: Vec<Id>,
}

/// The largest pack with bitmaps, if some objects lead to all that it has, and whatever else they lead to; `None` if there is none, or
/// it has more than that.
///
/// # Errors
/// [`PackError`] if it cannot be found out here.
pub fn whole_pack(reader: &mut Reader<'_>, ids: &[Id]) -> Result<Option<WholePack>, PackError> {
    let Some(base) = base(reader)? else { return Ok(None) };
    let (selection, tips) = with_base(reader, base, ids)?;
    if !selection.base.is_some_and(|base| base.bits.is_full()) {
        return Ok(None);
    }
    let pack = &reader.packs[base];
    let sum = pack.trailer()?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(WholePack { file: pack.file.try_clone()?, length: pack.length(), sum, tips }))
}

/// The largest pack that has bitmaps.
fn base(reader: &Reader<'_>) -> Result<Option<usize>, PackError> {
    let mut best = None;
    for (place, pack) in reader.packs.iter().enumerate() {
        let is_larger = best.is_none_or(|best: usize| reader.packs[best].index.count() < pack.index.count());
        if is_larger && pack.bitmaps()?.is_some() {
            best = Some(place);
        }
    }
    Ok(best)
}

/// How many commits without bitmaps are walked through.
const MOST: usize = 4096;
