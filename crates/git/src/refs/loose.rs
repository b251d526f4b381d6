//! Loose refs (gitrepository-layout): one file for each, in directories that are looked into again when they have changed.

use std::collections::BTreeMap;
use std::io;
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

    /// Whether nothing has changed since.
    pub(super) fn is_fresh(&self, repository: &Path) -> io::Result<bool> {
        for (directory, before) in &self.directories {
            if !Stamp::of(&repository.join(directory))?.is_some_and(|now| now.proves(*before)) {
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
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
        for (name, value) in before.refs.range(from.clone()..).take_while(|(name, _)| name.starts_with(&within)) {
            if inside(name) {
                self.refs.insert(name.clone(), value.clone());
            }
        }
        for (name, stamp) in before.files.range(from..).take_while(|(name, _)| name.starts_with(&within)) {
            if inside(name) {
                self.files.insert(name.clone(), *stamp);
            }
        }
        let below = before.directories.keys().filter(|below| below.parent() == Some(directory));
        for below in below {
            if !self.walk(repository, below, before)? {
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

/// What stands in the file of a ref; `None` if that is not there, or cannot be read as a ref.
pub(super) fn read(path: &Path) -> io::Result<Option<Value>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = text.trim_ascii_end();
    if let Some(target) = text.strip_prefix(b"ref:") {
        return Ok(Some(Value::Symbolic(target.trim_ascii().into())));
    }
    let is_id = matches!(text.len(), 40 | 64) && text.iter().all(u8::is_ascii_hexdigit);
    Ok(is_id.then(|| Value::Id(text.into())))
}
