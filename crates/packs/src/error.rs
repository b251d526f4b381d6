//! Why objects could not be read or packed here.

use std::io;

use crate::Id;

/// Why objects could not be read or packed here. Git may still be able to.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// What is made could not be written to where it goes.
    #[error("it cannot be written: {0}")]
    Write(io::Error),
    /// A file is not what it should be.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// An object is not there.
    #[error("object {0} is missing")]
    Missing(Id),
    /// Nobody waits for it any more.
    #[error("it was given up")]
    Stopped,
    /// It would take more time or memory than it is worth here.
    #[error("too much to do here: {0}")]
    TooMuch(&'static str),
}
