//! What is said when nothing can be found out: trouble of the server's own, and never a refusal.
//!
//! A type apart from [`Reason`](crate::Reason), so that "cannot tell now" cannot become "no".

use core::fmt;

/// Why a question has no verdict. Always 503 with `Retry-After`: no client throws a credential away for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnFault {
    /// The store did not answer, or what it answered cannot be.
    Store,
    /// All places for the work are taken, and so is the queue.
    Busy,
    /// Git cannot be run, or the repository's files cannot be used.
    Git,
    /// A mistake in this program.
    Bug,
}

impl OwnFault {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Store, Self::Busy, Self::Git, Self::Bug];

    /// The HTTP status on every surface.
    pub const STATUS: u16 = 503;

    /// The stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Store => "store_unavailable",
            Self::Busy => "busy",
            Self::Git => "git_unavailable",
            Self::Bug => "internal_error",
        }
    }
}

/// What is the case, as one sentence.
impl fmt::Display for OwnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "the server cannot look up credentials now",
            Self::Busy => "the server is busy: too many fetches and pushes wait already",
            Self::Git => "the server has trouble with this repository",
            Self::Bug => "the server has made a mistake with this request",
        })
    }
}
