//! What applications were let do, and what they were given for it: codes, access tokens, refresh tokens.

use std::time::Duration;

use doorward_rules::{AccountId, Kind, Scopes, Timestamp};
use doorward_wire::{AccountName, TokenShape};
use secrecy::{ExposeSecret, SecretString};

use crate::credential::{Belonging, insert};
use crate::database::new_id;
use crate::row::Row;
use crate::secret::{digest, random_letters};
use crate::{Account, Change, Consumer, NewCredential, Noun, Store, StoreError};

/// What a person let an application do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The application's key.
    pub consumer: String,
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Since when.
    pub created_at: Timestamp,
    /// When one of its tokens was last used.
    pub last_used_at: Option<Timestamp>,
}

/// What an application is given.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: SecretString,
    /// How long that lasts.
    pub lifetime: Duration,
    /// By which it gets the next ones, if it acts for a person.
    pub refresh: Option<SecretString>,
    /// What they are good for.
    pub scopes: Scopes,
}

/// What a person says to an application's wish.
#[derive(Debug, Clone)]
pub struct NewGrant<'a> {
    /// The application.
    pub consumer: &'a Consumer,
    /// The person.
    pub account: &'a Account,
    /// What it may do.
    pub scopes: Scopes,
    /// Whether the person signed in at an organisation's own provider.
    pub single_sign_on: bool,
    /// Where the browser goes back to, if the application said so.
    pub redirect_uri: Option<&'a str>,
    /// By what the application will prove that it is the one that asked (RFC 7636), if it said so.
    pub challenge: Option<&'a str>,
}

/// A code or a refresh token that is worth nothing, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worthless {
    /// There is none such, or it is another application's.
    Unknown,
    /// It has ended.
    Expired,
    /// It was used before: whoever has it now, or had it then, is not who it was for. What was given for it has ended.
    UsedBefore,
    /// What it was given for was ended, or its account is disabled.
    Ended,
    /// What was sent with it is not what it was made with.
    Mismatch,
    /// More is asked for than was granted.
    Beyond,
}

impl Store {
    /// Lets an application do something for a person; the code that the browser carries to it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn create_grant(&self, new: NewGrant<'_>, now: Timestamp) -> Result<SecretString, StoreError> {
        let (id, code) = (new_id(now).to_string(), random_letters(CODE));
        let mut change = self.change(now).await?;
        sqlx::query(
            "INSERT INTO oauth_grant (id, consumer_id, account_id, scopes, single_sign_on, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&id)
        .bind(&new.consumer.key)
        .bind(new.account.id.to_string())
        .bind(new.scopes.to_string())
        .bind(new.single_sign_on)
        .bind(now.0)
        .execute(change.connection())
        .await?;
        sqlx::query(
            "INSERT INTO oauth_code (digest, grant_id, redirect_uri, challenge, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(digest(&code).as_slice())
        .bind(&id)
        .bind(new.redirect_uri)
        .bind(new.challenge)
        .bind(now.after(CODE_LIFE).0)
        .execute(change.connection())
        .await?;
        let (account, consumer) = (&new.account.name, new.consumer);
        let sentence = format!(
            "`{account}` let the application `{}` ({}) act for it with the scopes {}",
            consumer.key, consumer.name, new.scopes
        );
        change.commit("grant.given", &crate::account::subject(account), sentence).await?;
        Ok(code)
    }

    /// Gives an application tokens for a code. `matches` is asked whether the redirect address and the challenge that the code
    /// was made with go with what came with it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn redeem_code(
        &self,
        consumer: &Consumer,
        code: &SecretString,
        matches: impl FnOnce(Option<&str>, Option<&str>) -> bool,
        now: Timestamp,
    ) -> Result<Result<Tokens, Worthless>, StoreError> {
        // Whoever guesses takes no lock.
        let there = sqlx::query("SELECT 1 FROM oauth_code WHERE digest = $1").bind(digest(code).as_slice());
        if there.fetch_optional(self.reading()).await?.is_none() {
            return Ok(Err(Worthless::Unknown));
        }
        let mut change = self.change(now).await?;
        let row = sqlx::query(
            "SELECT c.redirect_uri, c.challenge, c.expires_at, c.used_at, g.id AS grant_id FROM oauth_code c \
             JOIN oauth_grant g ON g.id = c.grant_id WHERE c.digest = $1 AND g.consumer_id = $2",
        )
        .bind(digest(code).as_slice())
        .bind(&consumer.key)
        .fetch_optional(change.connection())
        .await?;
        let Some(row) = row.map(Row) else { return change.give_up(Worthless::Unknown).await };
        let grant = row.text("grant_id")?;
        // First whether it comes from who asked for it: nobody else's second try is to end anything.
        let (redirect, challenge) = (row.optional_text("redirect_uri")?, row.optional_text("challenge")?);
        if !matches(redirect.as_deref(), challenge.as_deref()) {
            return change.give_up(Worthless::Mismatch).await;
        }
        if row.optional_time("used_at")?.is_some() {
            end_reused(change, &grant, consumer, "code").await?;
            return Ok(Err(Worthless::UsedBefore));
        }
        if row.time("expires_at")? <= now {
            return change.give_up(Worthless::Expired).await;
        }
        sqlx::query("UPDATE oauth_code SET used_at = $1 WHERE digest = $2")
            .bind(now.0)
            .bind(digest(code).as_slice())
            .execute(change.connection())
            .await?;
        give(change, consumer, &grant, Refresh::New(random_letters(REFRESH)), None).await
    }

