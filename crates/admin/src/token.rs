//! Tokens of every kind. A secret is in an answer once, when its token is made.

use std::time::Duration;

use doorward_rules::{Calendar, CredentialId, Kind, Phase, Scopes, Timestamp};
use doorward_store::{Credential, Credentials, Holder, NewCredential, Store, Use};
use doorward_wire::{AccountName, ProjectName, RepositoryName, UnverifiedToken, WorkspaceSlug};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::{AdminError, Call, Desk, Operation};

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct TokenRow {
    pub id: String,
    pub kind: String,
    /// The account that it acts for, if it acts for one.
    pub account: Option<String>,
    pub name: String,
    pub scopes: Vec<String>,
    /// The workspace that it is limited to, if it is.
    pub workspace: Option<String>,
    /// The place that it is limited to: `WS`, `WS/KEY` or `WS/REPO`.
    #[serde(rename = "for")]
    pub place: Option<String>,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
    pub replaced_by: Option<String>,
    /// The token that it was made with, if it was made by REST.
    pub made_by: Option<String>,
    pub last_used: Option<UseRow>,
    /// `valid`, or what keeps it from being accepted.
    pub state: String,
}

/// What a token was used for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct UseRow {
    pub at: String,
    pub address: Option<String>,
    pub surface: String,
    pub action: String,
    pub repository: String,
    pub requests: i64,
}

/// A token that was just made.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewTokenRow {
    /// Its secret, which is told this once.
    #[serde(serialize_with = "told", deserialize_with = "heard")]
    pub secret: SecretString,
    /// What it is.
    #[serde(flatten)]
    pub token: TokenRow,
    /// The token whose place it takes, if it takes one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// When that one ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_expires_at: Option<String>,
    /// That one as it was, by which the rotation can be taken back where it was made.
    #[serde(skip)]
    pub old: Option<Box<Credential>>,
}

/// A token with everything that it was used for.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShownToken {
    /// What it is.
    #[serde(flatten)]
    pub token: TokenRow,
    /// What it was used for.
    pub uses: Vec<UseRow>,
    /// The living tokens that were made with it, and with those again.
    pub made: Vec<String>,
}

/// What was ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// The token.
    #[serde(flatten)]
    pub token: TokenRow,
    /// Those that were made with it, and were ended with it.
    pub with: Vec<String>,
    /// Those that were made with it, and live on.
    pub left: Vec<String>,
}

/// What a new token belongs to.
#[derive(Debug, Clone)]
pub enum TokenHolder {
    /// An account, which it acts for; perhaps in one workspace alone.
    Account(AccountName, Option<WorkspaceSlug>),
    /// A workspace.
    Workspace(WorkspaceSlug),
    /// A project.
    Project(ProjectName),
    /// A repository.
    Repository(RepositoryName),
}

/// Whose tokens.
#[derive(Debug, Clone)]
pub enum Whose {
    /// Everybody's.
    Everybodys,
    /// An account's.
    Account(AccountName),
    /// The access tokens of a workspace and of what is in it.
    Workspace(WorkspaceSlug),
}

/// Makes a token.
#[derive(Debug)]
pub struct CreateToken {
    /// What it is to be.
    pub kind: Kind,
    /// What it belongs to.
    pub holder: TokenHolder,
    /// What its maker calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// How long it lasts.
    pub lifetime: Lifetime,
}

/// How long a new token lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// A year, or as long as the token that it is made with.
    Usual,
    /// So long.
    For(Duration),
    /// For ever.
    Endless,
}

/// Lists tokens.
#[derive(Debug)]
pub struct ListTokens {
    /// Whose.
    pub whose: Whose,
}

/// Shows a token, and what it was used for.
#[derive(Debug)]
pub struct ShowToken {
    /// The token.
    pub id: CredentialId,
}

/// Ends a token now.
#[derive(Debug)]
pub struct RevokeToken {
    /// The token.
    pub id: CredentialId,
    /// Whether those that were made with it are ended, too.
    pub with_made: bool,
}

/// Makes a token like another, and lets the old one end after an overlap.
#[derive(Debug)]
pub struct RotateToken {
    /// The old one.
    pub id: CredentialId,
    /// How long the old secret still works.
    pub overlap: Duration,
}

impl Operation for CreateToken {
    type Answer = NewTokenRow;

