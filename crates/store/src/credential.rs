//! Credentials: made, listed, rotated and revoked. A secret passes through here once and is never stored.

use std::time::Duration;

use doorward_rules::{AccountId, CredentialId, Form, Kind, Limit, NameForm, Scopes, Timestamp, WorkspaceId};
use doorward_wire::{AccountName, MintedToken, ProjectName, RepositoryName, TokenShape, WorkspaceSlug};
use secrecy::SecretString;
use sqlx::AssertSqlSafe;

use crate::database::fill_random;
use crate::row::Row;
use crate::usage::{Use, usage};
use crate::{Change, Noun, Store, StoreError};

/// A credential, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its public id.
    pub id: CredentialId,
    /// Its kind.
    pub kind: Kind,
    /// The account it acts for; `None` for an access token, which acts for nobody.
    pub account: Option<AccountName>,
    /// What its maker called it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The only place it may be used in, if it is limited to one: a workspace, `WS/KEY` or `WS/REPO`.
    pub place: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
    /// The credential that took its place when it was rotated.
    pub replaced_by: Option<CredentialId>,
    /// The credential that it was made with, if it was made from elsewhere.
    pub made_by: Option<CredentialId>,
    /// Whether it comes from a sign-in at an organisation's own provider.
    pub single_sign_on: bool,
    /// What it was given by, if an application was given it.
    pub grant: Option<String>,
    /// When it was last let in.
    pub last_use: Option<Use>,
}

/// Whose credentials somebody may administer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everybody's.
    Everybodys,
    /// An account's own, and the access tokens of the workspaces that it owns.
    Account(AccountId),
    /// The access tokens of a workspace.
    Workspace(WorkspaceId),
    /// No other's.
    Nobodys,
}

