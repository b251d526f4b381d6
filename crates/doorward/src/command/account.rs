//! `doorward account`: people and bots.

use doorward_store::Account;
use serde::Serialize;

use crate::arguments::AccountCommand;
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
            ["name", "email", "state", "created"],
            &rows.into_iter().map(|row| [row.name, row.email, state(row.disabled), row.created_at]).collect::<Vec<_>>(),
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
            created_at: account.created_at.to_string(),
        }
    }
}

fn state(disabled: bool) -> String {
    if disabled { "disabled" } else { "enabled" }.into()
}
