//! The operations that only this server has.

use doorward_rules::Action;

use super::super::operation::Content::Json;
use super::super::operation::Operation;
use super::super::webhook;
use super::{account, audit, calendar, consumer, policy, repository, token, workspace};

/// All of them, by what they are about.
pub(in crate::rest) fn operations() -> Vec<Operation> {
    [accounts(), workspaces(), repositories(), tokens(), consumers(), policies(), calendars(), records()]
        .into_iter()
        .flatten()
        .collect()
}

fn accounts() -> Vec<Operation> {
    vec![
        Operation::get("/doorward/accounts", account::accounts)
            .says("All accounts")
            .needs(Action::ReadServer)
            .lists("administered_account"),
        Operation::post("/doorward/accounts", account::create)
            .says("Create an account")
            .needs(Action::ChangeServer)
            .body(Json("new_account"))
            .gives(201, Json("administered_account"))
            .gives(409, Json("error")),
        Operation::get("/doorward/accounts/{account}", account::account)
            .says("An account")
            .needs(Action::ReadServer)
            .gives(200, Json("administered_account")),
        Operation::put("/doorward/accounts/{account}", account::update)
            .says("Disable or enable an account, make it an administrator, say how it signs in")
            .needs(Action::ChangeServer)
            .body(Json("changed_account"))
            .gives(200, Json("administered_account")),
        Operation::post("/doorward/accounts/{account}/link", account::link)
            .says("Make a link by which whoever has it chooses the account's password, once")
            .needs(Action::ChangeServer)
            .body(Json("wanted_link"))
            .gives(201, Json("link")),
    ]
}

fn workspaces() -> Vec<Operation> {
    vec![
        Operation::get("/doorward/workspaces", workspace::workspaces)
            .says("All workspaces")
            .needs(Action::ReadServer)
            .lists("administered_workspace"),
        Operation::post("/doorward/workspaces", workspace::create)
            .says("Create a workspace")
            .needs(Action::ChangeServer)
            .body(Json("new_workspace"))
            .gives(201, Json("administered_workspace"))
            .gives(409, Json("error")),
        Operation::get("/doorward/workspaces/{workspace}", workspace::workspace)
            .says("A workspace with its members")
            .needs(Action::ReadSettings)
            .gives(200, Json("administered_workspace")),
        Operation::put("/doorward/workspaces/{workspace}/members/{account}", workspace::add_member)
            .says("Make an account a member")
            .needs(Action::ChangeSettings)
            .gives(200, Json("administered_workspace"))
            .gives(409, Json("error")),
        Operation::delete("/doorward/workspaces/{workspace}/members/{account}", workspace::remove_member)
            .says("Take an account out, with all that it was given there")
            .needs(Action::ChangeSettings)
            .gives(200, Json("administered_workspace"))
            .gives(409, Json("error")),
        Operation::get("/doorward/workspaces/{workspace}/projects", workspace::projects)
            .says("The projects of a workspace")
            .needs(Action::ReadSettings)
            .lists("administered_project"),
        Operation::post("/doorward/workspaces/{workspace}/projects", workspace::create_project)
            .says("Create a project")
            .needs(Action::ChangeSettings)
            .body(Json("new_administered_project"))
            .gives(201, Json("administered_project"))
            .gives(409, Json("error")),
    ]
}

