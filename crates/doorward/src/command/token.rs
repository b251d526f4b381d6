//! `doorward token`: API tokens. A secret is printed once, when it is made.

use doorward_rules::{CredentialId, Kind, Scopes, Timestamp};
use doorward_store::{Credential, NewCredential};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::moment;
use crate::arguments::TokenCommand;
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    kind: &'static str,
    account: String,
    name: String,
    scopes: Vec<&'static str>,
    workspace: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    replaced_by: Option<String>,
    state: &'static str,
}

/// A token that was just made.
#[derive(Serialize)]
struct NewRow<'a> {
    secret: &'a str,
    #[serde(flatten)]
    token: Row,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_expires_at: Option<String>,
}

pub(crate) async fn run(command: TokenCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let store = Data::open(configuration).await?.store;
    let now = now();
    match command {
        TokenCommand::Create { account, name, scopes, workspace, expires } => {
            let new = NewCredential {
                kind: Kind::ApiToken,
                account: &account,
                name: &name,
                scopes: Scopes::of(&scopes),
                workspace: workspace.as_ref(),
                expires_at: expires.0.map(|lifetime| now.after(lifetime)),
            };
            let (credential, secret) = store.create_credential(new, now).await?;
            let shown = show_new(&credential, &secret, None, now, json);
            if shown.is_err() {
                // A secret that nobody has seen is of no use to anybody but a thief.
                store.revoke_credential(credential.id, now).await?;
            }
            shown
        }
        TokenCommand::Rotate { id, overlap } => {
            let id = parse(&id)?;
            let rotated = store.rotate_credential(id, overlap, now).await?;
            show_new(&rotated.credential, &rotated.secret, Some((id, rotated.old_expires_at)), now, json)
        }
        TokenCommand::List { account } => {
            let rows: Vec<Row> = store.credentials(account.as_ref()).await?.iter().map(|c| Row::of(c, now)).collect();
            show(rows, json)
        }
        TokenCommand::Revoke { id } => {
            let id = parse(&id)?;
            store.revoke_credential(id, now).await?;
            let row = Row::of(&store.credential(id).await?, now);
            if json { print::json(&row) } else { show(vec![row], json) }
        }
    }
}

fn show_new(
    credential: &Credential,
    secret: &SecretString,
    replaces: Option<(CredentialId, Timestamp)>,
    now: Timestamp,
    json: bool,
) -> Result<(), Failure> {
    let (old, old_end) = (replaces.map(|(id, _)| id.to_string()), replaces.map(|(_, end)| end.to_string()));
    let token = Row::of(credential, now);
    if json {
        return print::json(&NewRow { secret: secret.expose_secret(), token, replaces: old, old_expires_at: old_end });
    }
    let mut pairs = vec![
        ("id", token.id),
        ("secret", secret.expose_secret().to_owned()),
        ("", "(shown this once)".into()),
        ("account", token.account),
        ("scopes", token.scopes.join(" ")),
        ("workspace", token.workspace.unwrap_or_else(|| "any".into())),
        ("expires", moment(credential.expires_at, "never")),
    ];
    if let (Some(id), Some(end)) = (old, old_end) {
        pairs.push(("replaces", format!("{id}, which ends at {end}; sooner with `doorward token revoke {id}`")));
    }
    print::pairs(&pairs)
}

fn show(rows: Vec<Row>, json: bool) -> Result<(), Failure> {
    if json {
        return print::json(&rows);
    }
    let never = || "never".to_owned();
    let cells = rows.into_iter().map(|row| {
        [row.id, row.account, row.name, row.state.into(), row.expires_at.unwrap_or_else(never), row.scopes.join(" ")]
    });
    print::table(["id", "account", "name", "state", "expires", "scopes"], &cells.collect::<Vec<_>>())
}

impl Row {
    fn of(credential: &Credential, now: Timestamp) -> Self {
        let state = match (credential.revoked_at, credential.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(at)) if at <= now => "expired",
            _ if credential.replaced_by.is_some() => "replaced",
            _ => "valid",
        };
        Self {
            id: credential.id.to_string(),
            kind: credential.kind.word(),
            account: credential.account.to_string(),
            name: credential.name.clone(),
            scopes: credential.scopes.names(),
            workspace: credential.workspace.as_ref().map(ToString::to_string),
            created_at: credential.created_at.to_string(),
            expires_at: credential.expires_at.map(|at| at.to_string()),
            revoked_at: credential.revoked_at.map(|at| at.to_string()),
            replaced_by: credential.replaced_by.map(|id| id.to_string()),
            state,
        }
    }
}

/// A token's id, also out of the whole token: whoever has found a leaked one has no more than that.
fn parse(id: &str) -> Result<CredentialId, Failure> {
    let text = id.trim().to_ascii_lowercase();
    let id = text.strip_prefix("dwa_").and_then(|rest| rest.split('_').next()).unwrap_or(&text);
    CredentialId::parse(id).ok_or_else(|| {
        // It may be a secret, which has no business in a message.
        Failure::new(Code::Usage, "that is not a token's id")
            .hint("ids have 12 characters; `doorward token list` shows them")
    })
}
