//! Why somebody is not signed in.

use thiserror::Error;

/// Why somebody is not signed in, in words for that person.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Trouble {
    /// The provider does not answer, or answers that it cannot: it says nothing about the person.
    #[error("the sign-in provider cannot be asked: {0}")]
    Unreachable(String),
    /// Provider and server do not fit together.
    #[error("the sign-in provider and this server are not set up for each other: {0}")]
    Misconfigured(String),
    /// The provider did not sign the person in.
    #[error("the sign-in provider says: {0}")]
    Refused(String),
    /// The answer is none that this server has asked for.
    #[error("this sign-in was not begun in this browser, or too long ago")]
    NotBegun,
    /// The provider does not take the code any more that it gave: it was used, or it is too old; or it says why in its own words.
    #[error("the sign-in provider does not take the answer that it gave: {0}")]
    Stale(String),
    /// What the provider, or somebody in its name, has sent is not to be believed.
    #[error("what came from the sign-in provider is not to be believed: {0}")]
    Unbelievable(String),
}
