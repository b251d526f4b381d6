//! What is answered has the shapes that Bitbucket Cloud documents: our own copy of them, as far as they are served here.

use std::collections::HashMap;

use doorward_testkit::Server;
use serde_json::{Value, json};

use crate::server;

/// Each shape, and its fields: `field:type`, or `field=words` of which it is one. With `?` it may be null, or not there.
/// From the definitions of the provider's OpenAPI document; what that only allows, and clients read, is asked for here.
const SHAPES: &str = "
    user             type=user uuid:id account_id:text nickname:text display_name:text created_on:moment links:object
    own_user         type=user uuid:id account_id:text account_status:text has_2fa_enabled:truth is_staff:truth nickname:text
    email            type=email email:text is_primary:truth is_confirmed:truth links:object
    team             type=team uuid:id display_name:text username:text
    workspace        type=workspace uuid:id name:text slug:text is_private:truth is_privacy_enforced:truth created_on:moment
    workspace        updated_on:moment forking_mode=allow_forks|internal_only links:object
    workspace_base   type=workspace_base uuid:id slug:text links:object
    workspace_in     type=workspace uuid:id name:text slug:text links:object
    workspace_access type=workspace_access administrator:truth workspace:workspace_base
    workspace_membership  type=workspace_membership permission=owner|member user:user workspace:workspace_in links:object
    project          type=project uuid:id key:text owner:team name:text description:text is_private:truth created_on:moment
    project          updated_on:moment has_publicly_visible_repos:truth links:object
    project_in       type=project key:text uuid:id? name:text? links:object?
    mainbranch       type=branch name:text
    repository       type=repository uuid:id full_name:text is_private:truth scm=git owner:team name:text slug:text links:object
    repository       description:text created_on:moment updated_on:moment size:number language:text has_issues:truth
    repository       has_wiki:truth fork_policy=allow_forks|no_public_forks|no_forks project:project_in workspace:workspace_in
    repository       mainbranch:mainbranch? parent:repository?
    repository_in    type=repository full_name:text name:text links:object
    repository_permission  type=repository_permission permission=read|write|admin|none user:user repository:repository_in
    repository_user_permission  type=repository_user_permission permission=read|write|admin|none user:user links:object
    repository_user_permission  repository:repository_in
    author           type=author raw:text
    committer        type=committer raw:text
    commit           type=commit hash:text date:moment author:author committer:committer message:text summary:object
    commit           parents:base_commit* repository:repository_in participants:object* links:object
    base_commit      type=commit hash:text links:object
    branch           type=branch name:text target:commit links:object
    tag              type=tag name:text target:commit links:object message:text? date:moment? tagger:author?
    commitstatus     type=build key:text refname:text? url:text state=FAILED|INPROGRESS|STOPPED|SUCCESSFUL name:text
    commitstatus     description:text created_on:moment updated_on:moment links:object
    diffstat         type=diffstat status=added|removed|modified|renamed lines_added:number lines_removed:number
    diffstat         old:diff_file? new:diff_file?
    diff_file        type=commit_file path:text escaped_path:text links:object
    commit_file      type=commit_file path:text commit:base_commit escaped_path:text attributes:text* size:number links:object
    commit_directory type=commit_directory path:text commit:base_commit links:object
    old_file         type=commit_file path:text commit:commit escaped_path:text links:object
    webhook_subscription  type=webhook_subscription uuid:id url:text description:text subject_type=repository|workspace
    webhook_subscription  subject:repository_in active:truth created_at:moment events:text* secret_set:truth
    error            type=error error:object
";

type Shapes = HashMap<&'static str, Vec<&'static str>>;

fn shapes() -> Shapes {
    let mut shapes: Shapes = HashMap::new();
    for line in SHAPES.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        shapes.entry(words.next().expect("a name")).or_default().extend(words);
    }
    shapes
}

