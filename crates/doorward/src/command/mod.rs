//! One file per command.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod calendar;
pub(crate) mod config;
pub(crate) mod permission;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod repository;
mod review;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod why;
pub(crate) mod workspace;

use doorward_rules::Timestamp;

/// The day of a moment, for lists, or a word for none.
fn day(at: Option<Timestamp>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), |at| at.to_string()[..10].to_owned())
}

/// A moment, or a word for none.
fn moment(at: Option<Timestamp>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), |at| at.to_string())
}