    /// Gives an application new tokens for a refresh token. An application that has not heard the answer, or asks in many places at
    /// once, is given the same refresh token again for a while; later, or when that was used already, it is a thief's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn refresh_grant(
        &self,
        consumer: &Consumer,
        refresh: &SecretString,
        asked: Option<Scopes>,
        now: Timestamp,
    ) -> Result<Result<Tokens, Worthless>, StoreError> {
        let there = sqlx::query("SELECT 1 FROM refresh_token WHERE digest = $1").bind(digest(refresh).as_slice());
        if there.fetch_optional(self.reading()).await?.is_none() {
            return Ok(Err(Worthless::Unknown));
        }
        let mut change = self.change(now).await?;
        let row = sqlx::query(
            "SELECT r.expires_at, r.used_at, r.successor, g.id AS grant_id FROM refresh_token r \
             JOIN oauth_grant g ON g.id = r.grant_id WHERE r.digest = $1 AND g.consumer_id = $2",
        )
        .bind(digest(refresh).as_slice())
        .bind(&consumer.key)
        .fetch_optional(change.connection())
        .await?;
        let Some(row) = row.map(Row) else { return change.give_up(Worthless::Unknown).await };
        let (grant, used) = (row.text("grant_id")?, row.optional_time("used_at")?);
        if let Some(at) = used {
            let successor = self.seal.read(&purpose(&grant), &row.bytes("successor")?)?;
            let successor = SecretString::from(String::from_utf8_lossy(successor.expose_secret()).into_owned());
            let passed_on = sqlx::query("SELECT 1 FROM refresh_token WHERE digest = $1 AND used_at IS NOT NULL")
                .bind(digest(&successor).as_slice())
                .fetch_optional(change.connection())
                .await?;
            if at.after(AGAIN) <= now || passed_on.is_some() {
                end_reused(change, &grant, consumer, "refresh token").await?;
                return Ok(Err(Worthless::UsedBefore));
            }
            return give(change, consumer, &grant, Refresh::Same(successor), asked).await;
        }
        if row.time("expires_at")? <= now {
            return change.give_up(Worthless::Expired).await;
        }
        let next = random_letters(REFRESH);
        sqlx::query("UPDATE refresh_token SET used_at = $1, successor = $2 WHERE digest = $3")
            .bind(now.0)
            .bind(self.seal.close(&purpose(&grant), next.expose_secret().as_bytes()))
            .bind(digest(refresh).as_slice())
            .execute(change.connection())
            .await?;
        give(change, consumer, &grant, Refresh::New(next), asked).await
    }

    /// Gives an application an access token for itself: it acts for its workspace, and for no person.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn grant_itself(
        &self,
        consumer: &Consumer,
        asked: Option<Scopes>,
        now: Timestamp,
    ) -> Result<Tokens, StoreError> {
        let mut change = self.change(now).await?;
        sqlx::query(
            "INSERT INTO oauth_grant (id, consumer_id, scopes, single_sign_on, created_at) \
             SELECT id, id, scopes, FALSE, $1 FROM consumer WHERE id = $2 ON CONFLICT (id) DO NOTHING",
        )
        .bind(now.0)
        .bind(&consumer.key)
        .execute(change.connection())
        .await?;
        give(change, consumer, &consumer.key, Refresh::None, asked)
            .await?
            .map_err(|_| StoreError::missing(Noun::Consumer, &consumer.key))
    }

    /// Ends what a token of an application was given by, be it an access token or a refresh token (RFC 7009). Of one that there is
    /// not, nothing is said.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn revoke_by_token(
        &self,
        consumer: &Consumer,
        token: &SecretString,
        now: Timestamp,
    ) -> Result<Result<(), Worthless>, StoreError> {
        let row = sqlx::query(
            "SELECT g.id, g.consumer_id FROM oauth_grant g WHERE g.revoked_at IS NULL AND g.id IN ( \
               SELECT grant_id FROM refresh_token WHERE digest = $1 \
               UNION ALL SELECT grant_id FROM credential WHERE digest = $1)",
        )
        .bind(digest(token).as_slice())
        .fetch_optional(self.reading())
        .await?;
        let Some(row) = row.map(Row) else { return Ok(Ok(())) };
        if row.text("consumer_id")? != consumer.key {
            return Ok(Err(Worthless::Mismatch));
        }
        let grant = row.text("id")?;
        let mut change = self.change(now).await?;
        if grant == consumer.key {
            // What it may do for itself goes on; this token of its does not.
            sqlx::query("UPDATE credential SET revoked_at = $1 WHERE digest = $2 AND revoked_at IS NULL")
                .bind(now.0)
                .bind(digest(token).as_slice())
                .execute(change.connection())
                .await?;
        } else {
            end(&mut change, &grant).await?;
        }
        let sentence = format!("the application `{}` ({}) gave back what it was let do", consumer.key, consumer.name);
        change.commit("grant.revoked", consumer.workspace.as_str(), sentence).await?;
        Ok(Ok(()))
    }

    /// What a person lets applications do, each application once, the latest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn grants(&self, account: AccountId) -> Result<Vec<Grant>, StoreError> {
        let rows = sqlx::query(
            "SELECT g.*, c.name, (SELECT max(u.last_at) FROM credential t JOIN credential_use u ON u.credential_id = t.id \
               WHERE t.grant_id = g.id) AS last_at \
             FROM oauth_grant g JOIN consumer c ON c.id = g.consumer_id \
             WHERE g.account_id = $1 AND g.revoked_at IS NULL AND EXISTS ( \
               SELECT 1 FROM refresh_token r WHERE r.grant_id = g.id) ORDER BY g.created_at DESC, g.id",
        )
        .bind(account.to_string());
        let mut grants: Vec<Grant> = Vec::new();
        for row in rows.fetch_all(self.reading()).await?.into_iter().map(Row) {
            let (consumer, scopes) = (row.text("consumer_id")?, row.scopes("scopes")?);
            let (created_at, last_used_at) = (row.time("created_at")?, row.optional_time("last_at")?);
            match grants.iter_mut().find(|grant| grant.consumer == consumer) {
                Some(grant) => {
                    grant.scopes = grant.scopes.and(scopes);
                    grant.created_at = grant.created_at.min(created_at);
                    grant.last_used_at = grant.last_used_at.max(last_used_at);
                }
                None => {
                    grants.push(Grant { consumer, name: row.text("name")?, scopes, created_at, last_used_at });
                }
            }
        }
        Ok(grants)
    }

    /// Ends everything that a person lets an application do, by its key.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if the person lets it do nothing.
    pub async fn revoke_grants(&self, account: &Account, consumer: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        let rows = sqlx::query(
            "SELECT g.id, c.name FROM oauth_grant g JOIN consumer c ON c.id = g.consumer_id \
             WHERE c.id = $1 AND g.account_id = $2 AND g.revoked_at IS NULL",
        )
        .bind(consumer)
        .bind(account.id.to_string())
        .fetch_all(change.connection())
        .await?;
        let mut name = None;
        for row in rows.into_iter().map(Row) {
            end(&mut change, &row.text("id")?).await?;
            name = Some(row.text("name")?);
        }
        let Some(name) = name else { return change.give_up_with(StoreError::missing(Noun::Grant, consumer)).await };
        let sentence = format!("`{}` let the application `{name}` act for it no more", account.name);
        change.commit("grant.revoked", &crate::account::subject(&account.name), sentence).await
    }
}

