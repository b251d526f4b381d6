//! `doorward account`: people and bots.

use doorward_admin::{AccountRow, ChangeAccount, CreateAccount, CreateSignInLink, ListAccounts};
use doorward_store::AccountChange;
use secrecy::ExposeSecret;

use crate::administration::Administration;
use crate::arguments::{AccountCommand, Switch};
use crate::failure::Failure;
use crate::print;

pub(crate) async fn run(command: AccountCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    let changed = async |name, change| {
        let row = place.carry_out(ChangeAccount { name, change }).await?;
        show_one(row, json)
    };
    let disabled = |yes| AccountChange { disabled: Some(yes), ..AccountChange::default() };
    match command {
        AccountCommand::Create { name, email } => show_one(place.carry_out(CreateAccount { name, email }).await?, json),
        AccountCommand::List => {
            let rows = place.carry_out(ListAccounts).await?;
            if json { print::json(&rows) } else { show(rows) }
        }
        AccountCommand::Link { name, lifetime } => {
            let link = place.carry_out(CreateSignInLink { name, lifetime }).await?;
            if json {
                return print::json(&link);
            }
            print::pairs(&[
                ("link", format!("{}{}", place.address(), link.path.expose_secret())),
                ("", "(shown this once; for whoever is to sign in, and nobody else)".into()),
                ("until", link.expires_at),
            ])
        }
        AccountCommand::Disable { name } => changed(name, disabled(true)).await,
        AccountCommand::Enable { name } => changed(name, disabled(false)).await,
        AccountCommand::Set { name, administrator, managed, two_step } => {
            let on = |switch: Option<Switch>| switch.map(|switch| switch == Switch::On);
            let (administrator, managed, two_step) = (on(administrator), on(managed), on(two_step));
            changed(name, AccountChange { administrator, managed, two_step, disabled: None }).await
        }
    }
}

fn show_one(row: AccountRow, json: bool) -> Result<(), Failure> {
    if json { print::json(&row) } else { show(vec![row]) }
}

fn show(rows: Vec<AccountRow>) -> Result<(), Failure> {
    let headings = ["name", "email", "state", "administrator", "managed", "two-step", "created"];
    print::table(headings, &rows.into_iter().map(cells).collect::<Vec<_>>())
}

fn cells(row: AccountRow) -> [String; 7] {
    let state = if row.disabled { "disabled" } else { "enabled" };
    let word = |on: bool| String::from(if on { "yes" } else { "no" });
    let day = super::day(&row.created_at);
    [row.name, row.email, state.into(), word(row.administrator), word(row.managed), word(row.two_step), day]
}
