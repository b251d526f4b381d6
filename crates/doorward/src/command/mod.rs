//! One file per command.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod calendar;
pub(crate) mod client;
mod completions;
pub(crate) mod config;
mod doctor;
mod login;
mod migrate;
pub(crate) mod permission;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod repository;
mod review;
mod run;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod why;
pub(crate) mod workspace;

use std::time::Duration;

use doorward_rules::Timestamp;

/// The day of a moment, for lists.
fn day(at: Timestamp) -> String {
    at.to_string()[..10].to_owned()
}

/// The day of a moment, for lists, or a word for none.
fn day_or(at: Option<Timestamp>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), day)
}

/// A moment, or a word for none.
fn moment(at: Option<Timestamp>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), |at| at.to_string())
}

/// A number of things: `1 API token`, `2 API tokens`.
fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A length of time as people type it: `90m`, `12h`, `30d`.
fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let fits = |(unit, _): &(u64, &str)| seconds > 0 && seconds.is_multiple_of(*unit);
    let unit = [(86_400, "d"), (3600, "h"), (60, "m")].into_iter().find(fits);
    unit.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}
