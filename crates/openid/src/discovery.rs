//! What a provider says of itself (OpenID Connect Discovery 1.0 §3).

use serde::Deserialize;

use crate::Trouble;

/// What of it is of use here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    #[serde(default)]
    pub(crate) userinfo_endpoint: Option<String>,
    pub(crate) jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether answers say who answers (RFC 9207 §3).
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Where a provider says it.
    pub(crate) fn place(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Makes sure that it is the provider that was asked (§4.3), and that nothing it leads to crosses a network in the clear.
    pub(crate) fn check(self, issuer: &str) -> Result<Self, Trouble> {
        if self.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            let why = format!("{issuer} calls itself {}", crate::jws::shown(&self.issuer));
            return Err(Trouble::Misconfigured(why));
        }
        let places = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        for place in places.into_iter().chain(&self.userinfo_endpoint) {
            let plain = place.starts_with("http://") && issuer.starts_with("http://");
            if !(place.starts_with("https://") || plain) || !place.bytes().all(|byte| byte.is_ascii_graphic()) {
                let why = format!("{} is no address with https", crate::jws::shown(place));
                return Err(Trouble::Misconfigured(why));
            }
        }
        Ok(self)
    }

    /// Whether the secret goes into the form and not into a header: only if the provider takes it nowhere else (§3).
    pub(crate) fn secret_in_form(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let has = |method: &str| methods.iter().any(|known| known == method);
        has("client_secret_post") && !has("client_secret_basic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(issuer: &str, token_endpoint: &str) -> Metadata {
        let document = serde_json::json!({
            "issuer": issuer, "authorization_endpoint": "https://id.example/a", "token_endpoint": token_endpoint,
            "jwks_uri": "https://id.example/k",
        });
        serde_json::from_value(document).expect("metadata")
    }

    #[test]
    fn a_provider_speaks_for_itself_and_not_in_the_clear() {
        let check = |issuer, token| metadata(issuer, token).check("https://id.example").map(drop);
        assert_eq!(check("https://id.example", "https://id.example/t"), Ok(()));
        assert_eq!(check("https://id.example/", "https://id.example/t"), Ok(()), "a slash makes no other provider");
        assert!(check("https://evil.example", "https://id.example/t").is_err());
        for place in ["http://id.example/t", "file:///etc/passwd", "https://id.example/a b", ""] {
            assert!(check("https://id.example", place).is_err(), "{place}");
        }
    }
}