/// What is wrong with a value, if anything is.
fn check(shapes: &Shapes, name: &str, value: &Value) -> Result<(), String> {
    let plain = match name {
        "text" => value.is_string(),
        "truth" => value.is_boolean(),
        "number" => value.is_u64(),
        "object" => value.is_object(),
        "id" => value.as_str().is_some_and(|id| id.len() == 38 && id.starts_with('{') && id.ends_with('}')),
        "moment" => value.as_str().is_some_and(|at| at.parse::<doorward_rules::Timestamp>().is_ok() && at.len() >= 20),
        _ => return check_fields(shapes, name, value),
    };
    if plain { Ok(()) } else { Err(format!("{value} is no {name}")) }
}

fn check_fields(shapes: &Shapes, name: &str, value: &Value) -> Result<(), String> {
    let fields = shapes.get(name).unwrap_or_else(|| panic!("no shape {name}"));
    for field in fields {
        let (field, optional) = field.strip_suffix('?').map_or((*field, false), |field| (field, true));
        if let Some((field, words)) = field.split_once('=') {
            let found = value[field].as_str().unwrap_or_default();
            if !words.split('|').any(|word| word == found) {
                return Err(format!("{name}.{field} is {}, and none of {words}", value[field]));
            }
            continue;
        }
        let (field, kind) = field.split_once(':').expect("a type");
        let found = &value[field];
        if found.is_null() && optional {
            continue;
        }
        let checked = match kind.strip_suffix('*') {
            None => check(shapes, kind, found),
            Some(kind) => match found.as_array() {
                None => Err(format!("{found} is no list")),
                Some(values) => values.iter().try_for_each(|value| check(shapes, kind, value)),
            },
        };
        checked.map_err(|wrong| format!("{name}.{field}: {wrong}"))?;
    }
    Ok(())
}

struct World {
    server: Server,
    token: String,
    shapes: Shapes,
}

