//! OAuth consumers: the applications of a workspace. A secret is in an answer once, when it is made.

use std::time::Duration;

use doorward_rules::{Kind, Scope, Scopes, Timestamp, Vocabulary};
use doorward_store::{Consumer, NewConsumer};
use doorward_wire::WorkspaceSlug;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::token::{heard, told};
use crate::{AdminError, Call, Desk, Operation};

/// A consumer, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct ConsumerRow {
    pub key: String,
    pub workspace: String,
    pub name: String,
    pub description: String,
    pub callback: Option<String>,
    /// Whether it keeps its secret, as a server does.
    pub private: bool,
    pub scopes: Vec<String>,
    pub created_at: String,
    /// Until when its former secret works, too.
    pub old_secret_ends_at: Option<String>,
}

/// A consumer that has a new secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewConsumerRow {
    /// Its secret, which is told this once.
    #[serde(serialize_with = "told", deserialize_with = "heard")]
    pub secret: SecretString,
    /// What it is.
    #[serde(flatten)]
    pub consumer: ConsumerRow,
}

/// Makes a consumer.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields of a consumer")]
pub struct CreateConsumer {
    pub workspace: WorkspaceSlug,
    pub name: String,
    pub description: String,
    pub callback: Option<String>,
    pub private: bool,
    pub scopes: Scopes,
}

/// Lists the consumers of a workspace.
#[derive(Debug)]
pub struct ListConsumers {
    /// The workspace.
    pub workspace: WorkspaceSlug,
}

/// Gives a consumer a new secret.
#[derive(Debug)]
pub struct RotateConsumer {
    /// The workspace that it belongs to.
    pub workspace: WorkspaceSlug,
    /// Its key.
    pub key: String,
    /// How long the old secret still works.
    pub overlap: Duration,
}

/// Ends a consumer, and everything that it was let do.
#[derive(Debug)]
pub struct RevokeConsumer {
    /// The workspace that it belongs to.
    pub workspace: WorkspaceSlug,
    /// Its key.
    pub key: String,
}

impl Operation for CreateConsumer {
    type Answer = NewConsumerRow;

