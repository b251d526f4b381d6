//! The refs of a repository at one moment, in the order of their names, and what each leads to.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::loose::{self, Loose, Value};
use super::packed::Packed;
use super::stamp::Stamp;
use crate::{GitError, ObjectFormat};
use sha2::{Digest, Sha256};

/// The refs of a repository at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    packed: Arc<Packed>,
    loose: Loose,
    head: Option<Value>,
    /// What loose refs lead to: nothing more for what is no tag object.
    peeled: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
    pub(crate) format: ObjectFormat,
    /// Of files that were read; nothing of refs that another server listed.
    config: Option<Stamp>,
    /// Whether objects of another repository are part of it, which a push is told of.
    pub(crate) has_alternates: bool,
    /// What loose refs lead to. Made when it is first needed.
    tips: OnceLock<HashSet<Box<[u8]>>>,
}

/// One ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) id: &'a [u8],
    /// What a tag object leads to.
    pub(crate) peeled: Option<&'a [u8]>,
    /// The ref that it stands for.
    pub(crate) target: Option<&'a [u8]>,
}

/// What was found in the files of a repository, before git was asked what tags lead to.
pub(super) struct Found {
    packed: Arc<Packed>,
    loose: Loose,
    head: Option<Value>,
    format: ObjectFormat,
    config: Stamp,
    has_alternates: bool,
    /// Objects of which it is not known yet what they are.
    pub(super) unknown: Vec<Box<[u8]>>,
}

/// What came of a look at the files.
pub(super) enum Looked {
    /// Nothing has changed.
    Same,
    /// Something has.
    Changed(Box<Found>),
    /// There is something that only git can make something of.
    Foreign,
}

/// Looks at the files of a repository.
pub(super) fn look(repository: &Path, before: Option<&Snapshot>, plain: &HashSet<Box<[u8]>>) -> io::Result<Looked> {
    // Loose refs before packed ones: packing writes the one before it removes the other.
    if let Some(before) = before
        && before.loose.is_fresh(repository)?
        && before.packed.is_fresh(repository)?
        && loose::read(&repository.join("HEAD"))? == before.head
        && Stamp::of(&repository.join("config"))?.is_some_and(|now| before.is_configured_as(now))
    {
        return Ok(Looked::Same);
    }
    let Some(config) = Stamp::of(&repository.join("config"))? else { return Ok(Looked::Foreign) };
    let format = match before.filter(|before| before.is_configured_as(config)) {
        Some(before) => Some(before.format),
        None => format_of(&String::from_utf8_lossy(&std::fs::read(repository.join("config"))?)),
    };
    let Some(format) = format.filter(|_| !repository.join("shallow").exists()) else { return Ok(Looked::Foreign) };
    let empty = Loose::default();
    let Some(loose) = Loose::read(repository, before.map_or(&empty, |before| &before.loose))? else {
        return Ok(Looked::Foreign);
    };
    let packed = match before {
        Some(before) if before.packed.is_fresh(repository)? => Arc::clone(&before.packed),
        _ => match Packed::read(repository)? {
            Some(packed) => Arc::new(packed),
            None => return Ok(Looked::Foreign),
        },
    };
    // One that is a link, as very old versions of git made it, or cannot be read, is git's to make something of.
    let head = loose::read(&repository.join("HEAD"))?;
    if head.is_none() || repository.join("HEAD").symlink_metadata()?.is_symlink() {
        return Ok(Looked::Foreign);
    }
    let is_known = |id: &[u8]| plain.contains(id) || before.is_some_and(|before| before.peeled.contains_key(id));
    let ids = loose.refs.values().filter_map(|value| match value {
        Value::Id(id) => Some(id),
        Value::Symbolic(_) => None,
    });
    let detached = match &head {
        Some(Value::Id(id)) => Some(id),
        _ => None,
    };
    let mut unknown: Vec<Box<[u8]>> = ids.chain(detached).filter(|id| !is_known(id)).cloned().collect();
    unknown.sort();
    unknown.dedup();
    let has_alternates = repository.join("objects/info/alternates").exists();
    Ok(Looked::Changed(Box::new(Found { packed, loose, head, format, config, has_alternates, unknown })))
}

/// The format of a repository's objects; `None` if its configuration says something that may change what is listed, or that is not
/// known here.
fn format_of(config: &str) -> Option<ObjectFormat> {
    let (mut section, mut format) = (String::new(), ObjectFormat::Sha1);
    for line in config.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix('[') {
            section = rest.split([']', ' ', '"']).next().unwrap_or_default().to_ascii_lowercase();
            // What follows on the same line would be a setting.
            let alone = line.ends_with(']') && !line.trim_end_matches(']').contains(']');
            let plain = !["uploadpack", "uploadpackfilter", "receive", "transfer", "lsrefs", "include", "includeif"]
                .contains(&section.as_str());
            if !alone || !plain {
                return None;
            }
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value.trim()));
        match (section.as_str(), key.to_ascii_lowercase().as_str(), value.to_ascii_lowercase().as_str()) {
            ("extensions", "objectformat", "sha256") => format = ObjectFormat::Sha256,
            ("extensions", "objectformat", "sha1") | ("core", "repositoryformatversion", "0" | "1") => {}
            ("extensions", key, _) if !key.is_empty() && !key.starts_with(['#', ';']) => return None,
            ("core", "repositoryformatversion", _) => return None,
            _ => {}
        }
    }
    Some(format)
}

