//! Sessions that the provider ends from behind (OpenID Connect Back-Channel Logout 1.0 §2.4 to §2.6).

use doorward_rules::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Trouble;
use crate::identity::{Audience, LEEWAY};

/// Whose sessions have ended at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOut {
    /// By whom that is said.
    pub issuer: String,
    /// Whose; anybody's of that session if it is not said.
    pub subject: Option<String>,
    /// Which session; all of the person's if it is not said.
    pub session: Option<String>,
    /// When that was. A session that was opened later is not meant, also if the same is said once more.
    pub at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: Audience,
    iat: f64,
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    sid: Option<String>,
    #[serde(default)]
    nonce: Option<Value>,
    #[serde(default)]
    events: Map<String, Value>,
}

impl Claims {
    /// What is said, if all is as it should be but for the signature. `now` in seconds since 1970.
    pub(crate) fn check(self, issuer: &str, client: &str, now: f64) -> Result<LoggedOut, Trouble> {
        let wrong = |why: &str| Err(Trouble::Unbelievable(why.into()));
        if self.iss != issuer || !self.aud.is(client) {
            return wrong("the token was made by somebody else, or for somebody else");
        }
        // Who has got hold of a token of identity must not end a session with it.
        if self.nonce.is_some() || !self.events.get(EVENT).is_some_and(Value::is_object) {
            return wrong("the token is not one that ends sessions");
        }
        if self.exp.is_some_and(|end| end <= now - LEEWAY) || self.iat < now - OLDEST || self.iat > now + LEEWAY {
            return wrong("the token is too old, or of later than now");
        }
        if self.sub.is_none() && self.sid.is_none() {
            return wrong("the token does not say whose session has ended");
        }
        let at = Timestamp(((self.iat + LEEWAY).min(now) * 1e3) as i64);
        Ok(LoggedOut { issuer: self.iss, subject: self.sub, session: self.sid, at })
    }
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Seconds after which a token says nothing any more.
const OLDEST: f64 = 300.0;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(change: fn(&mut Value)) -> Result<LoggedOut, Trouble> {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "doorward", "iat": 1000, "exp": 1120, "jti": "1", "sub": "1", "sid": "s",
            "events": { EVENT: {} },
        });
        change(&mut claims);
        let claims: Claims = serde_json::from_value(claims).expect("claims");
        claims.check("https://id.example", "doorward", 1010.0)
    }

    #[test]
    fn sessions_are_ended_by_a_token_that_is_made_for_that_and_by_no_other() {
        let ended = told(|_| ()).expect("it ends");
        assert_eq!(
            (ended.subject.as_deref(), ended.session.as_deref(), ended.at),
            (Some("1"), Some("s"), Timestamp(1_010_000))
        );
        assert!(told(|claims| claims["sid"] = Value::Null).is_ok());
        for change in [
            |claims: &mut Value| claims["iss"] = "https://evil.example".into(),
            |claims: &mut Value| claims["aud"] = "other".into(),
            |claims: &mut Value| claims["nonce"] = "n".into(),
            |claims: &mut Value| claims["events"] = json!({}),
            |claims: &mut Value| claims["events"] = json!({ "http://schemas.openid.net/event/other": {} }),
            |claims: &mut Value| claims["iat"] = 600.into(),
            |claims: &mut Value| claims["iat"] = 1200.into(),
            |claims: &mut Value| claims["exp"] = 900.into(),
            |claims: &mut Value| {
                claims["sub"] = Value::Null;
                claims["sid"] = Value::Null;
            },
        ] {
            assert!(told(change).is_err());
        }
    }
}
