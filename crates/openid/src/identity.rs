//! Who has signed in, as the provider says.

use doorward_rules::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Trouble;
use crate::jws::shown;

/// Who has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// By whom that is said.
    pub issuer: String,
    /// Which person it is there; of one issuer no two have the same, ever.
    pub subject: String,
    /// Which session it is there.
    pub session: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether the provider has made sure that the person has that address.
    pub email_verified: bool,
    /// What the person would like to be called.
    pub name: Option<String>,
    /// The groups that the person is in; `None` if that cannot be told: they are too many, or not a list of names.
    pub groups: Option<Vec<String>>,
    /// When the person last proved there who it is, if the provider tells.
    pub proven_at: Option<Timestamp>,
}

/// What a token of identity says of itself (OpenID Connect Core 1.0 §2).
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) sub: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// For whom a token is.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// Whether it is for this client; and if for others as well, made for it.
    pub(crate) fn is(&self, client: &str) -> bool {
        match self {
            Self::One(one) => one == client,
            Self::Several(all) => all.iter().any(|one| one == client),
        }
    }

    fn is_several(&self) -> bool {
        matches!(self, Self::Several(all) if all.len() > 1)
    }
}

impl Claims {
    /// Looks at all that §3.1.3.7 wants looked at, but for the signature. `now` in seconds since 1970.
    pub(crate) fn check(&self, issuer: &str, client: &str, nonce: &str, now: f64) -> Result<(), Trouble> {
        let wrong = |why: &str| Err(Trouble::Unbelievable(why.into()));
        if self.iss != issuer {
            return wrong("the token was made by somebody else");
        }
        if !self.aud.is(client) {
            return wrong("the token is for somebody else");
        }
        let made_for = self.azp.as_deref();
        if made_for.is_some_and(|azp| azp != client) || (made_for.is_none() && self.aud.is_several()) {
            return wrong("the token was given to somebody else");
        }
        if self.exp <= now - LEEWAY {
            return wrong("the token has expired; is the clock right, here and there?");
        }
        if self.iat > now + LEEWAY {
            return wrong("the token is of later than now; is the clock right, here and there?");
        }
        if self.nonce.as_deref() != Some(nonce) {
            return wrong("the token is of another sign-in");
        }
        if self.sub.is_empty() || self.sub.len() > LONGEST_SUBJECT {
            return wrong("the token does not say who it is");
        }
        Ok(())
    }
}

impl Identity {
    /// Of the claims of a token, with those that the provider tells elsewhere; if it told nothing there, that is `None`.
    pub(crate) fn new(claims: &Claims, told: Option<&Map<String, Value>>, groups_claim: &str) -> Self {
        let documents = [Some(&claims.more), told];
        let value =
            |name: &str| documents.iter().flatten().find_map(|said| said.get(name)).filter(|value| !value.is_null());
        let text = |name: &str| value(name).and_then(Value::as_str).map(shown).filter(|text| !text.is_empty());
        // An address is as verified as whoever told it says, and somebody else's word is not about it. Some say it in a word.
        let emails = documents.iter().flatten().filter_map(|said| {
            let email = said.get("email").and_then(Value::as_str).filter(|email| !email.is_empty())?;
            let verified = said.get("email_verified").is_some_and(|truth| truth == true || truth == "true");
            Some((email.to_owned(), verified))
        });
        let (email, email_verified) = emails.reduce(|one, other| if other.1 && !one.1 { other } else { one }).unzip();
        // Whoever is in no group is told of by some without that claim, and whoever is in too many by a note of where they are.
        let are_elsewhere = documents.iter().flatten().any(|said| {
            said.get("_claim_names").is_some_and(|names| names.get(groups_claim).is_some())
                || said.get("hasgroups").is_some_and(|has| has == true || has == "true")
        });
        let groups = match value(groups_claim) {
            None => (!are_elsewhere).then(Vec::new),
            Some(Value::Array(all)) => all.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
            Some(Value::String(one)) => Some(vec![one.clone()]),
            Some(_) => None,
        };
        let proven_at = claims.more.get("auth_time").and_then(Value::as_f64).map(|at| Timestamp((at * 1e3) as i64));
        Self {
            issuer: claims.iss.clone(),
            subject: claims.sub.clone(),
            session: value("sid").and_then(Value::as_str).map(str::to_owned),
            email,
            email_verified: email_verified.unwrap_or(false),
            name: text("preferred_username").or_else(|| text("nickname")),
            groups,
            proven_at,
        }
    }

