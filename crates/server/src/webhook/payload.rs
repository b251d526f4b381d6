//! What webhooks are told of a push, in the shape of Bitbucket Cloud's `repo:push`.

use std::collections::HashMap;
use std::sync::Arc;

use doorward_git::{Commit, Contents};
use doorward_rules::{Permit, Principal, Target};
use doorward_store::StoreError;
use doorward_wire::{ObjectId, RepositoryName};
use serde_json::{Value, json};

use super::PUSH;
use crate::app::App;
use crate::rest::object;

/// A ref that was made, moved or ended.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    /// Its full name.
    pub(crate) name: String,
    pub(crate) old: Option<ObjectId>,
    pub(crate) new: Option<ObjectId>,
}

/// Tells webhooks of a push: keeps a message to each, which is sent from then on. It goes on in the background, since it takes a
/// place for git, of which there may be none at the moment. What goes wrong is in the log; the push itself is done.
pub(crate) fn pushed(app: &App, permit: Arc<Permit>, moved: Vec<Moved>) {
    let app = app.clone();
    app.tasks.clone().spawn(async move {
        let Target::Repository(id) = permit.target() else { return };
        for attempt in 1..=ATTEMPTS {
            match tell(&app, &permit, &moved).await {
                Ok(()) => return,
                Err(error) if attempt == ATTEMPTS => {
                    tracing::error!(error, repository = %id, "webhooks are not told of a push");
                }
                Err(error) => tracing::warn!(error, repository = %id, "webhooks cannot be told of a push yet"),
            }
        }
    });
}

async fn tell(app: &App, permit: &Permit, moved: &[Moved]) -> Result<(), String> {
    let Target::Repository(id) = permit.target() else { return Ok(()) };
    let hooks = app.store.webhooks(id).await.map_err(|error| error.to_string())?;
    let wanted = hooks.iter().filter(|hook| hook.active && hook.events.iter().any(|event| event == PUSH));
    let wanted: Vec<_> = wanted.map(|hook| hook.id).collect();
    if wanted.is_empty() || moved.is_empty() {
        return Ok(());
    }
    let body = message(app, permit, moved).await?;
    let queued = app.store.queue_deliveries(&wanted, PUSH, &body.to_string(), app.clock.now()).await;
    queued.map_err(|error| error.to_string())?;
    app.webhooks.notify_one();
    Ok(())
}

async fn message(app: &App, permit: &Permit, moved: &[Moved]) -> Result<Value, String> {
    let Target::Repository(id) = permit.target() else { return Err("it is about no repository".into()) };
    let found = async {
        let repository = app.store.repository_by_id(id).await?;
        let workspace = app.store.workspace(&repository.name.workspace).await?;
        let actor = match permit.principal() {
            Principal::Account { account, .. } => Some(app.store.account_by_id(account).await?),
            Principal::Synthetic { .. } | Principal::Anyone => None,
        };
        Ok::<_, StoreError>((repository, workspace, actor))
    };
    let (repository, workspace, actor) = found.await.map_err(|error| error.to_string())?;
    let base = app.own_address();
    let actor = match (actor, permit.principal()) {
        (Some(account), _) => object::account(&account, &base),
        (None, Principal::Synthetic { credential }) => {
            json!({ "type": "app_user", "display_name": format!("access token {credential}") })
        }
        (None, _) => Value::Null,
    };
    let read = async { app.repositories.open(permit)?.contents().await };
    let contents = read.await.map_err(|error| error.to_string())?;
    let name = &repository.name;
    let api = format!("{base}/2.0/repositories/{name}");
    let mut changes = Vec::new();
    for one in moved.iter().take(MOST_CHANGES) {
        changes.push(change(&contents, one, name, &api).await.map_err(|error| error.to_string())?);
    }
    let branch = app.repositories.main_branch_of(id).await.ok().flatten();
    let size = app.repositories.size_of(id).await;
    let repository = object::repository(&repository, &workspace, None, (branch.as_deref(), size), &base);
    Ok(json!({ "actor": actor, "repository": repository, "push": { "changes": changes } }))
}

async fn change(
    contents: &Contents,
    moved: &Moved,
    name: &RepositoryName,
    api: &str,
) -> Result<Value, doorward_git::GitError> {
    let ends: Vec<ObjectId> = moved.old.iter().chain(&moved.new).cloned().collect();
    let mut commits: HashMap<ObjectId, Commit> = HashMap::new();
    for id in &ends {
        if let Some(commit) = contents.commit_id(id.as_str()).await? {
            commits.extend(contents.commits_of(&[commit]).await?.into_iter().map(|commit| (id.clone(), commit)));
        }
    }
    let commit = |id: &Option<ObjectId>| id.as_ref().and_then(|id| commits.get(id));
    let (old, new) = (commit(&moved.old), commit(&moved.new));
    let forced = match (old, new) {
        (Some(old), Some(new)) => !contents.is_ancestor(&old.id, &new.id).await?,
        _ => false,
    };
    let added = match new {
        // Of a new branch all would be new that there ever was; its last ones are told.
        Some(new) => {
            let exclude: Vec<ObjectId> = old.iter().map(|old| old.id.clone()).collect();
            contents.commits(std::slice::from_ref(&new.id), &exclude, None, 0, MOST_COMMITS + 1).await?
        }
        None => Vec::new(),
    };
    let (kind, short) = match moved.name.strip_prefix("refs/tags/") {
        Some(short) => ("tag", short),
        None => ("branch", moved.name.strip_prefix("refs/heads/").unwrap_or(&moved.name)),
    };
    let side = |commit: Option<&Commit>| {
        commit.map_or(Value::Null, |commit| {
            let below = if kind == "tag" { "tags" } else { "branches" };
            let encoded = doorward_wire::percent_encoded(short);
            json!({
                "type": kind,
                "name": short,
                "target": object::commit(commit, name, api),
                "links": { "self": object::link(format!("{api}/refs/{below}/{encoded}")) },
            })
        })
    };
    let told: Vec<Value> = added.iter().take(MOST_COMMITS).map(|commit| object::commit(commit, name, api)).collect();
    Ok(json!({
        "old": side(old),
        "new": side(new),
        "created": moved.old.is_none(),
        "closed": moved.new.is_none(),
        "forced": forced,
        "truncated": added.len() > MOST_COMMITS,
        "commits": told,
    }))
}

/// Refs of one push that are told.
const MOST_CHANGES: usize = 100;
/// Commits of one ref that are told, as at Bitbucket Cloud.
const MOST_COMMITS: usize = 5;
/// How often it is tried to make a message. Each time it is waited for a place as long as for any work of git.
const ATTEMPTS: u32 = 10;
