//! The objects of a repository, read from its packs and loose files and packed again for a client, without git.
//!
//! Knows nothing of refs, of who may have what, or of the protocol beyond the pack itself. Objects are those of SHA-1 repositories
//! (gitformat-pack). Whatever it cannot do it says, so that git can be asked instead.

mod bitmap;
mod connected;
mod delta;
mod difference;
mod error;
mod everything;
mod ewah;
mod id;
mod index;
mod inflate;
mod links;
mod loose;
mod objects;
mod pack;
mod reader;
mod selection;
mod trees;
mod writer;

pub use connected::connected;
pub use difference::{Difference, difference};
pub use error::PackError;
pub use everything::{WholePack, everything, whole_pack};
pub use id::Id;
pub use links::{Commit, Kind, TreeEntries, TreeEntry, tag_target};
pub use objects::Objects;
pub use reader::Reader;
pub use selection::Selection;
pub use writer::{Client, Written, write};

/// What reads bytes of strangers, for the fuzzer.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::bitmap::Bitmaps;
    pub use crate::delta::apply;
    pub use crate::pack::EntryHead;
}
