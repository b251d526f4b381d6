//! Signatures of JSON Web Tokens (RFC 7515), by keys that a provider has published (RFC 7517).
//!
//! Which algorithm a signature is checked by follows from the key, and the token has to say the same (RFC 8725 §3.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// One public key, as a provider publishes it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Key {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

/// The keys of a provider, as far as they can be read: others may be for somebody else (RFC 7517 §5).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct KeySet {
    /// Each of them.
    #[serde(deserialize_with = "readable")]
    pub keys: Vec<Key>,
}

fn readable<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Key>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(from)?;
    Ok(all.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}

/// A token whose signature was not looked at yet.
#[derive(Debug)]
pub struct Signed<'a> {
    header: Header,
    signed: &'a str,
    body: &'a str,
    signature: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// What must be understood (RFC 7515 §4.1.11), and is not.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

impl<'a> Signed<'a> {
    /// Reads a token in its compact form.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn read(token: &'a str) -> Result<Self, String> {
        if token.len() > LONGEST {
            return Err(format!("the token has more than {LONGEST} bytes"));
        }
        let parts =
            token.rsplit_once('.').and_then(|(signed, signature)| Some((signed, signed.split_once('.')?, signature)));
        let (signed, (header, body), signature) = parts.ok_or("the token has not three parts")?;
        if body.contains('.') {
            return Err("the token has not three parts".into());
        }
        let header: Header = json(header)?;
        if header.crit.is_some() {
            return Err("the token has `crit`, and nothing that could be named there is understood here".into());
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the signature is not base 64 for addresses")?;
        Ok(Self { header, signed, body, signature })
    }

    /// Whether one of the keys may have signed it: there is one with its name, or with none.
    pub fn has_key(&self, keys: &KeySet) -> bool {
        self.candidates(keys).next().is_some()
    }

    /// What it says, if one of the keys has signed it.
    ///
    /// # Errors
    /// That none has, or that what it says is not what it should be.
    pub fn claims<T: DeserializeOwned>(&self, keys: &KeySet) -> Result<T, String> {
        if !self.candidates(keys).any(|key| key.has_signed(&self.header.alg, self.signed.as_bytes(), &self.signature)) {
            return Err(format!("no key of the provider has made the signature ({})", shown(&self.header.alg)));
        }
        json(self.body)
    }

    fn candidates<'k>(&'k self, keys: &'k KeySet) -> impl Iterator<Item = &'k Key> {
        keys.keys.iter().take(MOST_KEYS).filter(|key| {
            let named = match (&self.header.kid, &key.kid) {
                (Some(wanted), Some(has)) => wanted == has,
                _ => true,
            };
            named && key.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
        })
    }
}

impl Key {
    /// Whether this key has made a signature, by an algorithm that it is for.
    fn has_signed(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
        if self.alg.as_deref().is_some_and(|own| own != algorithm) {
            return false;
        }
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let point = || Some([&[4][..], &bytes(&self.x)?, &bytes(&self.y)?].concat());
        let by = |way: &'static dyn VerificationAlgorithm, key: Option<Vec<u8>>| {
            key.is_some_and(|key| UnparsedPublicKey::new(way, key).verify(signed, signature).is_ok())
        };
        let by_rsa = |way: &'static RsaParameters| match (bytes(&self.n), bytes(&self.e)) {
            (Some(n), Some(e)) => RsaPublicKeyComponents { n, e }.verify(way, signed, signature).is_ok(),
            _ => false,
        };
        match (self.kty.as_str(), self.crv.as_str(), algorithm) {
            ("RSA", _, "RS256") => by_rsa(&RSA_PKCS1_2048_8192_SHA256),
            ("RSA", _, "RS384") => by_rsa(&RSA_PKCS1_2048_8192_SHA384),
            ("RSA", _, "RS512") => by_rsa(&RSA_PKCS1_2048_8192_SHA512),
            ("RSA", _, "PS256") => by_rsa(&RSA_PSS_2048_8192_SHA256),
            ("RSA", _, "PS384") => by_rsa(&RSA_PSS_2048_8192_SHA384),
            ("RSA", _, "PS512") => by_rsa(&RSA_PSS_2048_8192_SHA512),
            ("EC", "P-256", "ES256") => by(&ECDSA_P256_SHA256_FIXED, point()),
            ("EC", "P-384", "ES384") => by(&ECDSA_P384_SHA384_FIXED, point()),
            ("OKP", "Ed25519", "EdDSA" | "Ed25519") => by(&ED25519, bytes(&self.x)),
            _ => false,
        }
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, String> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part of the token is not base 64 for addresses")?;
    serde_json::from_slice(&bytes).map_err(|error| format!("a part of the token is not what it should be: {error}"))
}

