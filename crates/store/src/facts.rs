//! The one look at the store that a decision needs.

use std::sync::Arc;

use doorward_rules::{
    AccountId, Credential, Facts, Form, Kind, Limit, NameForm, Presented, Privilege, ProjectId, Repository,
    RepositoryId, Workspace, WorkspaceId,
};
use doorward_wire::{
    AccountName, Authorization, Presentation, PresentedName, RepositorySlug, TokenDigest, WorkspaceSlug,
};

use sqlx::sqlite::SqliteExecutor;

use crate::known::Question;
use crate::permission::resolve;
use crate::row::Row;
use crate::{Named, Store, StoreError};

/// What the store knows about one question: the facts for the kernel, and names for the record of the decision.
#[derive(Debug, Clone)]
pub struct Finding {
    /// For the kernel.
    pub facts: Facts,
    /// The user name of the account that the credential acts for, if the secret was proven and it acts for one.
    pub account: Option<String>,
    /// The value of the epoch: as long as that is the same, so are these.
    pub epoch: i64,
}

impl Store {
    /// Finds out what there is to know about a caller and the repository or workspace that it names, if it names one.
    ///
    /// One statement, so that everything is of one moment, and the same statement whatever is asked, so that its time
    /// does not tell a hidden repository from an absent one. What was found for a proven credential is found again in
    /// memory until anything changes, in whatever process.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell now; there are no facts then, and nothing may be concluded.
    pub async fn find(&self, authorization: &Authorization, named: Named<'_>) -> Result<Arc<Finding>, StoreError> {
        let Authorization::Token(presentation) = authorization else {
            return look(self.reading(), authorization, named).await.map(Arc::new);
        };
        let (Some(settled), Some(question)) = (self.epoch.settled(), Question::new(presentation, named)) else {
            return look(self.reading(), authorization, named).await.map(Arc::new);
        };
        if let Some(found) = self.known.finding(settled, &question) {
            return Ok(found);
        }
        let found = Arc::new(look(self.reading(), authorization, named).await?);
        if matches!(found.facts.presented, Presented::Proven(_)) {
            self.known.keep_finding(settled, question, found.clone());
        }
        Ok(found)
    }
}

