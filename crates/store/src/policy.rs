//! What workspaces ask of credentials, and whom a policy would refuse.

use std::time::Duration;

use doorward_rules::{IpNet, Kind, Kinds, Policy, Reason, Timestamp};
use doorward_wire::WorkspaceSlug;

use crate::row::Row;
use crate::{Credential, Store, StoreError};

/// A credential that a policy would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The credential.
    pub credential: Credential,
    /// Why.
    pub reason: Reason,
}

impl Store {
    /// What a workspace asks of credentials.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace.
    pub async fn policy(&self, slug: &WorkspaceSlug) -> Result<Policy, StoreError> {
        let workspace = self.workspace(slug).await?;
        let row = sqlx::query("SELECT * FROM policy WHERE workspace_id = $1")
            .bind(workspace.id.to_string())
            .fetch_optional(self.reading())
            .await?;
        match row {
            Some(row) => Ok(optional(&Row(row))?.unwrap_or_default()),
            None => Ok(Policy::default()),
        }
    }

    /// Changes what a workspace asks of credentials, from what it asks at that moment; what it asks then. It holds for
    /// the very next request.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace.
    pub async fn change_policy(
        &self,
        slug: &WorkspaceSlug,
        to: impl FnOnce(Policy) -> Policy,
        now: Timestamp,
    ) -> Result<Policy, StoreError> {
        let workspace = self.workspace(slug).await?;
        let mut change = self.change(now).await?;
        let row = sqlx::query("SELECT * FROM policy WHERE workspace_id = $1")
            .bind(workspace.id.to_string())
            .fetch_optional(change.connection())
            .await?;
        let present = row.map_or(Ok(None), |row| optional(&Row(row)))?;
        let policy = to(present.unwrap_or_default());
        sqlx::query(
            "INSERT INTO policy (workspace_id, sso, kinds, longest, addresses, two_step) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (workspace_id) DO UPDATE SET sso = excluded.sso, kinds = excluded.kinds, \
             longest = excluded.longest, addresses = excluded.addresses, two_step = excluded.two_step",
        )
        .bind(workspace.id.to_string())
        .bind(policy.sso)
        .bind(policy.kinds.map(|kinds| kinds.to_string()))
        .bind(policy.longest.map(|longest| i64::try_from(longest.as_millis()).unwrap_or(i64::MAX)))
        .bind(policy.addresses.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" "))
        .bind(policy.two_step)
        .execute(change.connection())
        .await?;
        let sentence = format!("the policy of `{slug}` was set: {}", describe(&policy));
        change.commit("policy.set", slug.as_str(), sentence).await?;
        Ok(policy)
    }

    /// The living credentials that reach a workspace and that a policy would refuse there, each with the first reason;
    /// but none that the present policy refuses already. An address is held against a credential if its last use came
    /// from there.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace.
    pub async fn affected_by(
        &self,
        slug: &WorkspaceSlug,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Vec<Affected>, StoreError> {
        let present = self.policy(slug).await?;
        let mut affected = Vec::new();
        for credential in self.credentials_reaching(slug, now).await? {
            let facts = self.as_facts(&credential).await?;
            let address = credential.last_use.as_ref().and_then(|last| last.address.as_deref()?.parse().ok());
            let refused =
                |policy: &Policy| policy.against_credential(&facts).or_else(|| policy.against_access(&facts, address));
            if let (None, Some(reason)) = (refused(&present), refused(policy)) {
                affected.push(Affected { credential, reason });
            }
        }
        Ok(affected)
    }
}

/// A policy in a sentence.
pub fn describe(policy: &Policy) -> String {
    let mut parts = Vec::new();
    if policy.sso {
        parts.push("single sign-on for managed accounts".to_owned());
    }
    if let Some(kinds) = policy.kinds {
        parts.push(format!("only {}", kinds.iter().map(Kind::word).collect::<Vec<_>>().join(", ")));
    }
    if let Some(longest) = policy.longest {
        parts.push(format!("at most {} days", longest.as_secs() / 86_400));
    }
    if !policy.addresses.is_empty() {
        let ranges: Vec<String> = policy.addresses.iter().map(IpNet::to_string).collect();
        parts.push(format!("only from {}", ranges.join(", ")));
    }
    if policy.two_step {
        parts.push("two-step verification".to_owned());
    }
    if parts.is_empty() { "nothing is asked of credentials".into() } else { parts.join("; ") }
}

/// Reads the columns of a policy, if there is one.
pub(crate) fn optional(row: &Row) -> Result<Option<Policy>, StoreError> {
    let Some(addresses) = row.optional_text("addresses")? else { return Ok(None) };
    let corrupt = |what: &str, text: &str| StoreError::Corrupt(format!("the {what} `{text}`"));
    let kinds = match row.optional_text("kinds")? {
        None => None,
        Some(words) => {
            let kinds: Option<Vec<Kind>> = words.split_whitespace().map(Kind::from_word).collect();
            Some(Kinds::of(&kinds.ok_or_else(|| corrupt("kinds", &words))?))
        }
    };
    let ranges: Result<Vec<IpNet>, _> = addresses.split_whitespace().map(str::parse).collect();
    Ok(Some(Policy {
        sso: row.truth("sso")?,
        kinds,
        longest: row.optional_number("longest")?.map(|longest| Duration::from_millis(longest.unsigned_abs())),
        addresses: ranges.map_err(|_| corrupt("addresses", &addresses))?,
        two_step: row.truth("two_step")?,
    }))
}
