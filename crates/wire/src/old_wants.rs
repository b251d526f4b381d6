//! What a fetch in version 0 or 1 of the protocol wants (gitprotocol-pack, "Packfile Negotiation"): the lines before the first flush.

use crate::PktLine;
use crate::fetch_request::is_id;

/// What the beginning of a request in version 0 or 1 turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldWants {
    /// The objects that are wanted, by their names in hexadecimal, and whether tags that lead to what is sent are wanted too.
    Whole {
        /// Their names.
        wants: Vec<Box<[u8]>>,
        /// Whether tags are included.
        with_tags: bool,
    },
    /// Something else, or what depends on more than objects: the repository's owner has to say.
    Other,
    /// It takes more bytes to tell.
    More,
}

impl OldWants {
    /// Reads what has come of a request so far.
    pub fn read(bytes: &[u8]) -> Self {
        let (mut rest, mut wants, mut with_tags) = (bytes, Vec::new(), false);
        loop {
            let line = match PktLine::read(rest) {
                Ok(None) => return Self::More,
                Ok(Some((PktLine::Flush, _))) if !wants.is_empty() => return Self::Whole { wants, with_tags },
                Ok(Some((PktLine::Data(line), length))) => {
                    rest = &rest[length..];
                    line.strip_suffix(b"\n").unwrap_or(line)
                }
                _ => return Self::Other,
            };
            if let Some(want) = line.strip_prefix(b"want ") {
                let id = want.split(|byte| *byte == b' ').next().unwrap_or_default();
                // What the client can do stands behind the first one.
                if !is_id(id) || (id.len() < want.len() && !wants.is_empty()) {
                    return Self::Other;
                }
                // Git takes more for a word's end than a space, and words with values for those without.
                let mut words = want[id.len()..].split(|byte| *byte == b' ').filter(|word| !word.is_empty());
                if !words.clone().all(is_known) {
                    return Self::Other;
                }
                with_tags |= words.any(|word| word == b"include-tag");
                wants.push(id.into());
            } else if !OF_OBJECTS.iter().any(|begin| line.starts_with(begin)) || wants.is_empty() {
                return Self::Other;
            }
        }
    }
}

/// Whether a word says what a client can do, in the one way in which it is said.
fn is_known(word: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic();
    let has_value = [&b"agent="[..], b"session-id=", b"object-format="].iter().any(|begin| word.starts_with(begin));
    (has_value && word.iter().all(is_plain)) || CAPABILITIES.contains(&word)
}

/// What a client can say that it can do (gitprotocol-capabilities).
const CAPABILITIES: &[&[u8]] = &[
    b"multi_ack",
    b"multi_ack_detailed",
    b"no-done",
    b"thin-pack",
    b"side-band",
    b"side-band-64k",
    b"ofs-delta",
    b"no-progress",
    b"include-tag",
    b"deepen-since",
    b"deepen-not",
    b"deepen-relative",
    b"filter",
];
/// How the other lines begin that are about objects and nothing else. `deepen-not` names a ref, and what is behind a `shallow` commit is
/// sent wherever that is.
const OF_OBJECTS: &[&[u8]] = &[b"deepen ", b"deepen-since ", b"filter blob:", b"filter tree:"];

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        lines.iter().for_each(|line| PktLine::write(line.as_bytes(), &mut bytes));
        bytes.extend_from_slice(b"0000");
        bytes
    }

    #[test]
    fn what_is_wanted_is_read_as_soon_as_all_of_it_is_there() {
        let [one, two] = ["1", "2"].map(|digit| digit.repeat(40));
        let first = format!("want {one} multi_ack_detailed side-band-64k include-tag ofs-delta agent=git/2.20\n");
        let bytes = lines(&[&first, &format!("want {two}\n"), "deepen 1", "filter blob:none"]);
        let wants = [one.clone(), two].map(|id| id.into_bytes().into_boxed_slice()).to_vec();
        let whole = OldWants::Whole { wants, with_tags: true };
        assert_eq!(OldWants::read(&bytes), whole);
        assert_eq!(OldWants::read(&[&bytes[..], b"0032have nonsense"].concat()), whole, "what follows is for git");
        for length in 0..bytes.len() {
            assert_eq!(OldWants::read(&bytes[..length]), OldWants::More, "{length}");
        }
        let OldWants::Whole { with_tags, .. } = OldWants::read(&lines(&[&format!("want {one} ofs-delta")])) else {
            panic!("it is whole")
        };
        assert!(!with_tags);
    }

    #[test]
    fn what_is_about_refs_or_cannot_be_read_is_something_else() {
        let want = format!("want {}", "1".repeat(40));
        for other in [
            &["deepen-not main"][..],
            &["deepen 1"],
            &["want 1234"],
            &["command=ls-refs"],
            &[&want, "want 1234"],
            &[&want, &format!("{want} include-tag")],
            &[&want, "deepen-not main"],
            &[&want, "filter sparse:oid=main:x"],
            &[&want, "have x"],
            &[&want, &format!("shallow {}", "1".repeat(40))],
            &[&format!("{want} include-tag=1")],
            &[&format!("{want} ofs-delta\tinclude-tag")],
            &[&format!("{want} unheard-of")],
            &[],
        ] {
            assert_eq!(OldWants::read(&lines(other)), OldWants::Other, "{other:?}");
        }
        assert_eq!(OldWants::read(b"PACK"), OldWants::Other);
    }
}
