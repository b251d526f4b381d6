//! `doorward token`: tokens of every kind. A secret is printed once, when it is made.

use doorward_rules::{Calendar, CredentialId, Kind, Phase, Scopes, Timestamp};
use doorward_store::{Credential, Holder, NewCredential, Store, Use};
use doorward_wire::{AccountName, ProjectName, RepositoryName, UnverifiedToken, WorkspaceSlug};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{day_or, moment, review};
use crate::arguments::{TokenCommand, TokenKind};
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
pub(super) struct Row {
    id: String,
    kind: &'static str,
    account: Option<String>,
    name: String,
    scopes: Vec<&'static str>,
    workspace: Option<String>,
    #[serde(rename = "for")]
    place: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    replaced_by: Option<String>,
    last_used: Option<UseRow>,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct UseRow {
    at: String,
    address: Option<String>,
    surface: String,
    action: String,
    repository: String,
    requests: i64,
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

/// One token with everything that it was used for.
#[derive(Serialize)]
struct ShownRow {
    #[serde(flatten)]
    token: Row,
    uses: Vec<UseRow>,
}

pub(crate) async fn run(command: TokenCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let store = Data::open(configuration).await?.store;
    let (now, shape) = (now(), configuration.token_shape());
    match command {
        TokenCommand::Create { kind, account, place, name, scopes, no_scopes: _, workspace, expires } => {
            let place = Place::read(kind, account, place, workspace)?;
            let new = NewCredential {
                kind: kind.into(),
                shape,
                name: &name,
                scopes: Scopes::of(&scopes),
                expires_at: expires.0.map(|lifetime| now.after(lifetime)),
            };
            let (credential, secret) = store.create_credential(place.holder(), new, now).await?;
            let shown = show_new(&credential, &secret, None, now, json);
            if shown.is_err() {
                // A secret that nobody has seen is of no use to anybody but a thief.
                store.revoke_credential(credential.id, now).await?;
            }
            shown
        }
        TokenCommand::Rotate { id, overlap } => {
            let id = parse(&id)?;
            let rotated = store.rotate_credential(id, shape, overlap, now).await?;
            let shown = show_new(&rotated.credential, &rotated.secret, Some((id, rotated.old_expires_at)), now, json);
            if shown.is_err() {
                store.take_back_rotation(&rotated, now).await?;
            }
            shown
        }
        TokenCommand::List { account } => {
            let (credentials, calendar) = (store.credentials(account.as_ref()).await?, store.calendar().await?);
            if json {
                return print::json(&credentials.iter().map(|c| Row::of(c, &calendar, now)).collect::<Vec<_>>());
            }
            show(&credentials, &calendar, now)
        }
        TokenCommand::Show { id } => show_one(&store, parse(&id)?, now, json).await,
        TokenCommand::Review { unused, expiring } => review::run(&store, unused, expiring, now, json).await,
        TokenCommand::Revoke { id } => {
            let id = parse(&id)?;
            store.revoke_credential(id, now).await?;
            let (credential, calendar) = (store.credential(id).await?, store.calendar().await?);
            if json { print::json(&Row::of(&credential, &calendar, now)) } else { show(&[credential], &calendar, now) }
        }
    }
}

/// What a new token belongs to, as it was named.
enum Place {
    Account(AccountName, Option<WorkspaceSlug>),
    Workspace(WorkspaceSlug),
    Project(ProjectName),
    Repository(RepositoryName),
}

impl Place {
    fn read(
        kind: TokenKind,
        account: Option<AccountName>,
        place: Option<String>,
        workspace: Option<WorkspaceSlug>,
    ) -> Result<Self, Failure> {
        let wrong = |sentence: String, hint: &str| Err(Failure::new(Code::Usage, sentence).hint(hint));
        let phrase = Kind::from(kind).phrase();
        match (kind, account, place) {
            (TokenKind::Api | TokenKind::AppPassword, Some(account), _) => Ok(Self::Account(account, workspace)),
            (TokenKind::Api | TokenKind::AppPassword, None, _) => {
                wrong(format!("an {phrase} acts for an account, and none is named"), "name it with --account NAME")
            }
            (_, Some(_), _) => {
                wrong(format!("a {phrase} acts for no account"), "name the place that it belongs to with --for instead")
            }
            (_, None, None) => {
                wrong(format!("a {phrase} belongs to a place, and none is named"), "name it with --for PLACE")
            }
            (TokenKind::Workspace, None, Some(place)) => place.parse().map(Self::Workspace).map_err(not_a_place),
            (TokenKind::Project, None, Some(place)) => place.parse().map(Self::Project).map_err(not_a_place),
            (TokenKind::Repository, None, Some(place)) => place.parse().map(Self::Repository).map_err(not_a_place),
        }
    }

    fn holder(&self) -> Holder<'_> {
        match self {
            Self::Account(name, workspace) => Holder::Account(name, workspace.as_ref()),
            Self::Workspace(slug) => Holder::Workspace(slug),
            Self::Project(name) => Holder::Project(name),
            Self::Repository(name) => Holder::Repository(name),
        }
    }
}

fn not_a_place(error: doorward_wire::NameError) -> Failure {
    Failure::new(Code::Usage, error)
        .hint("--for takes WS, WS/KEY or WS/REPO, as the kind is workspace, project or repository")
}

fn show_new(
    credential: &Credential,
    secret: &SecretString,
    replaces: Option<(CredentialId, Timestamp)>,
    now: Timestamp,
    json: bool,
) -> Result<(), Failure> {
    let (old, old_end) = (replaces.map(|(id, _)| id.to_string()), replaces.map(|(_, end)| end.to_string()));
    // It could be made, so its kind is in use.
    let token = Row::of(credential, &Calendar::open(), now);
    if json {
        return print::json(&NewRow { secret: secret.expose_secret(), token, replaces: old, old_expires_at: old_end });
    }
    let mut pairs = vec![
        ("id", token.id),
        ("secret", secret.expose_secret().to_owned()),
        ("", "(shown this once)".into()),
        ("kind", credential.kind.phrase().into()),
    ];
    pairs.extend(described(credential));
    pairs.push(("expires", moment(credential.expires_at, "never")));
    if let (Some(id), Some(end)) = (old, old_end) {
        pairs.push(("replaces", format!("{id}, which ends at {end}; sooner with `doorward token revoke {id}`")));
    }
    print::pairs(&pairs)
}

async fn show_one(store: &Store, id: CredentialId, now: Timestamp, json: bool) -> Result<(), Failure> {
    let credential = store.credential(id).await?;
    let uses = store.uses(id).await?;
    let row = Row::of(&credential, store.calendar().await?.as_ref(), now);
    if json {
        return print::json(&ShownRow { token: row, uses: uses.iter().map(UseRow::of).collect() });
    }
    let mut pairs = vec![
        ("id", row.id),
        ("kind", credential.kind.phrase().into()),
        ("name", row.name),
        ("state", row.state.into()),
    ];
    pairs.extend(described(&credential));
    pairs.extend([("created", row.created_at), ("expires", moment(credential.expires_at, "never"))]);
    if let Some(at) = row.revoked_at {
        pairs.push(("revoked", at));
    }
    pairs.push(("last used", moment(credential.last_use.as_ref().map(|last| last.at), "never")));
    print::pairs(&pairs)?;
    if uses.is_empty() {
        return Ok(());
    }
    print::line("")?;
    let cells = uses.into_iter().map(|noted| {
        let address = noted.address.unwrap_or_default();
        [noted.action, noted.surface, noted.subject, address, noted.requests.to_string(), noted.at.to_string()]
    });
    print::table(["used to", "on", "repository", "from", "requests", "last"], &cells.collect::<Vec<_>>())
}

/// Whose it is, what it may do, and where.
fn described(credential: &Credential) -> Vec<(&'static str, String)> {
    let scopes = if credential.scopes.is_empty() { "none".into() } else { credential.scopes.to_string() };
    let mut pairs = Vec::new();
    if let Some(account) = &credential.account {
        pairs.push(("account", account.to_string()));
    }
    pairs.push(("scopes", scopes));
    pairs.push(("only in", credential.place.clone().unwrap_or_else(|| "any workspace".into())));
    pairs
}

fn show(credentials: &[Credential], calendar: &Calendar, now: Timestamp) -> Result<(), Failure> {
    let cells = credentials.iter().map(|credential| {
        [
            credential.id.to_string(),
            short(credential.kind).into(),
            owner(credential),
            credential.name.clone(),
            state(credential, calendar, now).into(),
            day_or(credential.expires_at, "never"),
            day_or(credential.last_use.as_ref().map(|last| last.at), "never"),
        ]
    });
    print::table(["id", "kind", "owner", "name", "state", "expires", "last used"], &cells.collect::<Vec<_>>())
}

/// The account or the place that a token belongs to.
pub(super) fn owner(credential: &Credential) -> String {
    let place = || credential.place.clone().unwrap_or_default();
    credential.account.as_ref().map_or_else(place, ToString::to_string)
}

/// A kind, as `--kind` takes it.
pub(super) fn short(kind: Kind) -> &'static str {
    match kind {
        Kind::ApiToken => "api",
        Kind::AppPassword => "app-password",
        Kind::RepositoryToken => "repository",
        Kind::ProjectToken => "project",
        Kind::WorkspaceToken => "workspace",
        Kind::OAuthToken => "oauth",
        Kind::AccountPassword => "password",
        Kind::ConnectJwt => "jwt",
    }
}