impl Found {
    /// The snapshot, with what git has told of the objects that were not known: of each that it leads to another, or that it
    /// is no tag.
    pub(super) fn settled(
        self,
        before: Option<&Snapshot>,
        plain: &HashSet<Box<[u8]>>,
        told: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
    ) -> Snapshot {
        let mut peeled = HashMap::new();
        let head = match &self.head {
            Some(Value::Id(id)) => Some(id),
            _ => None,
        };
        for value in self.loose.refs.values() {
            let Value::Id(id) = value else { continue };
            let known = || before.and_then(|before| before.peeled.get(id).cloned());
            let told = told.get(id).cloned().or_else(known).or_else(|| plain.contains(id).then_some(None));
            peeled.insert(id.clone(), told.flatten());
        }
        if let Some(id) = head {
            peeled.entry(id.clone()).or_insert(None);
        }
        let Self { packed, loose, head, format, config, has_alternates, .. } = self;
        let config = Some(config);
        Snapshot { packed, loose, head, peeled, format, config, has_alternates, tips: OnceLock::new() }
    }
}

impl Snapshot {
    /// Refs that were read from no files.
    pub(super) fn of(
        packed: Packed,
        loose: Loose,
        head: Option<Value>,
        peeled: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
        format: ObjectFormat,
    ) -> Self {
        let (packed, tips) = (Arc::new(packed), OnceLock::new());
        Self { packed, loose, head, peeled, format, config: None, has_alternates: false, tips }
    }

    /// Whether the configuration has not changed since.
    fn is_configured_as(&self, now: Stamp) -> bool {
        self.config.is_some_and(|before| now.proves(before))
    }

    /// The packed ones, as their file has them.
    pub(super) fn packed_text(&self) -> &[u8] {
        self.packed.text()
    }

    /// Bytes of memory, about.
    pub(super) fn size(&self) -> usize {
        self.packed.size() + self.loose.size()
    }

    /// Whether a ref leads straight to each of some objects.
    ///
    /// # Errors
    /// [`GitError`] if that cannot be found out.
    pub(crate) async fn leads_to_all(&self, mut ids: impl Iterator<Item = &[u8]>) -> Result<bool, GitError> {
        self.prepare().await?;
        Ok(ids.all(|id| self.leads_to(id)))
    }

    /// Makes what it takes to tell what refs lead to, where that keeps nobody waiting.
    ///
    /// # Errors
    /// [`GitError`] if it cannot be made.
    pub(crate) async fn prepare(&self) -> Result<(), GitError> {
        self.packed.prepare().await
    }

    /// Whether a ref leads straight to an object.
    pub(crate) fn leads_to(&self, id: &[u8]) -> bool {
        let tips = self.tips.get_or_init(|| {
            let seen = self.loose.refs.iter().filter(|(name, _)| !is_hidden(name)).map(|(_, value)| value);
            let ids = seen.chain(&self.head).filter_map(|value| match value {
                Value::Id(id) => Some(id.clone()),
                Value::Symbolic(_) => None,
            });
            ids.collect()
        });
        // A loose ref may stand before a packed one, which leads nowhere then.
        let counts = |name: &[u8]| !is_hidden(name) && !self.loose.refs.contains_key(name);
        tips.contains(id) || self.packed.leading_to(id).is_some_and(|mut found| found.any(|found| counts(found.name)))
    }

