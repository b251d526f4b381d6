//! Loose refs (gitrepository-layout): one file for each, in directories that are looked into again when they have changed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use doorward_wire::RefName;

use super::stamp::Stamp;

/// What a loose ref is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// The object it leads to.
    Id(Box<[u8]>),
    /// The other ref that it stands for.
    Symbolic(Box<[u8]>),
}

/// The loose refs of a repository.
#[derive(Debug, Clone, Default)]
pub(super) struct Loose {
    pub(super) refs: BTreeMap<Box<[u8]>, Value>,
    /// Each directory of them, and what it was like.
    directories: BTreeMap<PathBuf, Stamp>,
    /// Each file, and what it was like.
    files: BTreeMap<Box<[u8]>, Stamp>,
}

impl Loose {
    /// Reads what has changed since `before`. `None` if there is a ref that only git can make something of.
    pub(super) fn read(repository: &Path, before: &Self) -> io::Result<Option<Self>> {
        let mut found = Self::default();
        let whole = found.walk(repository, Path::new("refs"), before)?;
        Ok(whole.then_some(found))
    }

    /// Refs that were read from no files.
    pub(super) fn of(refs: BTreeMap<Box<[u8]>, Value>) -> Self {
        Self { refs, ..Self::default() }
    }

    /// Bytes of memory, about.
    pub(super) fn size(&self) -> usize {
        (self.refs.len() + self.directories.len()) * EACH
    }

    /// Whether nothing has changed since.
    pub(super) fn is_fresh(&self, repository: &Path) -> io::Result<bool> {
        for (directory, before) in &self.directories {
            if !Stamp::of(&repository.join(directory))?.is_some_and(|now| now.proves(*before)) {
                return Ok(false);
            }
        }
        for (name, before) in &self.files {
            let path = repository.join(OsStr::from_bytes(name));
            if !Stamp::of(&path)?.is_some_and(|now| now.proves(*before)) {
                return Ok(false);
            }
        }
        Ok(!self.directories.is_empty())
    }

    fn walk(&mut self, repository: &Path, directory: &Path, before: &Self) -> io::Result<bool> {
        let path = repository.join(directory);
        // The stamp first: what changes while it is read is seen the next time.
        let Some(stamp) = Stamp::of(&path)? else { return Ok(true) };
        self.directories.insert(directory.to_owned(), stamp);
        if before.directories.get(directory).is_some_and(|known| stamp.proves(*known)) {
            return self.take(repository, directory, before);
        }
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            // It was removed when its last ref was.
            Err(error) if is_absence(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            let hidden =
                entry.file_name().as_bytes().starts_with(b".") || name.as_os_str().as_bytes().ends_with(b".lock");
            if hidden {
                continue;
            }
            let is_directory = entry.file_type()?.is_dir();
            let whole = match is_directory {
                true => self.walk(repository, &name, before)?,
                false => self.file(repository, &name, before)?,
            };
            if !whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes over what is in a directory that has not changed, and looks into those below it.
    fn take(&mut self, repository: &Path, directory: &Path, before: &Self) -> io::Result<bool> {
        let mut within = directory.as_os_str().as_bytes().to_vec();
        within.push(b'/');
        let inside = |name: &[u8]| name.strip_prefix(within.as_slice()).is_some_and(|rest| !rest.contains(&b'/'));
        let from = within.clone().into_boxed_slice();
        for (name, _) in before.files.range(from..).take_while(|(name, _)| name.starts_with(&within)) {
            // A file may have been written over in its place, which its directory does not tell.
            if inside(name) && !self.file(repository, Path::new(OsStr::from_bytes(name)), before)? {
                return Ok(false);
            }
        }
        let after = (Bound::Excluded(directory), Bound::Unbounded);
        let below = before.directories.range::<Path, _>(after).take_while(|(below, _)| below.starts_with(directory));
        for (below, _) in below {
            if below.parent() == Some(directory) && !self.walk(repository, below, before)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn file(&mut self, repository: &Path, name: &Path, before: &Self) -> io::Result<bool> {
        let path = repository.join(name);
        let name = name.as_os_str().to_owned().into_vec().into_boxed_slice();
        // What git ignores with a warning, it may warn of.
        if RefName::parse(&name).is_err() {
            return Ok(false);
        }
        let Some(stamp) = Stamp::of(&path)? else { return Ok(true) };
        self.files.insert(name.clone(), stamp);
        if let (Some(known), Some(value)) = (before.files.get(&name), before.refs.get(&name))
            && stamp.proves(*known)
        {
            self.refs.insert(name, value.clone());
            return Ok(true);
        }
        let Some(value) = read(&path)? else { return Ok(path.symlink_metadata().is_err()) };
        self.refs.insert(name, value);
        Ok(true)
    }
}

/// Whether a text is the name of an object as git writes it.
pub(super) fn is_id(text: &[u8]) -> bool {
    matches!(text.len(), 40 | 64) && text.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte))
}

/// What stands in the file of a ref; `None` if that is not there, or cannot be read as a ref.
pub(super) fn read(path: &Path) -> io::Result<Option<Value>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = text.trim_ascii_end();
    if let Some(target) = text.strip_prefix(b"ref:") {
        return Ok(Some(Value::Symbolic(target.trim_ascii().into())));
    }
    Ok(is_id(text).then(|| Value::Id(text.into())))
}

/// Bytes that a ref takes, with its file's stamp and what it leads to; or a directory.
const EACH: usize = 500;

/// Whether an error says that there is no such file, or something else in its place.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}
