//! `doorward project`: groups of a workspace's repositories.

use doorward_admin::{CreateProject, ListProjects, ProjectRow};

use crate::administration::Administration;
use crate::arguments::ProjectCommand;
use crate::failure::Failure;
use crate::print;

pub(crate) async fn run(command: ProjectCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    match command {
        ProjectCommand::Create { name, title } => {
            let row = place.carry_out(CreateProject { name, title }).await?;
            if json { print::json(&row) } else { show(vec![row]) }
        }
        ProjectCommand::List { workspace } => {
            let rows = place.carry_out(ListProjects { workspace }).await?;
            if json { print::json(&rows) } else { show(rows) }
        }
    }
}

fn show(rows: Vec<ProjectRow>) -> Result<(), Failure> {
    let cells = rows.into_iter().map(|row| [row.name, row.title, row.created_at]);
    print::table(["name", "title", "created"], &cells.collect::<Vec<_>>())
}
