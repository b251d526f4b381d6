//! Every operation that there is: the routes, the description of the API and its page are made from this table.

use doorward_rules::Action;

use super::operation::Content::{self, Json};
use super::operation::Operation;
use super::{
    admin, commits, compare, none, openapi, permission, project, refs, repository, source, status, upload, user,
    webhook, workspace,
};

/// The table, by what the operations are about.
pub(super) fn operations() -> Vec<Operation> {
    let parts = [
        about_the_api(),
        accounts(),
        workspaces(),
        repositories(),
        refs_and_commits(),
        differences(),
        files(),
        hooks(),
        admin::operations(),
        none_here(),
    ];
    parts.into_iter().flatten().collect()
}

fn about_the_api() -> Vec<Operation> {
    vec![
        Operation::get("/openapi.json", openapi::document)
            .says("This description, for programs")
            .gives(200, Json("anything")),
        Operation::get("/openapi", openapi::page).says("This description, for people").gives(200, Content::Text),
    ]
}

fn accounts() -> Vec<Operation> {
    vec![
        Operation::get("/user", user::user)
            .says("Your account")
            .needs(Action::ReadAccount)
            .gives(200, Json("own_account")),
        Operation::get("/user/emails", user::emails)
            .says("Your e-mail addresses")
            .needs(Action::ReadEmail)
            .pages("email"),
        Operation::get("/user/emails/{email}", user::email)
            .says("One of your e-mail addresses")
            .needs(Action::ReadEmail)
            .gives(200, Json("email")),
        Operation::get("/user/workspaces", user::workspaces)
            .says("The workspaces that you belong to")
            .needs(Action::ReadWorkspaces)
            .lists("workspace_access")
            .takes("administrator", "switch", "those alone that you own, or do not"),
        Operation::get("/user/workspaces/{workspace}/permission", user::permission)
            .says("What you are to a workspace")
            .needs(Action::ReadWorkspaces)
            .gives(200, Json("workspace_membership")),
        Operation::get("/user/workspaces/{workspace}/permissions/repositories", user::permissions_in)
            .says("What you may do to the repositories of a workspace")
            .needs(Action::ReadOwnPermissions)
            .lists("repository_permission"),
        Operation::get("/user/permissions/repositories", user::permissions)
            .says("What you may do to repositories")
            .needs(Action::ReadOwnPermissions)
            .lists("repository_permission"),
        Operation::get("/user/permissions/workspaces", user::memberships)
            .says("What you are to workspaces")
            .needs(Action::ReadWorkspaces)
            .lists("workspace_membership"),
        Operation::get("/users/{selected_user}", user::another)
            .says("Somebody in a workspace of yours")
            .needs(Action::ReadAccount)
            .gives(200, Json("account")),
    ]
}

fn workspaces() -> Vec<Operation> {
    vec![
        Operation::get("/workspaces", user::all_workspaces)
            .says("The workspaces that you belong to")
            .needs(Action::ReadWorkspaces)
            .lists("workspace"),
        Operation::get("/workspaces/{workspace}", workspace::workspace)
            .says("A workspace")
            .needs(Action::ReadWorkspace)
            .gives(200, Json("workspace")),
        Operation::get("/workspaces/{workspace}/members", workspace::members)
            .says("Who belongs to a workspace")
            .needs(Action::ReadMembers)
            .lists("workspace_membership"),
        Operation::get("/workspaces/{workspace}/members/{member}", workspace::member)
            .says("Somebody who belongs to a workspace")
            .needs(Action::ReadMembers)
            .gives(200, Json("workspace_membership")),
        Operation::get("/workspaces/{workspace}/permissions", workspace::permissions)
            .says("What each member is to a workspace")
            .needs(Action::ReadMembers)
            .lists("workspace_membership"),
        Operation::get("/workspaces/{workspace}/permissions/repositories", workspace::all_permissions)
            .says("Who may do what to the repositories of a workspace")
            .needs(Action::ReadAllPermissions)
            .lists("repository_permission"),
        Operation::get("/workspaces/{workspace}/permissions/repositories/{repo_slug}", workspace::permissions_of)
            .says("Who may do what to one of them")
            .needs(Action::ReadAllPermissions)
            .lists("repository_permission"),
        Operation::get("/workspaces/{workspace}/projects", project::projects)
            .says("The projects of a workspace")
            .needs(Action::ReadProjects)
            .lists("project"),
        Operation::post("/workspaces/{workspace}/projects", project::create)
            .says("Create a project")
            .needs(Action::ChangeProjects)
            .body(Json("new_project"))
            .gives(201, Json("project")),
        Operation::get("/workspaces/{workspace}/projects/{project_key}", project::project)
            .says("A project")
            .needs(Action::ReadProjects)
            .gives(200, Json("project")),
        Operation::put("/workspaces/{workspace}/projects/{project_key}", project::update)
            .says("Change a project, or create it")
            .needs(Action::ChangeProjects)
            .body(Json("changed_project"))
            .gives(200, Json("project"))
            .gives(201, Json("project")),
        Operation::delete("/workspaces/{workspace}/projects/{project_key}", project::delete)
            .says("Delete an empty project")
            .needs(Action::ChangeProjects)
            .gives_nothing(204),
    ]
}

