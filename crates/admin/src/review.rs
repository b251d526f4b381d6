//! Tokens that nobody needs, that may do more than they are used for, or that end soon.

use std::time::Duration;

use doorward_rules::{Action, Phase, Scope, Scopes, Timestamp};
use doorward_store::Credential;
use serde::{Deserialize, Serialize};

use crate::token::state;
use crate::{AdminError, Call, Desk, Operation, Whose};

/// Something to look into, about one token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReviewRow {
    /// The token.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The account or the place that it belongs to.
    pub owner: String,
    /// What its maker called it.
    pub name: String,
    /// `unused`, `over-scoped`, `expiring`, `retiring` or `refused`.
    pub finding: String,
    /// What was found, for people.
    pub sentence: String,
    /// What to do about it.
    pub remedy: String,
}

/// Looks for them.
#[derive(Debug)]
pub struct ReviewTokens {
    /// Whose tokens.
    pub whose: Whose,
    /// What was not used for this long counts as unused.
    pub unused: Duration,
    /// What ends within this time ends soon.
    pub expiring: Duration,
}

impl Operation for ReviewTokens {
    type Answer = Vec<ReviewRow>;

    fn call(&self) -> Call {
        let seconds = |duration: Duration| format!("{}s", duration.as_secs());
        self.whose
            .narrow(Call::list("/tokens/review".into()))
            .with("unused", Some(seconds(self.unused)))
            .with("expiring", Some(seconds(self.expiring)))
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<ReviewRow>, AdminError> {
        let (store, now) = (&desk.store, desk.now);
        let calendar = store.calendar().await?;
        let mut rows = Vec::new();
        for credential in store.credentials(self.whose.as_filter()).await? {
            let state = state(&credential, &calendar, now);
            if matches!(state, "revoked" | "expired") {
                continue;
            }
            let mut found =
                |finding, sentence: String, remedy: String| rows.push(row(&credential, finding, sentence, remedy));
            let (id, since) = (credential.id, now.before(self.unused));
            let revoke = format!("doorward token revoke {id}");
            if matches!(state, "off" | "retired") {
                let sentence = format!("{}s are not accepted any more", credential.kind.phrase());
                found("refused", sentence, revoke);
                continue;
            }
            match &credential.last_use {
                None if credential.created_at < since => {
                    found("unused", format!("never used since {}", day(credential.created_at)), revoke.clone());
                }
                Some(last) if last.at < since => {
                    found("unused", format!("last used on {}", day(last.at)), revoke.clone());
                }
                _ => {}
            }
            let useless: Vec<&str> =
                credential.scopes.iter().filter(|scope| !is_of_use(*scope)).map(Scope::name).collect();
            let renew = "make one with fewer scopes, then revoke this one".to_owned();
            if !useless.is_empty() {
                found("over-scoped", format!("this server has no use for {}", useless.join(", ")), renew.clone());
            }
            // What is young has not shown yet what it is for.
            let settled =
                credential.created_at < since && credential.last_use.as_ref().is_some_and(|last| last.at >= since);
            let may_push = Action::Push.is_granted_by(credential.scopes);
            if settled && may_push && !store.used_for(id, Action::Push, since).await? {
                found("over-scoped", format!("may push, and has not since {}", day(since)), renew);
            }
            if let Some(at) = credential.expires_at.filter(|at| *at <= now.after(self.expiring)) {
                let rotated = credential.replaced_by.is_some();
                let remedy =
                    if rotated { "its replacement is made".to_owned() } else { format!("doorward token rotate {id}") };
                found("expiring", format!("ends on {}", day(at)), remedy);
            }
            if let Phase::Announced | Phase::Brownout { .. } = calendar.phase(credential.kind, now) {
                let retires_at = calendar.schedule(credential.kind).retires_at;
                let end = retires_at.map_or_else(|| "soon".into(), |at| format!("on {}", day(at)));
                let sentence = format!("{}s end {end}", credential.kind.phrase());
                found("retiring", sentence, "make an API token in its place".into());
            }
        }
        Ok(rows)
    }
}

fn row(credential: &Credential, finding: &str, sentence: String, remedy: String) -> ReviewRow {
    let place = || credential.place.clone().unwrap_or_default();
    ReviewRow {
        id: credential.id.to_string(),
        kind: credential.kind.word().into(),
        owner: credential.account.as_ref().map_or_else(place, ToString::to_string),
        name: credential.name.clone(),
        finding: finding.into(),
        sentence,
        remedy,
    }
}

fn day(at: Timestamp) -> String {
    at.to_string()[..10].to_owned()
}

/// Whether this server asks for the scope anywhere, by itself or by what it implies.
fn is_of_use(scope: Scope) -> bool {
    let effective = Scopes::of(&[scope]).effective();
    Action::ALL.iter().any(|action| action.scopes().iter().any(|needed| effective.contains(needed)))
}
