//! The file `packed-refs` (gitrepository-layout): many refs in one sorted text, kept as it is and searched by halves.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use doorward_wire::RefName;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::loose::is_id;
use super::stamp::Stamp;
use crate::GitError;

/// The packed refs of a repository.
#[derive(Debug)]
pub(super) struct Packed {
    text: Box<[u8]>,
    /// Where the lines after the header begin.
    begin: usize,
    /// What the file was like when it was read.
    stamp: Option<Stamp>,
    /// Where refs are, in the order of what they lead to. Made when it is first needed.
    by_id: OnceLock<Box<[u32]>>,
    /// What tells the tags from any others. Made when it is first needed.
    print_of_tags: OnceLock<[u8; 32]>,
    /// Set when both are made.
    prepared: OnceCell<()>,
}

/// One packed ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedRef<'a> {
    pub(super) name: &'a [u8],
    pub(super) id: &'a [u8],
    /// What a tag object leads to.
    pub(super) peeled: Option<&'a [u8]>,
}

impl Packed {
    /// Reads the file; none is as good as an empty one. `None` if it is not sorted, or does not say what tags lead to.
    pub(super) fn read(repository: &Path) -> io::Result<Option<Self>> {
        let path = repository.join("packed-refs");
        // The stamp first: what changes while it is read is seen the next time.
        let Some(stamp) = Stamp::of(&path)? else {
            return Ok(Some(Self::new(Box::default(), 0, None)));
        };
        let text = std::fs::read(&path)?.into_boxed_slice();
        Ok(Self::parse(text, stamp))
    }

    fn new(text: Box<[u8]>, begin: usize, stamp: Option<Stamp>) -> Self {
        Self { text, begin, stamp, by_id: OnceLock::new(), print_of_tags: OnceLock::new(), prepared: OnceCell::new() }
    }

    /// Lines that are sorted and say what tags lead to, after a header that ends at a place.
    pub(super) fn of(text: Box<[u8]>, begin: usize) -> Self {
        Self::new(text, begin, None)
    }

