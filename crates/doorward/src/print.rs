//! What goes to standard output: tables for people, JSON for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Code, Failure};

/// Prints one JSON value on one line.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new(Code::Failed, error))?;
    line(&text)
}

/// Prints rows below their headings, in columns as wide as they need to be.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(&columns(&headings.map(str::to_uppercase), &widths))?;
    rows.iter().try_for_each(|row| line(&columns(row, &widths)))
}

/// Prints names and values, one pair a line, the values in one column.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> Result<(), Failure> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().try_for_each(|(name, value)| line(format!("{name:width$}  {value}").trim_end()))
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

fn columns<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

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