    fn call(&self) -> Call {
        let body = json!({
            "name": self.name, "description": self.description, "callback": self.callback, "private": self.private,
            "scopes": self.scopes.names(),
        });
        Call::post(format!("/workspaces/{}/consumers", self.workspace), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<NewConsumerRow, AdminError> {
        check_maker(desk, &self.workspace).await?;
        desk.check_scopes(self.scopes)?;
        check_scopes(desk, self.scopes, self.callback.is_some())?;
        check_callback(self.callback.as_deref())?;
        if !self.private && self.callback.is_none() {
            let sentence = "an application that keeps no secret acts for people alone, and without a callback no person can let it";
            return Err(wrong("callback", sentence, "name where browsers go back to, or make it a private one"));
        }
        if self.scopes.is_empty() {
            return Err(wrong("scopes", "no scope is named, and without one it could do nothing", "name one"));
        }
        let new = NewConsumer {
            workspace: &self.workspace,
            name: &self.name,
            description: &self.description,
            callback: self.callback.as_deref(),
            private: self.private,
            scopes: self.scopes,
        };
        let (consumer, secret) = desk.store.create_consumer(new, desk.now).await?;
        Ok(NewConsumerRow { secret, consumer: ConsumerRow::of(&consumer) })
    }
}

impl Operation for ListConsumers {
    type Answer = Vec<ConsumerRow>;

    fn call(&self) -> Call {
        Call::list(format!("/workspaces/{}/consumers", self.workspace))
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<ConsumerRow>, AdminError> {
        Ok(desk.store.consumers(&self.workspace).await?.iter().map(ConsumerRow::of).collect())
    }
}

impl Operation for RotateConsumer {
    type Answer = NewConsumerRow;

    fn call(&self) -> Call {
        let body = json!({ "overlap": format!("{}s", self.overlap.as_secs()) });
        Call::post(format!("/workspaces/{}/consumers/{}/rotate", self.workspace, self.key), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<NewConsumerRow, AdminError> {
        check_maker(desk, &self.workspace).await?;
        let consumer = of(desk, &self.workspace, &self.key).await?;
        desk.check_scopes(consumer.scopes)?;
        if self.overlap > LONGEST_OVERLAP {
            return Err(wrong("overlap", "it is longer than 30 days", "make it shorter"));
        }
        let (consumer, secret) = desk.store.rotate_consumer(&self.key, self.overlap, desk.now).await?;
        Ok(NewConsumerRow { secret, consumer: ConsumerRow::of(&consumer) })
    }
}

impl Operation for RevokeConsumer {
    type Answer = ConsumerRow;

    fn call(&self) -> Call {
        Call::delete(format!("/workspaces/{}/consumers/{}", self.workspace, self.key))
    }

    async fn carry_out(self, desk: &Desk) -> Result<ConsumerRow, AdminError> {
        desk.check_holder(None, Some(self.workspace.as_str())).await?;
        of(desk, &self.workspace, &self.key).await?;
        Ok(ConsumerRow::of(&desk.store.revoke_consumer(&self.key, desk.now).await?))
    }
}

/// The consumer of a workspace with a key. That of another workspace is none.
async fn of(desk: &Desk, workspace: &WorkspaceSlug, key: &str) -> Result<Consumer, AdminError> {
    let consumers = desk.store.consumers(workspace).await?;
    consumers.into_iter().find(|consumer| consumer.key == key).ok_or_else(|| AdminError::Absent {
        sentence: format!("`{workspace}` has no OAuth consumer with this key"),
        remedy: format!("`doorward consumer list {workspace}` names those it has"),
    })
}

/// A consumer has no end, and what it is given goes on when whatever made it has ended.
async fn check_maker(desk: &Desk, workspace: &WorkspaceSlug) -> Result<(), AdminError> {
    desk.check_holder(None, Some(workspace.as_str())).await?;
    if desk.may_make_lasting(Scopes::of(&[Scope::WriteAdmin])) {
        return Ok(());
    }
    Err(AdminError::Beyond {
        sentence: format!(
            "a consumer outlives the token that it is made with, so that takes the scope {} and no OAuth access token",
            Scope::WriteAdmin.name()
        ),
        remedy: "sign in to the web pages and make it there, or use a token that has the scope".into(),
    })
}

/// Refuses scopes that no OAuth access token has a use for; and those for administering in an application that people may let act
/// for them, but by who administers the server: an administrator who lets it would hand out the server.
fn check_scopes(desk: &Desk, scopes: Scopes, for_people: bool) -> Result<(), AdminError> {
    if let Some(scope) = scopes.iter().find(|scope| !scope.is_for(Kind::OAuthToken)) {
        let sentence = format!("`{}` is a scope of API tokens, and none of applications", scope.name());
        return Err(wrong("scopes", &sentence, "name the older one, such as repository:write"));
    }
    let own = scopes.iter().any(|scope| scope.is_of(Vocabulary::Own));
    if own && for_people && !desk.sees_everything() {
        return Err(AdminError::Beyond {
            sentence: "only the server's administrators make applications that may administer for people".into(),
            remedy: "leave out the callback, so that it acts for this workspace alone, or those scopes".into(),
        });
    }
    Ok(())
}

/// A browser carries the code to this address: it must be an absolute one, without a fragment (RFC 6749 §3.1.2), and nobody on
/// the way may read it (RFC 9700 §2.6). A program on the same machine may listen without TLS (RFC 8252 §7.3), or have a scheme of
/// its own with a dot in it (§7.1).
fn check_callback(callback: Option<&str>) -> Result<(), AdminError> {
    let Some(callback) = callback else { return Ok(()) };
    let printable = callback.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte));
    let (scheme, rest) = callback.split_once(':').unwrap_or_default();
    let host = rest.strip_prefix("//").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    let host = host.and_then(host_of);
    let fits = match scheme {
        "https" => host.is_some(),
        "http" => host.is_some_and(|host| LOOPBACK.contains(&host)),
        scheme => is_own_scheme(scheme),
    };
    if printable && fits && callback.len() <= 2000 {
        return Ok(());
    }
    let sentence = "it is no address that a browser can carry a secret to";
    let remedy = "give an https address, http://127.0.0.1/… or http://localhost/… for a program on people's machines, \
                  or a scheme of its own as com.example.app:/signed-in; without a fragment";
    Err(wrong("callback", sentence, remedy))
}

/// The name in a host with or without a port.
fn host_of(authority: &str) -> Option<&str> {
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let named = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let numbered = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let numbered = numbered.is_some_and(|name| name.parse::<std::net::Ipv6Addr>().is_ok());
    let fits = !name.is_empty()
        && (named || numbered)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    fits.then_some(name)
}

/// Whether a scheme is one (RFC 3986 §3.1), and with its dot nobody's but the application's own (RFC 8252 §7.1).
fn is_own_scheme(scheme: &str) -> bool {
    let fits = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    fits && scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.contains('.')
}

fn wrong(field: &'static str, sentence: &str, remedy: &str) -> AdminError {
    AdminError::Wrong { field, sentence: sentence.into(), remedy: remedy.into() }
}

impl ConsumerRow {
    fn of(consumer: &Consumer) -> Self {
        Self {
            key: consumer.key.clone(),
            workspace: consumer.workspace.to_string(),
            name: consumer.name.clone(),
            description: consumer.description.clone(),
            callback: consumer.callback.clone(),
            private: consumer.private,
            scopes: consumer.scopes.names().into_iter().map(Into::into).collect(),
            created_at: consumer.created_at.to_string(),
            old_secret_ends_at: consumer.old_secret_ends_at.as_ref().map(Timestamp::to_string),
        }
    }
}

/// This machine.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];
/// How long an old secret may go on.
const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 86_400);

#[cfg(test)]
mod tests {
    use super::check_callback;

    #[test]
    fn a_code_is_carried_by_tls_or_to_a_program_on_the_same_machine() {
        for fits in [
            "https://ci.example.com/signed-in?from=doorward",
            "http://127.0.0.1",
            "http://127.0.0.1:8080/x",
            "http://localhost/",
            "http://[::1]:9/x",
            "com.example.app:/signed-in",
        ] {
            assert!(check_callback(Some(fits)).is_ok(), "{fits}");
        }
        for wrong in [
            "",
            "/signed-in",
            "https://",
            "https://user@ci.example.com/",
            "https://ci.example.com/#x",
            "https://ci.example.com/\"x",
            "https://ci.example.com/ä",
            "http://ci.example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1:8080@example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://:443/x",
            "https://*/x",
            "https://a;sandbox/x",
            "https://ci.example.com:99999/x",
            "https://[x]/",
            "1.2:/x",
        ] {
            assert!(check_callback(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
