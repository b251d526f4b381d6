//! `doorward permission`: who may do what to a repository.

use doorward_admin::{ListPermissions, SetPermission};

use crate::administration::Administration;
use crate::arguments::PermissionCommand;
use crate::failure::Failure;
use crate::print;

pub(crate) async fn run(command: PermissionCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    let rows = match command {
        PermissionCommand::List { name } => place.carry_out(ListPermissions { name }).await?,
        PermissionCommand::Set { name, account, privilege } => {
            place.carry_out(SetPermission { name, account, privilege: privilege.into() }).await?
        }
    };
    if json {
        return print::json(&rows);
    }
    let cells = rows.into_iter().map(|row| [row.account, row.privilege, row.source]);
    print::table(["account", "privilege", "source"], &cells.collect::<Vec<_>>())
}
