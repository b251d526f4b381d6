//! Refs as another server listed them (gitprotocol-v2, "ls-refs").

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use doorward_wire::{PktLine, RefName};

use super::loose::{Loose, Value, is_id};
use super::packed::Packed;
use super::snapshot::Snapshot;
use crate::ObjectFormat;

/// The refs that another server had at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Listing(pub(crate) Arc<Snapshot>);

impl Listing {
    /// Reads the answer to a question for all refs that asked for `peel`, `symrefs` and `unborn`; `None` if it is none, or does not
    /// end. Refs whose names git does not take are left out: nobody can fetch them.
    pub fn read(answer: &[u8], format: ObjectFormat) -> Option<Self> {
        let mut lines = Lines { refs: BTreeMap::new(), symbolic: BTreeMap::new(), head: None, format };
        let mut rest = answer;
        loop {
            let (line, length) = PktLine::read(rest).ok()??;
            rest = &rest[length..];
            match line {
                PktLine::Flush => break,
                PktLine::Data(line) => lines.take(line.strip_suffix(b"\n").unwrap_or(line))?,
                PktLine::Delimiter | PktLine::ResponseEnd => return None,
            }
        }
        Some(Self(Arc::new(lines.snapshot())))
    }

    /// What all refs lead to, each object once.
    pub fn ids(&self) -> Vec<Box<[u8]>> {
        let mut ids = HashSet::new();
        self.0.walk(b"refs/", None, |named| {
            ids.insert(Box::from(named.id));
            true
        });
        ids.extend(self.0.head().map(|head| Box::from(head.id)));
        ids.into_iter().collect()
    }

    /// What a ref leads to.
    pub fn find(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.find(name, 0).map(|(id, _)| id)
    }

    /// Bytes that it takes in memory, for the most part.
    pub fn bytes(&self) -> usize {
        self.0.packed_text().len()
    }

    /// The format of its objects.
    pub fn format(&self) -> ObjectFormat {
        self.0.format
    }

    /// The branch or object that HEAD names, as the file of that name says it.
    pub(crate) fn head_file(&self) -> String {
        match (self.0.main_branch(), self.0.head()) {
            (Some(branch), _) => format!("ref: {}\n", String::from_utf8_lossy(branch)),
            (None, Some(head)) => format!("{}\n", String::from_utf8_lossy(head.id)),
            (None, None) => "ref: refs/heads/main\n".into(),
        }
    }

    /// All of them, as the file `packed-refs` has them.
    pub(crate) fn packed_file(&self) -> &[u8] {
        self.0.packed_text()
    }
}

/// What was read so far.
struct Lines {
    refs: BTreeMap<Box<[u8]>, Object>,
    symbolic: BTreeMap<Box<[u8]>, Box<[u8]>>,
    head: Option<Value>,
    format: ObjectFormat,
}

/// What a ref leads to, and what that leads to if it is a tag.
struct Object {
    id: Box<[u8]>,
    peeled: Option<Box<[u8]>>,
}

impl Lines {
    fn take(&mut self, line: &[u8]) -> Option<()> {
        let mut words = line.split(|byte| *byte == b' ');
        let (id, name) = (words.next()?, words.next()?);
        let (mut target, mut peeled) = (None, None);
        for word in words {
            target = target.or(word.strip_prefix(b"symref-target:"));
            peeled = peeled.or(word.strip_prefix(b"peeled:"));
        }
        let is_good = |id: &[u8]| is_id(id) && id.len() == self.format.digits();
        let target = target.filter(|target| RefName::parse(target).is_ok());
        if name == b"HEAD" {
            self.head = match (target, id) {
                (Some(target), _) => Some(Value::Symbolic(target.into())),
                (None, b"unborn") => None,
                (None, id) => Some(Value::Id(is_good(id).then(|| id.into())?)),
            };
            return Some(());
        }
        if !is_good(id) || peeled.is_some_and(|peeled| !is_good(peeled)) {
            return None;
        }
        if RefName::parse(name).is_err() {
            return Some(());
        }
        if let Some(target) = target {
            self.symbolic.insert(name.into(), target.into());
        }
        self.refs.insert(name.into(), Object { id: id.into(), peeled: peeled.map(Box::from) });
        Some(())
    }

