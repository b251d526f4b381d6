//! Bytes to types and back: what clients send and people type, parsed once at the edge.
//!
//! No I/O and no decisions: whether a token is known or a ref may be moved is for others to say. Whatever is not yet
//! checked against the store is called `Unverified…`.

mod authorization;
pub mod bitbucket_cloud;
mod command;
mod credential_protocol;
mod duration;
mod fetch_request;
mod filter;
mod looks;
mod ls_refs;
mod name;
mod old_wants;
mod partial;
mod percent;
mod pktline;
mod push;
mod ranges;
mod redact;
mod refname;
mod request_id;
mod suggest;
mod token;
mod upload_question;

pub use authorization::{Authorization, Passwords, Presentation, PresentedName};
pub use credential_protocol::{Description, DescriptionError};
pub use duration::{DurationError, parse_duration};
pub use fetch_request::FetchRequest;
pub use filter::{Filter, FilterError, compare_values, field_of};
pub use looks::kind_by_looks;
pub use ls_refs::ListRequest;
pub use name::{AccountName, Email, NameError, ProjectKey, ProjectName, RepositoryName, RepositorySlug, WorkspaceSlug};
pub use old_wants::OldWants;
pub use partial::{Fields, FieldsError};
pub use percent::{percent_decoded, percent_decoded_bytes, percent_encoded};
pub use pktline::{PktError, PktLine};
pub use push::{
    ObjectId, PushError, PushHead, PushHeadReader, PushLimits, PushRefusal, RefUpdate, UnverifiedUpdate, push_report,
};
pub use ranges::{RangeError, parse_ranges};
pub use redact::redact;
pub use refname::{RefName, RefNameError};
pub use request_id::RequestId;
pub use suggest::nearest;
pub use token::{MintedToken, TokenDigest, TokenShape, UnverifiedToken, random_letters};
pub use upload_question::UploadQuestion;
