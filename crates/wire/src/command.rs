//! A command of version 2 of the protocol, split into its lines (gitprotocol-v2, "Command Request").

use crate::PktLine;

/// A whole command. Its lines are without their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command<'a> {
    /// What is to be done: `ls-refs`, `fetch`.
    pub(crate) name: &'a [u8],
    /// The format of objects that the client counts on, if it names one.
    pub(crate) format: Option<&'a [u8]>,
    /// How it is to be done.
    pub(crate) arguments: Vec<&'a [u8]>,
}

/// What the beginning of a request turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandRead<'a> {
    /// A whole command, and nothing after it.
    Whole(Command<'a>),
    /// Nothing that can be read here: git has to say.
    Other,
    /// It takes more bytes to tell.
    More,
}

impl<'a> Command<'a> {
    /// Reads what has come of a request so far, if it is one of the commands in `known`.
    pub(crate) fn read(bytes: &'a [u8], known: &[&str]) -> CommandRead<'a> {
        let may_be_command = |begin: &[u8]| {
            // With an end or without one.
            let line = |name: &&str, end: &str| format!("{:04x}command={name}{end}", 12 + name.len() + end.len());
            let lines = known.iter().flat_map(|name| [line(name, "\n"), line(name, "")]);
            lines.into_iter().any(|line| line.as_bytes().starts_with(&begin[..begin.len().min(line.len())]))
        };
        let may_be = |begin: &[u8]| may_be_command(begin) || may_be_capability(begin);
        let mut rest = bytes;
        let mut command: Option<Self> = None;
        let (mut format, mut has_arguments) = (None, false);
        loop {
            let (line, length) = match PktLine::read(rest) {
                Ok(Some(read)) => read,
                Ok(None) if command.is_some() || may_be(rest) => return CommandRead::More,
                Ok(None) | Err(_) => return CommandRead::Other,
            };
            rest = &rest[length..];
            let line = match (line, &mut command) {
                (PktLine::Data(line), _) => line.strip_suffix(b"\n").unwrap_or(line),
                (PktLine::Delimiter, Some(_)) if !has_arguments => {
                    has_arguments = true;
                    continue;
                }
                // What comes after the end is another question.
                (PktLine::Flush, Some(_)) if rest.is_empty() => break,
                _ => return CommandRead::Other,
            };
            match &mut command {
                None => match line.strip_prefix(b"command=") {
                    Some(name) if known.iter().any(|known| known.as_bytes() == name) => {
                        command = Some(Self { name, format, arguments: Vec::new() });
                    }
                    Some(_) => return CommandRead::Other,
                    // Of one command git says what it can do before it names it.
                    None => match line.strip_prefix(b"object-format=") {
                        Some(named) => format = Some(named),
                        None if is_harmless(line) => {}
                        None => return CommandRead::Other,
                    },
                },
                Some(command) if has_arguments => command.arguments.push(line),
                Some(command) => match line.strip_prefix(b"object-format=") {
                    Some(format) => command.format = Some(format),
                    None if is_harmless(line) => {}
                    None => return CommandRead::Other,
                },
            }
        }
        command.map_or(CommandRead::Other, CommandRead::Whole)
    }
}

/// Whether a capability changes nothing about the answer.
fn is_harmless(capability: &[u8]) -> bool {
    HARMLESS.iter().any(|known| capability.starts_with(known))
}

/// Whether the beginning of a line may become a capability that is known.
fn may_be_capability(begin: &[u8]) -> bool {
    let (length, line) = begin.split_at(begin.len().min(4));
    let becomes = |known: &[u8]| line.starts_with(known) || known.starts_with(line);
    length.iter().all(u8::is_ascii_hexdigit)
        && (becomes(b"object-format=") || HARMLESS.iter().any(|known| becomes(known)))
}

const HARMLESS: [&[u8]; 3] = [b"agent=", b"session-id=", b"server-option="];