impl World {
    fn call(&self, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [&format!("Authorization: Bearer {}", self.token), "Content-Type: application/json"];
        let answer = self.server.http().call(method, &format!("/2.0{path}"), &headers, &body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Asks, and checks the shape of what comes.
    fn is(&self, shape: &str, path: &str) -> Value {
        let value = self.call("GET", path, &Value::Null, 200);
        check(&self.shapes, shape, &value).unwrap_or_else(|wrong| panic!("{path}: {wrong}\n{value}"));
        value
    }

    /// Asks for a list, and checks that of its wrapper and of each value; there must be some.
    fn are(&self, shape: &str, path: &str) {
        let list = self.call("GET", path, &Value::Null, 200);
        let values = list["values"].as_array().unwrap_or_else(|| panic!("{path}: {list}"));
        assert!(!values.is_empty() && list["pagelen"].is_u64() && list["page"] == 1, "{path}: {list}");
        for value in values {
            let checked = check(&self.shapes, shape, value);
            checked.unwrap_or_else(|wrong| panic!("{path}: {wrong}\n{value}"));
        }
    }

    fn made(&self, shape: &str, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let value = self.call(method, path, body, status);
        check(&self.shapes, shape, &value).unwrap_or_else(|wrong| panic!("{method} {path}: {wrong}\n{value}"));
        value
    }
}

#[test]
fn what_is_answered_has_the_shapes_that_the_provider_documents() {
    let server = server();
    let scopes: Vec<String> = [
        "read:repository",
        "write:repository",
        "admin:repository",
        "delete:repository",
        "read:project",
        "admin:project",
        "read:workspace",
        "read:user",
        "read:webhook",
        "write:webhook",
        "write:permission",
    ]
    .map(|scope| format!("{scope}:bitbucket"))
    .to_vec();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let (_, token) = server.cli().token("admin", &scopes, &[]);
    server.cli().ok(&["account", "create", "ada", "--email", "ada@example.org"]);
    server.cli().ok(&["workspace", "member", "add", "home", "ada"]);
    let world = World { server, token, shapes: shapes() };
    let (w, r) = ("/workspaces/home", "/repositories/home/site");
    world.made("project", "POST", &format!("{w}/projects"), &json!({ "key": "OPS", "name": "Operations" }), 201);
    world.made("repository", "POST", r, &json!({ "project": { "key": "OPS" } }), 200);
    world.made(
        "repository_user_permission",
        "PUT",
        &format!("{r}/permissions-config/users/ada"),
        &json!({ "permission": "write" }),
        200,
    );
    let form = ["Content-Type: application/x-www-form-urlencoded", &format!("Authorization: Bearer {}", world.token)];
    for body in [&b"a.txt=1%0A2%0A&docs/b=x"[..], b"a.txt=1%0A3%0A&message=Second"] {
        assert_eq!(world.server.http().post(&format!("/2.0{r}/src"), &form, body).status, 201);
    }
    let target = json!({ "hash": "main" });
    world.made("branch", "POST", &format!("{r}/refs/branches"), &json!({ "name": "x", "target": target }), 201);
    world.made(
        "tag",
        "POST",
        &format!("{r}/refs/tags"),
        &json!({ "name": "v1", "target": target, "message": "One" }),
        201,
    );
    world.made("tag", "POST", &format!("{r}/refs/tags"), &json!({ "name": "v2", "target": target }), 201);
    let status = json!({ "key": "ci", "state": "FAILED", "url": "https://ci.example.org" });
    world.made("commitstatus", "POST", &format!("{r}/commit/main/statuses/build"), &status, 201);
    let hook = json!({ "url": "https://ci.example.org", "events": ["repo:push"] });
    let hook = world.made("webhook_subscription", "POST", &format!("{r}/hooks"), &hook, 201);
    let hook = hook["uuid"].as_str().expect("an id").replace('{', "%7B").replace('}', "%7D");

    for (shape, path) in [
        ("own_user", "/user".to_owned()),
        ("user", "/users/ada".replace("ada", "admin")),
        ("workspace", w.to_owned()),
        ("workspace_membership", format!("{w}/members/admin")),
        ("workspace_membership", "/user/workspaces/home/permission".into()),
        ("project", format!("{w}/projects/OPS")),
        ("repository", r.to_owned()),
        ("repository_user_permission", format!("{r}/permissions-config/users/ada")),
        ("branch", format!("{r}/refs/branches/main")),
        ("tag", format!("{r}/refs/tags/v1")),
        ("commit", format!("{r}/commit/main")),
        ("commitstatus", format!("{r}/commit/main/statuses/build/ci")),
        ("commit", format!("{r}/merge-base/main..x")),
        ("commit_file", format!("{r}/src/main/a.txt?format=meta")),
        ("commit_directory", format!("{r}/src/main/docs?format=meta")),
        ("webhook_subscription", format!("{r}/hooks/{hook}")),
    ] {
        world.is(shape, &path);
    }
    for (shape, path) in [
        ("email", "/user/emails".to_owned()),
        ("workspace_access", "/user/workspaces".into()),
        ("workspace", "/workspaces".into()),
        ("workspace_membership", format!("{w}/members")),
        ("workspace_membership", format!("{w}/permissions")),
        ("workspace_membership", "/user/permissions/workspaces".into()),
        ("repository_permission", "/user/permissions/repositories".into()),
        ("repository_permission", "/user/workspaces/home/permissions/repositories".into()),
        ("repository_permission", format!("{w}/permissions/repositories")),
        ("repository_permission", format!("{w}/permissions/repositories/site")),
        ("project", format!("{w}/projects")),
        ("repository", "/repositories/home".into()),
        ("repository_user_permission", format!("{r}/permissions-config/users")),
        ("branch", format!("{r}/refs/branches")),
        ("tag", format!("{r}/refs/tags")),
        ("commit", format!("{r}/commits")),
        ("commit", format!("{r}/commits/x?pagelen=1")),
        ("commitstatus", format!("{r}/commit/main/statuses")),
        ("diffstat", format!("{r}/diffstat/main")),
        ("commit_file", format!("{r}/src/main/docs/")),
        ("old_file", format!("{r}/filehistory/main/a.txt")),
        ("webhook_subscription", format!("{r}/hooks")),
    ] {
        world.are(shape, &path);
    }
    let missing = world.call("GET", "/repositories/home/none", &Value::Null, 404);
    check(&world.shapes, "error", &missing).expect("an error");
}
