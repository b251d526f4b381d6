//! Questions to the person at the terminal; a secret is not shown while it is typed.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr,
};
use secrecy::SecretString;

use crate::failure::{Code, Failure};

/// Whether somebody is there to be asked.
pub(crate) fn is_attended() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line.
pub(crate) fn ask(question: &str) -> Result<String, Failure> {
    eprint!("{question}");
    io::stderr().flush().map_err(unreadable)?;
    // What was typed before the question is no answer to it.
    if is_attended() {
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    }
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line).map_err(unreadable)? {
        // The end of the input, as Ctrl-D makes it: the person gave up.
        0 => {
            eprintln!();
            std::process::exit(INTERRUPTED)
        }
        _ => Ok(line.trim().to_owned()),
    }
}

/// Asks for a secret. Without a terminal it is the first line of standard input.
pub(crate) fn ask_secret(question: &str) -> Result<SecretString, Failure> {
    let mut line = String::new();
    if !is_attended() {
        io::stdin().lock().take(LONGEST).read_line(&mut line).map_err(unreadable)?;
        return Ok(line.trim().to_owned().into());
    }
    let typed = {
        // Before the question: what is typed as soon as it is there is an answer to it, and must not be shown.
        let _hidden = Hidden::start().map_err(unreadable)?;
        eprint!("{question}");
        io::stderr().flush().map_err(unreadable)?;
        read_typed(io::stdin().lock())
    };
    eprintln!();
    match typed.map_err(unreadable)? {
        Some(typed) => Ok(typed.trim().to_owned().into()),
        // As if the signal had come: the terminal shows again what is typed.
        None => std::process::exit(INTERRUPTED),
    }
}

/// Reads up to the end of a line, letter by letter, since a terminal takes no line of more than 4095 bytes. `None` if the
/// person gave up.
fn read_typed(input: impl BufRead) -> io::Result<Option<String>> {
    let mut typed = Vec::new();
    for byte in input.take(LONGEST).bytes() {
        match byte? {
            b'\r' | b'\n' | END => break,
            INTERRUPT => return Ok(None),
            BACKSPACE | DELETE => {
                // A letter may have more than one byte.
                while typed.pop().is_some_and(|byte: u8| byte & 0b1100_0000 == 0b1000_0000) {}
            }
            ERASE_LINE => typed.clear(),
            byte => typed.push(byte),
        }
    }
    let typed = String::from_utf8(typed).map(|typed| PASTE.iter().fold(typed, |typed, mark| typed.replace(mark, "")));
    typed.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The terminal does not show what is typed, nor make signals of it, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn start() -> io::Result<Self> {
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn unreadable(error: io::Error) -> Failure {
    Failure::new(Code::Failed, format!("the terminal cannot be read: {error}"))
}

/// What some terminals put around what is pasted.
const PASTE: [&str; 2] = ["\u{1b}[200~", "\u{1b}[201~"];
/// Longer than any secret.
const LONGEST: u64 = 64 * 1024;
/// As a shell tells of an interrupt.
const INTERRUPTED: i32 = 130;
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: u8 = 8;
const ERASE_LINE: u8 = 21;
const DELETE: u8 = 127;

#[cfg(test)]
mod tests {
    use super::read_typed;

    #[test]
    fn what_is_typed_is_read_with_its_corrections() {
        let read = |bytes: &[u8]| read_typed(bytes).expect("text");
        assert_eq!(read(b"s3cr3t\r\nmore").as_deref(), Some("s3cr3t"));
        assert_eq!(read("aé\u{7f}b\n".as_bytes()).as_deref(), Some("ab"));
        assert_eq!(read(b"wrong\x15right\x04").as_deref(), Some("right"));
        assert_eq!(read(b"\x1b[200~pasted\x1b[201~\r").as_deref(), Some("pasted"));
        assert_eq!(read(b"half\x03"), None);
        assert!(read_typed(&b"\xff\n"[..]).is_err());
    }
}
