//! `doorward account`: people and bots.

use doorward_store::Account;
use serde::Serialize;

use crate::arguments::{AccountCommand, Switch};
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: String,
    email: String,
    disabled: bool,
    managed: bool,
    two_step: bool,
    created_at: String,
}

pub(crate) async fn run(command: AccountCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let store = match &command {
        AccountCommand::Create { .. } => Data::open_or_create(configuration).await?.store,
        _ => Data::open(configuration).await?.store,
    };
    match command {
        AccountCommand::Create { name, email } => {
            let account = store.create_account(&name, &email, now()).await?;
            show(&[account], json, true)
        }
        AccountCommand::List => show(&store.accounts().await?, json, false),
        AccountCommand::Disable { name } => {
            store.set_account_disabled(&name, true, now()).await?;
            show(&[store.account(&name).await?], json, true)
        }
        AccountCommand::Set { name, managed, two_step } => {
            let on = |switch: Option<Switch>| switch.map(|switch| switch == Switch::On);
            store.set_account_standing(&name, on(managed), on(two_step), now()).await?;
            show(&[store.account(&name).await?], json, true)
        }
        AccountCommand::Enable { name } => {
            store.set_account_disabled(&name, false, now()).await?;
            show(&[store.account(&name).await?], json, true)
        }
    }
}

/// A list is an array; the answer of a change is the one object.
fn show(accounts: &[Account], json: bool, one: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = accounts.iter().map(Row::of).collect();
    match (json, one, rows.first()) {
        (true, true, Some(row)) => print::json(row),
        (true, ..) => print::json(&rows),
        _ => print::table(
            ["name", "email", "state", "managed", "two-step", "created"],
            &rows.into_iter().map(Row::cells).collect::<Vec<_>>(),
        ),
    }
}

impl Row {
    fn of(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name.to_string(),
            email: account.email.to_string(),
            disabled: account.disabled,
            managed: account.managed,
            two_step: account.two_step,
            created_at: account.created_at.to_string(),
        }
    }

    fn cells(self) -> [String; 6] {
        let state = if self.disabled { "disabled" } else { "enabled" };
        let word = |on: bool| String::from(if on { "yes" } else { "no" });
        let day = self.created_at[..10].to_owned();
        [self.name, self.email, state.into(), word(self.managed), word(self.two_step), day]
    }
}
