//! What a client asks of `git-upload-pack` in version 2 of the protocol, as far as it is answered without asking git what it is.

use crate::command::{Command, CommandRead};
use crate::{FetchRequest, ListRequest};

/// What the beginning of a request turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadQuestion {
    /// A question for refs.
    Refs(Box<ListRequest>),
    /// A question for objects.
    Objects(Box<FetchRequest>),
    /// A question for bundles.
    Bundles,
    /// Something else, or nothing that can be read: whoever has the repository has to say.
    Other,
    /// It takes more bytes to tell.
    More,
}

impl UploadQuestion {
    /// Reads what has come of a request so far.
    pub fn read(bytes: &[u8]) -> Self {
        let command = match Command::read(bytes, &[LIST, FETCH, BUNDLES]) {
            CommandRead::Whole(command) => command,
            CommandRead::Other => return Self::Other,
            CommandRead::More => return Self::More,
        };
        let question = match command.name {
            name if name == LIST.as_bytes() => ListRequest::of(&command).map(|request| Self::Refs(Box::new(request))),
            name if name == FETCH.as_bytes() => {
                FetchRequest::of(&command).map(|request| Self::Objects(Box::new(request)))
            }
            _ => command.arguments.is_empty().then_some(Self::Bundles),
        };
        question.unwrap_or(Self::Other)
    }
}

const LIST: &str = "ls-refs";
const FETCH: &str = "fetch";
const BUNDLES: &str = "bundle-uri";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::PktLine;

    fn command(name: &str, capabilities: &[&str], arguments: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        PktLine::write(format!("command={name}\n").as_bytes(), &mut bytes);
        for capability in capabilities {
            PktLine::write(capability.as_bytes(), &mut bytes);
        }
        bytes.extend_from_slice(b"0001");
        for argument in arguments {
            PktLine::write(argument.as_bytes(), &mut bytes);
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }

    fn fetch(capabilities: &[&str], arguments: &[&str]) -> Option<FetchRequest> {
        match UploadQuestion::read(&command("fetch", capabilities, arguments)) {
            UploadQuestion::Objects(request) => Some(*request),
            _ => None,
        }
    }

    #[test]
    fn a_question_for_refs_is_told_from_others_as_soon_as_it_can_be() {
        let arguments = ["peel", "ref-prefix refs/heads/\n", "ref-prefix HEAD", "ref-prefix refs/heads/a"];
        let whole = command("ls-refs", &["agent=git/2.47.3"], &arguments);
        let UploadQuestion::Refs(request) = UploadQuestion::read(&whole) else { panic!("it is one") };
        assert!(request.peel && !request.symrefs && !request.unborn);
        assert_eq!(request.prefixes, [Box::from(&b"HEAD"[..]), Box::from(&b"refs/heads/"[..])]);
        for length in 0..whole.len() {
            assert_eq!(UploadQuestion::read(&whole[..length]), UploadQuestion::More, "{length}");
        }
        assert_eq!(UploadQuestion::read(&command("bundle-uri", &["agent=git/2.47.3"], &[])), UploadQuestion::Bundles);
        // As git sends it.
        let odd = b"0014agent=git/2.47.30016object-format=sha10017command=bundle-uri\n00010000";
        assert_eq!(UploadQuestion::read(odd), UploadQuestion::Bundles);
        for length in 0..odd.len() {
            assert_eq!(UploadQuestion::read(&odd[..length]), UploadQuestion::More, "{length}");
        }
        let endless = b"0011command=fetch00010000";
        for length in 0..endless.len() {
            assert_eq!(UploadQuestion::read(&endless[..length]), UploadQuestion::More, "{length}");
        }
        for other in [&b"0018command=bundle-urn\n"[..], b"0012command=fetsch", b"0000", b"PACK", b"0032want 0123456789"]
        {
            assert_eq!(UploadQuestion::read(other), UploadQuestion::Other, "{}", String::from_utf8_lossy(other));
        }
        assert_eq!(UploadQuestion::read(&command("ls-refs", &[], &["nonsense"])), UploadQuestion::Other);
    }

    #[test]
    fn those_who_ask_the_same_ask_the_same_whatever_they_say_it_with() {
        let (one, two) = (format!("want {}\n", "1".repeat(40)), format!("want {}", "2".repeat(40)));
        let asked = fetch(&["agent=git/2.47.3", "object-format=sha1"], &[&one, &two, "done", "thin-pack"]);
        let again =
            fetch(&["session-id=x", "object-format=sha1", "agent=JGit"], &["thin-pack\n", &two, "done", &one, &two]);
        let asked = asked.expect("a question for objects");
        assert_eq!(Some(&asked), again.as_ref());
        assert!(asked.is_clone() && asked.wants_progress() && !asked.includes_tags());
        assert_eq!(asked.wants().count(), 2);
        for more in ["no-progress", "include-tag", "deepen 1", "filter blob:none", "ofs-delta", "sideband-all"] {
            let other = fetch(&["object-format=sha1"], &[&one, &two, "done", "thin-pack", more]);
            assert!(other.is_some_and(|other| other != asked), "{more}");
        }
        let have = format!("have {}", "3".repeat(40));
        assert!(fetch(&[], &[&one, &have]).is_some_and(|request| !request.is_clone()));
    }

    #[test]
    fn what_depends_on_more_than_objects_or_contradicts_itself_is_left_to_git() {
        let want = format!("want {}", "1".repeat(40));
        for odd in [
            &["deepen-not refs/heads/main"][..],
            &["want-ref refs/heads/main"],
            &["packfile-uris https"],
            &["deepen 1", "deepen 2"],
            &["filter blob:none", "filter tree:0"],
            &["filter "],
            &["filter sparse:oid=refs/heads/main:sparse"],
            &["filter combine:blob:none+sparse:oid=main"],
            &["deepen -1"],
            &["want 1234"],
            &["done 1"],
            &["unheard-of"],
        ] {
            assert_eq!(fetch(&[], &[&[&*want], odd].concat()), None, "{odd:?}");
        }
        // As long as a line can be, and without the end with which it would be written again.
        assert_eq!(fetch(&[], &[&want, &format!("deepen {}", "0".repeat(65_509))]), None);
        assert_eq!(fetch(&[], &["done"]), None, "nothing is wanted");
        assert_eq!(fetch(&["unheard-of"], &[&want]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = UploadQuestion::read(&bytes);
            for begin in [&b"0014command=ls-refs\n"[..], b"0012command=fetch\n0001"] {
                let _ = UploadQuestion::read(&[begin, &bytes].concat());
            }
        }

        #[test]
        fn what_is_written_is_read_as_the_same(
            ids in prop::collection::vec("[0-9a-f]{40}", 1..8),
            haves in prop::collection::vec("[0-9a-f]{40}", 0..8),
            flags in prop::sample::subsequence(vec!["done", "thin-pack", "deepen 3", "filter blob:none"], 0..4),
        ) {
            let lines: Vec<String> = (ids.iter().map(|id| format!("want {id}")))
                .chain(haves.iter().map(|id| format!("have {id}")))
                .chain(flags.iter().map(|flag| (*flag).to_owned()))
                .collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let request = fetch(&["object-format=sha1"], &lines).expect("a question for objects");
            prop_assert_eq!(UploadQuestion::read(&request.to_bytes()), UploadQuestion::Objects(Box::new(request)));
        }
    }
}
