//! One file per command.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod permission;
pub(crate) mod repository;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod why;
pub(crate) mod workspace;

use doorward_rules::Timestamp;

/// A moment in a list, or a word for none.
fn moment(at: Option<Timestamp>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), |at| at.to_string())
}
