//! Names of commits, directories and files, read here without git where that can be.
//!
//! Each answers `None` where git has to be asked: objects of SHA-256 or of other repositories, short ids, and whatever cannot be read
//! here. Replacements (git-replace) count neither here nor there.

use std::sync::Arc;

use bytes::Bytes;
use doorward_packs::{Id, Kind, PackError, Reader, TreeEntries, TreeEntry};
use doorward_wire::ObjectId;

use crate::answers::Stop;
use crate::contents::RefKind;
use crate::refs::Snapshot;
use crate::{Contents, Entry, EntryKind};

impl Contents {
    /// The commit that a whole id, a branch or a tag names, in this order.
    pub(crate) async fn commit_here(&self, name: &str) -> Option<ObjectId> {
        let name = name.to_owned();
        self.here(move |reader, refs| {
            let named = |kind: RefKind| refs.find(format!("{}{name}", kind.prefix()).as_bytes(), 0);
            let id = match Id::from_hex(name.as_bytes()) {
                Some(id) => id,
                None => {
                    let Some((id, peeled)) = named(RefKind::Branch).or_else(|| named(RefKind::Tag)) else {
                        return Ok(None);
                    };
                    match Id::from_hex(peeled.unwrap_or(id)) {
                        Some(id) => id,
                        None => return Ok(None),
                    }
                }
            };
            Ok(reader.commit(&id)?.and_then(|_| object_id(&id)))
        })
        .await
    }

    /// What is in a directory of a commit. The path is `DIRECTORY/`, or empty for the top.
    pub(crate) async fn directory_here(&self, commit: &ObjectId, path: &str) -> Option<Vec<Entry>> {
        let (commit, path) = (Id::from_hex(commit.as_str().as_bytes())?, path.to_owned());
        self.here(move |reader, _| {
            let Some(tree) = tree_at(reader, &commit, &path)? else { return Ok(Some(Vec::new())) };
            let tree = reader.object(&tree)?.1;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for entry in TreeEntries::of(&tree) {
                let entry = Entry::of(reader, &path, &entry?)?;
                bytes += entry.path.len() + EACH;
                if bytes > MOST {
                    return Err(PackError::TooMuch("a directory is larger than is held in memory"));
                }
                entries.push(entry);
            }
            Ok(Some(entries))
        })
        .await
    }

    /// What a path leads to in a commit.
    pub(crate) async fn entry_here(&self, commit: &ObjectId, path: &str) -> Option<Option<Entry>> {
        let (commit, path) = (Id::from_hex(commit.as_str().as_bytes())?, path.to_owned());
        self.here(move |reader, _| {
            let (directory, name) = path.rsplit_once('/').map_or(("", path.as_str()), |(before, name)| (before, name));
            let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
            let Some(tree) = tree_at(reader, &commit, &prefix)? else { return Ok(Some(None)) };
            let tree = reader.object(&tree)?.1;
            let found = find(reader, &tree, name.as_bytes())?;
            Ok(Some(found.map(|found| Entry::of(reader, &prefix, &found)).transpose()?))
        })
        .await
    }

    /// The bytes of a file, if it is not too large to be held in memory for long.
    pub(crate) async fn file_here(&self, id: &ObjectId) -> Option<Bytes> {
        let id = Id::from_hex(id.as_str().as_bytes())?;
        self.here(move |reader, _| {
            if reader.size(&id)? > LARGEST {
                return Ok(None);
            }
            let (kind, bytes) = reader.object(&id)?;
            Ok((kind == Kind::Blob).then(|| bytes.into()))
        })
        .await
    }

    /// Reads something here, off the threads that answer requests.
    async fn here<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Reader<'_>, &Snapshot) -> Result<Option<T>, PackError> + Send + 'static,
    ) -> Option<T> {
        let repository = self.repository();
        let refs: Arc<Snapshot> = repository.all.snapshot(repository.id).await.ok()??;
        let objects = repository.all.stored.of(repository.id, &repository.directory, &refs)?;
        // Whoever goes takes its place for git along, and nobody waits for what is read any more.
        let stop = Stop::default();
        let stopped = Arc::clone(&stop.0);
        let read = tokio::task::spawn_blocking(move || work(&mut objects.reader()?.stop_by(stopped), &refs)).await;
        drop(stop);
        match read {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::debug!(repository = %repository.id, %error, "git is asked for contents");
                if matches!(error, PackError::Damaged(_)) {
                    repository.all.stored.distrust(repository.id);
                }
                None
            }
            Err(error) => {
                tracing::error!(repository = %repository.id, %error, "contents were not read for a mistake in this program");
                repository.all.stored.distrust(repository.id);
                None
            }
        }
    }
}

/// The directory of a commit at a path that ends with `/`, or is empty; `None` if there is none.
fn tree_at(reader: &mut Reader<'_>, commit: &Id, path: &str) -> Result<Option<Id>, PackError> {
    let commit = reader.commit(commit)?.ok_or(PackError::TooMuch("it is no commit"))?;
    let mut tree = commit.tree;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let bytes = reader.object(&tree)?.1;
        match find(reader, &bytes, name.as_bytes())? {
            Some(TreeEntry { kind: Some(Kind::Tree), id, .. }) => tree = id,
            _ => return Ok(None),
        }
    }
    Ok(Some(tree))
}

fn find<'a>(reader: &mut Reader<'_>, tree: &'a [u8], name: &[u8]) -> Result<Option<TreeEntry<'a>>, PackError> {
    reader.spend(tree.len())?;
    for entry in TreeEntries::of(tree) {
        let entry = entry?;
        if entry.name == name {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

impl Entry {
    fn of(reader: &mut Reader<'_>, prefix: &str, entry: &TreeEntry<'_>) -> Result<Self, PackError> {
        let kind = match (entry.kind, entry.mode & 0o170_000) {
            (Some(Kind::Tree), _) => EntryKind::Directory,
            (None, _) => EntryKind::Submodule,
            (_, 0o120_000) => EntryKind::Link,
            _ if entry.mode & 0o100 != 0 => EntryKind::Executable,
            _ => EntryKind::File,
        };
        reader.spend(EACH)?;
        let is_file = !matches!(kind, EntryKind::Directory | EntryKind::Submodule);
        let size = if is_file { Some(reader.size(&entry.id)?) } else { None };
        let id = object_id(&entry.id).ok_or(PackError::Damaged("an entry has no name"))?;
        Ok(Self { kind, id, path: format!("{prefix}{}", String::from_utf8_lossy(entry.name)), size })
    }
}

fn object_id(id: &Id) -> Option<ObjectId> {
    ObjectId::parse(id.to_string().as_bytes())
}

/// Bytes that an entry takes beside its path.
const EACH: usize = 120;
/// Bytes of a list that is held in memory: as much as of what git writes.
const MOST: usize = 32 * 1024 * 1024;
/// Bytes of a file that is held in memory until it was sent.
const LARGEST: u64 = 1024 * 1024;