/// What somebody has sent, as it may be told.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

/// Bytes of a token: one with some thousand groups in it has fewer.
const LONGEST: usize = 256 * 1024;
/// Keys of a provider that are tried.
const MOST_KEYS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::{Value, json};

    /// A token that a new key has signed, and that key as it is published.
    fn token(header: &Value, claims: &Value) -> (String, Value) {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).expect("a key");
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = pair.sign(&random, signed.as_bytes()).expect("signed");
        let point = pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        (
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)),
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }),
        )
    }

    fn claims(token: &str, keys: &Value) -> Result<Value, String> {
        let keys: KeySet = serde_json::from_value(json!({ "keys": keys })).expect("keys");
        Signed::read(token)?.claims(&keys)
    }

    #[test]
    fn what_a_key_of_the_provider_has_signed_is_believed_and_nothing_else() {
        let said = json!({ "sub": "ada" });
        let (token, key) = token(&json!({ "alg": "ES256" }), &said);
        assert_eq!(claims(&token, &json!([key])), Ok(said));
        let (_, other) = self::token(&json!({ "alg": "ES256" }), &json!({}));
        assert!(claims(&token, &json!([other])).is_err_and(|why| why.contains("no key")));
        assert!(claims(&token, &json!([])).is_err());
        // One of several is enough, and one that is for something else is none.
        assert!(claims(&token, &json!([other, { "kty": null }, 7, key])).is_ok());
        let for_encryption = json!({ "kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"], "use": "enc" });
        assert!(claims(&token, &json!([for_encryption])).is_err());
        // Changed on the way.
        let (head, rest) = token.split_once('.').expect("parts");
        let (_, signature) = rest.split_once('.').expect("parts");
        let forged = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"sub":"bob"}"#));
        assert!(claims(&forged, &json!([key])).is_err());
    }

    #[test]
    fn a_token_chooses_neither_its_algorithm_nor_its_key() {
        let said = json!({ "sub": "ada" });
        let unsigned =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(said.to_string()));
        for algorithm in ["none", "HS256", "RS256", "ES384", "EdDSA", ""] {
            let (token, key) = token(&json!({ "alg": algorithm }), &said);
            assert!(claims(&token, &json!([key])).is_err(), "{algorithm}");
            assert!(claims(&unsigned, &json!([key])).is_err());
        }
        // A key that is published for one algorithm signs by no other.
        let (token, mut key) = token(&json!({ "alg": "ES256", "kid": "one" }), &said);
        key["alg"] = "ES384".into();
        assert!(claims(&token, &json!([key])).is_err());
        key["alg"] = "ES256".into();
        key["kid"] = "two".into();
        assert!(claims(&token, &json!([key])).is_err(), "it names another key");
        key["kid"] = "one".into();
        assert!(claims(&token, &json!([key])).is_ok());
        let (token, key) = self::token(&json!({ "alg": "ES256", "crit": ["exp"] }), &said);
        assert!(claims(&token, &json!([key])).is_err_and(|why| why.contains("crit")));
    }

    #[test]
    fn what_is_no_token_is_none() {
        for text in ["", ".", "..", "a.b.c", "a.b", "e30.e30.e30.e30", &"a".repeat(LONGEST + 1)] {
            assert!(Signed::read(text).is_err(), "{:.20}", text);
        }
    }
}