fn repositories() -> Vec<Operation> {
    vec![
        Operation::get("/repositories", user::all_repositories)
            .says("Removed: ask for one workspace at a time")
            .gives(410, Json("error")),
        Operation::get("/repositories/{workspace}", repository::repositories)
            .says("The repositories of a workspace that you may see")
            .needs(Action::ListRepositories)
            .lists("repository")
            .takes("role", "member|contributor|admin|owner", "those alone that you may read, write or administer"),
        Operation::get("/repositories/{workspace}/{repo_slug}", repository::repository)
            .says("A repository")
            .needs(Action::ReadRepository)
            .gives(200, Json("repository")),
        Operation::post("/repositories/{workspace}/{repo_slug}", repository::create)
            .says("Create a repository, private unless you say otherwise")
            .needs(Action::CreateRepository)
            .body(Json("repository_settings"))
            .gives(200, Json("repository")),
        Operation::put("/repositories/{workspace}/{repo_slug}", repository::update)
            .says("Change a repository, or create it")
            .needs(Action::ChangeRepository)
            .body(Json("repository_settings"))
            .gives(200, Json("repository"))
            .gives(201, Json("repository")),
        Operation::delete("/repositories/{workspace}/{repo_slug}", repository::delete)
            .says("Delete a repository")
            .needs(Action::DeleteRepository)
            .gives_nothing(204),
        Operation::get("/repositories/{workspace}/{repo_slug}/permissions-config/users", permission::users)
            .says("What was given to accounts on a repository")
            .needs(Action::ReadPermissions)
            .lists("repository_user_permission"),
        Operation::get(
            "/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}",
            permission::user,
        )
        .says("What was given to an account")
        .needs(Action::ReadPermissions)
        .gives(200, Json("repository_user_permission")),
        Operation::put(
            "/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}",
            permission::give,
        )
        .says("Give an account a permission")
        .needs(Action::GivePermission)
        .body(Json("given_permission"))
        .gives(200, Json("repository_user_permission")),
        Operation::delete(
            "/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}",
            permission::take,
        )
        .says("Take a permission from an account")
        .needs(Action::TakePermission)
        .gives_nothing(204),
        Operation::get("/repositories/{workspace}/{repo_slug}/permissions-config/groups", permission::groups)
            .says("What was given to groups, of which there are none")
            .needs(Action::ReadPermissions)
            .pages("anything"),
    ]
}

fn refs_and_commits() -> Vec<Operation> {
    let mut all = vec![
        Operation::get("/repositories/{workspace}/{repo_slug}/refs", refs::refs)
            .says("Branches and tags")
            .needs(Action::Fetch)
            .lists("ref"),
    ];
    all.extend(branches());
    all.extend(tags());
    all.extend(commit_lists());
    all.extend(reports());
    all
}

fn branches() -> Vec<Operation> {
    vec![
        Operation::get("/repositories/{workspace}/{repo_slug}/refs/branches", refs::branches)
            .says("Branches")
            .needs(Action::Fetch)
            .lists("ref"),
        Operation::post("/repositories/{workspace}/{repo_slug}/refs/branches", refs::create_branch)
            .says("Create a branch")
            .needs(Action::CreateRef)
            .body(Json("new_ref"))
            .gives(201, Json("ref")),
        Operation::get("/repositories/{workspace}/{repo_slug}/refs/branches/{*name}", refs::branch)
            .says("A branch")
            .needs(Action::Fetch)
            .gives(200, Json("ref")),
        Operation::delete("/repositories/{workspace}/{repo_slug}/refs/branches/{*name}", refs::delete_branch)
            .says("Delete a branch")
            .needs(Action::Push)
            .gives_nothing(204),
    ]
}

