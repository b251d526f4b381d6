//! `doorward workspace`: workspaces and their members.

use doorward_store::Workspace;
use serde::Serialize;

use crate::arguments::{MemberCommand, WorkspaceCommand};
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    slug: String,
    owner: String,
    members: Vec<String>,
    created_at: String,
}

pub(crate) async fn run(command: WorkspaceCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let store = Data::open(configuration).await?.store;
    let slug = match command {
        WorkspaceCommand::List => return show(&store.workspaces().await?, json),
        WorkspaceCommand::Create { slug, owner } => {
            store.create_workspace(&slug, &owner, now()).await?;
            slug
        }
        WorkspaceCommand::Member(MemberCommand::Add { slug, name }) => {
            store.add_member(&slug, &name, now()).await?;
            slug
        }
        WorkspaceCommand::Member(MemberCommand::Remove { slug, name }) => {
            store.remove_member(&slug, &name, now()).await?;
            slug
        }
    };
    let workspace = store.workspace(&slug).await?;
    if json { print::json(&Row::of(&workspace)) } else { show(&[workspace], json) }
}

fn show(workspaces: &[Workspace], json: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = workspaces.iter().map(Row::of).collect();
    if json {
        return print::json(&rows);
    }
    let cells = rows.into_iter().map(|row| [row.slug, row.owner, row.members.join(", "), row.created_at]);
    print::table(["workspace", "owner", "members", "created"], &cells.collect::<Vec<_>>())
}

impl Row {
    fn of(workspace: &Workspace) -> Self {
        Self {
            id: workspace.id.to_string(),
            slug: workspace.slug.to_string(),
            owner: workspace.owner.to_string(),
            members: workspace.members.iter().map(|member| member.account.to_string()).collect(),
            created_at: workspace.created_at.to_string(),
        }
    }
}
