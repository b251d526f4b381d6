//! `.netrc`: `machine HOST login NAME password SECRET`, in words over any number of lines (as curl's documentation has it).

use std::ops::Range;

/// The entry of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The host.
    pub(crate) host: Range<usize>,
    /// The user name.
    pub(crate) login: Option<Range<usize>>,
    /// The secret.
    pub(crate) password: Option<Range<usize>>,
}

/// The entries of a file, but for the `default` one.
pub(crate) fn machines(text: &str) -> Vec<Machine> {
    let mut found: Vec<Machine> = Vec::new();
    let mut current: Option<Machine> = None;
    // A mark of the encoding is no word.
    let mut words = Words { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    while let Some(word) = words.next() {
        match &text[word] {
            "machine" => {
                found.extend(current.take());
                current = words.next().map(|host| Machine { host, ..Machine::default() });
            }
            "default" => found.extend(current.take()),
            "login" => {
                let login = words.next();
                current.iter_mut().for_each(|machine| machine.login.clone_from(&login));
            }
            "password" => {
                let password = words.next();
                current.iter_mut().for_each(|machine| machine.password.clone_from(&password));
            }
            "account" => drop(words.next()),
            "macdef" => words.skip_macro(),
            _ => {}
        }
    }
    found.extend(current);
    found
}

/// Words between white space, or between double quotes; a `#` that begins a line begins a comment.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            self.at += self.text[self.at..].find(|letter: char| !letter.is_whitespace())?;
            let rest = &self.text[self.at..];
            let begins_line =
                self.text[..self.at].trim_end_matches([' ', '\t']).chars().last().is_none_or(|last| last == '\n');
            if rest.starts_with('#') && begins_line {
                self.at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            let start = self.at;
            if let Some(quoted) = rest.strip_prefix('"') {
                let length = quoted.find(['"', '\n']).unwrap_or(quoted.len());
                self.at = (start + 1 + length + 1).min(self.text.len());
                // A letter that is longer than a quote is not cut in two.
                while !self.text.is_char_boundary(self.at) {
                    self.at += 1;
                }
                return Some(start + 1..start + 1 + length);
            }
            self.at += rest.find(char::is_whitespace).unwrap_or(rest.len());
            return Some(start..self.at);
        }
    }
}

impl Words<'_> {
    /// Passes over a macro, which ends with an empty line.
    fn skip_macro(&mut self) {
        let rest = &self.text[self.at..];
        let ends = [rest.find("\n\n"), rest.find("\n\r\n")];
        self.at += ends.into_iter().flatten().min().unwrap_or(rest.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_in_lines_and_in_one_and_between_quotes() {
        let text = "# mine\nmachine bitbucket.org\n  login ada\n  password ATBBx\n\
             machine api.bitbucket.org login a@b account x password \"q r\" default login nobody password no\n";
        let shown = |machine: &Machine| {
            let word = |range: &Option<Range<usize>>| range.clone().map(|range| &text[range]);
            (&text[machine.host.clone()], word(&machine.login), word(&machine.password))
        };
        assert_eq!(
            machines(text).iter().map(shown).collect::<Vec<_>>(),
            [("bitbucket.org", Some("ada"), Some("ATBBx")), ("api.bitbucket.org", Some("a@b"), Some("q r")),]
        );
        for odd in ["machine", "machine \"", "password", "macdef x\nmachine y", "machine h login \"é"] {
            machines(odd);
        }
    }
}