    fn call(&self) -> Call {
        let (account, place) = self.holder.names();
        let workspace = match &self.holder {
            TokenHolder::Account(_, workspace) => workspace.as_ref(),
            _ => None,
        };
        let body = json!({
            "kind": self.kind.word(),
            "account": account,
            "for": place,
            "workspace": workspace.map(WorkspaceSlug::as_str),
            "name": self.name,
            "scopes": self.scopes.names(),
            "expires": match self.lifetime {
                Lifetime::Usual => None,
                Lifetime::For(lifetime) => Some(format!("{}s", lifetime.as_secs())),
                Lifetime::Endless => Some("never".into()),
            },
        });
        Call::post("/tokens".into(), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<NewTokenRow, AdminError> {
        desk.check_scopes(self.scopes)?;
        let (account, place) = self.holder.names();
        desk.check_holder(account.as_deref(), place.as_deref()).await?;
        let expires_at = self.lifetime.end(desk)?;
        let new =
            NewCredential { kind: self.kind, shape: desk.shape, name: &self.name, scopes: self.scopes, expires_at };
        let (credential, secret) = desk.store.create_credential(self.holder.as_holder(), new, desk.now).await?;
        // It could be made, so its kind is in use.
        let token = TokenRow::of(&credential, &Calendar::open(), desk.now);
        Ok(NewTokenRow { secret, token, replaces: None, old_expires_at: None, old: None })
    }
}

impl Operation for RotateToken {
    type Answer = NewTokenRow;

    fn call(&self) -> Call {
        let body = json!({ "overlap": format!("{}s", self.overlap.as_secs()) });
        Call::post(format!("/tokens/{}/rotate", self.id), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<NewTokenRow, AdminError> {
        // The new secret may do whatever the old one may.
        let old = desk.store.credential(self.id).await?;
        desk.check_scopes(old.scopes)?;
        let account = old.account.as_ref().map(ToString::to_string);
        desk.check_holder(account.as_deref(), old.place.as_deref()).await?;
        let rotated = desk.store.rotate_credential(self.id, desk.shape, self.overlap, desk.now).await?;
        Ok(NewTokenRow {
            secret: rotated.secret,
            token: TokenRow::of(&rotated.credential, &Calendar::open(), desk.now),
            replaces: Some(self.id.to_string()),
            old_expires_at: Some(rotated.old_expires_at.to_string()),
            old: Some(Box::new(rotated.old)),
        })
    }
}

impl Operation for ListTokens {
    type Answer = Vec<TokenRow>;

    fn call(&self) -> Call {
        self.whose.narrow(Call::list("/tokens".into()))
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<TokenRow>, AdminError> {
        let credentials = desk.store.credentials(self.whose.as_filter()).await?;
        let calendar = desk.store.calendar().await?;
        Ok(credentials.iter().map(|credential| TokenRow::of(credential, &calendar, desk.now)).collect())
    }
}

impl Operation for ShowToken {
    type Answer = ShownToken;

    fn call(&self) -> Call {
        Call::get(format!("/tokens/{}", self.id))
    }

    async fn carry_out(self, desk: &Desk) -> Result<ShownToken, AdminError> {
        let token = show(&desk.store, self.id, desk.now).await?;
        let uses = desk.store.uses(self.id).await?.iter().map(UseRow::of).collect();
        Ok(ShownToken { token, uses, made: made_with(desk, self.id).await? })
    }
}

impl Operation for RevokeToken {
    type Answer = Revoked;

    fn call(&self) -> Call {
        Call::delete(format!("/tokens/{}", self.id)).with("with_made", self.with_made.then_some(true))
    }

    async fn carry_out(self, desk: &Desk) -> Result<Revoked, AdminError> {
        let with_made = self.with_made.then(|| desk.reach());
        let ended = desk.store.revoke_credential(self.id, with_made, desk.now).await?;
        let with = ended.iter().filter(|id| **id != self.id).map(ToString::to_string).collect();
        let token = show(&desk.store, self.id, desk.now).await?;
        Ok(Revoked { token, with, left: made_with(desk, self.id).await? })
    }
}

async fn show(store: &Store, id: CredentialId, now: Timestamp) -> Result<TokenRow, AdminError> {
    let (credential, calendar) = (store.credential(id).await?, store.calendar().await?);
    Ok(TokenRow::of(&credential, &calendar, now))
}

async fn made_with(desk: &Desk, id: CredentialId) -> Result<Vec<String>, AdminError> {
    Ok(desk.store.credentials_made_with(id, desk.reach(), desk.now).await?.iter().map(ToString::to_string).collect())
}

impl Lifetime {
    /// When a token ends that is made now: no later than the one that it is made with, which may have been stolen.
    fn end(self, desk: &Desk) -> Result<Option<Timestamp>, AdminError> {
        let latest = desk.latest();
        let wanted = match self {
            Self::Usual => return Ok(Some(desk.now.after(YEAR)).into_iter().chain(latest).min()),
            Self::For(lifetime) if lifetime.is_zero() && desk.maker.is_some() => {
                return Err(AdminError::Wrong {
                    field: "expires",
                    sentence: "a token that lasts no time is of no use".into(),
                    remedy: "make it last longer".into(),
                });
            }
            Self::For(lifetime) => Some(desk.now.after(lifetime)),
            Self::Endless => None,
        };
        match latest {
            Some(latest) if wanted.is_none_or(|wanted| wanted > latest) => Err(AdminError::Beyond {
                sentence: format!("the token that you use ends at {latest}, and makes none that lasts longer"),
                remedy: "let it end sooner, or rotate the one that you use first".into(),
            }),
            _ => Ok(wanted),
        }
    }
}

impl TokenHolder {
    /// The account that it acts for, or the place that it belongs to.
    fn names(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Account(name, _) => (Some(name.to_string()), None),
            Self::Workspace(slug) => (None, Some(slug.to_string())),
            Self::Project(name) => (None, Some(name.to_string())),
            Self::Repository(name) => (None, Some(name.to_string())),
        }
    }

    fn as_holder(&self) -> Holder<'_> {
        match self {
            Self::Account(name, workspace) => Holder::Account(name, workspace.as_ref()),
            Self::Workspace(slug) => Holder::Workspace(slug),
            Self::Project(name) => Holder::Project(name),
            Self::Repository(name) => Holder::Repository(name),
        }
    }

    /// The place of an access token of a kind.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn place(kind: Kind, place: &str) -> Result<Self, AdminError> {
        let parsed = match kind {
            Kind::WorkspaceToken => place.parse().map(Self::Workspace),
            Kind::ProjectToken => place.parse().map(Self::Project),
            _ => place.parse().map(Self::Repository),
        };
        parsed.map_err(|error| AdminError::Wrong {
            field: "for",
            sentence: error.to_string(),
            remedy: "a place is WS, WS/KEY or WS/REPO, as the kind is workspace, project or repository".into(),
        })
    }
}

impl Whose {
    /// A call that lists tokens, for these alone.
    pub(crate) fn narrow(&self, call: Call) -> Call {
        match self {
            Self::Everybodys => call,
            Self::Account(name) => call.with("account", Some(name)),
            Self::Workspace(slug) => call.with("workspace", Some(slug)),
        }
    }

    pub(crate) fn as_filter(&self) -> Credentials<'_> {
        match self {
            Self::Everybodys => Credentials::All,
            Self::Account(name) => Credentials::Account(name),
            Self::Workspace(slug) => Credentials::Workspace(slug),
        }
    }
}

impl TokenRow {
    pub(crate) fn of(credential: &Credential, calendar: &Calendar, now: Timestamp) -> Self {
        let workspace = credential.place.as_ref().map(|place| place.split('/').next().unwrap_or(place).to_owned());
        Self {
            id: credential.id.to_string(),
            kind: credential.kind.word().into(),
            account: credential.account.as_ref().map(ToString::to_string),
            name: credential.name.clone(),
            scopes: credential.scopes.names().into_iter().map(str::to_owned).collect(),
            workspace,
            place: credential.place.clone(),
            created_at: credential.created_at.to_string(),
            expires_at: credential.expires_at.map(|at| at.to_string()),
            revoked_at: credential.revoked_at.map(|at| at.to_string()),
            replaced_by: credential.replaced_by.map(|id| id.to_string()),
            made_by: credential.made_by.map(|id| id.to_string()),
            last_used: credential.last_use.as_ref().map(UseRow::of),
            state: state(credential, calendar, now).into(),
        }
    }

