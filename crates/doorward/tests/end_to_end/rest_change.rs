//! REST: repositories, projects, permissions, refs and reports are made, changed and ended; and lists are asked for in parts.

use doorward_testkit::{Response, Server};
use serde_json::{Value, json};

use crate::operation::await_that;
use crate::server;

/// A server with the workspace `acme` of ada, of which bob is a member and carol is not.
struct World {
    server: Server,
    ada: String,
    bob: String,
    carol: String,
}

const ALL: &[&str] = &[
    "read:repository:bitbucket",
    "write:repository:bitbucket",
    "admin:repository:bitbucket",
    "delete:repository:bitbucket",
    "read:project:bitbucket",
    "admin:project:bitbucket",
    "read:workspace:bitbucket",
    "read:user:bitbucket",
    "write:permission:bitbucket",
    "delete:permission:bitbucket",
];

impl World {
    fn new() -> Self {
        let server = server();
        let cli = server.cli();
        for name in ["ada", "bob", "carol"] {
            cli.ok(&["account", "create", name, "--email", &format!("{name}@example.org")]);
        }
        cli.ok(&["workspace", "create", "acme", "--owner", "ada"]);
        cli.ok(&["workspace", "member", "add", "acme", "bob"]);
        let [ada, bob, carol] = ["ada", "bob", "carol"].map(|name| cli.token(name, ALL, &[]).1);
        Self { server, ada, bob, carol }
    }

    fn call(&self, who: &str, method: &str, path: &str, body: &Value) -> Response {
        self.server.http().json(who, method, &format!("/2.0{path}"), body)
    }

