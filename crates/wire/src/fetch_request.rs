//! A question for objects in version 2 of the protocol (gitprotocol-v2, "fetch").

use std::collections::BTreeSet;

use crate::PktLine;
use crate::command::Command;

/// What a client wants to have sent, in a form that is the same for all who ask the same: whatever order they say it in, and
/// whatever program they say it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    format: Option<Box<[u8]>>,
    /// Everything that was said, each once, in order.
    lines: BTreeSet<Box<[u8]>>,
}

impl FetchRequest {
    /// What a command asks for; `None` if there is something in it that is not known here, that contradicts itself, or whose
    /// answer depends on more than the objects that it names.
    pub(crate) fn of(command: &Command<'_>) -> Option<Self> {
        let lines: BTreeSet<Box<[u8]>> = command.arguments.iter().map(|line| Box::from(*line)).collect();
        let mut said_once = BTreeSet::new();
        for line in &lines {
            let word = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            let value = line.get(word.len() + 1..);
            let is_known = match word {
                b"want" | b"have" | b"shallow" => value.is_some_and(is_id),
                // Of two of these only one would count.
                b"deepen" | b"deepen-since" => value.is_some_and(is_number) && said_once.insert(word),
                b"filter" => value.is_some_and(is_filter) && said_once.insert(word),
                _ => value.is_none() && FLAGS.contains(&word),
            };
            // With the end that each is written with, it has to be a line still.
            if !is_known || line.len() + 5 > PktLine::LONGEST {
                return None;
            }
        }
        let request = Self { format: command.format.map(Box::from), lines };
        request.wants().next()?;
        Some(request)
    }

    /// The objects that are wanted, by their names in hexadecimal.
    pub fn wants(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter_map(|line| line.strip_prefix(b"want "))
    }

    /// The objects that the client has, by their names in hexadecimal.
    pub fn haves(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter_map(|line| line.strip_prefix(b"have "))
    }

    /// The commits whose parents the client does not have, by their names in hexadecimal.
    pub fn shallow(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter_map(|line| line.strip_prefix(b"shallow "))
    }

    /// Whether the client has said all that it has to say, and waits for the objects.
    pub fn is_done(&self) -> bool {
        self.says(b"done")
    }

    /// Whether the client takes no objects before it has said so.
    pub fn waits_for_done(&self) -> bool {
        self.says(b"wait-for-done")
    }

    /// Whether the client takes deltas of objects that it has.
    pub fn takes_thin_packs(&self) -> bool {
        self.says(b"thin-pack")
    }

    /// Whether the client takes deltas that name their base by how far it is before them.
    pub fn takes_offsets(&self) -> bool {
        self.says(b"ofs-delta")
    }

    /// Whether the client has nothing yet that it could build on: what a clone asks.
    pub fn is_clone(&self) -> bool {
        !self.lines.iter().any(|line| line.starts_with(b"have "))
    }

    /// Whether less than whole histories with all their objects is wanted.
    pub fn is_partial(&self) -> bool {
        let is_part =
            |line: &[u8]| [&b"deepen"[..], b"shallow ", b"filter "].iter().any(|begin| line.starts_with(begin));
        self.lines.iter().any(|line| is_part(line))
    }

    /// Whether tags are to be sent that lead to what is sent: then the answer depends on which tags there are.
    pub fn includes_tags(&self) -> bool {
        self.says(b"include-tag")
    }

    /// Whether the client takes progress and errors at every place of an answer.
    pub fn takes_side_band_anywhere(&self) -> bool {
        self.says(b"sideband-all")
    }

    /// Whether the client wants to be told how it goes on.
    pub fn wants_progress(&self) -> bool {
        !self.says(b"no-progress")
    }

    fn says(&self, flag: &[u8]) -> bool {
        self.lines.contains(flag)
    }

    /// The format of objects that the client counts on, if it names one.
    pub fn format(&self) -> Option<&[u8]> {
        self.format.as_deref()
    }

    /// The request as a client would send it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        PktLine::write(b"command=fetch\n", &mut bytes);
        if let Some(format) = &self.format {
            PktLine::write(&[b"object-format=", &**format].concat(), &mut bytes);
        }
        bytes.extend_from_slice(b"0001");
        for line in &self.lines {
            PktLine::write(&[line, &b"\n"[..]].concat(), &mut bytes);
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }
}

/// Whether bytes are the name of an object in hexadecimal, of either format.
pub(crate) fn is_id(id: &[u8]) -> bool {
    matches!(id.len(), 40 | 64) && id.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_number(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// Whether a filter means the same for ever (git-rev-list, `--filter`). `sparse:oid` takes names of refs.
fn is_filter(filter: &[u8]) -> bool {
    filter == b"blob:none"
        || [&b"blob:limit="[..], b"tree:"].iter().any(|begin| filter.strip_prefix(*begin).is_some_and(is_number))
        || filter.strip_prefix(b"object:type=").is_some_and(|kind| kind.iter().all(u8::is_ascii_lowercase))
}

/// What takes no value. `deepen-not` and `want-ref` name refs, and mean something else when those have moved.
const FLAGS: &[&[u8]] = &[
    b"deepen-relative",
    b"done",
    b"include-tag",
    b"no-progress",
    b"ofs-delta",
    b"sideband-all",
    b"thin-pack",
    b"wait-for-done",
];
