//! A question for refs in version 2 of the protocol (gitprotocol-v2, "ls-refs").

use crate::command::Command;

/// What a client wants to have listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// What tags lead to is wanted.
    pub peel: bool,
    /// What symbolic refs stand for is wanted.
    pub symrefs: bool,
    /// HEAD is wanted also if it leads to nothing.
    pub unborn: bool,
    /// Names of which those that are wanted begin with one; all, if there is none. In order, and none begins with another.
    pub prefixes: Vec<Box<[u8]>>,
    /// The format of objects that the client counts on; SHA-1, if it names none.
    pub format: Option<Box<str>>,
}

impl ListRequest {
    /// What a command asks for; `None` if there is something in it that is not known here.
    pub(crate) fn of(command: &Command<'_>) -> Option<Self> {
        let format = command.format.map(|format| String::from_utf8_lossy(format).into());
        let mut request = Self { format, ..Self::default() };
        for argument in &command.arguments {
            match *argument {
                b"peel" => request.peel = true,
                b"symrefs" => request.symrefs = true,
                b"unborn" => request.unborn = true,
                other => request.prefixes.push(other.strip_prefix(b"ref-prefix ")?.into()),
            }
        }
        request.prefixes.sort();
        request.prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter));
        Some(request)
    }
}