/// What refresh token goes with an access token.
enum Refresh {
    /// None: the application asks for itself.
    None,
    /// A new one.
    New(SecretString),
    /// One that was given already.
    Same(SecretString),
}

/// Makes an access token by a grant, for no more than is asked for.
async fn give(
    mut change: Change,
    consumer: &Consumer,
    grant: &str,
    refresh: Refresh,
    asked: Option<Scopes>,
) -> Result<Result<Tokens, Worthless>, StoreError> {
    let now = change.at();
    let row = sqlx::query(
        "SELECT g.*, a.name, a.disabled, c.workspace_id, c.scopes AS most, \
           (SELECT max(i.seen_at) FROM identity i WHERE i.account_id = g.account_id) AS seen_at FROM oauth_grant g \
         JOIN consumer c ON c.id = g.consumer_id LEFT JOIN account a ON a.id = g.account_id \
         WHERE g.id = $1 AND g.revoked_at IS NULL AND c.revoked_at IS NULL",
    )
    .bind(grant)
    .fetch_optional(change.connection())
    .await?;
    let Some(row) = row.map(Row) else { return change.give_up(Worthless::Ended).await };
    let account: Option<AccountName> = row.optional_parsed("name")?;
    if account.is_some() && row.truth("disabled")? {
        return change.give_up(Worthless::Ended).await;
    }
    // Who does not come to its provider any more may not be let in there any more.
    let seen = row.optional_time("seen_at")?;
    if account.is_some() && row.truth("single_sign_on")? && seen.is_none_or(|seen| seen < now.before(UNSEEN)) {
        return change.give_up(Worthless::Ended).await;
    }
    let granted = row.scopes("scopes")?;
    let scopes = match asked {
        None => granted,
        Some(asked) if granted.effective().contains_all(asked) => asked,
        Some(_) => return change.give_up(Worthless::Beyond).await,
    };
    let new = NewCredential {
        kind: Kind::OAuthToken,
        shape: TokenShape::Doorward,
        name: &consumer.name,
        scopes,
        expires_at: Some(now.after(ACCESS_LIFE)),
    };
    let by_itself = account.is_none();
    let belonging = Belonging {
        account: row.optional_text("account_id")?,
        account_name: account,
        workspace: if by_itself { row.optional_text("workspace_id")? } else { None },
        place: by_itself.then(|| consumer.workspace.to_string()),
        grant: Some(grant.to_owned()),
        single_sign_on: Some(row.truth("single_sign_on")?),
        ..Belonging::default()
    };
    let (credential, access) = insert(&mut change, &new, &belonging).await?;
    if let Refresh::New(refresh) = &refresh {
        sqlx::query("INSERT INTO refresh_token (digest, grant_id, expires_at) VALUES ($1, $2, $3)")
            .bind(digest(refresh).as_slice())
            .bind(grant)
            .bind(now.after(REFRESH_LIFE).0)
            .execute(change.connection())
            .await?;
    }
    let sentence = format!(
        "the application `{}` ({}) was given an access token for `{}` with the scopes {scopes}",
        consumer.key,
        consumer.name,
        belonging.owner()
    );
    // Nobody can have asked about a token that there was not.
    change.commit_unasked("token.created", credential.id.as_str(), sentence).await?;
    let refresh = match refresh {
        Refresh::None => None,
        Refresh::New(refresh) | Refresh::Same(refresh) => Some(refresh),
    };
    Ok(Ok(Tokens { access, lifetime: ACCESS_LIFE, refresh, scopes }))
}