    /// The whole file.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    fn parse(text: Box<[u8]>, stamp: Stamp) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::new(text, 0, Some(stamp)));
        }
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let header = std::str::from_utf8(text[..end].strip_prefix(b"# pack-refs with:")?).ok()?;
        let has = |trait_| header.split_ascii_whitespace().any(|word| word == trait_);
        let told = text.last() == Some(&b'\n') && has("sorted") && has("fully-peeled");
        (told && is_sound(&text[end + 1..])).then(|| Self::new(text, end + 1, Some(stamp)))
    }

    /// Whether nothing has changed since it was read.
    pub(super) fn is_fresh(&self, repository: &Path) -> io::Result<bool> {
        Ok(match (Stamp::of(&repository.join("packed-refs"))?, self.stamp) {
            (Some(now), Some(before)) => now.proves(before),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        })
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.text.len() + self.by_id.get().map_or(0, |places| places.len() * size_of::<u32>())
    }

    /// Makes what it takes to find refs by what they lead to, where it keeps nobody waiting if there are many; once, however many ask.
    pub(super) async fn prepare(self: &Arc<Self>) -> Result<(), GitError> {
        let make = || async {
            let packed = Arc::clone(self);
            let make = move || {
                drop(packed.leading_to(b""));
                packed.print_of_tags();
            };
            match self.text.len() > MANY {
                true => tokio::task::spawn_blocking(make).await.map_err(|e| GitError::run("refs")(io::Error::other(e))),
                false => {
                    make();
                    Ok(())
                }
            }
        };
        self.prepared.get_or_try_init(make).await.copied()
    }

    /// The refs that lead to an object, in no particular order; `None` if there are too many to tell.
    pub(super) fn leading_to<'a>(&'a self, id: &'a [u8]) -> Option<impl Iterator<Item = PackedRef<'a>>> {
        u32::try_from(self.text.len()).ok()?;
        let at = |place: u32| self.at(place as usize).map(|(found, _)| found);
        let places = self.by_id.get_or_init(|| {
            let (mut places, mut place) = (Vec::new(), self.begin);
            while let Some((_, next)) = self.at(place) {
                places.push(u32::try_from(place).unwrap_or(u32::MAX));
                place = next;
            }
            places.sort_unstable_by_key(|place| at(*place).map(|found| found.id));
            places.into()
        });
        let first = places.partition_point(|place| at(*place).is_some_and(|found| found.id < id));
        Some(places[first..].iter().map_while(move |place| at(*place).filter(|found| found.id == id)))
    }

    /// What is the same as long as the same tags lead to the same objects.
    pub(super) fn print_of_tags(&self) -> [u8; 32] {
        *self.print_of_tags.get_or_init(|| {
            let range = self.range(b"refs/tags/", None);
            Sha256::digest(&self.text[range]).into()
        })
    }

    /// Where the refs are whose names begin with a prefix; and later than another name, if one is given.
    pub(super) fn range(&self, prefix: &[u8], after: Option<&[u8]>) -> Range<usize> {
        let first = match after {
            Some(after) if after >= prefix => self.partition(|name| name <= after),
            _ => self.partition(|name| name < prefix),
        };
        let last = self.partition(|name| name < prefix || name.starts_with(prefix));
        first..last.max(first)
    }

    /// The ref whose line begins at a place, and where the next one's begins.
    pub(super) fn at(&self, place: usize) -> Option<(PackedRef<'_>, usize)> {
        let line = self.line(place)?;
        let (id, name) = split(line)?;
        let next = place + line.len() + 1;
        match self.line(next).and_then(|line| line.strip_prefix(b"^")) {
            Some(peeled) => Some((PackedRef { name, id, peeled: Some(peeled) }, next + peeled.len() + 2)),
            None => Some((PackedRef { name, id, peeled: None }, next)),
        }
    }

    /// The ref of a name.
    pub(super) fn find(&self, name: &[u8]) -> Option<PackedRef<'_>> {
        let place = self.partition(|other| other < name);
        self.at(place).map(|(found, _)| found).filter(|found| found.name == name)
    }

    /// The place of the first ref that is not `before`, by halves.
    fn partition(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (self.begin, self.text.len());
        while low < high {
            let middle = self.line_of(low + (high - low) / 2);
            match self.at(middle) {
                Some((found, next)) if before(found.name) => low = next,
                Some(_) => high = middle,
                // A line that is none ends the search; whoever walks there finds nothing.
                None => return self.text.len(),
            }
        }
        low
    }

    /// The beginning of the ref that a place is in.
    fn line_of(&self, place: usize) -> usize {
        let begin = |place: usize| {
            let before = self.text[self.begin..place].iter().rposition(|byte| *byte == b'\n');
            before.map_or(self.begin, |before| self.begin + before + 1)
        };
        let line = begin(place);
        if self.text[line] == b'^' && line > self.begin { begin(line - 1) } else { line }
    }

    fn line(&self, place: usize) -> Option<&[u8]> {
        let rest = self.text.get(place..)?;
        rest.iter().position(|byte| *byte == b'\n').map(|end| &rest[..end])
    }
}

/// Whether every line is one, and each name is one and comes after the one before. One bad line would end the list too soon, and
/// whoever prunes by a list would delete the rest.
fn is_sound(lines: &[u8]) -> bool {
    let mut last: Option<&[u8]> = None;
    let mut may_peel = false;
    lines.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line)).all(|line| {
        if let Some(peeled) = line.strip_prefix(b"^") {
            return std::mem::replace(&mut may_peel, false) && is_id(peeled);
        }
        let Some((_, name)) = split(line) else { return false };
        let follows = last.is_none_or(|last| last < name);
        (last, may_peel) = (Some(name), true);
        follows && RefName::parse(name).is_ok()
    })
}

/// `ID NAME`.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (id, name) = (&line[..space], &line[space + 1..]);
    (is_id(id) && name.starts_with(b"refs/")).then_some((id, name))
}

