//! What objects lead to: commits to a tree and to their parents, trees to what is in them, tags to one object.

use crate::{Id, PackError};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A commit.
    Commit,
    /// A directory.
    Tree,
    /// A file.
    Blob,
    /// An annotated tag.
    Tag,
}

/// What a commit leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its directory.
    pub tree: Id,
    /// The commits before it.
    pub parents: Vec<Id>,
    /// When it was committed, in seconds since 1970, as it says itself.
    pub date: i64,
}

/// The entries of a tree.
#[derive(Debug, Clone, Copy)]
pub struct TreeEntries<'a>(&'a [u8]);

/// One entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeEntry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The object.
    pub id: Id,
    /// What that is; `None` for a commit of another repository (a submodule).
    pub kind: Option<Kind>,
    /// Its mode, as git writes it: what it is, and what may be done with it.
    pub mode: u64,
}

impl Kind {
    /// The kind that git writes so.
    pub(crate) fn from_word(word: &[u8]) -> Option<Self> {
        match word {
            b"commit" => Some(Self::Commit),
            b"tree" => Some(Self::Tree),
            b"blob" => Some(Self::Blob),
            b"tag" => Some(Self::Tag),
            _ => None,
        }
    }

    /// The kind of this number in packs.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Commit),
            2 => Some(Self::Tree),
            3 => Some(Self::Blob),
            4 => Some(Self::Tag),
            _ => None,
        }
    }

    /// Its number in packs.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Tree => 2,
            Self::Blob => 3,
            Self::Tag => 4,
        }
    }
}

impl Commit {
    /// Reads what stands in a commit.
    ///
    /// # Errors
    /// [`PackError::Damaged`] if it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, PackError> {
        let damaged = PackError::Damaged("a commit cannot be read");
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let tree = lines.next().and_then(|line| line.strip_prefix(b"tree ")).and_then(Id::from_hex);
        let Some(tree) = tree else { return Err(damaged) };
        let mut parents = Vec::new();
        for line in lines {
            if let Some(parent) = line.strip_prefix(b"parent ") {
                parents.push(Id::from_hex(parent).ok_or(PackError::Damaged("a commit's parent cannot be read"))?);
            } else if let Some(committer) = line.strip_prefix(b"committer ") {
                return Ok(Self { tree, parents, date: date(committer).unwrap_or(0) });
            } else if line.is_empty() {
                break;
            }
        }
        Ok(Self { tree, parents, date: 0 })
    }
}

/// The seconds in `Ada <ada@example.org> 1600000000 +0100`.
fn date(committer: &[u8]) -> Option<i64> {
    let after = committer.iter().rposition(|byte| *byte == b'>')? + 1;
    let mut words = committer[after..].split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    std::str::from_utf8(words.next()?).ok()?.parse().ok()
}

/// What a tag leads to.
///
/// # Errors
/// [`PackError::Damaged`] if it is none.
pub fn tag_target(bytes: &[u8]) -> Result<Id, PackError> {
    let line = bytes.split(|byte| *byte == b'\n').next();
    let target = line.and_then(|line| line.strip_prefix(b"object ")).and_then(Id::from_hex);
    target.ok_or(PackError::Damaged("a tag cannot be read"))
}

impl<'a> TreeEntries<'a> {
    /// The entries of a tree as it is stored.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for TreeEntries<'a> {
    type Item = Result<TreeEntry<'a>, PackError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = entry(self.0);
        self.0 = entry.map_or(&[], |(_, rest)| rest);
        Some(entry.map(|(entry, _)| entry).ok_or(PackError::Damaged("a tree cannot be read")))
    }
}

fn entry(bytes: &[u8]) -> Option<(TreeEntry<'_>, &[u8])> {
    let zero = bytes.iter().position(|byte| *byte == 0)?;
    let (line, rest) = (&bytes[..zero], &bytes[zero + 1..]);
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (mode, name) = (&line[..space], &line[space + 1..]);
    let mode = mode_of(mode)?;
    let (id, rest) = rest.split_at_checked(Id::LENGTH)?;
    Some((TreeEntry { name, id: Id::from_bytes(id)?, kind: kind_of(mode), mode }, rest))
}

/// A mode, if it is one. Old trees have zeros before theirs.
fn mode_of(mode: &[u8]) -> Option<u64> {
    if !(1..=12).contains(&mode.len()) || !mode.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
        return None;
    }
    Some(mode.iter().fold(0, |mode, digit| mode << 3 | u64::from(digit - b'0')))
}

/// What an entry of this mode is, as git takes it, whatever its permissions are.
fn kind_of(mode: u64) -> Option<Kind> {
    match mode & 0o170_000 {
        0o040_000 => Some(Kind::Tree),
        0o100_000 | 0o120_000 => Some(Kind::Blob),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_commit_leads_to_its_tree_and_its_parents_and_a_message_is_no_header() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let text = format!(
            "tree {a}\nparent {b}\nparent {a}\nauthor x <y> 1 +0000\ncommitter Ada > <a@b> 1600000000 -0130\n\nparent {b}\n"
        );
        let commit = Commit::read(text.as_bytes()).expect("a commit");
        assert_eq!(commit.tree.to_string(), a);
        assert_eq!((commit.parents.len(), commit.date), (2, 1_600_000_000));
        assert!(Commit::read(b"tree abc\n").is_err() && Commit::read(b"").is_err());
    }

    #[test]
    fn modes_are_what_git_takes_them_for() {
        let kinds = ["40000", "040000", "00040000", "40755", "100644", "0100644", "100664", "120000", "160000", "0"];
        let kinds = kinds.map(|mode| kind_of(mode_of(mode.as_bytes()).expect("a mode")));
        let (tree, blob) = (Some(Kind::Tree), Some(Kind::Blob));
        assert_eq!(kinds, [tree, tree, tree, tree, blob, blob, blob, blob, None, None]);
        assert_eq!([&b""[..], b"9", b"4 0", b"0000000000000"].map(mode_of), [None; 4]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Commit::read(&bytes);
            let _ = tag_target(&bytes);
            let _ = TreeEntries::of(&bytes).count();
            let _ = Commit::read(&[&b"tree aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\ncommitter "[..], &bytes].concat());
        }
    }
}