/// Ends a grant whose code or refresh token was used twice: one of the two had stolen it, and nobody can tell which.
async fn end_reused(mut change: Change, grant: &str, consumer: &Consumer, what: &str) -> Result<(), StoreError> {
    end(&mut change, grant).await?;
    let sentence = format!(
        "a {what} of the application `{}` ({}) was used twice, which a thief would do; what it was given for has ended",
        consumer.key, consumer.name
    );
    change.commit("grant.reused", consumer.workspace.as_str(), sentence).await
}

pub(crate) async fn end(change: &mut Change, grant: &str) -> Result<(), StoreError> {
    let at = change.at().0;
    for sql in [
        "UPDATE oauth_grant SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
        "UPDATE credential SET revoked_at = $1 WHERE grant_id = $2 AND revoked_at IS NULL",
    ] {
        sqlx::query(sql).bind(at).bind(grant).execute(change.connection()).await?;
    }
    Ok(())
}

/// What a refresh token is sealed for.
fn purpose(grant: &str) -> String {
    format!("refresh token of {grant}")
}

/// Letters of codes and refresh tokens: more than 240 bits.
const CODE: usize = 43;
const REFRESH: usize = 43;
/// RFC 6749 §4.1.2 asks for ten minutes at most.
const CODE_LIFE: Duration = Duration::from_secs(300);
/// As Bitbucket Cloud's last.
const ACCESS_LIFE: Duration = Duration::from_secs(7200);
/// As long as Bitbucket Cloud keeps those that nobody uses.
const REFRESH_LIFE: Duration = Duration::from_secs(90 * 86_400);
/// How long applications go on acting for somebody who has not signed in at its provider again.
const UNSEEN: Duration = Duration::from_secs(30 * 86_400);
/// How long after its first use a refresh token is not taken for a stolen one.
const AGAIN: Duration = Duration::from_secs(60);
