//! `doorward config`: the effective configuration.

use serde::Serialize;

use crate::arguments::ConfigCommand;
use crate::config::{Configuration, Effective};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    key: &'static str,
    value: String,
    origin: String,
    about: &'static str,
}

pub(crate) fn run(command: &ConfigCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let ConfigCommand::Show = command;
    let row = |effective: &Effective| Row {
        key: effective.setting.key,
        value: effective.value.clone(),
        origin: effective.origin.to_string(),
        about: effective.setting.about,
    };
    let rows: Vec<Row> = configuration.all().iter().map(row).collect();
    if json {
        return print::json(&rows);
    }
    let cells = rows.iter().map(|row| [row.key.to_owned(), row.value.clone(), row.origin.clone()]);
    print::table(["setting", "value", "origin"], &cells.collect::<Vec<_>>())
}
