//! `doorward project`: groups of a workspace's repositories.

use doorward_store::Project;
use serde::Serialize;

use crate::arguments::ProjectCommand;
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: String,
    title: String,
    created_at: String,
}

pub(crate) async fn run(command: ProjectCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let store = Data::open(configuration).await?.store;
    match command {
        ProjectCommand::Create { name, title } => {
            let title = title.unwrap_or_else(|| name.key.to_string());
            let row = Row::of(&store.create_project(&name, &title, now()).await?);
            if json { print::json(&row) } else { show(vec![row]) }
        }
        ProjectCommand::List { workspace } => {
            let rows: Vec<Row> = store.projects(&workspace).await?.iter().map(Row::of).collect();
            if json { print::json(&rows) } else { show(rows) }
        }
    }
}

fn show(rows: Vec<Row>) -> Result<(), Failure> {
    let cells = rows.into_iter().map(|row| [row.name, row.title, row.created_at]);
    print::table(["name", "title", "created"], &cells.collect::<Vec<_>>())
}

impl Row {
    fn of(project: &Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name.to_string(),
            title: project.title.clone(),
            created_at: project.created_at.to_string(),
        }
    }
}
