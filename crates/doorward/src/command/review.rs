//! `doorward token review`: tokens that nobody needs, that may do more than they are used for, or that end soon.

use std::time::Duration;

use doorward_rules::{Action, Phase, Scope, Scopes, Timestamp};
use doorward_store::{Credential, Store};
use serde::Serialize;

use super::day;
use super::token::{owner, state};
use crate::failure::Failure;
use crate::print;

/// Something to look into, about one token.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    kind: &'static str,
    owner: String,
    name: String,
    finding: &'static str,
    sentence: String,
    remedy: String,
}

pub(super) async fn run(
    store: &Store,
    unused: Duration,
    expiring: Duration,
    now: Timestamp,
    json: bool,
) -> Result<(), Failure> {
    let calendar = store.calendar().await?;
    let mut rows = Vec::new();
    for credential in store.credentials(None).await? {
        let state = state(&credential, &calendar, now);
        if matches!(state, "revoked" | "expired") {
            continue;
        }
        let mut found =
            |finding, sentence: String, remedy: String| rows.push(Row::new(&credential, finding, sentence, remedy));
        let (id, since) = (credential.id, now.before(unused));
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
            Some(last) if last.at < since => found("unused", format!("last used on {}", day(last.at)), revoke.clone()),
            _ => {}
        }
        let useless: Vec<&str> = credential.scopes.iter().filter(|scope| !is_of_use(*scope)).map(Scope::name).collect();
        let renew = "make one with fewer scopes, then revoke this one".to_owned();
        if !useless.is_empty() {
            found("over-scoped", format!("this server has no use for {}", useless.join(", ")), renew.clone());
        }
        // What is young has not shown yet what it is for.
        let settled =
            credential.created_at < since && credential.last_use.as_ref().is_some_and(|last| last.at >= since);
        let may_push = Action::Push.is_granted_by(credential.scopes);
        if settled && may_push && !store.used_for(id, Action::Push, since).await? {
            let sentence = format!("may push, and has not since {}", day(since));
            found("over-scoped", sentence, renew);
        }
        if let Some(at) = credential.expires_at.filter(|at| *at <= now.after(expiring)) {
            let rotated = credential.replaced_by.is_some();
            let remedy =
                if rotated { "its replacement is made".to_owned() } else { format!("doorward token rotate {id}") };
            found("expiring", format!("ends on {}", day(at)), remedy);
        }
        if let Phase::Announced | Phase::Brownout { .. } = calendar.phase(credential.kind, now) {
            let end = calendar
                .schedule(credential.kind)
                .retires_at
                .map_or_else(|| "soon".into(), |at| format!("on {}", day(at)));
            found(
                "retiring",
                format!("{}s end {end}", credential.kind.phrase()),
                "make an API token in its place".into(),
            );
        }
    }
    if json {
        return print::json(&rows);
    }
    if rows.is_empty() {
        return print::line("nothing to look into");
    }
    let cells = rows.into_iter().map(|row| [row.id, row.owner, row.name, row.finding.into(), row.sentence]);
    print::table(["id", "owner", "name", "finding", "because"], &cells.collect::<Vec<_>>())
}

impl Row {
    fn new(credential: &Credential, finding: &'static str, sentence: String, remedy: String) -> Self {
        Self {
            id: credential.id.to_string(),
            kind: credential.kind.word(),
            owner: owner(credential),
            name: credential.name.clone(),
            finding,
            sentence,
            remedy,
        }
    }
}

/// Whether this server asks for the scope anywhere, by itself or by what it implies.
fn is_of_use(scope: Scope) -> bool {
    let effective = Scopes::of(&[scope]).effective();
    Action::ALL.iter().any(|action| action.scopes().iter().any(|needed| effective.contains(needed)))
}