    fn ok(&self, who: &str, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let answer = self.call(who, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { serde_json::from_slice(&answer.body).expect("JSON") }
    }

    fn get(&self, who: &str, path: &str) -> Value {
        self.ok(who, "GET", path, &Value::Null, 200)
    }

    #[track_caller]
    fn refused(&self, who: &str, method: &str, path: &str, body: &Value, status: u16, code: &str) -> Value {
        self.call(who, method, path, body).refused(status, code)
    }
}

fn names(list: &Value, pointer: &str) -> Vec<String> {
    let values = list["values"].as_array().unwrap_or_else(|| panic!("{list}"));
    values.iter().map(|value| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_repository_is_made_changed_renamed_and_ended() {
    let world = World::new();
    let (ada, path) = (world.ada.as_str(), "/repositories/acme/tools");
    world.ok(ada, "POST", "/workspaces/acme/projects", &json!({ "key": "OPS", "name": "Operations" }), 201);
    let made = json!({ "scm": "git", "description": "What we need", "project": { "key": "OPS" }, "name": "Our Tools" });
    let made = world.ok(ada, "POST", path, &made, 200);
    let of = |value: &Value| -> Value {
        json!([value["full_name"], value["name"], value["is_private"], value["project"]["key"], value["description"]])
    };
    assert_eq!(of(&made), json!(["acme/tools", "Our Tools", true, "OPS", "What we need"]));
    world.refused(ada, "POST", path, &Value::Null, 400, "repository_exists");
    world.server.git().ok(world.server.directory(), &["clone", "-q", &world.server.url("ada", ada, "acme/tools"), "t"]);
    // The rest stays.
    let changed = world.ok(ada, "PUT", path, &json!({ "is_private": false, "description": "" }), 200);
    assert_eq!(of(&changed), json!(["acme/tools", "Our Tools", false, "OPS", ""]));
    let answer = world.call(ada, "PUT", path, &json!({ "name": "Shared Tools!" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("location").ends_with("/2.0/repositories/acme/shared-tools"), "{answer:?}");
    let moved = world.get(ada, "/repositories/acme/shared-tools");
    assert_eq!(moved["uuid"], made["uuid"]);
    // By its id it is found under whatever name.
    let uuid = made["uuid"].as_str().expect("an id").replace('{', "%7B").replace('}', "%7D");
    assert_eq!(world.get(ada, &format!("/repositories/%7B%7D/{uuid}"))["full_name"], "acme/shared-tools");
    // Made by PUT, with its address.
    let answer = world.call(ada, "PUT", "/repositories/acme/new", &json!({}));
    assert_eq!((answer.status, answer.header("location").ends_with("/acme/new")), (201, true), "{answer:?}");
    for (body, field) in [
        (json!({ "project": { "key": "NONE" } }), "project"),
        (json!({ "project": "OPS" }), "project"),
        (json!({ "is_private": 7 }), "is_private"),
        (json!({ "description": ["x"] }), "description"),
        (json!({ "name": "x".repeat(100) }), "name"),
        (json!({ "mainbranch": { "name": "none" } }), "mainbranch"),
        (json!({ "fork_policy": "maybe" }), "fork_policy"),
    ] {
        let expected = if field == "mainbranch" { 200 } else { 400 };
        let answer = world.call(ada, "PUT", "/repositories/acme/new", &body);
        assert_eq!(answer.status, expected, "{body}: {}", answer.text());
    }
    world.refused(ada, "POST", "/repositories/acme/hg", &json!({ "scm": "hg" }), 400, "bad_parameter");
    world.refused(ada, "POST", "/repositories/acme/Not%20a%20name", &json!({}), 400, "bad_parameter");
    let answer = world.server.http().call(
        "PUT",
        "/2.0/repositories/acme/new",
        &[&format!("Authorization: Bearer {ada}"), "Content-Type: application/json"],
        b"{\"name\": ",
    );
    assert!(answer.status == 400 && answer.text().contains("body_unreadable"), "{}", answer.text());
    world.ok(ada, "DELETE", "/repositories/acme/shared-tools", &Value::Null, 204);
    world.refused(ada, "GET", "/repositories/acme/shared-tools", &Value::Null, 404, "repository_not_found");
    // Each change is on record as the caller's.
    let audit = world.server.cli().json(&["audit"]);
    let records = audit.as_array().or(audit["records"].as_array()).expect("records");
    let events = ["repository.created", "repository.changed", "repository.deleted", "project.created"];
    for event in events {
        let record = records.iter().find(|record| record["event"] == event && record["account"] == "ada");
        assert!(record.is_some(), "{event}: {audit}");
    }
}

#[test]
fn who_may_not_is_told_the_same_of_what_is_hidden_and_of_what_is_not_there() {
    let world = World::new();
    let hidden = ["/repositories/acme/secret", "/repositories/acme/absent"];
    world.ok(&world.ada, "POST", hidden[0], &json!({}), 200);
    for (method, body) in [("GET", Value::Null), ("PUT", json!({})), ("DELETE", Value::Null), ("POST", json!({}))] {
        let [there, absent] = hidden.map(|path| {
            let answer = world.call(&world.carol, method, path, &body);
            let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
            (answer.status, value["error"]["detail"]["code"].clone(), value["error"]["message"].clone())
        });
        assert_eq!(there, absent, "{method}");
        assert_eq!(there.0, 404, "{method}: {there:?}");
    }
    // So are workspaces, and what is in them.
    for below in ["", "/members", "/projects", "/permissions/repositories"] {
        for workspace in ["acme", "absent"] {
            let path = format!("/workspaces/{workspace}{below}");
            world.refused(&world.carol, "GET", &path, &Value::Null, 404, "workspace_not_found");
        }
    }
    world.refused(&world.carol, "GET", "/repositories/acme", &Value::Null, 404, "workspace_not_found");
    // A member sees, and may not change.
    assert_eq!(names(&world.get(&world.bob, "/repositories/acme"), "/slug"), ["secret"]);
    world.refused(&world.bob, "DELETE", hidden[0], &Value::Null, 403, "privilege_missing");
    world.refused(&world.bob, "POST", hidden[1], &json!({}), 403, "privilege_missing");
    world.refused(
        &world.bob,
        "GET",
        "/workspaces/acme/permissions/repositories",
        &Value::Null,
        403,
        "privilege_missing",
    );
    // What is public is for everybody, and the rest stays hidden.
    world.ok(&world.ada, "POST", "/repositories/acme/open", &json!({ "is_private": false }), 200);
    assert_eq!(names(&world.get(&world.carol, "/repositories/acme"), "/slug"), ["open"]);
    let nobody = world.server.http().get("/2.0/repositories/acme", &[]);
    let listed: Value = serde_json::from_slice(&nobody.body).expect("JSON");
    assert_eq!((nobody.status, names(&listed, "/slug")), (200, vec!["open".to_owned()]));
    let id = world.get(&world.ada, "/workspaces/acme")["uuid"].as_str().expect("an id").to_owned();
    let id = id.replace('{', "%7B").replace('}', "%7D");
    assert_eq!(names(&world.get(&world.bob, &format!("/repositories/{id}")), "/slug"), ["open", "secret"]);
}

#[test]
fn permissions_are_given_and_taken_and_hold_at_once() {
    let world = World::new();
    let (ada, users) = (world.ada.as_str(), "/repositories/acme/site/permissions-config/users");
    world.ok(ada, "POST", "/repositories/acme/site", &json!({}), 200);
    let carol = world.get(&world.carol, "/user")["uuid"].as_str().expect("an id").to_owned();
    let one = format!("{users}/{}", carol.replace('{', "%7B").replace('}', "%7D"));
    world.refused(&world.carol, "GET", "/repositories/acme/site", &Value::Null, 404, "repository_not_found");
    let given = world.ok(ada, "PUT", &one, &json!({ "permission": "write" }), 200);
    assert_eq!((&given["permission"], &given["user"]["uuid"]), (&json!("write"), &json!(carol)));
    assert_eq!(world.get(&world.carol, "/repositories/acme/site")["slug"], "site");
    assert_eq!(names(&world.get(ada, users), "/user/nickname"), ["carol"]);
    let own = world.get(&world.carol, "/user/permissions/repositories");
    assert_eq!(
        (names(&own, "/repository/full_name"), names(&own, "/permission")),
        (vec!["acme/site".into()], vec!["write".into()])
    );
    let all = world.get(ada, "/workspaces/acme/permissions/repositories/site?sort=-permission");
    assert_eq!(names(&all, "/permission"), ["write", "read", "admin"]);
    world.refused(&world.carol, "GET", users, &Value::Null, 403, "privilege_missing");
    world.ok(ada, "DELETE", &one, &Value::Null, 204);
    world.refused(ada, "DELETE", &one, &Value::Null, 404, "account_not_found");
    world.refused(&world.carol, "GET", "/repositories/acme/site", &Value::Null, 404, "repository_not_found");
    world.refused(ada, "PUT", &one, &json!({ "permission": "all" }), 400, "bad_parameter");
    world.refused(ada, "PUT", &format!("{users}/nobody"), &json!({ "permission": "read" }), 404, "account_not_found");
    assert_eq!(world.get(ada, "/repositories/acme/site/permissions-config/groups")["size"], 0);
    let members = world.get(&world.bob, "/workspaces/acme/members");
    assert_eq!(
        (names(&members, "/user/nickname"), names(&members, "/permission")),
        (vec!["ada".into(), "bob".into()], vec!["owner".into(), "member".into()])
    );
    assert_eq!(world.get(&world.bob, "/user/workspaces/acme/permission")["permission"], "member");
    assert_eq!(world.get(&world.bob, "/user/emails")["values"][0]["email"], "bob@example.org");
    world.refused(&world.bob, "GET", "/user/emails/ada@example.org", &Value::Null, 404, "email_not_found");
}

#[test]
fn projects_are_made_changed_and_ended_when_they_are_empty() {
    let world = World::new();
    let (ada, all) = (world.ada.as_str(), "/workspaces/acme/projects");
    let one = format!("{all}/OPS");
    let made = world.ok(ada, "POST", all, &json!({ "key": "OPS", "name": "Operations", "is_private": false }), 201);
    assert_eq!((&made["key"], &made["is_private"]), (&json!("OPS"), &json!(false)));
    world.refused(ada, "POST", all, &json!({ "key": "OPS", "name": "Again" }), 400, "bad_parameter");
    world.refused(ada, "POST", all, &json!({ "key": "no key", "name": "x" }), 400, "bad_parameter");
    world.refused(&world.bob, "POST", all, &json!({ "key": "X", "name": "x" }), 403, "privilege_missing");
    world.ok(ada, "PUT", &one, &json!({ "description": "Machines" }), 200);
    assert_eq!(world.get(&world.bob, &one)["description"], "Machines");
    world.ok(ada, "POST", "/repositories/acme/site", &json!({ "project": { "key": "OPS" } }), 200);
    world.refused(ada, "DELETE", &one, &Value::Null, 400, "project_in_use");
    world.ok(ada, "PUT", &one, &json!({ "key": "OPERATE" }), 200);
    world.refused(ada, "GET", &one, &Value::Null, 404, "project_not_found");
    let list = world.get(ada, "/repositories/acme?q=project.key%3D%22OPERATE%22&fields=values.slug,values.project.key");
    assert_eq!(list, json!({ "values": [{ "slug": "site", "project": { "key": "OPERATE" } }] }));
    world.ok(ada, "DELETE", "/repositories/acme/site", &Value::Null, 204);
    world.ok(ada, "DELETE", &format!("{all}/OPERATE"), &Value::Null, 204);
    world.refused(ada, "DELETE", &format!("{all}/PROJ"), &Value::Null, 400, "project_in_use");
}

#[test]
fn branches_and_tags_are_made_and_ended_as_by_a_push() {
    let world = World::new();
    let (_, token) = world.server.cli().token("admin", ALL, &[]);
    let (token, refs) = (token.as_str(), "/repositories/home/hello/refs");
    let bare = world.server.bare("home/hello");
    let git = |arguments: &[&str]| world.server.git().ok(&bare, arguments);
    let tip = git(&["rev-parse", "main"]);
    let branches = format!("{refs}/branches");
    let made = world.ok(token, "POST", &branches, &json!({ "name": "a/b", "target": { "hash": "main" } }), 201);
    assert_eq!((&made["name"], &made["target"]["hash"]), (&json!("a/b"), &json!(tip)));
    assert_eq!(git(&["rev-parse", "a/b"]), tip);
    world.refused(token, "POST", &branches, &json!({ "name": "a/b", "target": { "hash": &tip } }), 400, "ref_exists");
    // A directory of refs is in the way, which only git knows.
    world.refused(token, "POST", &branches, &json!({ "name": "a", "target": { "hash": &tip } }), 400, "push_refused");
    for (body, field) in [
        (json!({ "name": "x" }), "target"),
        (json!({ "target": { "hash": &tip } }), "name"),
        (json!({ "name": "x..y", "target": { "hash": &tip } }), "name"),
        (json!({ "name": 7, "target": { "hash": &tip } }), "name"),
        (json!({ "name": "x", "target": &tip }), "target"),
    ] {
        let value = world.refused(token, "POST", &branches, &body, 400, "bad_parameter");
        assert!(value["error"]["fields"][field].is_array(), "{body}: {value}");
    }
    world.refused(
        token,
        "POST",
        &branches,
        &json!({ "name": "x", "target": { "hash": "none" } }),
        404,
        "commit_not_found",
    );
    let tags = format!("{refs}/tags");
    let tag = json!({ "name": "v1", "target": { "hash": &tip }, "message": "First\n\nof many" });
    world.ok(token, "POST", &tags, &tag, 201);
    assert_eq!(
        git(&["for-each-ref", "--format=%(objecttype) %(taggername) %(contents:subject)", "refs/tags/v1"]),
        "tag admin First"
    );
    world.ok(token, "POST", &tags, &json!({ "name": "v2", "target": { "hash": &tip } }), 201);
    assert_eq!(
        names(&world.get(token, &format!("{tags}?q=name%3D%22v1%22")), "/target/hash"),
        std::slice::from_ref(&tip)
    );
    assert_eq!(names(&world.get(token, &format!("{refs}?sort=-name")), "/name"), ["v2", "v1", "main", "a/b"]);
    for path in [format!("{branches}/a/b"), format!("{tags}/v1"), format!("{tags}/v2")] {
        world.ok(token, "DELETE", &path, &Value::Null, 204);
        world.refused(token, "DELETE", &path, &Value::Null, 404, "ref_not_found");
    }
    world.refused(token, "DELETE", &format!("{branches}/main"), &Value::Null, 400, "main_branch");
    assert_eq!(git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    git(&["fsck", "--strict"]);
}

#[test]
fn what_is_reported_of_a_commit_is_shown_and_replaced_by_key() {
    let world = World::new();
    let (ada, bob) = (world.ada.as_str(), world.bob.as_str());
    world.ok(ada, "POST", "/repositories/acme/site", &json!({}), 200);
    let git = world.server.git();
    let clone = world.server.directory().join("site");
    git.ok(world.server.directory(), &["clone", "-q", &world.server.url("ada", ada, "acme/site"), "site"]);
    git.commit(&clone, "a", "a");
    git.ok(&clone, &["push", "-q", "origin", "HEAD:main"]);
    let id = git.ok(&clone, &["rev-parse", "HEAD"]);
    let statuses = format!("/repositories/acme/site/commit/{}/statuses", &id[..10]);
    let build = json!({ "key": "ci/1 x", "state": "INPROGRESS", "url": "https://ci.example.org/1", "refname": "main" });
    let made = world.ok(ada, "POST", &format!("{statuses}/build"), &build, 201);
    assert_eq!((&made["type"], &made["name"], &made["key"]), (&json!("build"), &json!("ci/1 x"), &json!("ci/1 x")));
    let one = format!("{statuses}/build/ci%2F1%20x");
    world.ok(ada, "PUT", &one, &json!({ "state": "SUCCESSFUL", "description": "12 passed" }), 200);
    let found = world.get(bob, &one);
    assert_eq!(
        json!([found["state"], found["description"], found["url"], found["refname"], found["created_on"]]),
        json!(["SUCCESSFUL", "12 passed", "https://ci.example.org/1", "main", made["created_on"]])
    );
    world.ok(
        ada,
        "POST",
        &format!("{statuses}/build"),
        &json!({ "key": "b", "state": "FAILED", "url": "http://b" }),
        201,
    );
    assert_eq!(names(&world.get(bob, &format!("{statuses}?q=state%3D%22FAILED%22")), "/key"), ["b"]);
    assert_eq!(names(&world.get(bob, &format!("{statuses}?refname=main")), "/key"), ["ci/1 x"]);
    world.refused(bob, "POST", &format!("{statuses}/build"), &build, 403, "privilege_missing");
    world.refused(ada, "PUT", &format!("{statuses}/build/none"), &build, 404, "status_not_found");
    for (body, field) in [
        (json!({ "key": "k", "url": "http://b" }), "state"),
        (json!({ "key": "k", "state": "DONE", "url": "http://b" }), "state"),
        (json!({ "key": "k", "state": "FAILED" }), "url"),
        (json!({ "key": "k", "state": "FAILED", "url": "javascript:alert(1)" }), "url"),
        (json!({ "state": "FAILED", "url": "http://b" }), "key"),
    ] {
        let value = world.refused(ada, "POST", &format!("{statuses}/build"), &body, 400, "bad_parameter");
        assert!(value["error"]["fields"][field].is_array(), "{body}: {value}");
    }
}

#[test]
fn differences_and_histories_are_told_file_by_file() {
    let world = World::new();
    let ada = world.ada.as_str();
    world.ok(ada, "POST", "/repositories/acme/site", &json!({}), 200);
    let git = world.server.git();
    let clone = world.server.directory().join("site");
    git.ok(world.server.directory(), &["clone", "-q", &world.server.url("ada", ada, "acme/site"), "site"]);
    git.commit(&clone, "old name", "1\n2\n3\n4\n5\n6\n7\n8\n");
    git.commit(&clone, "other", "x\n");
    git.ok(&clone, &["mv", "old name", "new\u{e4}"]);
    git.commit(&clone, "new\u{e4}", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    git.ok(&clone, &["rm", "-q", "other"]);
    git.commit(&clone, "binary", "\0\u{1}");
    git.ok(&clone, &["push", "-q", "origin", "HEAD:main"]);
    let ids: Vec<String> = git.ok(&clone, &["log", "--format=%H"]).lines().map(str::to_owned).collect();
    let site = "/repositories/acme/site";
    let stat = world.get(ada, &format!("{site}/diffstat/{}..{}", ids[0], ids[2]));
    let of = |value: &Value| {
        json!([
            value["status"],
            value["old"]["path"],
            value["new"]["path"],
            value["lines_added"],
            value["lines_removed"]
        ])
    };
    let found: Vec<Value> = stat["values"].as_array().expect("values").iter().map(of).collect();
    assert_eq!(
        json!(found),
        json!([
            ["added", null, "binary", 0, 0],
            ["renamed", "old name", "new\u{e4}", 1, 0],
            ["removed", "other", null, 0, 1],
        ])
    );
    let first = world.get(ada, &format!("{site}/diffstat/{}", ids[3]));
    assert_eq!(of(&first["values"][0]), json!(["added", null, "old name", 8, 0]));
    let history = world.get(ada, &format!("{site}/filehistory/main/new%C3%A4"));
    assert_eq!(names(&history, "/path"), ["new\u{e4}", "old name"]);
    assert_eq!(names(&history, "/commit/hash"), [ids[1].clone(), ids[3].clone()]);
    let alone = world.get(ada, &format!("{site}/filehistory/main/new%C3%A4?renames=false&pagelen=1"));
    assert_eq!((names(&alone, "/path").len(), alone["next"].as_str()), (1, None));
    world.refused(ada, "GET", &format!("{site}/filehistory/main/gone"), &Value::Null, 404, "path_not_found");
    // The same question in a form.
    let authorization = format!("Authorization: Bearer {ada}");
    let form = "Content-Type: application/x-www-form-urlencoded";
    let body = format!("include={}&exclude={}", ids[0], ids[2]);
    let answer =
        world.server.http().post("/2.0/repositories/acme/site/commits", &[&authorization, form], body.as_bytes());
    let list: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!((answer.status, names(&list, "/hash")), (200, ids[..2].to_vec()));
}

#[test]
fn an_access_token_sees_what_it_belongs_to() {
    let world = World::new();
    for name in ["one", "two"] {
        world.ok(&world.ada, "POST", &format!("/repositories/acme/{name}"), &json!({}), 200);
    }
    let make = |more: &[&str]| {
        let scopes = ["repository", "repository:admin", "repository:delete", "project", "account"];
        let scopes: Vec<&str> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
        let arguments = [&["token", "create"], more, &scopes, &["--name", "x"]].concat();
        world.server.cli().json(&arguments)["secret"].as_str().expect("a secret").to_owned()
    };
    let repository = make(&["--kind", "repository", "--for", "acme/one"]);
    let workspace = make(&["--kind", "workspace", "--for", "acme"]);
    assert_eq!(names(&world.get(&repository, "/repositories/acme"), "/slug"), ["one"]);
    assert_eq!(names(&world.get(&workspace, "/repositories/acme?role=admin"), "/slug"), ["one", "two"]);
    world.refused(&repository, "GET", "/repositories/home", &Value::Null, 403, "token_limited_to_repository");
    world.refused(&repository, "POST", "/repositories/acme/three", &json!({}), 403, "privilege_missing");
    world.ok(&workspace, "POST", "/repositories/acme/three", &json!({}), 200);
    world.ok(&workspace, "DELETE", "/repositories/acme/three", &Value::Null, 204);
    world.refused(&repository, "DELETE", "/repositories/acme/two", &Value::Null, 403, "token_limited_to_repository");
    world.refused(&repository, "GET", "/user", &Value::Null, 403, "token_without_account");
}

#[test]
fn what_is_not_there_is_led_to_what_is() {
    let world = World::new();
    let told = |method: &str, path: &str| {
        let value: Value =
            serde_json::from_slice(&world.call(&world.ada, method, path, &Value::Null).body).expect("JSON");
        value["error"]["detail"]["remedy"].as_str().expect("a remedy").to_owned()
    };
    assert!(
        told("GET", "/repositories/acme/site/branches").contains("GET /2.0/repositories/{workspace}/{repo_slug}/refs")
    );
    assert!(told("GET", "/repositories/acme/site/pipelines").contains("/2.0/repositories/"), "there are none here");
    let wrong = world.call(&world.ada, "PATCH", "/repositories/acme/site", &Value::Null);
    assert_eq!((wrong.status, wrong.header("allow")), (405, "DELETE, GET, POST, PUT"), "{}", wrong.text());
}

#[test]
fn lists_of_ones_own_show_nothing_of_a_workspace_that_does_not_let_one_in() {
    let world = World::new();
    world.ok(&world.ada, "POST", "/repositories/acme/secret", &json!({}), 200);
    let own = ["/user/permissions/repositories", "/user/workspaces/acme/permissions/repositories"];
    for path in own {
        assert_eq!(names(&world.get(&world.bob, path), "/repository/name"), ["secret"]);
    }
    world.server.cli().ok(&["policy", "set", "acme", "--addresses", "10.0.0.0/8"]);
    assert_eq!(names(&world.get(&world.bob, own[0]), "/repository/name"), [""; 0]);
    world.refused(&world.bob, "GET", own[1], &Value::Null, 403, "policy_address");
    world.refused(&world.bob, "GET", "/user/workspaces/acme/permission", &Value::Null, 403, "policy_address");
    world.refused(&world.bob, "GET", "/users/ada", &Value::Null, 404, "account_not_found");
}

#[test]
fn nobody_finds_out_who_has_an_account_by_giving_it_something() {
    let world = World::new();
    world.ok(&world.ada, "POST", "/repositories/acme/site", &json!({}), 200);
    let users = "/repositories/acme/site/permissions-config/users";
    for name in ["carol", "nobody"] {
        let path = format!("{users}/{name}");
        world.refused(&world.ada, "PUT", &path, &json!({ "permission": "read" }), 404, "account_not_found");
    }
    world.ok(&world.ada, "PUT", &format!("{users}/bob"), &json!({ "permission": "write" }), 200);
    // A token for one workspace does not show who is in another.
    world.server.cli().ok(&["workspace", "create", "other", "--owner", "carol"]);
    world.server.cli().ok(&["workspace", "member", "add", "other", "bob"]);
    let (_, narrow) = world.server.cli().token("bob", ALL, &["--workspace", "acme"]);
    world.get(&narrow, "/users/ada");
    world.refused(&narrow, "GET", "/users/carol", &Value::Null, 404, "account_not_found");
    world.get(&world.bob, "/users/carol");
    // A token of a repository sees that, and not who belongs to the workspace around it.
    let make = ["token", "create", "--name", "x", "--kind", "repository", "--for", "acme/site"];
    let scopes = ["--scope", "repository", "--scope", "project", "--scope", "account"];
    let made = world.server.cli().json(&[&make[..], &scopes].concat());
    let token = made["secret"].as_str().expect("a secret");
    for below in ["members", "permissions", "projects"] {
        let path = format!("/workspaces/acme/{below}");
        world.refused(token, "GET", &path, &Value::Null, 403, "privilege_missing");
    }
    assert_eq!(names(&world.get(token, "/repositories/acme"), "/slug"), ["site"]);
}

#[test]
fn what_fails_changes_nothing_and_who_hangs_up_leaves_nothing_half_done() {
    let world = World::new();
    let (ada, site) = (world.ada.as_str(), "/repositories/acme/site");
    for name in ["site", "taken"] {
        world.ok(ada, "POST", &format!("/repositories/acme/{name}"), &json!({}), 200);
    }
    let form = ["Content-Type: application/x-www-form-urlencoded", &format!("Authorization: Bearer {ada}")];
    for body in [&b"a=1"[..], b"a=2&branch=other"] {
        assert_eq!(world.server.http().post(&format!("/2.0{site}/src"), &form, body).status, 201);
    }
    let both = json!({ "name": "taken", "mainbranch": { "name": "other" } });
    world.refused(ada, "PUT", site, &both, 400, "bad_parameter");
    assert_eq!(world.get(ada, site)["mainbranch"]["name"], "main");
    world.refused(ada, "PUT", site, &json!({ "mainbranch": { "name": "none" } }), 400, "bad_parameter");
    world.ok(ada, "PUT", site, &json!({ "mainbranch": { "name": "other" } }), 200);
    assert!(world.server.cli().ok(&["audit"]).contains("other"));
    // Who hangs up while a repository is being made leaves one with all that was said of it.
    let repositories = world.server.cli().data().join("repositories");
    let directories = || std::fs::read_dir(&repositories).expect("the directory").count();
    for number in 0..10 {
        let body = json!({ "description": "said", "mainbranch": { "name": "trunk" } }).to_string();
        let request = format!(
            "POST /2.0/repositories/acme/gone{number} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (before, mut stream) = (directories(), world.server.http().connect());
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
        let began = std::time::Instant::now();
        while directories() == before {
            assert!(began.elapsed().as_secs() < 60, "nothing is being made");
        }
    }
    await_that("what was begun is made, with all that was said", || {
        let list = world.get(ada, "/repositories/acme?pagelen=100&q=slug~%22gone%22");
        let whole = |found: &Value| found["description"] == "said" && found["mainbranch"]["name"] == "trunk";
        let listed = list["values"].as_array().expect("values");
        listed.len() == 10 && listed.iter().all(whole)
    });
}
