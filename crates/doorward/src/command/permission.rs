//! `doorward permission`: who may do what to a repository.

use doorward_store::Permission;
use serde::Serialize;

use crate::arguments::PermissionCommand;
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    account: String,
    privilege: &'static str,
    source: &'static str,
}

pub(crate) async fn run(command: PermissionCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let store = Data::open(configuration).await?.store;
    let name = match command {
        PermissionCommand::List { name } => name,
        PermissionCommand::Set { name, account, privilege } => {
            store.set_permission(&name, &account, privilege.into(), now()).await?;
            name
        }
    };
    let rows: Vec<Row> = store.permissions(&name).await?.iter().map(Row::of).collect();
    if json {
        return print::json(&rows);
    }
    let cells = rows.into_iter().map(|row| [row.account, row.privilege.into(), row.source.into()]);
    print::table(["account", "privilege", "source"], &cells.collect::<Vec<_>>())
}

impl Row {
    fn of(permission: &Permission) -> Self {
        Self {
            account: permission.account.to_string(),
            privilege: permission.privilege.word(),
            source: permission.source.word(),
        }
    }
}
