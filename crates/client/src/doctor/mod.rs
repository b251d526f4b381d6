//! Why a repository cannot be reached: what is found on this machine, one question to the host, and a verdict.
//!
//! Nothing is changed, and no secret is shown.

mod evidence;
mod inquiry;
mod verdict;

pub use evidence::{Evidence, gather};
pub use inquiry::{HostKind, Inquiry, inquire};
pub use verdict::{Confidence, Finding, Standing, Verdict, examine, judge};
pub(crate) use verdict::{echoes, form_of};
