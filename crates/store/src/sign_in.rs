//! How people sign in: passwords, links to choose one, sessions. What a password is worth is not decided here.

use std::time::Duration;

use doorward_rules::{AccountId, Action, CredentialId, Kind, Rule, Scopes, Surface, Timestamp};
use doorward_wire::{AccountName, TokenShape};
use secrecy::SecretString;

use crate::account::{account, subject};
use crate::credential::{Belonging, insert};
use crate::row::Row;
use crate::secret::{digest, random_letters};
use crate::{Account, Credential, Decision, NewCredential, ProviderSession, Store, StoreError};

/// Who may want to sign in, and what there is to check.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The account.
    pub account: Account,
    /// The hash of its password, if it has one.
    pub password: Option<String>,
}

impl Store {
    /// The account with a user name or an e-mail address, and what is known of its password.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn sign_in(&self, name: &str) -> Result<Option<SignIn>, StoreError> {
        let row = sqlx::query(
            "SELECT a.*, p.hash FROM account a LEFT JOIN password p ON p.account_id = a.id \
             WHERE a.name = $1 OR a.email = $1",
        )
        .bind(name.to_ascii_lowercase())
        .fetch_optional(self.reading())
        .await?;
        let Some(row) = row.map(Row) else { return Ok(None) };
        Ok(Some(SignIn { account: account(&row)?, password: row.optional_text("hash")? }))
    }

    /// Makes a secret by which whoever has it chooses the password of an account, once, within a time. Those that were made
    /// before are worth nothing from now on.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such account.
    pub async fn create_sign_in_link(
        &self,
        name: &AccountName,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(SecretString, Timestamp), StoreError> {
        let id = self.account(name).await?.id;
        let (secret, expires_at) = (random_letters(LINK), now.after(lifetime));
        let mut change = self.change(now).await?;
        sqlx::query("DELETE FROM sign_in_link WHERE account_id = $1 OR expires_at <= $2")
            .bind(id.to_string())
            .bind(now.0)
            .execute(change.connection())
            .await?;
        sqlx::query("INSERT INTO sign_in_link (digest, account_id, expires_at) VALUES ($1, $2, $3)")
            .bind(digest(&secret).as_slice())
            .bind(id.to_string())
            .bind(expires_at.0)
            .execute(change.connection())
            .await?;
        let sentence = format!("a link was made by which the password of `{name}` can be chosen until {expires_at}");
        change.commit("account.link", &subject(name), sentence).await?;
        Ok((secret, expires_at))
    }

    /// Whose password may be chosen by a link; nobody's if it was used, has ended, or never was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn sign_in_link(&self, link: &SecretString, now: Timestamp) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(
            "SELECT a.* FROM sign_in_link l JOIN account a ON a.id = l.account_id WHERE l.digest = $1 AND l.expires_at > $2",
        )
        .bind(digest(link).as_slice())
        .bind(now.0)
        .fetch_optional(self.reading())
        .await?;
        row.map(|row| account(&Row(row))).transpose()
    }

    /// Sets the password of an account by a link, which is worth nothing afterwards, and ends all its sessions.
    ///
    /// # Errors
    /// [`StoreError::State`] if the link is worth nothing.
    pub async fn set_password_by_link(
        &self,
        link: &SecretString,
        hash: &str,
        now: Timestamp,
    ) -> Result<Account, StoreError> {
        let mut change = self.change(now).await?;
        let row = sqlx::query(
            "DELETE FROM sign_in_link WHERE digest = $1 AND expires_at > $2 \
             AND NOT EXISTS (SELECT 1 FROM account a WHERE a.id = account_id AND a.disabled) RETURNING account_id",
        )
        .bind(digest(link).as_slice())
        .bind(now.0)
        .fetch_optional(change.connection())
        .await?;
        let gone = || StoreError::State("the link was used already, or has ended".into());
        let id: AccountId = Row(row.ok_or_else(gone)?).parsed("account_id")?;
        let row = sqlx::query("SELECT * FROM account WHERE id = $1").bind(id.to_string());
        let account = account(&Row(row.fetch_one(change.connection()).await?))?;
        set_password(&mut change, id, hash, None).await?;
        let sentence = format!("the password of `{}` was chosen by a link; its sessions have ended", account.name);
        change.commit("account.password", &subject(&account.name), sentence).await?;
        Ok(account)
    }

    /// Sets the password of an account, and ends all its sessions but one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn set_password(
        &self,
        account: &Account,
        hash: &str,
        but: CredentialId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        set_password(&mut change, account.id, hash, Some(but)).await?;
        let sentence = format!("the password of `{}` was changed; its other sessions have ended", account.name);
        change.commit("account.password", &subject(&account.name), sentence).await
    }

    /// Opens a session: by a password, or by one at a provider, and then that may end it. Its secret is for a cookie, and returned
    /// this once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn open_session(
        &self,
        account: &Account,
        agent: &str,
        provider: Option<ProviderSession<'_>>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(Credential, SecretString), StoreError> {
        let mut change = self.change(now).await?;
        let new = NewCredential {
            kind: Kind::WebSession,
            shape: TokenShape::Doorward,
            name: agent,
            scopes: Scopes::NONE,
            expires_at: Some(expires_at),
        };
        let belonging = Belonging {
            account: Some(account.id.to_string()),
            account_name: Some(account.name.clone()),
            single_sign_on: Some(provider.is_some()),
            ..Belonging::default()
        };
        let made = insert(&mut change, &new, &belonging).await?;
        if let Some(ProviderSession { identity, session, proven_at }) = provider {
            sqlx::query(
                "INSERT INTO provider_session (credential_id, issuer, subject, session, proven_at, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(made.0.id.as_str())
            .bind(identity.issuer)
            .bind(identity.subject)
            .bind(session)
            .bind(proven_at.map(|at| at.0))
            .bind(now.0)
            .execute(change.connection())
            .await?;
        }
        let by = provider.map_or_else(String::new, |session| format!(" by {}", session.identity.issuer));
        let sentence = format!("`{}` signed in to the web pages{by}", account.name);
        change.commit_unasked("session.opened", &subject(&account.name), sentence).await?;
        Ok(made)
    }

    /// When the person of a session last proved at its provider who it is, if that told.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn proven_at_provider(&self, session: CredentialId) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<Option<i64>> =
            sqlx::query_scalar("SELECT proven_at FROM provider_session WHERE credential_id = $1")
                .bind(session.as_str())
                .fetch_optional(self.reading())
                .await?;
        Ok(at.flatten().map(Timestamp))
    }

    /// What a browser is given that has signed in to an account, and by which it is known again: it lets nobody in.
    pub fn known_browser(&self, account: AccountId) -> SecretString {
        let sealed = self.seal.close(&browser_of(account), b"");
        sealed.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }

    /// Whether a browser has signed in to an account before.
    pub fn is_known_browser(&self, account: AccountId, value: &str) -> bool {
        let byte = |place: usize| value.get(place..place + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let sealed: Option<Vec<u8>> = (0..value.len().min(LONGEST_BROWSER)).step_by(2).map(byte).collect();
        sealed.is_some_and(|sealed| self.seal.read(&browser_of(account), &sealed).is_ok())
    }

    /// The living sessions of an account, the latest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<Credential>, StoreError> {
        let rows = sqlx::query(crate::credential::list(
            "WHERE c.account_id = $1 AND c.kind = 'web_session' AND c.revoked_at IS NULL AND c.expires_at > $2 \
             ORDER BY c.created_at DESC, c.id",
        ))
        .bind(account.to_string())
        .bind(now.0)
        .fetch_all(self.reading())
        .await?;
        rows.into_iter().map(|row| crate::credential::credential(&Row(row))).collect()
    }

    /// Removes what has ended long ago and says nothing to anybody any more: sessions, links, codes, and the tokens of
    /// applications.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn prune_sign_ins(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut change = self.change(now).await?;
        let mut removed = 0;
        for sql in [
            "DELETE FROM credential WHERE (kind = 'web_session' OR (kind = 'oauth_access_token' AND grant_id IS NOT NULL)) \
             AND coalesce(revoked_at, expires_at) < $1",
            "DELETE FROM provider_session WHERE credential_id NOT IN (SELECT id FROM credential)",
            "DELETE FROM sign_in_link WHERE expires_at < $1",
            "DELETE FROM oauth_code WHERE expires_at < $1",
            "DELETE FROM refresh_token WHERE expires_at < $1",
            // Nobody has what was given for it any more.
            "DELETE FROM oauth_grant WHERE created_at < $1 AND account_id IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM oauth_code c WHERE c.grant_id = oauth_grant.id UNION ALL \
              SELECT 1 FROM refresh_token r WHERE r.grant_id = oauth_grant.id UNION ALL \
              SELECT 1 FROM credential t WHERE t.grant_id = oauth_grant.id)",
        ] {
            removed += sqlx::query(sql).bind(before.0).execute(change.connection()).await?.rows_affected();
        }
        change.commit_records().await?;
        Ok(removed)
    }
}