/// What keeps a token from being accepted, or `valid`.
pub(super) fn state(credential: &Credential, calendar: &Calendar, now: Timestamp) -> &'static str {
    match (credential.revoked_at, credential.expires_at, calendar.phase(credential.kind, now)) {
        (Some(_), ..) => "revoked",
        (None, Some(at), _) if at <= now => "expired",
        (.., Phase::Off) => "off",
        (.., Phase::Retired { .. }) => "retired",
        _ if credential.replaced_by.is_some() => "replaced",
        _ => "valid",
    }
}

impl Row {
    pub(super) fn of(credential: &Credential, calendar: &Calendar, now: Timestamp) -> Self {
        let workspace = credential.place.as_ref().map(|place| place.split('/').next().unwrap_or(place).to_owned());
        Self {
            id: credential.id.to_string(),
            kind: credential.kind.word(),
            account: credential.account.as_ref().map(ToString::to_string),
            name: credential.name.clone(),
            scopes: credential.scopes.names(),
            workspace,
            place: credential.place.clone(),
            created_at: credential.created_at.to_string(),
            expires_at: credential.expires_at.map(|at| at.to_string()),
            revoked_at: credential.revoked_at.map(|at| at.to_string()),
            replaced_by: credential.replaced_by.map(|id| id.to_string()),
            last_used: credential.last_use.as_ref().map(UseRow::of),
            state: state(credential, calendar, now),
        }
    }
}

impl UseRow {
    fn of(noted: &Use) -> Self {
        Self {
            at: noted.at.to_string(),
            address: noted.address.clone(),
            surface: noted.surface.clone(),
            action: noted.action.clone(),
            repository: noted.subject.clone(),
            requests: noted.requests,
        }
    }
}

/// A token's id, also out of the whole token: whoever has found a leaked one has no more than that.
fn parse(id: &str) -> Result<CredentialId, Failure> {
    if let Ok(token) = UnverifiedToken::parse(&id.into()) {
        return Ok(token.id);
    }
    let text = id.trim().to_ascii_lowercase();
    // Of a token that is not whole, the id may be.
    let id = if text.starts_with("dw") { text.split('_').nth(1).unwrap_or(&text) } else { &text };
    CredentialId::parse(id).ok_or_else(|| {
        // It may be a secret, which has no business in a message.
        Failure::new(Code::Usage, "that is not a token's id")
            .hint("ids have 12 characters; `doorward token list` shows them")
    })
}
