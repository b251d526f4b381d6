//! Moves a machine from app passwords and other old forms to the credential that works today.
//!
//! [`survey`] reads files and changes nothing; [`apply`] changes what was found, all of it or nothing, and keeps what was
//! there; [`undo`] puts that back. No secret leaves here but into the files it belongs in.

mod apply;
mod composer;
mod find;
mod format;
mod git_config;
mod hosts;
mod lines;
pub(crate) mod netrc;
mod scan;
mod shell;
mod tracked;
mod user_part;
mod verify;
mod walk;

pub use apply::{Applied, ApplyError, NewSecret, Undone, apply, undo};
pub use find::{Change, Edit, Find, Piece, Sort};
pub use format::{Format, Puts};
pub use hosts::Hosts;
pub use scan::scan;
pub use verify::{Remote, remotes};
pub use walk::{Affected, Own, Progress, Survey, survey};
