//! Reads `doorward.toml`, with the line of every value.

use std::collections::HashMap;
use std::path::Path;

use doorward_upstream::{UpstreamSettings, Workspaces};
use doorward_wire::nearest;
use toml::de::{DeTable, DeValue};

use super::settings::{SETTINGS, Setting};
use super::value::Kind;
use super::{did_you_mean, upstream};
use crate::failure::{Code, Failure};

/// One value in the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) setting: &'static Setting,
    pub(super) value: String,
    pub(super) line: usize,
}

/// Reads a file. One that was only `found` in the data directory may be missing, and may not say where that is.
pub(super) fn read(path: &Path, found: bool) -> Result<(Vec<Entry>, Vec<UpstreamSettings>), Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if found && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
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
    parse(path, &text, found)
}

/// Reads the text of a file.
pub(super) fn parse(path: &Path, text: &str, found: bool) -> Result<(Vec<Entry>, Vec<UpstreamSettings>), Failure> {
    let fault = |line: usize, sentence: String| {
        Failure::new(Code::Configuration, format!("{}:{line}: {sentence}", path.display()))
    };
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        fault(line, error.message().to_owned())
    })?;
    let (mut entries, mut upstreams) = (Vec::new(), Vec::new());
    for (key, span, value) in flatten(table.get_ref(), "") {
        let line = line_of(text, span);
        if key == "upstream" {
            upstreams = read_upstreams(value)
                .map_err(|(place, sentence, hint)| fault(line_of(text, place.unwrap_or(span)), sentence).hint(hint))?;
            continue;
        }
        let Some(setting) = Setting::named(&key) else {
            if key.starts_with("upstream") {
                let sentence = format!("there is no setting `{key}`");
                return Err(fault(line, sentence).hint("an upstream is written below [[upstream]]"));
            }
            let near = nearest(&key, SETTINGS.iter().map(|setting| setting.key));
            return Err(fault(line, format!("there is no setting `{key}`")).hint(did_you_mean(&near)));
        };
        if found && setting.key == "data" {
            let sentence = "this file is in the data directory and cannot say where that is".to_owned();
            return Err(fault(line, sentence).hint("remove the line, or name the file with --config"));
        }
        // Groups may have commas in their names.
        let separator = if matches!(setting.kind, Kind::Pairs) { "; " } else { ", " };
        let value = scalar(value, separator).ok_or_else(|| {
            fault(line, format!("the value of {key} is of the wrong type"))
                .hint(format!("it takes {}", setting.kind.phrase()))
        })?;
        entries.push(Entry { setting, value, line });
    }
    Ok((entries, upstreams))
}

/// The tables of `[[upstream]]`; or what is wrong in which place, and what to do about it.
fn read_upstreams(value: &DeValue<'_>) -> Result<Vec<UpstreamSettings>, (Option<usize>, String, String)> {
    let wrong = || (None, "an upstream is a table".to_owned(), "write [[upstream]] above its lines".to_owned());
    let DeValue::Array(tables) = value else { return Err(wrong()) };
    let mut upstreams: Vec<UpstreamSettings> = Vec::new();
    for table in tables {
        let place = table.span().start;
        let DeValue::Table(table) = table.get_ref() else { return Err(wrong()) };
        let (mut given, mut places) = (HashMap::new(), HashMap::new());
        for (key, value) in table {
            let name = key.get_ref().to_string();
            let Some(value) = scalar(value.get_ref(), ", ") else {
                let sentence = format!("the value of `{name}` is of the wrong type");
                return Err((Some(key.span().start), sentence, "docs/settings.md says what it takes".into()));
            };
            places.insert(name.clone(), key.span().start);
            given.insert(name, value);
        }
        let read = upstream::read(&given).map_err(|(key, sentence, hint)| {
            (Some(key.and_then(|key| places.get(&key).copied()).unwrap_or(place)), sentence, hint)
        })?;
        if upstreams.iter().any(|other| other.name == read.name) {
            let sentence = format!("there are two upstreams with the name `{}`", read.name);
            return Err((Some(place), sentence, "give each its own".into()));
        }
        let of_both = |name: &&String| {
            upstreams.iter().any(|other| match &other.workspaces {
                Workspaces::Named(names) => names.contains(name),
                Workspaces::All => false,
            })
        };
        let twice = match &read.workspaces {
            Workspaces::All => {
                upstreams.iter().any(|other| other.workspaces == Workspaces::All).then(|| "*".to_owned())
            }
            Workspaces::Named(names) => names.iter().find(of_both).cloned(),
        };
        if let Some(twice) = twice {
            let sentence = format!("the workspace `{twice}` is at two upstreams");
            return Err((Some(place), sentence, "name it in one of them".into()));
        }
        upstreams.push(read);
    }
    Ok(upstreams)
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

/// A value as the text that a flag or variable would have; a list with something between its parts.
fn scalar(value: &DeValue<'_>, separator: &str) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().replace('_', "")),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Array(parts) => {
            let parts: Option<Vec<String>> = parts.iter().map(|part| scalar(part.get_ref(), separator)).collect();
            Some(parts?.join(separator))
        }
        _ => None,
    }
}

fn line_of(text: &str, place: usize) -> usize {
    text.as_bytes().iter().take(place).filter(|byte| **byte == b'\n').count() + 1
}