    /// The account or the place that it belongs to.
    pub fn owner(&self) -> &str {
        self.account.as_deref().or(self.place.as_deref()).unwrap_or_default()
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

/// What keeps a token from being accepted, or `valid`.
pub(crate) fn state(credential: &Credential, calendar: &Calendar, now: Timestamp) -> &'static str {
    match (credential.revoked_at, credential.expires_at, calendar.phase(credential.kind, now)) {
        (Some(_), ..) => "revoked",
        (None, Some(at), _) if at <= now => "expired",
        (.., Phase::Off) => "off",
        (.., Phase::Retired { .. }) => "retired",
        _ if credential.replaced_by.is_some() => "replaced",
        _ => "valid",
    }
}

/// A token's id, also out of the whole token: whoever has found a leaked one has no more than that.
///
/// # Errors
/// What is wrong with it, without its text: it may be a secret, which has no business in a message.
pub fn token_id(text: &str) -> Result<CredentialId, AdminError> {
    if let Ok(token) = UnverifiedToken::parse(&text.into()) {
        return Ok(token.id);
    }
    let text = text.trim().to_ascii_lowercase();
    // Of a token that is not whole, the id may be.
    let id = if text.starts_with("dw") { text.split('_').nth(1).unwrap_or(&text) } else { &text };
    CredentialId::parse(id).ok_or_else(|| AdminError::Wrong {
        field: "id",
        sentence: "that is not a token's id".into(),
        remedy: "ids have 12 characters; `doorward token list` shows them".into(),
    })
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);

pub(crate) fn told<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

pub(crate) fn heard<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}
