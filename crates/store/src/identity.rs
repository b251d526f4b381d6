//! Who of an organisation's sign-in provider which account is, and what the provider decides of it: membership by groups, and when
//! sessions end.

use doorward_rules::{AccountId, Timestamp};
use doorward_wire::{AccountName, Email, WorkspaceSlug};

use crate::account::{account, insert, subject};
use crate::grant::end as end_grant;
use crate::row::Row;
use crate::workspace::take_out;
use crate::{Account, Change, Noun, Store, StoreError};

/// Who somebody is at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderIdentity<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// Who it is there, for ever.
    pub subject: &'a str,
}

/// A session at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderSession<'a> {
    /// Whose it is.
    pub identity: ProviderIdentity<'a>,
    /// Which, if the provider tells.
    pub session: Option<&'a str>,
    /// When the person last proved there who it is, if the provider tells.
    pub proven_at: Option<Timestamp>,
}

impl Store {
    /// The account of somebody at a provider who has signed in there just now, if that is known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn seen_identity(
        &self,
        identity: ProviderIdentity<'_>,
        now: Timestamp,
    ) -> Result<Option<Account>, StoreError> {
        let Some(account) = self.account_of_identity(identity).await? else { return Ok(None) };
        let mut change = self.change(now).await?;
        sqlx::query("UPDATE identity SET seen_at = $1 WHERE issuer = $2 AND subject = $3")
            .bind(now.0)
            .bind(identity.issuer)
            .bind(identity.subject)
            .execute(change.connection())
            .await?;
        change.commit_records().await?;
        Ok(Some(account))
    }

    /// The account that somebody at a provider is, if that is known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn account_of_identity(&self, identity: ProviderIdentity<'_>) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(
            "SELECT a.* FROM identity i JOIN account a ON a.id = i.account_id WHERE i.issuer = $1 AND i.subject = $2",
        )
        .bind(identity.issuer)
        .bind(identity.subject)
        .fetch_optional(self.reading())
        .await?;
        row.map(|row| account(&Row(row))).transpose()
    }

    /// Says of somebody at a provider which account it is, from now on.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if it is one already; [`StoreError::State`] if the account is somebody else's there, or is not managed.
    pub async fn link_identity(
        &self,
        account: &Account,
        identity: ProviderIdentity<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        let (managed, taken): (bool, i64) = sqlx::query_as(
            "SELECT managed, (SELECT count(*) FROM identity i WHERE i.account_id = a.id AND i.issuer = $2 \
               AND i.subject <> $3) FROM account a WHERE a.id = $1",
        )
        .bind(account.id.to_string())
        .bind(identity.issuer)
        .bind(identity.subject)
        .fetch_one(change.connection())
        .await?;
        if !managed || taken > 0 {
            let why = format!("account `{}` is somebody else's, or is not managed", account.name);
            return change.give_up_with(StoreError::State(why)).await;
        }
        link(&mut change, account.id, identity).await?;
        let sentence =
            format!("account `{}` was found to be `{}` at {}", account.name, identity.subject, identity.issuer);
        change.commit("account.linked", &subject(&account.name), sentence).await
    }

    /// Makes the account of somebody at a provider, which is managed there.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the name or the address is taken, or the person has an account.
    pub async fn create_managed_account(
        &self,
        name: &AccountName,
        email: &Email,
        identity: ProviderIdentity<'_>,
        now: Timestamp,
    ) -> Result<Account, StoreError> {
        let mut change = self.change(now).await?;
        let made = insert(&mut change, name, email, true).await?;
        link(&mut change, made.id, identity).await?;
        let sentence =
            format!("account `{name}` was created for `{}`, who signed in at {}", identity.subject, identity.issuer);
        change.commit("account.created", &subject(name), sentence).await?;
        Ok(made)
    }

    /// Notes that an account has another e-mail address by now; whether nobody else has it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn set_email(&self, account: &Account, email: &Email, now: Timestamp) -> Result<bool, StoreError> {
        let mut change = self.change(now).await?;
        let done = sqlx::query(
            "UPDATE account SET email = $1 WHERE id = $2 AND NOT EXISTS (SELECT 1 FROM account WHERE email = $1)",
        )
        .bind(email.as_str())
        .bind(account.id.to_string())
        .execute(change.connection())
        .await?;
        if done.rows_affected() == 0 {
            change.commit_records().await?;
            return Ok(false);
        }
        let sentence = format!("the address of `{}` is {email} from now on, and was {}", account.name, account.email);
        change.commit("account.email", &subject(&account.name), sentence).await?;
        Ok(true)
    }

    /// Makes an account a member of these workspaces by its groups, and of no others any more by those. Who was made a member otherwise
    /// stays one. A workspace that there is not is passed over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn set_memberships_by_group(
        &self,
        account: &Account,
        wanted: &[WorkspaceSlug],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = account.id.to_string();
        let rows = sqlx::query(
            "SELECT w.id, w.slug, w.owner_id = $1 AS owner, m.account_id IS NOT NULL AS member, \
                    coalesce(m.by_group, FALSE) AS by_group \
             FROM workspace w LEFT JOIN member m ON m.workspace_id = w.id AND m.account_id = $1",
        )
        .bind(&id)
        .fetch_all(self.reading())
        .await?;
        for row in rows.into_iter().map(Row) {
            let (workspace, slug): (String, WorkspaceSlug) = (row.text("id")?, row.parsed("slug")?);
            let belongs = row.truth("owner")? || row.truth("member")?;
            match (wanted.contains(&slug), belongs, row.truth("by_group")?) {
                (true, false, _) => {
                    let mut change = self.change(now).await?;
                    let done = sqlx::query(
                        "INSERT INTO member (workspace_id, account_id, created_at, by_group) VALUES ($1, $2, $3, TRUE) \
                         ON CONFLICT DO NOTHING",
                    )
                    .bind(&workspace)
                    .bind(&id)
                    .bind(now.0)
                    .execute(change.connection())
                    .await?;
                    // Somebody else was faster.
                    if done.rows_affected() == 0 {
                        change.commit_records().await?;
                        continue;
                    }
                    let sentence = format!("`{}` became a member of `{slug}` by its groups", account.name);
                    change.commit("member.added", slug.as_str(), sentence).await?;
                }
                (false, _, true) => {
                    let mut change = self.change(now).await?;
                    if !take_out(&mut change, &workspace, &id).await? {
                        change.commit_records().await?;
                        continue;
                    }
                    let sentence = format!("`{}` is no longer a member of `{slug}` by its groups", account.name);
                    change.commit("member.removed", slug.as_str(), sentence).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends the sessions that came from a provider's, as far as they were opened by then: those of one session, or all of a person, and
    /// then also what that let applications do in them. How many they were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn end_provider_sessions(
        &self,
        issuer: &str,
        person: Option<&str>,
        session: Option<&str>,
        opened_by: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut change = self.change(now).await?;
        let ended = sqlx::query(
            "UPDATE credential SET revoked_at = $1 WHERE revoked_at IS NULL AND id IN \
             (SELECT credential_id FROM provider_session WHERE issuer = $2 AND ($3 IS NULL OR subject = $3) \
              AND ($4 IS NULL OR session = $4 OR (session IS NULL AND $3 IS NOT NULL)) AND created_at <= $5) \
             RETURNING (SELECT name FROM account a WHERE a.id = account_id) AS name",
        )
        .bind(now.0)
        .bind(issuer)
        .bind(person)
        .bind(session)
        .bind(opened_by.0)
        .fetch_all(change.connection())
        .await?;
        let count = ended.len() as u64;
        let mut name = ended.into_iter().next().map(|row| Row(row).parsed::<AccountName>("name")).transpose()?;
        if let (Some(person), None) = (person, session) {
            let account = sqlx::query(
                "SELECT a.id, a.name FROM identity i JOIN account a ON a.id = i.account_id \
                 WHERE i.issuer = $1 AND i.subject = $2",
            )
            .bind(issuer)
            .bind(person)
            .fetch_optional(change.connection())
            .await?;
            if let Some(account) = account.map(Row) {
                end_grants_by_provider(&mut change, &account.text("id")?, opened_by).await?;
                name = Some(account.parsed("name")?);
            }
        }
        let Some(name) = name else {
            change.commit_records().await?;
            return Ok(0);
        };
        let sentence = format!("{issuer} ended {count} of the sessions of `{name}`");
        change.commit("session.ended", &subject(&name), sentence).await?;
        Ok(count)
    }
}

async fn link(change: &mut Change, account: AccountId, identity: ProviderIdentity<'_>) -> Result<(), StoreError> {
    let at = change.at();
    sqlx::query("INSERT INTO identity (issuer, subject, account_id, created_at, seen_at) VALUES ($1, $2, $3, $4, $4)")
        .bind(identity.issuer)
        .bind(identity.subject)
        .bind(account.to_string())
        .bind(at.0)
        .execute(change.connection())
        .await
        .map_err(|error| StoreError::inserting(Noun::Account, identity.subject, error))?;
    Ok(())
}

/// Forgets who an account is at providers, and ends whatever came of that: sessions, grants, memberships.
pub(crate) async fn forget_identities(change: &mut Change, account: &str) -> Result<(), StoreError> {
    let now = change.at();
    sqlx::query("DELETE FROM identity WHERE account_id = $1").bind(account).execute(change.connection()).await?;
    sqlx::query(
        "UPDATE credential SET revoked_at = $1 WHERE account_id = $2 AND revoked_at IS NULL \
         AND id IN (SELECT credential_id FROM provider_session)",
    )
    .bind(now.0)
    .bind(account)
    .execute(change.connection())
    .await?;
    end_grants_by_provider(change, account, now).await?;
    let workspaces: Vec<String> =
        sqlx::query_scalar("SELECT workspace_id FROM member WHERE account_id = $1 AND by_group")
            .bind(account)
            .fetch_all(change.connection())
            .await?;
    for workspace in workspaces {
        take_out(change, &workspace, account).await?;
    }
    Ok(())
}

/// Ends what an account let applications do, by a given moment, in sessions that came from a provider's.
async fn end_grants_by_provider(change: &mut Change, account: &str, by: Timestamp) -> Result<(), StoreError> {
    let grants: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM oauth_grant WHERE account_id = $1 AND single_sign_on AND revoked_at IS NULL AND created_at <= $2",
    )
    .bind(account)
    .bind(by.0)
    .fetch_all(change.connection())
    .await?;
    for grant in grants {
        end_grant(change, &grant).await?;
    }
    Ok(())
}
