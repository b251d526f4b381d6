//! People who sign in at their organisation's own provider: the relying party of OpenID Connect.
//!
//! Authorization code with PKCE, as OpenID Connect Core 1.0 §3.1 has it with what RFC 9700 asks for; what the provider is, and its
//! keys, come from its discovery document; and it may end sessions from behind (OpenID Connect Back-Channel Logout 1.0). Who a person
//! is here, and what that person may do, is for others to say.

mod agent;
mod discovery;
mod flow;
mod identity;
mod jws;
mod logout;
mod provider;
mod remembered;
mod trouble;

pub use flow::Flow;
pub use identity::Identity;
pub use logout::LoggedOut;
pub use provider::{Answer, Provider, ProviderSettings};
pub use trouble::Trouble;

/// What is checked of a signed token without a provider, for those who try to break it.
pub mod untrusted {
    pub use crate::jws::{KeySet, Signed};
}
