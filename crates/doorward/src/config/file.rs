//! Reads `doorward.toml`, with the line of every value.

use std::path::Path;

use doorward_wire::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::did_you_mean;
use super::settings::{SETTINGS, Setting};
use crate::failure::{Code, Failure};

/// One value in the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) setting: &'static Setting,
    pub(super) value: String,
    pub(super) line: usize,
}

/// Reads a file. One that was only `found` in the data directory may be missing, and may not say where that is.
pub(super) fn read(path: &Path, found: bool) -> Result<Vec<Entry>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if found && error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if found => {
            let directory = path.parent().unwrap_or(path).display();
            let sentence = format!("the data directory {directory} cannot be read: {error}");
            return Err(
                Failure::new(Code::Configuration, sentence).hint("run this as its owner, or name another with --data")
            );
        }
        Err(error) => {
            let sentence = format!("{}: {error}", path.display());
            return Err(Failure::new(Code::Configuration, sentence).hint("name another file with --config"));
        }
    };
    let fault = |line: usize, sentence: String| {
        Failure::new(Code::Configuration, format!("{}:{line}: {sentence}", path.display()))
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        fault(line, error.message().to_owned())
    })?;
    let mut entries = Vec::new();
    for (key, span, value) in flatten(table.get_ref(), "") {
        let line = line_of(&text, span);
        let Some(setting) = Setting::named(&key) else {
            let near = nearest(&key, SETTINGS.iter().map(|setting| setting.key));
            return Err(fault(line, format!("there is no setting `{key}`")).hint(did_you_mean(&near)));
        };
        if found && setting.key == "data" {
            let sentence = "this file is in the data directory and cannot say where that is".to_owned();
            return Err(fault(line, sentence).hint("remove the line, or name the file with --config"));
        }
        let value = scalar(value).ok_or_else(|| {
            fault(line, format!("the value of {key} is of the wrong type"))
                .hint(format!("it takes {}", setting.kind.phrase()))
        })?;
        entries.push(Entry { setting, value, line });
    }
    Ok(entries)
}

/// All values of a table and the tables in it: full key, where it stands, value.
fn flatten<'t, 'i>(table: &'t DeTable<'i>, prefix: &str) -> Vec<(String, usize, &'t DeValue<'i>)> {
    let mut values = Vec::new();
    for (key, value) in table {
        let full = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => values.extend(flatten(inner, &format!("{full}."))),
            other => values.push((full, key.span().start, other)),
        }
    }
    values
}

/// A value as the text that a flag or variable would have; a list has commas between its parts.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().replace('_', "")),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Array(parts) => {
            let parts: Option<Vec<String>> = parts.iter().map(Spanned::get_ref).map(scalar).collect();
            Some(parts?.join(", "))
        }
        _ => None,
    }
}

fn line_of(text: &str, place: usize) -> usize {
    text.as_bytes().iter().take(place).filter(|byte| **byte == b'\n').count() + 1
}