/// Bytes of refs that are put into another order at once, and not where it keeps nobody waiting.
const MANY: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(names: &[String]) -> Packed {
        let mut text = String::from("# pack-refs with: peeled fully-peeled sorted \n");
        for (number, name) in names.iter().enumerate() {
            text.push_str(&format!("{number:040x} {name}\n"));
            if number % 3 == 0 {
                text.push_str(&format!("^{:040x}\n", number + 1000));
            }
        }
        Packed::parse(text.into_bytes().into(), Stamp::example()).expect("it can be read")
    }

    fn walk(packed: &Packed, range: Range<usize>) -> Vec<String> {
        let (mut place, mut found) = (range.start, Vec::new());
        while place < range.end {
            let (one, next) = packed.at(place).expect("a ref");
            found.push(String::from_utf8_lossy(one.name).into_owned());
            place = next;
        }
        found
    }

    proptest! {
        #[test]
        fn what_is_searched_by_halves_is_what_is_found_by_looking_at_all(
            names in prop::collection::btree_set("refs/(heads|tags)/[ab]{1,4}(/[ab]{1,3})?", 0..40),
            prefix in "refs/(heads|tags)/[ab]{0,3}",
            after in prop::option::of("refs/(heads|tags)/[ab]{1,4}"),
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let packed = packed(&names);
            let found = walk(&packed, packed.range(prefix.as_bytes(), after.as_deref().map(str::as_bytes)));
            let is_wanted = |name: &&String| name.starts_with(&prefix) && after.as_ref().is_none_or(|after| *name > after);
            let expected: Vec<String> = names.iter().filter(is_wanted).cloned().collect();
            prop_assert_eq!(found, expected);
            for (number, name) in names.iter().enumerate() {
                let found = packed.find(name.as_bytes()).expect("it is there");
                let id = format!("{number:040x}");
                prop_assert_eq!((found.id, found.peeled.is_some()), (id.as_bytes(), number % 3 == 0));
            }
            prop_assert!(packed.find(b"refs/heads/none").is_none());
            for (number, name) in names.iter().enumerate() {
                let id = format!("{number:040x}");
                let leading: Vec<_> = packed.leading_to(id.as_bytes()).expect("not many").map(|found| found.name).collect();
                prop_assert_eq!(leading, [name.as_bytes()]);
            }
            let none = format!("{:040x}", 10_000);
            prop_assert_eq!(packed.leading_to(none.as_bytes()).expect("not many").count(), 0);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), prefix in "[a-z/]{0,8}") {
            let mut text = b"# pack-refs with: fully-peeled sorted\n".to_vec();
            text.extend(bytes);
            text.push(b'\n');
            if let Some(packed) = Packed::parse(text.into(), Stamp::example()) {
                let range = packed.range(prefix.as_bytes(), None);
                let mut place = range.start;
                while place < range.end && let Some((_, next)) = packed.at(place) {
                    prop_assert!(next > place);
                    place = next;
                }
            }
        }
    }

    #[test]
    fn what_is_not_sorted_or_not_peeled_is_left_to_git() {
        for text in [
            "# pack-refs with: peeled \n",
            "0000 refs/heads/a\n",
            "# pack-refs with: fully-peeled sorted \nhalf",
            "# pack-refs with: fully-peeled sorted \n012345678901234567890123456789012345678 refs/heads/short\n",
            "# pack-refs with: fully-peeled sorted \n0123456789012345678901234567890123456789 refs/heads/b..c\n",
            "# pack-refs with: fully-peeled sorted \n^0123456789012345678901234567890123456789\n",
            "# pack-refs with: fully-peeled sorted \n0123456789012345678901234567890123456789 refs/heads/b\n\
             0123456789012345678901234567890123456789 refs/heads/a\n",
        ] {
            assert!(Packed::parse(text.as_bytes().into(), Stamp::example()).is_none(), "{text}");
        }
    }
}
