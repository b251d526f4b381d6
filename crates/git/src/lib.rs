//! Repositories on disk, and the only place that runs git.
//!
//! Whoever wants something done to a repository on behalf of a caller brings the kernel's permit for it. Nothing here
//! decides who may do what.

mod advertise;
mod answers;
mod apart;
mod browse;
mod bundle;
mod compare;
mod contents;
mod create;
mod durable;
mod error;
mod fetch;
mod history;
mod line;
mod mirror;
mod output;
mod process;
mod program;
mod push;
mod refs;
mod report;
mod repositories;
mod slots;
mod stored;
mod sweep;
mod upkeep;
mod upload;

pub use advertise::{Service, protocol_version};
pub use answers::{AnswerCounts, Asked, CacheSettings};
pub use bundle::Bundle;
pub use compare::{Comparison, DifferenceStatus, FileDifference};
pub use contents::{Annotation, Commit, Contents, Entry, EntryKind, Ref, RefKind};
pub use create::{Import, ObjectFormat};
pub use error::GitError;
pub use history::Version;
pub use mirror::{Bringing, Mirrors, Update};
pub use output::Output;
pub use program::{Git, GitSettings};
pub use push::{AnswerForm, PushCounts, PushOutcome, PushRequest, PushedRef, StartedPush};
pub use refs::Listing;
pub use repositories::{Placed, Repositories, Repository};
pub use slots::{SlotSettings, Slots};
pub use upload::{FileMode, Made, NewCommit, Upload};
