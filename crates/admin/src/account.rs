//! Accounts: people and bots.

use std::time::Duration;

use doorward_rules::{Scope, Scopes};
use doorward_store::{Account, AccountChange};
use doorward_wire::{AccountName, Email};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::token::{heard, told};
use crate::{AdminError, Call, Desk, Operation};

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct AccountRow {
    pub id: String,
    pub name: String,
    pub email: String,
    pub disabled: bool,
    pub administrator: bool,
    pub managed: bool,
    pub two_step: bool,
    pub created_at: String,
}

/// Makes an account.
#[derive(Debug)]
pub struct CreateAccount {
    /// Its user name.
    pub name: AccountName,
    /// Its e-mail address.
    pub email: Email,
}

/// Lists all accounts.
#[derive(Debug)]
pub struct ListAccounts;

/// Shows an account.
#[derive(Debug)]
pub struct ShowAccount {
    /// Its user name.
    pub name: AccountName,
}

/// Says something of an account anew.
#[derive(Debug)]
pub struct ChangeAccount {
    /// Its user name.
    pub name: AccountName,
    /// What is said.
    pub change: AccountChange,
}

/// Makes a link by which whoever has it chooses the account's password, once.
#[derive(Debug)]
pub struct CreateSignInLink {
    /// The user name.
    pub name: AccountName,
    /// How long it is good.
    pub lifetime: Duration,
}

/// A link to choose a password by.
#[derive(Debug, Serialize, Deserialize)]
pub struct LinkRow {
    /// Whose password.
    pub account: String,
    /// The path of the page, with its secret, which is told this once.
    #[serde(serialize_with = "told", deserialize_with = "heard")]
    pub path: SecretString,
    /// When it ends.
    pub expires_at: String,
}

impl Operation for CreateSignInLink {
    type Answer = LinkRow;

    fn call(&self) -> Call {
        let body = json!({ "lifetime": format!("{}s", self.lifetime.as_secs()) });
        Call::post(format!("/accounts/{}/link", self.name), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<LinkRow, AdminError> {
        check_maker(desk)?;
        let (secret, expires_at) = desk.store.create_sign_in_link(&self.name, self.lifetime, desk.now).await?;
        let path = format!("/account/welcome/{}", secret.expose_secret());
        Ok(LinkRow { account: self.name.to_string(), path: path.into(), expires_at: expires_at.to_string() })
    }
}

/// Whoever has the link becomes the account, without bounds of scope. So a token needs both scopes with which it may become anybody
/// anyhow, and what an application was given is never enough.
fn check_maker(desk: &Desk) -> Result<(), AdminError> {
    let both = Scopes::of(&[Scope::WriteAdmin, Scope::WriteToken]);
    if desk.may_make_lasting(both) {
        return Ok(());
    }
    Err(AdminError::Beyond {
        sentence: format!("whoever has such a link becomes the account, so making one takes the scopes {both}"),
        remedy: "use a token that has both, which no application was given, or make the link at the machine".into(),
    })
}

impl Operation for CreateAccount {
    type Answer = AccountRow;

    fn call(&self) -> Call {
        Call::post("/accounts".into(), json!({ "name": self.name.as_str(), "email": self.email.as_str() }))
    }

    async fn carry_out(self, desk: &Desk) -> Result<AccountRow, AdminError> {
        Ok(AccountRow::of(&desk.store.create_account(&self.name, &self.email, desk.now).await?))
    }
}

impl Operation for ListAccounts {
    type Answer = Vec<AccountRow>;

    fn call(&self) -> Call {
        Call::list("/accounts".into())
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<AccountRow>, AdminError> {
        Ok(desk.store.accounts().await?.iter().map(AccountRow::of).collect())
    }
}

impl Operation for ShowAccount {
    type Answer = AccountRow;

    fn call(&self) -> Call {
        Call::get(format!("/accounts/{}", self.name))
    }

    async fn carry_out(self, desk: &Desk) -> Result<AccountRow, AdminError> {
        Ok(AccountRow::of(&desk.store.account(&self.name).await?))
    }
}

impl Operation for ChangeAccount {
    type Answer = AccountRow;

    fn call(&self) -> Call {
        let AccountChange { disabled, administrator, managed, two_step } = self.change;
        let body = json!({
            "disabled": disabled, "administrator": administrator, "managed": managed, "two_step": two_step,
        });
        Call::put(format!("/accounts/{}", self.name), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<AccountRow, AdminError> {
        if self.change == AccountChange::default() {
            return Err(AdminError::Wrong {
                field: "disabled",
                sentence: "nothing is named that is to change".into(),
                remedy: "say disabled, administrator, managed or two_step".into(),
            });
        }
        // Whoever does that to another may be undone by it; whoever does it to itself, perhaps by nobody.
        let shuts_out = self.change.disabled == Some(true) || self.change.administrator == Some(false);
        if let Some(own) = desk.maker.as_ref().and_then(|maker| maker.owner).filter(|_| shuts_out)
            && desk.store.account(&self.name).await?.id == own
        {
            return Err(AdminError::Beyond {
                sentence: "that would shut yourself out".into(),
                remedy: "have another administrator do it, or do it at the machine itself".into(),
            });
        }
        Ok(AccountRow::of(&desk.store.change_account(&self.name, self.change, desk.now).await?))
    }
}

impl AccountRow {
    fn of(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name.to_string(),
            email: account.email.to_string(),
            disabled: account.disabled,
            administrator: account.administrator,
            managed: account.managed,
            two_step: account.two_step,
            created_at: account.created_at.to_string(),
        }
    }
}