fn tags() -> Vec<Operation> {
    vec![
        Operation::get("/repositories/{workspace}/{repo_slug}/refs/tags", refs::tags)
            .says("Tags")
            .needs(Action::Fetch)
            .lists("ref"),
        Operation::post("/repositories/{workspace}/{repo_slug}/refs/tags", refs::create_tag)
            .says("Create an annotated tag")
            .needs(Action::CreateRef)
            .body(Json("new_ref"))
            .gives(201, Json("ref")),
        Operation::get("/repositories/{workspace}/{repo_slug}/refs/tags/{*name}", refs::tag)
            .says("A tag")
            .needs(Action::Fetch)
            .gives(200, Json("ref")),
        Operation::delete("/repositories/{workspace}/{repo_slug}/refs/tags/{*name}", refs::delete_tag)
            .says("Delete a tag")
            .needs(Action::Push)
            .gives_nothing(204),
    ]
}

fn commit_lists() -> Vec<Operation> {
    let narrowed = |operation: Operation| {
        operation
            .needs(Action::Fetch)
            .pages("commit")
            .takes("include", "texts", "branches, tags or commits that lead to those that are wanted")
            .takes("exclude", "texts", "branches, tags or commits that lead to those that are not")
            .takes("path", "text", "a path: those alone that change it")
    };
    let form = Content::Form("commit_filter");
    vec![
        narrowed(Operation::get("/repositories/{workspace}/{repo_slug}/commits", commits::commits)).says("Commits"),
        narrowed(Operation::post("/repositories/{workspace}/{repo_slug}/commits", commits::commits_of_form))
            .says("Commits, asked for with a form")
            .body(form),
        narrowed(Operation::get("/repositories/{workspace}/{repo_slug}/commits/{*revision}", commits::commits_from))
            .says("Commits from a branch, tag or commit"),
        narrowed(Operation::post(
            "/repositories/{workspace}/{repo_slug}/commits/{*revision}",
            commits::commits_from_of_form,
        ))
        .says("Commits from a branch, tag or commit, asked for with a form")
        .body(form),
        Operation::get("/repositories/{workspace}/{repo_slug}/commit/{commit}", commits::commit)
            .says("A commit")
            .needs(Action::Fetch)
            .gives(200, Json("commit")),
    ]
}

fn reports() -> Vec<Operation> {
    vec![
        Operation::get("/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses", status::statuses)
            .says("What was reported of a commit")
            .needs(Action::ReadRepository)
            .lists("commit_status")
            .takes("refname", "text", "a branch or tag: reports for that alone"),
        Operation::post("/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses/build", status::report)
            .says("Report on a commit")
            .needs(Action::ReportStatus)
            .body(Json("new_commit_status"))
            .gives(201, Json("commit_status")),
        Operation::get("/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses/build/{key}", status::status)
            .says("A report")
            .needs(Action::ReadRepository)
            .gives(200, Json("commit_status")),
        Operation::put("/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses/build/{key}", status::update)
            .says("Change a report")
            .needs(Action::ReportStatus)
            .body(Json("changed_commit_status"))
            .gives(200, Json("commit_status")),
    ]
}

/// Lists of what there is not on this server. They are empty, and not absent: tools that ask for them first go on then.
fn none_here() -> Vec<Operation> {
    let repository = [
        ("/repositories/{workspace}/{repo_slug}/pullrequests", "Pull requests, of which there are none"),
        ("/repositories/{workspace}/{repo_slug}/commit/{commit}/pullrequests", "Pull requests with a commit: none"),
        ("/repositories/{workspace}/{repo_slug}/commit/{commit}/comments", "Comments on a commit: none"),
        ("/repositories/{workspace}/{repo_slug}/commit/{commit}/reports", "Reports on a commit's code: none"),
        ("/repositories/{workspace}/{repo_slug}/default-reviewers", "Default reviewers: none"),
        ("/repositories/{workspace}/{repo_slug}/effective-default-reviewers", "Default reviewers: none"),
        ("/repositories/{workspace}/{repo_slug}/branch-restrictions", "Branch restrictions: none"),
        ("/repositories/{workspace}/{repo_slug}/forks", "Forks: none"),
        ("/repositories/{workspace}/{repo_slug}/watchers", "Watchers: none"),
        ("/repositories/{workspace}/{repo_slug}/downloads", "Downloads: none"),
        ("/repositories/{workspace}/{repo_slug}/deploy-keys", "Deploy keys: none"),
    ];
    let list =
        |(path, says)| Operation::get(path, none::list).says(says).needs(Action::ReadRepository).pages("anything");
    let mut all: Vec<Operation> = repository.into_iter().map(list).collect();
    all.push(
        Operation::get("/doorward/avatar.svg", none::avatar)
            .says("The picture of everything that has none of its own")
            .gives(200, Content::File),
    );
    all
}