    /// Whether a ref of this name could not be beside those that there are, as `a` cannot be beside `a/b`.
    pub(crate) fn is_crossed_by(&self, name: &[u8]) -> bool {
        let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(place, _)| place);
        let above = slashes.map(|place| &name[..place]);
        above.into_iter().any(|above| self.loose.refs.contains_key(above) || self.packed.find(above).is_some())
            || !self.walk(&[name, b"/"].concat(), None, |_| false)
    }

    /// Whether the packed refs of a repository are still those that were seen. Blocks.
    pub(super) fn has_packed_refs_of(&self, repository: &Path) -> io::Result<bool> {
        self.packed.is_fresh(repository)
    }

    /// What a ref is by the files of a repository at this moment, whatever it was when this was looked at; `None` if it is not there.
    pub(super) fn value_now(&self, repository: &Path, name: &[u8]) -> io::Result<Option<Value>> {
        // Loose before packed: packing writes the one before it removes the other.
        let path = repository.join(OsStr::from_bytes(name));
        if let Some(value) = loose::read(&path)? {
            return Ok(Some(value));
        }
        if path.symlink_metadata().is_ok() {
            return Err(io::Error::other("it cannot be read as a ref"));
        }
        let of = |packed: &Packed| packed.find(name).map(|found| Value::Id(found.id.into()));
        if self.packed.is_fresh(repository)? {
            return Ok(of(&self.packed));
        }
        let packed =
            Packed::read(repository)?.ok_or_else(|| io::Error::other("the packed refs cannot be read here"))?;
        Ok(of(&packed))
    }

    /// What is the same as long as the same tags lead to the same objects.
    pub(crate) fn print_of_tags(&self) -> [u8; 32] {
        let mut print = Sha256::new();
        print.update(self.packed.print_of_tags());
        let tags = self.loose.refs.range::<[u8], _>((Bound::Included(&b"refs/tags/"[..]), Bound::Unbounded));
        for (name, value) in tags.take_while(|(name, _)| name.starts_with(b"refs/tags/")) {
            let (kind, value) = match value {
                Value::Id(id) => (0, id),
                Value::Symbolic(target) => (1, target),
            };
            for part in [name, value] {
                print.update((part.len() as u64).to_le_bytes());
                print.update(part);
            }
            print.update([kind]);
        }
        print.finalize().into()
    }

    /// How many refs are loose.
    pub(crate) fn loose(&self) -> usize {
        self.loose.refs.len()
    }

    /// HEAD, if it leads to anything.
    pub(crate) fn head(&self) -> Option<Named<'_>> {
        let value = self.head.as_ref()?;
        self.resolved(b"HEAD", value)
    }

    /// The branch that HEAD names, whether it is there or not.
    pub(crate) fn main_branch(&self) -> Option<&[u8]> {
        match &self.head {
            Some(Value::Symbolic(target)) => Some(target),
            _ => None,
        }
    }

    /// What a ref leads to, and what that leads to if it is an annotated tag. `depth` is how many symbolic ones led here.
    pub(crate) fn find(&self, name: &[u8], depth: usize) -> Option<(&[u8], Option<&[u8]>)> {
        match self.loose.refs.get(name) {
            Some(Value::Id(id)) => Some((id, self.peel(id))),
            Some(Value::Symbolic(target)) if depth < DEEPEST => self.find(target, depth + 1),
            Some(Value::Symbolic(_)) => None,
            None => self.packed.find(name).map(|found| (found.id, found.peeled)),
        }
    }

    fn peel(&self, id: &[u8]) -> Option<&[u8]> {
        self.peeled.get(id).and_then(|peeled| peeled.as_deref())
    }

    fn resolved<'a>(&'a self, name: &'a [u8], value: &'a Value) -> Option<Named<'a>> {
        match value {
            Value::Id(id) => Some(Named { name, id, peeled: self.peel(id), target: None }),
            Value::Symbolic(target) => {
                let (id, peeled) = self.find(target, 0)?;
                // As git does it: what a chain of them ends at.
                Some(Named { name, id, peeled, target: Some(self.end_of(target, 0)) })
            }
        }
    }

    fn end_of<'a>(&'a self, name: &'a [u8], depth: usize) -> &'a [u8] {
        match self.loose.refs.get(name) {
            Some(Value::Symbolic(target)) if depth < DEEPEST => self.end_of(target, depth + 1),
            _ => name,
        }
    }

    /// Calls `take` with each ref whose name begins with a prefix, in the order of their names, from after another name on if
    /// one is given; until it wants no more. Whether all were taken.
    pub(crate) fn walk(&self, prefix: &[u8], after: Option<&[u8]>, mut take: impl FnMut(Named<'_>) -> bool) -> bool {
        let range = self.packed.range(prefix, after);
        let (mut place, end) = (range.start, range.end);
        let from = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let mut loose = self.loose.refs.range::<[u8], _>((from, Bound::Unbounded));
        let mut loose = std::iter::from_fn(|| loose.next().filter(|(name, _)| name.starts_with(prefix))).peekable();
        loop {
            let packed = if place < end { self.packed.at(place) } else { None };
            let named = match (packed, loose.peek()) {
                (None, None) => return true,
                (Some((found, next)), other) if other.is_none_or(|(name, _)| *found.name < ***name) => {
                    place = next;
                    Some(Named { name: found.name, id: found.id, peeled: found.peeled, target: None })
                }
                (found, Some((name, value))) => {
                    // The loose one counts.
                    if let Some((_, next)) = found.filter(|(found, _)| *found.name == ***name) {
                        place = next;
                    }
                    let named = self.resolved(name, value);
                    loose.next();
                    named
                }
                (Some(_), None) => return true,
            };
            if let Some(named) = named.filter(|named| !is_hidden(named.name))
                && !take(named)
            {
                return false;
            }
        }
    }
}

/// Whether a ref is the server's own, as the settings of git say (see `program.rs`).
fn is_hidden(name: &[u8]) -> bool {
    name.strip_prefix(b"refs/doorward").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// As many symbolic refs as git follows.
const DEEPEST: usize = 5;