/// Which credentials to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// All.
    All,
    /// Those of an account.
    Account(&'a AccountName),
    /// The access tokens of a workspace and of what is in it.
    Workspace(&'a WorkspaceSlug),
}

/// What to make a credential of.
#[derive(Debug, Clone)]
pub struct NewCredential<'a> {
    /// Its kind.
    pub kind: Kind,
    /// What its secret looks like.
    pub shape: TokenShape,
    /// What its maker calls it.
    pub name: &'a str,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// What a credential belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// An account, which it acts for; perhaps in one workspace alone.
    Account(&'a AccountName, Option<&'a WorkspaceSlug>),
    /// A workspace.
    Workspace(&'a WorkspaceSlug),
    /// A project.
    Project(&'a ProjectName),
    /// A repository.
    Repository(&'a RepositoryName),
}

/// What came of a rotation.
#[derive(Debug)]
pub struct Rotated {
    /// The new credential.
    pub credential: Credential,
    /// Its secret, to be shown once.
    pub secret: SecretString,
    /// When the old secret ends.
    pub old_expires_at: Timestamp,
    /// The old credential, as it was.
    pub old: Credential,
}

/// Where a credential belongs, as ids.
#[derive(Debug, Default)]
pub(crate) struct Belonging {
    pub(crate) account: Option<String>,
    pub(crate) account_name: Option<AccountName>,
    pub(crate) workspace: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) place: Option<String>,
    pub(crate) grant: Option<String>,
    /// Of those that an administrator makes, OAuth access tokens are vouched for by that.
    pub(crate) single_sign_on: Option<bool>,
}

impl Store {
    /// Makes a credential. The secret is returned this once.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such account or place; [`StoreError::State`] if no credential of this kind
    /// may be made now, or none that lasts as long.
    pub async fn create_credential(
        &self,
        holder: Holder<'_>,
        new: NewCredential<'_>,
        now: Timestamp,
    ) -> Result<(Credential, SecretString), StoreError> {
        self.check_kind(new.kind, now).await?;
        self.check_policy(holder, &new, now).await?;
        let belonging = self.belonging(holder).await?;
        let mut change = self.change(now).await?;
        let (credential, secret) = insert(&mut change, &new, &belonging).await?;
        let sentence = format!(
            "{} `{}` ({}) was created for `{}` with the scopes {}",
            new.kind.phrase(),
            credential.id,
            credential.name,
            belonging.owner(),
            credential.scopes
        );
        change.commit("token.created", credential.id.as_str(), sentence).await?;
        Ok((credential, secret))
    }

    /// Makes a credential like this one and lets the old one go on for `overlap`, so that nothing is refused while the new
    /// secret is carried to where the old one is used.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such credential, [`StoreError::State`] if it has ended or was rotated
    /// already.
    pub async fn rotate_credential(
        &self,
        id: CredentialId,
        shape: TokenShape,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        let Credential { kind, place, grant, .. } = self.credential(id).await?;
        if kind == Kind::WebSession || grant.is_some() {
            let sentence = format!("a {} is renewed by whoever has it, and cannot be rotated", kind.phrase());
            return Err(StoreError::State(sentence));
        }
        self.check_kind(kind, now).await?;
        let longest = match place.as_deref().and_then(|place| place.split('/').next()?.parse().ok()) {
            Some(slug) => self.check_allowed(&slug, kind).await?,
            None => None,
        };
        let mut change = self.change(now).await?;
        let row =
            sqlx::query(list("WHERE c.id = $1")).bind(id.as_str()).fetch_one(change.connection()).await.map(Row)?;
        let old = credential(&row)?;
        if let Some(at) = old.revoked_at.or(old.expires_at.filter(|at| *at <= now)) {
            return Err(StoreError::State(format!(
                "token `{id}` ended at {at} and cannot be rotated; create a new one"
            )));
        }
        if let Some(by) = old.replaced_by {
            return Err(StoreError::State(format!(
                "token `{id}` was rotated already; rotate `{by}`, which took its place"
            )));
        }
        let belonging = Belonging {
            account: row.optional_text("account_id")?,
            account_name: old.account.clone(),
            workspace: row.optional_text("workspace_id")?,
            project: row.optional_text("project_id")?,
            repository: row.optional_text("repository_id")?,
            place: old.place.clone(),
            single_sign_on: Some(old.single_sign_on),
            grant: None,
        };
        // The new one lasts as long as the old one was made to last, or as long as anything may by now.
        let lifetime = old.expires_at.map(|at| Duration::from_millis(at.0.abs_diff(old.created_at.0)));
        let lifetime = lifetime.into_iter().chain(longest).min();
        let new = NewCredential {
            kind,
            shape,
            name: &old.name,
            scopes: old.scopes,
            expires_at: lifetime.map(|lifetime| now.after(lifetime)),
        };
        let (credential, secret) = insert(&mut change, &new, &belonging).await?;
        let end = now.after(overlap);
        let old_expires_at = old.expires_at.map_or(end, |at| at.min(end));
        sqlx::query("UPDATE credential SET expires_at = $1, replaced_by = $2 WHERE id = $3")
            .bind(old_expires_at.0)
            .bind(credential.id.as_str())
            .bind(id.as_str())
            .execute(change.connection())
            .await?;
        let sentence = format!("token `{id}` was rotated: `{}` takes its place at {old_expires_at}", credential.id);
        change.commit("token.rotated", id.as_str(), sentence).await?;
        Ok(Rotated { credential, secret, old_expires_at, old })
    }

    /// Undoes a rotation of which nobody has seen the new secret: the old credential is as it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn take_back_rotation(
        &self,
        old: &Credential,
        new: CredentialId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        sqlx::query("UPDATE credential SET expires_at = $1, replaced_by = NULL WHERE id = $2 AND replaced_by = $3")
            .bind(old.expires_at.map(|at| at.0))
            .bind(old.id.as_str())
            .bind(new.as_str())
            .execute(change.connection())
            .await?;
        sqlx::query("UPDATE credential SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
            .bind(now.0)
            .bind(new.as_str())
            .execute(change.connection())
            .await?;
        let sentence = format!("the rotation of token `{}` was taken back: nobody saw the secret of `{new}`", old.id);
        change.commit("token.rotation_taken_back", old.id.as_str(), sentence).await
    }

    /// Ends a credential, and, within a reach, those that were made with it, and with those again. When this returns, no request that
    /// begins afterwards is let in with one of them. Which ones there were, the first one first.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such credential, [`StoreError::State`] if none of them was valid.
    pub async fn revoke_credential(
        &self,
        id: CredentialId,
        with_made: Option<Reach>,
        now: Timestamp,
    ) -> Result<Vec<CredentialId>, StoreError> {
        let (account, workspace) = with_made.map_or((None, None), Reach::as_ids);
        let mut change = self.change(now).await?;
        let rows = sqlx::query(
            "WITH RECURSIVE ended (id) AS ( \
               SELECT $2 UNION SELECT c.id FROM credential c JOIN ended e ON $3 AND c.made_by = e.id) \
             UPDATE credential SET revoked_at = $1 WHERE revoked_at IS NULL AND id IN (SELECT id FROM ended) \
               AND (id = $2 OR ($4 IS NULL AND $5 IS NULL) OR account_id = $4 OR (account_id IS NULL AND workspace_id IN \
                 (SELECT w.id FROM workspace w WHERE w.id = $5 OR w.owner_id = $4))) \
             RETURNING id",
        )
        .bind(now.0)
        .bind(id.as_str())
        .bind(with_made.is_some())
        .bind(account)
        .bind(workspace)
        .fetch_all(change.connection())
        .await?;
        let mut ended = rows.into_iter().map(|row| Row(row).credential_id("id")).collect::<Result<Vec<_>, _>>()?;
        if ended.is_empty() {
            drop(change);
            let at = self.credential(id).await?.revoked_at;
            let at = at.map_or_else(String::new, |at| format!(" at {at}"));
            return Err(StoreError::State(format!("token `{id}` was already revoked{at}")));
        }
        ended.sort_by_key(|other| *other != id);
        let others: Vec<String> = ended.iter().filter(|other| **other != id).map(ToString::to_string).collect();
        let sentence = match others.as_slice() {
            [] => format!("token `{id}` was revoked"),
            others => format!("token `{id}` was revoked, and those that were made with it: {}", others.join(", ")),
        };
        change.commit("token.revoked", id.as_str(), sentence).await?;
        Ok(ended)
    }

    /// The living credentials within a reach that were made with another, be it by rotating one, and with those again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn credentials_made_with(
        &self,
        id: CredentialId,
        reach: Reach,
        now: Timestamp,
    ) -> Result<Vec<CredentialId>, StoreError> {
        let (account, workspace) = reach.as_ids();
        let rows = sqlx::query(
            "WITH RECURSIVE made (id) AS ( \
               SELECT $1 UNION SELECT c.id FROM credential c JOIN made m ON c.made_by = m.id) \
             SELECT id FROM credential WHERE id IN (SELECT id FROM made) AND id <> $1 AND revoked_at IS NULL \
               AND (expires_at IS NULL OR expires_at > $2) \
               AND (($3 IS NULL AND $4 IS NULL) OR account_id = $3 OR (account_id IS NULL AND workspace_id IN \
                 (SELECT w.id FROM workspace w WHERE w.id = $4 OR w.owner_id = $3))) ORDER BY created_at, id",
        )
        .bind(id.as_str())
        .bind(now.0)
        .bind(account)
        .bind(workspace)
        .fetch_all(self.reading())
        .await?;
        rows.into_iter().map(|row| Row(row).credential_id("id")).collect()
    }

    /// The credential with this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn credential(&self, id: CredentialId) -> Result<Credential, StoreError> {
        let row = sqlx::query(list("WHERE c.id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.reading())
            .await?
            .ok_or_else(|| StoreError::missing(Noun::Token, id))?;
        credential(&Row(row))
    }

    /// Credentials, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such account or workspace.
    pub async fn credentials(&self, which: Credentials<'_>) -> Result<Vec<Credential>, StoreError> {
        let (account, workspace) = match which {
            Credentials::All => (None, None),
            Credentials::Account(name) => (Some(self.account(name).await?.id.to_string()), None),
            Credentials::Workspace(slug) => (None, Some(self.workspace(slug).await?.id.to_string())),
        };
        let rows = sqlx::query(list(
            "WHERE ($1 IS NULL OR c.account_id = $1) \
             AND ($2 IS NULL OR (c.workspace_id = $2 AND c.account_id IS NULL)) \
             AND c.kind <> 'web_session' AND c.grant_id IS NULL ORDER BY c.created_at, c.id",
        ))
        .bind(account)
        .bind(workspace)
        .fetch_all(self.reading())
        .await?;
        rows.into_iter().map(|row| credential(&Row(row))).collect()
    }

    /// The living credentials that reach something in a workspace: its own, those of its places, and those of accounts
    /// that may do anything there.
    pub(crate) async fn credentials_reaching(
        &self,
        slug: &WorkspaceSlug,
        now: Timestamp,
    ) -> Result<Vec<Credential>, StoreError> {
        let workspace = self.workspace(slug).await?.id.to_string();
        let rows = sqlx::query(list(
            "WHERE c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $2) AND c.kind <> 'web_session' \
             AND (c.workspace_id IS NULL OR c.workspace_id = $1) AND ( \
               (c.account_id IS NULL AND c.workspace_id = $1) OR EXISTS ( \
                 SELECT 1 FROM workspace w WHERE w.id = $1 AND w.owner_id = c.account_id \
                 UNION ALL SELECT 1 FROM member m WHERE m.workspace_id = $1 AND m.account_id = c.account_id \
                 UNION ALL SELECT 1 FROM permission p JOIN repository r ON r.id = p.repository_id \
                   WHERE r.workspace_id = $1 AND p.account_id = c.account_id AND p.privilege <> 'none')) \
             ORDER BY c.created_at, c.id",
        ))
        .bind(workspace)
        .bind(now.0)
        .fetch_all(self.reading())
        .await?;
        rows.into_iter().map(|row| credential(&Row(row))).collect()
    }

    /// A credential as the kernel sees it, for questions about policies.
    pub(crate) async fn as_facts(&self, credential: &Credential) -> Result<doorward_rules::Credential, StoreError> {
        let account = match &credential.account {
            Some(name) => Some(self.account(name).await?),
            None => None,
        };
        Ok(doorward_rules::Credential {
            id: credential.id,
            kind: credential.kind,
            scopes: credential.scopes,
            limit: Limit::Anywhere,
            created_at: credential.created_at,
            expires_at: credential.expires_at,
            revoked_at: credential.revoked_at,
            owner: account.as_ref().map(|account| account.id),
            owner_disabled: account.as_ref().is_some_and(|account| account.disabled),
            administrator: account.as_ref().is_some_and(|account| account.administrator),
            managed: account.as_ref().is_some_and(|account| account.managed),
            two_step: account.as_ref().map(|account| account.two_step),
            single_sign_on: credential.single_sign_on,
            form: Form::basic(NameForm::Empty),
        })
    }

    /// Whether a credential of a kind may be made now.
    async fn check_kind(&self, kind: Kind, now: Timestamp) -> Result<(), StoreError> {
        let calendar = self.calendar().await?;
        let schedule = calendar.schedule(kind);
        if schedule.may_create(now) {
            return Ok(());
        }
        let ended = schedule.creation_ends_at.or(schedule.retires_at).filter(|at| *at <= now);
        let instead = if kind == Kind::ApiToken { "an access token of the repository" } else { "an API token" };
        Err(StoreError::State(match ended {
            Some(at) => format!("{}s cannot be made since {at}; make {instead}", kind.phrase()),
            None => format!(
                "{}s are off on this server; make {instead}, or announce their end with `doorward calendar announce`",
                kind.phrase()
            ),
        }))
    }

    /// Whether the workspace that the credential is for would accept it.
    async fn check_policy(
        &self,
        holder: Holder<'_>,
        new: &NewCredential<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let slug = match holder {
            Holder::Account(_, None) => return Ok(()),
            Holder::Account(_, Some(slug)) | Holder::Workspace(slug) => slug,
            Holder::Project(name) => &name.workspace,
            Holder::Repository(name) => &name.workspace,
        };
        let Some(longest) = self.check_allowed(slug, new.kind).await? else { return Ok(()) };
        if new.expires_at.is_some_and(|at| at <= now.after(longest)) {
            return Ok(());
        }
        let days = longest.as_secs() / 86_400;
        Err(StoreError::State(format!(
            "`{slug}` lets tokens last {days} days at most; make it with `--expires {days}d` or less"
        )))
    }

    /// Whether a workspace allows a kind; how long it lets it last.
    async fn check_allowed(&self, slug: &WorkspaceSlug, kind: Kind) -> Result<Option<Duration>, StoreError> {
        let policy = self.policy(slug).await?;
        if policy.kinds.is_some_and(|kinds| !kinds.contains(kind)) {
            return Err(StoreError::State(format!(
                "`{slug}` does not allow {}s; `doorward policy show {slug}` tells what it allows",
                kind.phrase()
            )));
        }
        Ok(policy.longest)
    }

    async fn belonging(&self, holder: Holder<'_>) -> Result<Belonging, StoreError> {
        let mut belonging = Belonging::default();
        let slug = match holder {
            Holder::Account(name, slug) => {
                let account: AccountId = self.account(name).await?.id;
                belonging.account = Some(account.to_string());
                belonging.account_name = Some(name.clone());
                slug
            }
            Holder::Workspace(slug) => Some(slug),
            Holder::Project(name) => {
                belonging.project = Some(self.project(name).await?.id.to_string());
                belonging.place = Some(name.to_string());
                Some(&name.workspace)
            }
            Holder::Repository(name) => {
                belonging.repository = Some(self.repository(name).await?.id.to_string());
                belonging.place = Some(name.to_string());
                Some(&name.workspace)
            }
        };
        if let Some(slug) = slug {
            belonging.workspace = Some(self.workspace(slug).await?.id.to_string());
            belonging.place.get_or_insert_with(|| slug.to_string());
        }
        Ok(belonging)
    }
}

impl Reach {
    fn as_ids(self) -> (Option<String>, Option<String>) {
        match self {
            Self::Everybodys => (None, None),
            Self::Account(id) => (Some(id.to_string()), None),
            Self::Workspace(id) => (None, Some(id.to_string())),
            // No account has this id.
            Self::Nobodys => (Some(String::new()), None),
        }
    }
}

impl Belonging {
    pub(crate) fn owner(&self) -> &str {
        let place = self.place.as_deref().unwrap_or_default();
        self.account_name.as_ref().map_or(place, AccountName::as_str)
    }
}

pub(crate) async fn insert(
    change: &mut Change,
    new: &NewCredential<'_>,
    belonging: &Belonging,
) -> Result<(Credential, SecretString), StoreError> {
    let at = change.at();
    if let (Some(repository), Some(place)) = (&belonging.repository, &belonging.place) {
        // It may have been deleted since it was looked up, and its tokens with it.
        let found = sqlx::query("SELECT 1 FROM repository WHERE id = $1").bind(repository);
        let found = found.fetch_optional(change.connection()).await?;
        found.ok_or_else(|| StoreError::missing(Noun::Repository, place))?;
    }
    let maker = change.credential().and_then(CredentialId::parse);
    let minted = MintedToken::mint(new.kind, new.shape, fill_random);
    let single_sign_on = belonging.single_sign_on.unwrap_or(new.kind == Kind::OAuthToken);
    sqlx::query(
        "INSERT INTO credential (id, kind, account_id, name, scopes, workspace_id, project_id, repository_id, place, \
         digest, created_at, expires_at, made_by, grant_id, single_sign_on) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(minted.id.as_str())
    .bind(new.kind.word())
    .bind(&belonging.account)
    .bind(new.name)
    .bind(new.scopes.to_string())
    .bind(&belonging.workspace)
    .bind(&belonging.project)
    .bind(&belonging.repository)
    .bind(&belonging.place)
    .bind(minted.digest.as_bytes().as_slice())
    .bind(at.0)
    .bind(new.expires_at.map(|at| at.0))
    .bind(maker.map(|id| id.to_string()))
    .bind(&belonging.grant)
    .bind(single_sign_on)
    .execute(change.connection())
    .await
    .map_err(|error| StoreError::inserting(Noun::Token, minted.id, error))?;
    let credential = Credential {
        id: minted.id,
        kind: new.kind,
        account: belonging.account_name.clone(),
        name: new.name.to_owned(),
        scopes: new.scopes,
        place: belonging.place.clone(),
        created_at: at,
        expires_at: new.expires_at,
        revoked_at: None,
        replaced_by: None,
        made_by: maker,
        single_sign_on,
        grant: belonging.grant.clone(),
        last_use: None,
    };
    Ok((credential, minted.secret))
}

/// Credentials with their accounts' names and their last use.
pub(crate) fn list(which: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT c.*, a.name AS account, u.surface, u.action, u.last_at, u.address, u.subject, u.requests \
         FROM credential c LEFT JOIN account a ON a.id = c.account_id \
         LEFT JOIN credential_use u ON u.rowid = \
           (SELECT rowid FROM credential_use WHERE credential_id = c.id ORDER BY last_at DESC LIMIT 1) {which}"
    ))
}

pub(crate) fn credential(row: &Row) -> Result<Credential, StoreError> {
    let replaced_by = match row.optional_text("replaced_by")? {
        Some(_) => Some(row.credential_id("replaced_by")?),
        None => None,
    };
    let made_by = match row.optional_text("made_by")? {
        Some(_) => Some(row.credential_id("made_by")?),
        None => None,
    };
    Ok(Credential {
        id: row.credential_id("id")?,
        kind: row.word("kind", Kind::from_word)?,
        account: row.optional_parsed("account")?,
        name: row.text("name")?,
        scopes: row.scopes("scopes")?,
        place: row.optional_text("place")?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        replaced_by,
        made_by,
        single_sign_on: row.truth("single_sign_on")?,
        grant: row.optional_text("grant_id")?,
        last_use: if row.optional_number("last_at")?.is_some() { Some(usage(row)?) } else { None },
    })
}
