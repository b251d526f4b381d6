//! The provider: where people are sent to sign in, and what becomes of its answer.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward_rules::Timestamp;
use doorward_wire::percent_encoded;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::agent::{Agent, unexpected};
use crate::discovery::Metadata;
use crate::identity::Claims;
use crate::jws::{KeySet, Signed, shown};
use crate::remembered::{REST, Remembered};
use crate::{Flow, Identity, LoggedOut, Trouble, logout};

/// A provider. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: ProviderSettings,
    agent: Agent,
    metadata: Remembered<Metadata>,
    keys: Remembered<KeySet>,
}

/// What is set about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Its address, by which it calls itself.
    pub issuer: String,
    /// What this server is called there.
    pub client_id: String,
    /// What it is asked to tell, `openid` included.
    pub scopes: Vec<String>,
    /// What it calls the groups that a person is in.
    pub groups_claim: String,
    /// Whether those are of use.
    pub needs_groups: bool,
}

/// What a browser brings back from it.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// What is exchanged for a token.
    pub code: Option<SecretString>,
    /// By whom it is said, if that is said (RFC 9207).
    pub issuer: Option<String>,
    /// Why nobody has signed in.
    pub error: Option<String>,
    /// The same for people.
    pub description: Option<String>,
}

#[derive(Deserialize)]
struct Exchanged {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

#[derive(Deserialize, Default)]
struct Failed {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Provider {
    /// One with these settings. It is not asked anything before somebody signs in.
    pub fn new(settings: ProviderSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            agent: Agent::new(),
            metadata: Remembered::default(),
            keys: Remembered::default(),
        }))
    }

    /// Where a browser is sent that begins a flow, to come back to `callback` and go on to `next`; `anew` if the person has to prove once
    /// more who it is, also if the provider knows.
    ///
    /// # Errors
    /// [`Trouble::Unreachable`] or [`Trouble::Misconfigured`] if it is not known where that is.
    pub async fn address(&self, flow: &Flow, callback: &str, next: &str, anew: bool) -> Result<String, Trouble> {
        let metadata = self.metadata().await?;
        let settings = &self.0.settings;
        let (state, nonce, challenge) = (flow.state(next), flow.nonce(), flow.challenge());
        let scopes = settings.scopes.join(" ");
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", callback),
            ("scope", &scopes),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if anew {
            pairs.extend([("prompt", "login"), ("max_age", "0")]);
        }
        let mark = if metadata.authorization_endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{}{mark}{}", metadata.authorization_endpoint, form(&pairs)))
    }

    /// Who has signed in, by the answer that came back to `callback` in the browser of a flow. The secret is this server's own there,
    /// if it has one.
    ///
    /// # Errors
    /// [`Trouble`] if nobody has, or that cannot be told.
    pub async fn identity(
        &self,
        flow: &Flow,
        answer: Answer,
        callback: &str,
        secret: impl AsyncFnOnce() -> Result<Option<SecretString>, Trouble>,
        now: Timestamp,
    ) -> Result<Identity, Trouble> {
        let (inner, metadata) = (&self.0, self.metadata().await?);
        // Before anything else is believed of it (RFC 9207 §2.4).
        match &answer.issuer {
            Some(issuer) if *issuer != metadata.issuer => {
                return Err(Trouble::Unbelievable("the answer is of another provider".into()));
            }
            None if metadata.authorization_response_iss_parameter_supported => {
                return Err(Trouble::Unbelievable("the answer does not say of which provider it is".into()));
            }
            _ => {}
        }
        if let Some(error) = &answer.error {
            let said = [Some(error.as_str()), answer.description.as_deref()].into_iter().flatten().map(shown);
            let said = said.collect::<Vec<_>>().join(": ");
            return Err(match error.as_str() {
                "server_error" | "temporarily_unavailable" => Trouble::Unreachable(said),
                "invalid_request" | "invalid_scope" | "unauthorized_client" | "unsupported_response_type" => {
                    Trouble::Misconfigured(said)
                }
                _ => Trouble::Refused(said),
            });
        }
        let code =
            answer.code.ok_or_else(|| Trouble::Unbelievable("there is neither a code in it nor an error".into()))?;
        let exchanged = self.exchange(&metadata, flow, &code, callback, secret().await?).await?;
        let signed = Signed::read(&exchanged.id_token).map_err(Trouble::Unbelievable)?;
        let keys = self.keys(&signed, &metadata, KEYS, Duration::ZERO).await?;
        let claims: Claims = match signed.claims(&keys) {
            Ok(claims) => claims,
            // Keys without names may be others by now.
            Err(_) => {
                let keys = self.keys(&signed, &metadata, Duration::ZERO, Duration::ZERO).await?;
                signed.claims(&keys).map_err(Trouble::Unbelievable)?
            }
        };
        let seconds = now.0 as f64 / 1e3;
        claims.check(&metadata.issuer, &inner.settings.client_id, &flow.nonce(), seconds)?;
        let ProviderSettings { groups_claim, needs_groups, .. } = &inner.settings;
        let identity = Identity::new(&claims, None, groups_claim);
        let (Some(url), Some(access)) = (&metadata.userinfo_endpoint, exchanged.access_token) else {
            return Ok(identity);
        };
        if !Identity::lacks(&claims, needs_groups.then_some(groups_claim)) {
            return Ok(identity);
        }
        match inner.agent.get::<Map<String, Value>>(url, Some(access.into())).await {
            // What is told of somebody else is not told of this person (OpenID Connect Core 1.0 §5.3.2).
            Ok(told) if told.get("sub").and_then(Value::as_str) != Some(&claims.sub) => {
                Err(Trouble::Unbelievable("what it tells of the person is of somebody else".into()))
            }
            Ok(told) => Ok(Identity::new(&claims, Some(&told), groups_claim)),
            // Who it is, is known. Of the groups that were to be told there, nothing is.
            Err(trouble) if identity.email.is_some() => {
                tracing::warn!(%trouble, "the sign-in provider does not tell more of a person");
                let groups = identity.groups.filter(|groups| !groups.is_empty());
                Ok(Identity { groups, ..identity })
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Whose sessions a token of the provider's ends.
    ///
    /// # Errors
    /// [`Trouble`] if it is not to be believed, or that cannot be told.
    pub async fn logged_out(&self, token: &str, now: Timestamp) -> Result<LoggedOut, Trouble> {
        let signed = Signed::read(token).map_err(Trouble::Unbelievable)?;
        let metadata = self.metadata().await?;
        // Whoever sends this has proven nothing yet.
        let keys = self.keys(&signed, &metadata, KEYS, REST).await?;
        let claims: logout::Claims = signed.claims(&keys).map_err(Trouble::Unbelievable)?;
        claims.check(&metadata.issuer, &self.0.settings.client_id, now.0 as f64 / 1e3)
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        flow: &Flow,
        code: &SecretString,
        callback: &str,
        secret: Option<SecretString>,
    ) -> Result<Exchanged, Trouble> {
        let client = self.0.settings.client_id.as_str();
        let verifier = flow.verifier();
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", callback),
            ("code_verifier", verifier.expose_secret()),
        ];
        let authorization = match &secret {
            Some(secret) if !metadata.secret_in_form() => {
                // RFC 6749 §2.3.1: both as in a form, and then as Basic.
                let pair = format!("{}:{}", percent_encoded(client), percent_encoded(secret.expose_secret()));
                Some(("Basic", SecretString::from(STANDARD.encode(pair))))
            }
            secret => {
                pairs.push(("client_id", client));
                pairs.extend(secret.as_ref().map(|secret| ("client_secret", secret.expose_secret())));
                None
            }
        };
        let (url, form) = (&metadata.token_endpoint, form(&pairs).into());
        let (status, text) = self.0.agent.post(url, authorization, form).await?;
        if status == 200 {
            return serde_json::from_str(&text)
                .map_err(|_| Trouble::Misconfigured(format!("{url} does not give a token of identity")));
        }
        let failed: Failed = serde_json::from_str(&text).unwrap_or_default();
        let said = shown(&format!("{} {}", failed.error, failed.error_description));
        match failed.error.as_str() {
            // The code is used up, or too old: somebody has gone back, or was slow. Some say so of other things, too.
            "invalid_grant" => Err(Trouble::Stale(said.trim().to_owned())),
            "" => Err(unexpected(url, status, &text)),
            _ => Err(Trouble::Misconfigured(format!("{url} says: {}", said.trim()))),
        }
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, Trouble> {
        let (inner, issuer) = (&self.0, &self.0.settings.issuer);
        let read = async || inner.agent.get::<Metadata>(&Metadata::place(issuer), None).await?.check(issuer);
        inner.metadata.get(METADATA, REST, |_| true, read).await
    }

    /// The keys by which a token is to be checked. The provider may change them at any moment: a token that names one not seen before has
    /// them read again, unless they were within `rest`.
    async fn keys(
        &self,
        token: &Signed<'_>,
        metadata: &Metadata,
        life: Duration,
        rest: Duration,
    ) -> Result<Arc<KeySet>, Trouble> {
        let read = async || self.0.agent.get::<KeySet>(&metadata.jwks_uri, None).await;
        self.0.keys.get(life, rest, |keys| token.has_key(keys), read).await
    }
}

/// Pairs as a form sends them.
fn form(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect::<Vec<_>>().join("&")
}

/// How long it is believed what the provider said of itself.
const METADATA: Duration = Duration::from_secs(3600);
/// How long a key is still believed after the provider has withdrawn it; longer only while that does not answer.
const KEYS: Duration = Duration::from_secs(600);