    /// Whether something that is needed is not in a token, and may be told elsewhere.
    pub(crate) fn lacks(claims: &Claims, groups_claim: Option<&str>) -> bool {
        let has = |name: &str| claims.more.get(name).is_some_and(|value| !value.is_null());
        !has("email") || !has("email_verified") || groups_claim.is_some_and(|claim| !has(claim))
    }
}

/// Seconds that clocks may differ.
pub(crate) const LEEWAY: f64 = 60.0;
/// Letters of a subject (§2).
const LONGEST_SUBJECT: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(change: impl Fn(&mut Value)) -> Claims {
        let mut claims = json!({
            "iss": "https://id.example", "sub": "1", "aud": "doorward", "exp": 1300, "iat": 1000, "nonce": "n",
            "email": "ada@example.org", "email_verified": true, "groups": ["dev", "ops"],
        });
        change(&mut claims);
        serde_json::from_value(claims).expect("claims")
    }

    #[test]
    fn a_token_is_believed_that_was_made_by_the_provider_for_us_now_and_for_this_sign_in() {
        let told = |change: fn(&mut Value)| match claims(change).check("https://id.example", "doorward", "n", 1000.0) {
            Ok(()) => String::new(),
            Err(trouble) => trouble.to_string(),
        };
        assert_eq!(told(|_| ()), "");
        assert_eq!(told(|claims| claims["aud"] = json!(["doorward"])), "");
        assert_eq!(
            told(|claims| {
                claims["aud"] = json!(["doorward", "other"]);
                claims["azp"] = "doorward".into();
            }),
            ""
        );
        assert!(told(|claims| claims["iss"] = "https://evil.example".into()).contains("by somebody else"));
        assert!(told(|claims| claims["aud"] = "other".into()).contains("for somebody else"));
        assert!(told(|claims| claims["aud"] = json!([])).contains("for somebody else"));
        assert!(told(|claims| claims["aud"] = json!(["doorward", "other"])).contains("to somebody else"));
        assert!(told(|claims| claims["azp"] = "other".into()).contains("to somebody else"));
        assert!(told(|claims| claims["exp"] = 900.into()).contains("expired"));
        assert!(told(|claims| claims["iat"] = 1100.into()).contains("later than now"));
        assert!(told(|claims| claims["nonce"] = "other".into()).contains("another sign-in"));
        assert!(told(|claims| claims["nonce"] = Value::Null).contains("another sign-in"));
        assert!(told(|claims| claims["sub"] = "".into()).contains("who it is"));
    }

    #[test]
    fn what_is_not_in_the_token_is_taken_from_elsewhere_and_nothing_else_is() {
        let told = json!({ "email": "evil@example.org", "preferred_username": "ada\u{7}", "sub": "2" });
        let told = told.as_object().expect("an object");
        let mixed = claims(|claims| claims["groups"] = json!(["dev", 7, "ops"]));
        assert_eq!(Identity::new(&mixed, Some(told), "groups").groups, None, "that is no list of names");
        let identity = Identity::new(&claims(|claims| claims["auth_time"] = 1000.into()), Some(told), "groups");
        assert_eq!(identity.proven_at, Some(Timestamp(1_000_000)));
        assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("ada@example.org"), true));
        assert_eq!((identity.subject.as_str(), identity.name.as_deref()), ("1", Some("ada")));
        assert_eq!(identity.groups, Some(vec!["dev".to_owned(), "ops".into()]));
        // Of whoever is in none, and of whoever is in too many.
        let of = |change: fn(&mut Value)| Identity::new(&claims(change), None, "groups").groups;
        assert_eq!(of(|claims| claims["groups"] = Value::Null), Some(Vec::new()));
        assert_eq!(
            of(|claims| {
                claims["groups"] = Value::Null;
                claims["_claim_names"] = json!({ "groups": "src1" });
            }),
            None
        );
        assert!(Identity::lacks(&claims(|claims| claims["groups"] = Value::Null), Some("groups")));
        assert!(!Identity::lacks(&claims(|claims| claims["groups"] = Value::Null), None));
        // What one document says of its address is not said of another's.
        let verified = json!({ "email": "evil@example.org", "email_verified": true });
        let unverified = claims(|claims| claims["email_verified"] = Value::Null);
        let identity = Identity::new(&unverified, verified.as_object(), "groups");
        assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("evil@example.org"), true));
        let odd = claims(|claims| claims["email"] = "a\u{7}b@example.org.evil.example".into());
        assert_eq!(Identity::new(&odd, None, "groups").email.as_deref(), Some("a\u{7}b@example.org.evil.example"));
    }
}