fn differences() -> Vec<Operation> {
    let compared = |operation: Operation| {
        operation
            .needs(Action::Fetch)
            .takes("path", "texts", "paths that are looked at alone")
            .takes("ignore_whitespace", "switch", "leave changes of white space out")
            .takes("topic", "switch", "compare with where the two part, which is usual")
    };
    vec![
        compared(Operation::get("/repositories/{workspace}/{repo_slug}/diff/{*spec}", compare::diff))
            .says("A diff")
            .takes("context", "number", "lines around each change")
            .gives(200, Content::Text),
        compared(Operation::get("/repositories/{workspace}/{repo_slug}/diffstat/{*spec}", compare::diffstat))
            .says("A diff, file by file")
            .takes("renames", "switch", "tell files that were renamed")
            .pages("diffstat"),
        Operation::get("/repositories/{workspace}/{repo_slug}/patch/{*spec}", compare::patch)
            .says("Patches, one for each commit")
            .needs(Action::Fetch)
            .gives(200, Content::Text),
        Operation::get("/repositories/{workspace}/{repo_slug}/merge-base/{*revspec}", compare::merge_base)
            .says("Where two commits part")
            .needs(Action::Fetch)
            .gives(200, Json("commit")),
    ]
}

fn files() -> Vec<Operation> {
    let read = |operation: Operation| {
        operation
            .needs(Action::Fetch)
            .gives(200, Content::File)
            .gives(206, Content::File)
            .gives_nothing(304)
            .gives(416, Json("error"))
            .takes("format", "meta", "what a file or directory is, in place of its content")
            .takes("max_depth", "number", "how deep a listing goes, from 1 to 20")
            .takes("page", "number", "which page of a listing")
            .takes("pagelen", "number", "how many on a page: 10, or up to 100")
            .takes("q", "text", "a filter of a listing, such as size > 1000")
            .takes("sort", "text", "a field to sort a listing by")
    };
    vec![
        Operation::get("/repositories/{workspace}/{repo_slug}/src", source::main_branch)
            .says("Leads to the top of the main branch")
            .needs(Action::Fetch)
            .gives_nothing(302),
        Operation::post("/repositories/{workspace}/{repo_slug}/src", upload::upload)
            .says("Upload files as a commit")
            .needs(Action::Push)
            .body(Content::Files("upload"))
            .gives_nothing(201),
        read(Operation::get("/repositories/{workspace}/{repo_slug}/src/{commit}", source::root))
            .says("What is at the top"),
        read(Operation::get("/repositories/{workspace}/{repo_slug}/src/{commit}/{*path}", source::path))
            .says("A file, or what is in a directory"),
        Operation::get("/repositories/{workspace}/{repo_slug}/filehistory/{commit}/{*path}", commits::file_history)
            .says("The commits that changed a file")
            .needs(Action::Fetch)
            .takes("renames", "switch", "also under the names that it had before")
            .pages("commit_file"),
    ]
}

fn hooks() -> Vec<Operation> {
    vec![
        Operation::get("/repositories/{workspace}/{repo_slug}/hooks", webhook::hooks)
            .says("Webhooks")
            .needs(Action::ReadWebhooks)
            .lists("webhook_subscription"),
        Operation::post("/repositories/{workspace}/{repo_slug}/hooks", webhook::create)
            .says("Create a webhook")
            .needs(Action::WriteWebhooks)
            .body(Json("new_webhook"))
            .gives(201, Json("webhook_subscription")),
        Operation::get("/repositories/{workspace}/{repo_slug}/hooks/{uid}", webhook::hook)
            .says("A webhook")
            .needs(Action::ReadWebhooks)
            .gives(200, Json("webhook_subscription")),
        Operation::put("/repositories/{workspace}/{repo_slug}/hooks/{uid}", webhook::update)
            .says("Change a webhook")
            .needs(Action::WriteWebhooks)
            .body(Json("changed_webhook"))
            .gives(200, Json("webhook_subscription")),
        Operation::delete("/repositories/{workspace}/{repo_slug}/hooks/{uid}", webhook::delete)
            .says("Delete a webhook")
            .needs(Action::DeleteWebhooks)
            .gives_nothing(204),
    ]
}
