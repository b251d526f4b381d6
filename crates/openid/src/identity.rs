//! Who has signed in, as the provider says.

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
    /// The groups that the person is in; `None` if the provider does not tell.
    pub groups: Option<Vec<String>>,
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
    /// Of the claims of a token, with those that the provider tells elsewhere.
    pub(crate) fn new(claims: &Claims, told: &Map<String, Value>, groups_claim: &str) -> Self {
        let value = |name: &str| claims.more.get(name).or_else(|| told.get(name)).filter(|value| !value.is_null());
        let text = |name: &str| value(name).and_then(Value::as_str).map(shown).filter(|text| !text.is_empty());
        // Some say it in a word.
        let verified = value("email_verified").is_some_and(|truth| truth.as_bool() == Some(true) || truth == "true");
        let groups = value(groups_claim).map(|groups| match groups {
            Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::String(one) => vec![one.clone()],
            _ => Vec::new(),
        });
        Self {
            issuer: claims.iss.clone(),
            subject: claims.sub.clone(),
            session: text("sid"),
            email: text("email"),
            email_verified: verified,
            name: text("preferred_username").or_else(|| text("nickname")),
            groups,
        }
    }

    /// Whether something is missing that the provider may tell elsewhere.
    pub(crate) fn lacks_something(&self) -> bool {
        self.email.is_none() || self.groups.is_none() || self.name.is_none()
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
            "email": "ada@example.org", "email_verified": true, "groups": ["dev", 7, "ops"],
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
        let identity = Identity::new(&claims(|_| ()), told, "groups");
        assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("ada@example.org"), true));
        assert_eq!((identity.subject.as_str(), identity.name.as_deref()), ("1", Some("ada")));
        assert_eq!(identity.groups, Some(vec!["dev".to_owned(), "ops".into()]));
        let none = Identity::new(&claims(|claims| claims["groups"] = Value::Null), &Map::new(), "groups");
        assert!(none.groups.is_none() && none.lacks_something());
        assert!(!claims(|claims| claims["email_verified"] = "false".into()).more.is_empty());
    }
}
