//! What goes to standard output: tables for people, JSON for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Code, Failure};

/// Prints one JSON value on one line.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new(Code::Failed, error))?;
    line(&text)
}

/// Prints rows below their headings, in columns as wide as they need to be, but on a terminal no wider than that.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) {
        fit(&mut widths, size.ws_col.into());
    }
    line(&columns(&headings.map(str::to_uppercase), &widths))?;
    rows.iter().try_for_each(|row| line(&columns(row, &widths)))
}

/// Prints names and values, one pair a line, the values in one column.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> Result<(), Failure> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().try_for_each(|(name, value)| line(format!("{name:width$}  {value}").trim_end()))
}

/// Prints a sentence in lines that fit the terminal, the second and further ones indented.
pub(crate) fn wrapped(text: &str, indent: usize) -> Result<(), Failure> {
    let width = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    wrap(text, width, indent).iter().try_for_each(|text| line(text))
}

/// A text in lines of a width, as far as its words allow; 0 is no limit. Codes for colours take no room.
fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let shown = |text: &str| {
        let mut within = false;
        let letters = text.chars().filter(|letter| {
            let shown = !within && *letter != '\u{1b}';
            within = (within || *letter == '\u{1b}') && *letter != 'm';
            shown
        });
        letters.count()
    };
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width == 0 || shown(line) + 1 + shown(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{}{word}", " ".repeat(indent))),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Prints one line. A reader that has gone, as `head` does, is no failure.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => {
            result.map_err(|error| Failure::new(Code::Failed, format!("standard output cannot be written: {error}")))
        }
    }
}

/// Takes what is too much from the widest column, then from the next, until all fit or none can be narrower. The first
/// one stays whole: it is what one copies.
fn fit<const N: usize>(widths: &mut [usize; N], terminal: usize) {
    let gaps = GAP.len() * N.saturating_sub(1);
    while terminal > 0 && widths.iter().sum::<usize>() + gaps > terminal {
        let widest = widths.iter_mut().skip(1).filter(|width| **width > NARROWEST).max();
        let Some(widest) = widest else { return };
        *widest -= 1;
    }
}

fn columns<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| padded(cell, *width)).collect();
    cells.join(GAP).trim_end().to_owned()
}

/// A cell of a width: filled up, or cut short with a mark.
fn padded(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return format!("{cell:width$}");
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

const GAP: &str = "  ";
/// A day fits.
const NARROWEST: usize = 10;

/// Compares a generated document with what is in the repository; with `UPDATE_DOCS` set, writes it.
#[cfg(test)]
pub(crate) fn check_document(path: &str, text: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, text).expect("the document can be written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{path} is stale; run the tests with UPDATE_DOCS=1 and commit what changes");
}

#[cfg(test)]
mod tests {
    use super::{columns, fit, wrap};

    #[test]
    fn a_sentence_fits_its_terminal_and_colours_take_no_room() {
        assert_eq!(wrap("  one \u{1b}[1mtwo\u{1b}[0m three", 9, 4), ["  one \u{1b}[1mtwo\u{1b}[0m", "    three"]);
        assert_eq!(wrap("one two", 0, 4), ["one two"]);
    }

    #[test]
    fn a_table_fits_its_terminal_and_cuts_the_widest_columns_first() {
        let mut widths = [20, 60, 30, 5];
        fit(&mut widths, 80);
        assert_eq!(widths, [20, 25, 24, 5]);
        let cells = ["a".repeat(20), "b".repeat(60), "c".repeat(9), "d".into()];
        let line = columns(&cells, &widths);
        assert!(line.starts_with(&"a".repeat(20)) && line.contains("b…") && line.chars().count() <= 80, "{line}");
        let mut impossible = [100, 8, 8, 8];
        fit(&mut impossible, 80);
        assert_eq!(impossible, [100, 8, 8, 8]);
    }
}