fn repositories() -> Vec<Operation> {
    vec![
        Operation::get("/doorward/repositories", repository::all)
            .says("The repositories of all workspaces")
            .needs(Action::ReadServer)
            .lists("administered_repository"),
        Operation::get("/doorward/workspaces/{workspace}/repositories", repository::repositories)
            .needs(Action::ReadSettings)
            .says("All repositories of a workspace")
            .lists("administered_repository"),
        Operation::post("/doorward/workspaces/{workspace}/repositories", repository::create)
            .needs(Action::ChangeSettings)
            .says("Create an empty repository")
            .body(Json("new_administered_repository"))
            .gives(201, Json("administered_repository"))
            .gives(409, Json("error")),
        Operation::delete("/doorward/workspaces/{workspace}/repositories/{repo_slug}", repository::delete)
            .needs(Action::ChangeSettings)
            .says("Delete a repository and everything in it")
            .gives(200, Json("administered_repository")),
        Operation::get("/doorward/workspaces/{workspace}/repositories/{repo_slug}/head", repository::head)
            .needs(Action::ReadSettings)
            .says("The branch that a clone checks out")
            .gives(200, Json("head")),
        Operation::put("/doorward/workspaces/{workspace}/repositories/{repo_slug}/head", repository::set_head)
            .needs(Action::ChangeSettings)
            .says("Say which branch a clone checks out")
            .body(Json("new_head"))
            .gives(200, Json("head")),
        Operation::get(
            "/doorward/workspaces/{workspace}/repositories/{repo_slug}/permissions",
            repository::permissions,
        )
        .needs(Action::ReadSettings)
        .says("Who may do what to a repository, and why")
        .lists("administered_permission"),
        Operation::put(
            "/doorward/workspaces/{workspace}/repositories/{repo_slug}/permissions/{account}",
            repository::set_permission,
        )
        .needs(Action::ChangeSettings)
        .says("Say what an account may do to a repository")
        .body(Json("new_administered_permission"))
        .gives(200, Json("administered_permissions")),
        Operation::get("/doorward/repositories/{workspace}/{repo_slug}/hooks/{uid}/deliveries", webhook::deliveries)
            .says("What became of the messages to a webhook")
            .needs(Action::ReadWebhooks)
            .lists("delivery"),
    ]
}

fn tokens() -> Vec<Operation> {
    let whose = |operation: Operation| {
        operation.needs(Action::ReadTokens).takes("account", "text", "an account: its tokens alone").takes(
            "workspace",
            "text",
            "a workspace: its access tokens alone, and those of what is in it",
        )
    };
    vec![
        whose(Operation::get("/doorward/tokens", token::tokens))
            .says("Tokens; everybody's for administrators of the server")
            .lists("token"),
        Operation::post("/doorward/tokens", token::create)
            .says("Create a token; its secret is told this once")
            .needs(Action::WriteTokens)
            .body(Json("wanted_token"))
            .gives(201, Json("new_token"))
            .gives(409, Json("error")),
        whose(Operation::get("/doorward/tokens/review", token::review))
            .says("Tokens that nobody needs, that may do more than they are used for, or that end soon")
            .takes("unused", "text", "what was not used for this long counts as unused: 90d")
            .takes("expiring", "text", "what ends within this time ends soon: 30d")
            .lists("token_finding"),
        Operation::get("/doorward/tokens/{id}", token::token)
            .says("A token, and what it was used for")
            .needs(Action::ReadTokens)
            .gives(200, Json("token")),
        Operation::delete("/doorward/tokens/{id}", token::revoke)
            .says("End a token now")
            .needs(Action::WriteTokens)
            .takes("with_made", "switch", "end those that were made with it, too: it was stolen")
            .gives(200, Json("token"))
            .gives(409, Json("error")),
        Operation::post("/doorward/tokens/{id}/rotate", token::rotate)
            .says("Create a token like this one, and let the old one end after an overlap")
            .needs(Action::WriteTokens)
            .body(Json("rotation"))
            .gives(201, Json("new_token"))
            .gives(409, Json("error")),
    ]
}