/// Finds out, by whatever reads: also in the middle of a change.
pub(crate) async fn look(
    database: impl SqliteExecutor<'_>,
    authorization: &Authorization,
    named: Named<'_>,
) -> Result<Finding, StoreError> {
    let presentation = match authorization {
        Authorization::Token(presentation) => Some(presentation),
        Authorization::Nothing | Authorization::Unreadable(..) => None,
    };
    let other = presentation.and_then(|presentation| match &presentation.name {
        PresentedName::Other(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let row = sqlx::query(FIND)
        .bind(presentation.map(|presentation| presentation.token.id.to_string()))
        .bind(named.workspace().map(WorkspaceSlug::as_str))
        .bind(named.repository().map(RepositorySlug::as_str))
        .bind(other)
        .bind(named.account().map(AccountName::as_str))
        .fetch_one(database)
        .await?;
    let row = Row(row);
    let presented = match (authorization, presentation) {
        (Authorization::Unreadable(fault, _), _) => Presented::Unreadable(*fault),
        (_, None) => Presented::Nothing,
        (_, Some(presentation)) => presented(&row, presentation)?,
    };
    let proven = matches!(presented, Presented::Proven(_));
    let account = if proven { row.optional_text("account_name")? } else { None };
    let workspace = workspace(&row, &presented)?;
    let repository = repository(&row, &presented, workspace.as_ref())?;
    let named = row.optional_parsed("named_account")?;
    let epoch = row.number("epoch")?;
    Ok(Finding { facts: Facts { presented, workspace, repository, account: named }, account, epoch })
}

const FIND: &str = "
    SELECT c.kind, c.digest, c.scopes, c.created_at, c.expires_at, c.revoked_at, c.single_sign_on,
           c.id AS credential_id,
           c.workspace_id AS limited_to_workspace, c.project_id AS limited_to_project,
           c.repository_id AS limited_to_repository,
           a.id AS account_id, a.name AS account_name, a.email AS account_email, a.disabled, a.managed,
           a.administrator, a.two_step AS account_two_step,
           w.id AS workspace_id, r.id AS repository_id, r.project_id, r.public,
           coalesce(w.owner_id = a.id, FALSE) AS owner, p.privilege, m.account_id IS NOT NULL AS member,
           coalesce(named.id, addressed.id) AS name_of, holder.id AS named_account,
           q.sso, q.kinds, q.longest, q.addresses, q.two_step,
           CASE WHEN $3 IS NULL AND w.id IS NOT NULL THEN
                EXISTS (SELECT 1 FROM repository o WHERE o.workspace_id = w.id AND o.public)
             OR EXISTS (SELECT 1 FROM permission g JOIN repository o ON o.id = g.repository_id
                         WHERE g.account_id = a.id AND o.workspace_id = w.id AND g.privilege <> 'none')
           ELSE FALSE END AS shows,
           (SELECT value FROM epoch) AS epoch
      FROM (SELECT 1 AS one) AS always
      LEFT JOIN credential c ON c.id = $1
      LEFT JOIN account a ON a.id = c.account_id
      LEFT JOIN workspace w ON w.slug = $2
      LEFT JOIN repository r ON r.workspace_id = w.id AND r.slug = $3
      LEFT JOIN permission p ON p.repository_id = r.id AND p.account_id = a.id
      LEFT JOIN member m ON m.workspace_id = w.id AND m.account_id = a.id
      LEFT JOIN policy q ON q.workspace_id = w.id
      LEFT JOIN account named ON named.name = $4
      LEFT JOIN account addressed ON addressed.email = $4
      LEFT JOIN account holder ON holder.name = $5";

fn presented(row: &Row, presentation: &Presentation) -> Result<Presented, StoreError> {
    let token = &presentation.token;
    let unknown = || token.foreign.map_or(Presented::Unknown, Presented::Unreadable);
    if row.optional_text("credential_id")?.is_none() {
        return Ok(unknown());
    }
    let kind = row.word("kind", Kind::from_word)?;
    let stored = TokenDigest::from_stored(&row.bytes("digest")?);
    let stored = stored.ok_or_else(|| StoreError::Corrupt("a digest that is not 32 bytes long".into()))?;
    if stored != token.digest || !token.kinds.contains(kind) {
        return Ok(unknown());
    }
    let owner = row.optional_parsed::<AccountId>("account_id")?;
    let name = match &presentation.name {
        PresentedName::Empty => NameForm::Empty,
        PresentedName::ApiTokenAuth => NameForm::ApiTokenAuth,
        PresentedName::TokenAuth => NameForm::TokenAuth,
        PresentedName::Secret => NameForm::Secret,
        PresentedName::Other(name) => match row.optional_parsed::<AccountId>("name_of")? {
            None => NameForm::Nobody,
            // An access token is nobody's, so no user name is somebody else's.
            Some(_) if owner.is_none() => NameForm::Nobody,
            Some(other) if Some(other) != owner => NameForm::SomebodyElse,
            Some(_) if name.eq_ignore_ascii_case(&row.text("account_email")?) => NameForm::Email,
            Some(_) => NameForm::UserName,
        },
    };
    Ok(Presented::Proven(Credential {
        id: row.credential_id("credential_id")?,
        kind,
        scopes: row.scopes("scopes")?,
        limit: limit(row)?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        owner,
        owner_disabled: owner.is_some() && row.truth("disabled")?,
        administrator: owner.is_some() && row.truth("administrator")?,
        managed: owner.is_some() && row.truth("managed")?,
        two_step: if owner.is_some() { Some(row.truth("account_two_step")?) } else { None },
        single_sign_on: row.truth("single_sign_on")?,
        form: Form { scheme: presentation.scheme, name },
    }))
}

/// The narrowest place that the credential is limited to.
fn limit(row: &Row) -> Result<Limit, StoreError> {
    Ok(if let Some(id) = row.optional_parsed::<RepositoryId>("limited_to_repository")? {
        Limit::Repository(id)
    } else if let Some(id) = row.optional_parsed::<ProjectId>("limited_to_project")? {
        Limit::Project(id)
    } else if let Some(id) = row.optional_parsed::<WorkspaceId>("limited_to_workspace")? {
        Limit::Workspace(id)
    } else {
        Limit::Anywhere
    })
}

/// The workspace as the principal stands to it: its owner and its own access tokens are its administrators, its members may
/// read. Tokens of what is in it see that, and no more of it.
fn workspace(row: &Row, presented: &Presented) -> Result<Option<Workspace>, StoreError> {
    let Some(id) = row.optional_parsed::<WorkspaceId>("workspace_id")? else { return Ok(None) };
    let privilege = match presented {
        Presented::Proven(credential) if credential.owner.is_none() => {
            if credential.limit == Limit::Workspace(id) {
                Privilege::Admin
            } else {
                Privilege::None
            }
        }
        Presented::Proven(_) if row.truth("owner")? => Privilege::Admin,
        Presented::Proven(_) if row.truth("member")? => Privilege::Read,
        _ => Privilege::None,
    };
    let policy = crate::policy::optional(row)?.unwrap_or_default();
    let shows = match presented {
        // The address of an account that was not proven says nothing about who asks.
        Presented::Proven(credential) if credential.owner.is_none() => {
            row.optional_parsed::<WorkspaceId>("limited_to_workspace")? == Some(id)
        }
        Presented::Proven(_) | Presented::Nothing => row.truth("shows")?,
        _ => false,
    };
    Ok(Some(Workspace { id, policy, privilege, shows }))
}

/// The repository as the principal stands to it; without a proven credential nobody has a privilege. An access token's
/// synthetic user is an administrator of what the token belongs to, and nobody anywhere else; its scopes say the rest.
fn repository(
    row: &Row,
    presented: &Presented,
    workspace: Option<&Workspace>,
) -> Result<Option<Repository>, StoreError> {
    let Some(id) = row.optional_parsed("repository_id")? else {
        return Ok(None);
    };
    let project = row.parsed("project_id")?;
    let privilege = match presented {
        Presented::Proven(credential) if credential.owner.is_none() => {
            let within = match credential.limit {
                Limit::Anywhere => false,
                Limit::Workspace(limit) => workspace.is_some_and(|workspace| workspace.id == limit),
                Limit::Project(limit) => project == limit,
                Limit::Repository(limit) => id == limit,
            };
            if within { Privilege::Admin } else { Privilege::None }
        }
        Presented::Proven(_) => resolve(row)?.map_or(Privilege::None, |(privilege, _)| privilege),
        _ => Privilege::None,
    };
    Ok(Some(Repository { id, project, public: row.truth("public")?, privilege }))
}