impl Decision {
    /// A sign-in, which the kernel is not asked about before it is known who it is.
    pub fn sign_in() -> Self {
        Self::new(Surface::Web, Action::ReadAccount, Rule::Known)
    }
}

async fn set_password(
    change: &mut crate::Change,
    id: AccountId,
    hash: &str,
    but: Option<CredentialId>,
) -> Result<(), StoreError> {
    let at = change.at();
    sqlx::query(
        "INSERT INTO password (account_id, hash, changed_at) VALUES ($1, $2, $3) \
         ON CONFLICT (account_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
    )
    .bind(id.to_string())
    .bind(hash)
    .bind(at.0)
    .execute(change.connection())
    .await?;
    // A link that lies about somewhere is worth nothing any more.
    sqlx::query("DELETE FROM sign_in_link WHERE account_id = $1")
        .bind(id.to_string())
        .execute(change.connection())
        .await?;
    sqlx::query(
        "UPDATE credential SET revoked_at = $1 \
         WHERE account_id = $2 AND kind = 'web_session' AND revoked_at IS NULL AND ($3 IS NULL OR id <> $3)",
    )
    .bind(at.0)
    .bind(id.to_string())
    .bind(but.map(|id| id.to_string()))
    .execute(change.connection())
    .await?;
    Ok(())
}

fn browser_of(account: AccountId) -> String {
    format!("known browser of {account}")
}

/// Letters of what a browser is known by.
const LONGEST_BROWSER: usize = 200;
/// Letters of a link's secret: more than 180 bits.
const LINK: usize = 32;