    fn snapshot(self) -> Snapshot {
        let mut text = HEADER.to_vec();
        let mut peeled = HashMap::new();
        for (name, Object { id, peeled: leads_to }) in &self.refs {
            text.extend_from_slice(&[id, &b" "[..], name, b"\n"].concat());
            if let Some(leads_to) = leads_to {
                text.extend_from_slice(&[&b"^"[..], leads_to, b"\n"].concat());
            }
        }
        if let Some(Value::Id(id)) = &self.head {
            peeled.insert(id.clone(), None);
        }
        // One that stands for another is listed as such as long as that is listed, too.
        let is_there = |(_, target): &(Box<[u8]>, Box<[u8]>)| self.refs.contains_key(target);
        let symbolic = self.symbolic.into_iter().filter(is_there);
        let loose = Loose::of(symbolic.map(|(name, target)| (name, Value::Symbolic(target))).collect());
        Snapshot::of(Packed::of(text.into(), HEADER.len()), loose, self.head, peeled, self.format)
    }
}

const HEADER: &[u8] = b"# pack-refs with: peeled fully-peeled sorted \n";

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &[String]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            PktLine::write(format!("{line}\n").as_bytes(), &mut bytes);
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }

    fn listed(listing: &Listing) -> Vec<String> {
        let mut lines = Vec::new();
        listing.0.walk(b"", None, |named| {
            let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let name = String::from_utf8_lossy(named.name);
            lines.push(format!("{name} {:?} {:?}", text(named.peeled), text(named.target)));
            true
        });
        lines
    }

    #[test]
    fn what_another_server_lists_is_listed_again() {
        let (one, two, three) = ("1".repeat(40), "2".repeat(40), "3".repeat(40));
        let lines = [
            format!("{one} HEAD symref-target:refs/heads/main"),
            format!("{two} refs/tags/v1 peeled:{one}"),
            format!("{one} refs/heads/main"),
            format!("{one} refs/heads/default symref-target:refs/heads/main"),
            format!("{three} refs/heads/a..b"),
            format!("{three} refs/pull-requests/7/from"),
        ];
        let listing = Listing::read(&answer(&lines), ObjectFormat::Sha1).expect("a list");
        let expected = [
            r#"refs/heads/default None Some("refs/heads/main")"#.to_owned(),
            "refs/heads/main None None".to_owned(),
            "refs/pull-requests/7/from None None".to_owned(),
            format!(r#"refs/tags/v1 Some("{one}") None"#),
        ];
        assert_eq!(listed(&listing), expected);
        assert_eq!(listing.0.head().map(|head| head.id.to_vec()), Some(one.into_bytes()));
        assert_eq!(listing.head_file(), "ref: refs/heads/main\n");
        assert_eq!(listing.ids().len(), 3);
    }

    #[test]
    fn an_empty_repository_has_a_branch_that_is_not_there_yet() {
        let unborn = ["unborn HEAD symref-target:refs/heads/trunk".to_owned()];
        let listing = Listing::read(&answer(&unborn), ObjectFormat::Sha1).expect("a list");
        assert_eq!((listing.0.head(), listing.0.main_branch()), (None, Some(&b"refs/heads/trunk"[..])));
        assert!(listing.ids().is_empty());
    }

    #[test]
    fn what_is_no_list_or_does_not_end_is_none() {
        let good = answer(&[format!("{} refs/heads/main", "1".repeat(40))]);
        for bytes in [&b""[..], b"<html>", &good[..good.len() - 4], b"0009ERR x0000", b"0012xyz refs/heads0000"] {
            assert!(Listing::read(bytes, ObjectFormat::Sha1).is_none(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(Listing::read(&good, ObjectFormat::Sha256).is_none(), "names of another format");
    }
}
