//! The provider as its client sees it: another Git host, asked on behalf of jobs.
//!
//! Many who ask the same share one look; what is refused for no reason, limited or broken is asked again, patiently and never
//! all at once; and what was fetched is kept in mirrors. Nobody is served whom the provider has not let in, with that very
//! credential and at that moment.

mod agent;
mod ask;
mod breaker;
mod broker;
mod budget;
mod caller;
mod check;
mod known;
mod latest;
mod look;
mod memory;
mod mirror;
mod pack;
mod pass;
mod push;
mod settings;
mod upstream;
mod upstreams;
mod waits;

pub use agent::{Answer, Bytes};
pub use ask::Unanswered;
pub use broker::{Kept, Source, Vault};
pub use caller::{Caller, CallerError, Print};
pub use check::{Finding, check};
pub use look::{Seen, Turned};
pub use mirror::Hindered;
pub use pass::{Content, Passing, onward};
pub use push::{Push, Pushed};
pub use settings::{Forms, Partial, UpstreamSettings, Workspaces};
pub use upstream::{Counts, Upstream, UpstreamError};
pub use upstreams::Upstreams;
