//! `doorward workspace`: workspaces and their members.

use doorward_admin::{AddMember, CreateWorkspace, ListWorkspaces, RemoveMember, WorkspaceRow};

use crate::administration::Administration;
use crate::arguments::{MemberCommand, WorkspaceCommand};
use crate::failure::Failure;
use crate::print;

pub(crate) async fn run(command: WorkspaceCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    let row = match command {
        WorkspaceCommand::List => {
            let rows = place.carry_out(ListWorkspaces).await?;
            return if json { print::json(&rows) } else { show(rows) };
        }
        WorkspaceCommand::Create { slug, owner } => place.carry_out(CreateWorkspace { slug, owner }).await?,
        WorkspaceCommand::Member(MemberCommand::Add { slug, name }) => {
            place.carry_out(AddMember { slug, name }).await?
        }
        WorkspaceCommand::Member(MemberCommand::Remove { slug, name }) => {
            place.carry_out(RemoveMember { slug, name }).await?
        }
    };
    if json { print::json(&row) } else { show(vec![row]) }
}

fn show(rows: Vec<WorkspaceRow>) -> Result<(), Failure> {
    let cells = rows.into_iter().map(|row| [row.slug, row.owner, row.members.join(", "), row.created_at]);
    print::table(["workspace", "owner", "members", "created"], &cells.collect::<Vec<_>>())
}
