//! What binds one sign-in to one browser.
//!
//! A browser that begins to sign in gets a secret; state, nonce and PKCE's verifier are made of it, so that nothing has to be kept here,
//! and an answer that was begun elsewhere fits nowhere.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_rules::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A sign-in that was begun in a browser, and when.
#[derive(Debug, Clone)]
pub struct Flow(SecretString);

impl Flow {
    /// One that begins now, with a secret that has to be new and nobody else's.
    pub fn begin(secret: &SecretString, now: Timestamp) -> Self {
        Self(format!("{}.{}", secret.expose_secret(), now.0).into())
    }

    /// The one that a browser has kept, unless that was too long ago.
    pub fn kept(kept: SecretString, now: Timestamp) -> Option<Self> {
        let (_, at) = kept.expose_secret().rsplit_once('.')?;
        let at = Timestamp(at.parse().ok()?);
        (at <= now && at > now.before(Self::LIFE)).then_some(Self(kept))
    }

    /// What the browser keeps.
    pub fn keep(&self) -> &SecretString {
        &self.0
    }

    /// Whether it was begun within a time.
    pub fn is_younger(&self, now: Timestamp, than: Duration) -> bool {
        let at = self.0.expose_secret().rsplit_once('.').and_then(|(_, at)| at.parse().ok());
        at.is_some_and(|at| Timestamp(at) > now.before(than))
    }

    /// How long one may take.
    pub const LIFE: Duration = Duration::from_secs(900);

    /// What the provider sends back, with where to go on (OpenID Connect Core 1.0 §3.1.2.1).
    pub fn state(&self, next: &str) -> String {
        format!("{}.{next}", self.part("state", next))
    }

    /// Where to go on, if a state is of this flow.
    pub fn next<'a>(&self, state: &'a str) -> Option<&'a str> {
        let (proof, next) = state.split_once('.')?;
        bool::from(proof.as_bytes().ct_eq(self.part("state", next).as_bytes())).then_some(next)
    }

    /// What the provider puts into its token (§15.5.2).
    pub(crate) fn nonce(&self) -> String {
        self.part("nonce", "")
    }

    /// By what whoever redeems the code is known again (RFC 7636 §4.1).
    pub(crate) fn verifier(&self) -> SecretString {
        self.part("verifier", "").into()
    }

    /// The hash of that (§4.2).
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier().expose_secret()))
    }

    fn part(&self, of: &str, with: &str) -> String {
        let mut hash = Sha256::new();
        for text in ["doorward sign-in", of, self.0.expose_secret(), with] {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_leads_on_in_the_browser_that_began_and_in_no_other() {
        let now = Timestamp(1_000_000);
        let flow = Flow::begin(&"a".repeat(64).into(), now);
        let other = Flow::begin(&"b".repeat(64).into(), now);
        let state = flow.state("/acme/site?x=1.2");
        assert_eq!(flow.next(&state), Some("/acme/site?x=1.2"));
        let kept = |at| Flow::kept(flow.keep().clone(), at).and_then(|flow| flow.next(&state).map(str::to_owned));
        assert_eq!(kept(now).as_deref(), Some("/acme/site?x=1.2"));
        assert_eq!((kept(now.after(Flow::LIFE)), kept(now.before(Duration::from_secs(1)))), (None, None));
        // Nobody makes it younger.
        let younger = Flow::kept(format!("{}.{}", "a".repeat(64), now.0 + 1).into(), now.after(Duration::from_secs(1)));
        assert_eq!(younger.expect("a flow").next(&state), None);
        assert_eq!(other.next(&state), None);
        assert_eq!(flow.next(&state.replace("site", "evil")), None);
        assert_eq!(flow.next(""), None);
        assert_ne!(flow.nonce(), flow.verifier().expose_secret());
        // RFC 7636 §4.1 wants 43 letters at least.
        assert_eq!((flow.verifier().expose_secret().len(), flow.challenge().len()), (43, 43));
    }
}
