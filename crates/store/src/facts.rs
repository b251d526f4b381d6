//! The one look at the store that a decision needs.

use doorward_rules::{
    AccountId, Credential, Facts, Kind, NameForm, Presented, Privilege, Repository, Scopes, WorkspaceId,
};
use doorward_wire::{Authorization, Presentation, PresentedName, RepositoryName, TokenDigest};

use crate::permission::resolve;
use crate::row::Row;
use crate::{Store, StoreError};

/// What the store knows about one question: the facts for the kernel, and names for the record of the decision.
#[derive(Debug, Clone)]
pub struct Finding {
    /// For the kernel.
    pub facts: Facts,
    /// The user name of the account that the credential acts for, if the secret was proven.
    pub account: Option<String>,
}

impl Store {
    /// Finds out what there is to know about a caller and the repository that it names.
    ///
    /// One statement, so that everything is of one moment, and the same statement whatever is asked, so that its time
    /// does not tell a hidden repository from an absent one.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell now; there are no facts then, and nothing may be concluded.
    pub async fn find(&self, authorization: &Authorization, name: &RepositoryName) -> Result<Finding, StoreError> {
        let presentation = match authorization {
            Authorization::Token(presentation) => Some(presentation),
            Authorization::Nothing | Authorization::Unreadable(_) => None,
        };
        let other = presentation.and_then(|presentation| match &presentation.name {
            PresentedName::Other(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let row = sqlx::query(FIND)
            .bind(presentation.map(|presentation| presentation.token.id.to_string()))
            .bind(name.workspace.as_str())
            .bind(name.slug.as_str())
            .bind(other)
            .fetch_one(self.reading())
            .await?;
        let row = Row(row);
        let presented = match (authorization, presentation) {
            (Authorization::Unreadable(fault), _) => Presented::Unreadable(*fault),
            (_, None) => Presented::Nothing,
            (_, Some(presentation)) => presented(&row, presentation)?,
        };
        let proven = matches!(presented, Presented::Proven(_));
        let account = if proven { row.optional_text("account_name")? } else { None };
        let repository = repository(&row, proven)?;
        Ok(Finding {
            facts: Facts { presented, workspace: row.optional_parsed::<WorkspaceId>("workspace_id")?, repository },
            account,
        })
    }
}

const FIND: &str = "
    SELECT c.kind, c.digest, c.scopes, c.expires_at, c.revoked_at, c.id AS credential_id, c.workspace_id AS limited_to,
           a.id AS account_id, a.name AS account_name, a.email AS account_email, a.disabled,
           w.id AS workspace_id, r.id AS repository_id, r.public,
           coalesce(w.owner_id = a.id, FALSE) AS owner, p.privilege, m.account_id IS NOT NULL AS member,
           coalesce(named.id, addressed.id) AS name_of
      FROM (SELECT 1 AS one) AS always
      LEFT JOIN credential c ON c.id = $1
      LEFT JOIN account a ON a.id = c.account_id
      LEFT JOIN workspace w ON w.slug = $2
      LEFT JOIN repository r ON r.workspace_id = w.id AND r.slug = $3
      LEFT JOIN permission p ON p.repository_id = r.id AND p.account_id = a.id
      LEFT JOIN member m ON m.workspace_id = w.id AND m.account_id = a.id
      LEFT JOIN account named ON named.name = $4
      LEFT JOIN account addressed ON addressed.email = $4";

fn presented(row: &Row, presentation: &Presentation) -> Result<Presented, StoreError> {
    if row.optional_text("credential_id")?.is_none() {
        return Ok(Presented::Unknown);
    }
    let kind = row.word("kind", Kind::from_word)?;
    let stored = TokenDigest::from_stored(&row.bytes("digest")?);
    let stored = stored.ok_or_else(|| StoreError::Corrupt("a digest that is not 32 bytes long".into()))?;
    if stored != presentation.token.digest || kind != presentation.token.kind {
        return Ok(Presented::Unknown);
    }
    let owner = row.parsed("account_id")?;
    let name_form = match &presentation.name {
        PresentedName::Empty => NameForm::Empty,
        PresentedName::ApiTokenAuth => NameForm::ApiTokenAuth,
        PresentedName::TokenAuth => NameForm::TokenAuth,
        PresentedName::Secret => NameForm::Secret,
        PresentedName::Other(name) => match row.optional_parsed::<AccountId>("name_of")? {
            None => NameForm::Nobody,
            Some(other) if other != owner => NameForm::SomebodyElse,
            Some(_) if name.eq_ignore_ascii_case(&row.text("account_email")?) => NameForm::Email,
            Some(_) => NameForm::UserName,
        },
    };
    Ok(Presented::Proven(Credential {
        id: row.credential_id("credential_id")?,
        kind,
        scopes: Scopes::parse(&row.text("scopes")?).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        workspace: row.optional_parsed("limited_to")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        owner,
        owner_disabled: row.truth("disabled")?,
        name_form,
    }))
}

/// The repository as the principal stands to it; without a proven credential nobody has a privilege.
fn repository(row: &Row, proven: bool) -> Result<Option<Repository>, StoreError> {
    let Some(id) = row.optional_parsed("repository_id")? else {
        return Ok(None);
    };
    let privilege =
        if proven { resolve(row)?.map_or(Privilege::None, |(privilege, _)| privilege) } else { Privilege::None };
    Ok(Some(Repository { id, public: row.truth("public")?, privilege }))
}