fn consumers() -> Vec<Operation> {
    vec![
        Operation::get("/doorward/workspaces/{workspace}/consumers", consumer::consumers)
            .says("The OAuth consumers of a workspace")
            .needs(Action::ReadTokens)
            .lists("consumer"),
        Operation::post("/doorward/workspaces/{workspace}/consumers", consumer::create)
            .says("Create an OAuth consumer; its secret is told this once")
            .needs(Action::WriteTokens)
            .body(Json("wanted_consumer"))
            .gives(201, Json("new_consumer")),
        Operation::post("/doorward/workspaces/{workspace}/consumers/{key}/rotate", consumer::rotate)
            .says("Give an OAuth consumer a new secret, and let the old one end after an overlap")
            .needs(Action::WriteTokens)
            .body(Json("rotation"))
            .gives(201, Json("new_consumer")),
        Operation::delete("/doorward/workspaces/{workspace}/consumers/{key}", consumer::revoke)
            .says("End an OAuth consumer, with all that it was let do")
            .needs(Action::WriteTokens)
            .gives(200, Json("consumer")),
    ]
}

fn policies() -> Vec<Operation> {
    vec![
        Operation::get("/doorward/workspaces/{workspace}/policy", policy::policy)
            .says("What a workspace asks of credentials")
            .needs(Action::ReadSettings)
            .gives(200, Json("policy")),
        Operation::put("/doorward/workspaces/{workspace}/policy", policy::update)
            .says("Change what a workspace asks of credentials, and name the tokens that it refuses")
            .needs(Action::ChangeSettings)
            .takes("dry_run", "switch", "change nothing, and name the tokens that would be refused")
            .body(Json("changed_policy"))
            .gives(200, Json("policy")),
    ]
}

fn calendars() -> Vec<Operation> {
    vec![
        Operation::get("/doorward/calendar", calendar::calendar)
            .says("When each kind of credential ends")
            .needs(Action::ReadServer)
            .lists("schedule"),
        Operation::delete("/doorward/calendar/{kind}", calendar::cancel)
            .says("Take back all that is planned for a kind")
            .needs(Action::ChangeServer)
            .gives(200, Json("schedule")),
        Operation::put("/doorward/calendar/{kind}/end", calendar::announce)
            .says("Announce the end of a kind")
            .needs(Action::ChangeServer)
            .body(Json("announcement"))
            .gives(200, Json("schedule")),
        Operation::post("/doorward/calendar/{kind}/brownouts", calendar::brownout)
            .says("Refuse a kind for a while, once or again and again")
            .needs(Action::ChangeServer)
            .body(Json("brownout"))
            .gives(201, Json("schedule")),
        Operation::put("/doorward/calendar/{kind}/retirement", calendar::retire)
            .says("Refuse a kind for good")
            .needs(Action::ChangeServer)
            .body(Json("retirement"))
            .gives(200, Json("schedule")),
        Operation::get("/doorward/calendar/{kind}/rehearsal", calendar::rehearsal)
            .says("Who would have been refused, had a kind been retired already")
            .needs(Action::ReadServer)
            .takes("days", "number", "how many days to look back: 30")
            .lists("rehearsed"),
    ]
}

fn records() -> Vec<Operation> {
    vec![
        Operation::get("/doorward/audit", audit::audit)
            .says("What was refused, pushed and changed; your own, your workspace's, or everything")
            .needs(Action::ReadRequests)
            .takes("account", "text", "an account: what was asked with its credentials")
            .takes("workspace", "text", "a workspace: what is about it, or something in it")
            .takes("within", "text", "a WS or WS/REPO: what is about it, or something in it")
            .takes("request", "text", "a request, by its id")
            .takes("credential", "text", "a credential, by its id")
            .takes("address", "text", "where it was asked from")
            .takes("reason", "text", "the stable name of a refusal's reason")
            .takes("since", "text", "a moment, such as 2026-11-22T10:00:00Z: what is of then or later")
            .takes("until", "text", "a moment: what is of before")
            .takes("refused", "switch", "refusals alone")
            .takes("latest_first", "switch", "the latest first")
            .pages("audit_record"),
        Operation::get("/doorward/why/{request}", audit::why)
            .says("Why a request was answered as it was")
            .needs(Action::ReadRequests)
            .gives(200, Json("why")),
    ]
}
