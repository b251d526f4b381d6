//! Why a repository cannot be reached: what is found on this machine, one question to the host on each surface, and a
//! verdict.
//!
//! Nothing is changed, and no secret is shown.

mod evidence;
mod examine;
mod inquiry;
mod remedy;
mod verdict;

pub use evidence::{Evidence, HelperAnswer, gather, without_user};
pub use examine::{Finding, examine, examine_rest};
pub(crate) use examine::{echoes, form_of};
pub use inquiry::{HostKind, Inquiry, inquire};
pub use remedy::{Remedy, Step};
pub use verdict::{Answers, Confidence, Standing, Verdict, judge};
