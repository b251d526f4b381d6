//! Administering from elsewhere: by REST, and by the command line with `--server`. What can be done at the machine can be done
//! there, by whoever may; and nobody becomes more by it than they were.

use doorward_testkit::{Cli, Outcome, Response, Server};
use serde_json::{Value, json};

use crate::server;

/// The scopes of an administrator's token.
const OWN: &[&str] = &[
    "read:token:doorward",
    "write:token:doorward",
    "read:audit:doorward",
    "read:admin:doorward",
    "write:admin:doorward",
];
const READ: &str = "read:repository:bitbucket";
const WRITE: &str = "write:repository:bitbucket";

/// A server with the workspace `acme` of ada, of which bob is a member and carol is not; root administers the server.
struct World {
    server: Server,
    root: String,
}

impl World {
    fn new() -> Self {
        let server = server();
        let cli = server.cli();
        for name in ["root", "ada", "bob", "carol"] {
            cli.ok(&["account", "create", name, "--email", &format!("{name}@example.org")]);
        }
        cli.ok(&["account", "set", "root", "--administrator", "on"]);
        cli.ok(&["workspace", "create", "acme", "--owner", "ada"]);
        cli.ok(&["workspace", "member", "add", "acme", "bob"]);
        cli.ok(&["repository", "create", "acme/site"]);
        let root = token(cli, "root", &[OWN, &[READ, WRITE]].concat());
        Self { server, root }
    }

    fn cli(&self) -> &Cli {
        self.server.cli()
    }

    fn call(&self, who: &str, method: &str, path: &str, body: &Value) -> Response {
        self.server.http().json(who, method, &format!("/2.0/doorward{path}"), body)
    }

    /// What everybody may call, by whoever it is.
    fn plain(&self, who: &str, path: &str) -> Response {
        self.server.http().get(path, &[&format!("Authorization: Bearer {who}")])
    }

    fn ok(&self, who: &str, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let answer = self.call(who, method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    fn get(&self, who: &str, path: &str) -> Value {
        self.ok(who, "GET", path, &Value::Null, 200)
    }

    #[track_caller]
    fn refused(&self, who: &str, method: &str, path: &str, body: &Value, status: u16, code: &str) -> Value {
        self.call(who, method, path, body).refused(status, code)
    }
}

fn token(cli: &Cli, account: &str, scopes: &[&str]) -> String {
    cli.token(account, scopes, &[]).1
}

fn id_of(secret: &str) -> String {
    secret.split('_').nth(1).expect("an id").to_owned()
}

fn wanted(account: &str, scopes: &[&str]) -> Value {
    json!({ "account": account, "name": "made", "scopes": scopes })
}

/// What differs from run to run, taken out of an answer.
fn without_chance(value: Value) -> Value {
    let chance = [
        "id",
        "created_at",
        "expires_at",
        "revoked_at",
        "secret",
        "replaced_by",
        "replaces",
        "old_expires_at",
        "remedy",
    ];
    match value {
        Value::Object(fields) => {
            // Only elsewhere there is a token by which another was made.
            let kept = fields.into_iter().filter(|(name, _)| name != "made_by").map(|(name, value)| {
                let value = if chance.contains(&name.as_str()) && !value.is_null() { json!("?") } else { value };
                (name, without_chance(value))
            });
            Value::Object(kept.collect())
        }
        Value::Array(values) => values.into_iter().map(without_chance).collect(),
        value => value,
    }
}

#[test]
fn the_command_line_does_the_same_here_and_elsewhere() {
    let (here, there) = (World::new(), World::new());
    // Made with a token, as whoever does it elsewhere must.
    let elsewhere = there.server.elsewhere(&there.root);
    let both = |arguments: &[&str]| {
        let run = |cli: &Cli| -> (Option<i32>, Value, String) {
            let Outcome { code, stdout, stderr, .. } = cli.run(&[arguments, &["--json"]].concat());
            (code, serde_json::from_str(&stdout).unwrap_or_default(), stderr)
        };
        let (mut one, mut other) = (run(here.cli()), run(&elsewhere));
        let raw = (one.1.clone(), other.1.clone());
        (one.1, other.1) = (without_chance(one.1), without_chance(other.1));
        assert_eq!((one.0, &one.1), (other.0, &other.1), "{arguments:?}: {} {}", one.2, other.2);
        if one.0 == Some(0) {
            assert!(!one.1.is_null(), "{arguments:?}");
        }
        raw
    };
    both(&["account", "create", "dora", "--email", "dora@example.org"]);
    both(&["account", "create", "dora", "--email", "else@example.org"]);
    both(&["account", "set", "dora", "--managed", "on", "--two-step", "on"]);
    both(&["account", "disable", "dora"]);
    both(&["account", "enable", "dora"]);
    both(&["account", "disable", "nobody"]);
    both(&["account", "list"]);
    both(&["workspace", "create", "lab", "--owner", "dora"]);
    both(&["workspace", "member", "add", "lab", "bob"]);
    both(&["workspace", "member", "add", "lab", "bob"]);
    both(&["workspace", "member", "remove", "lab", "bob"]);
    both(&["workspace", "list"]);
    both(&["project", "create", "lab/OPS", "--title", "Operations"]);
    both(&["project", "list", "lab"]);
    both(&["repository", "create", "lab/tools", "--project", "OPS", "--public"]);
    both(&["repository", "create", "lab/tools"]);
    both(&["repository", "create", "lab/big", "--object-format", "sha256"]);
    both(&["repository", "head", "lab/tools"]);
    both(&["repository", "head", "lab/tools", "trunk"]);
    both(&["repository", "head", "lab/tools", "refs/tags/x"]);
    both(&["repository", "list", "lab"]);
    both(&["repository", "list"]);
    both(&["permission", "set", "lab/tools", "carol", "write"]);
    both(&["permission", "list", "lab/tools"]);
    both(&["permission", "list", "lab/none"]);
    both(&["token", "create", "--account", "dora", "--name", "laptop", "--scope", READ, "--expires", "30d"]);
    both(&["token", "create", "--account", "dora", "--name", "x", "--scope", READ, "--workspace", "lab"]);
    both(&["token", "create", "--kind", "project", "--for", "lab/OPS", "--name", "x", "--scope", READ]);
    let (one, other) =
        both(&["token", "create", "--kind", "repository", "--for", "lab/tools", "--name", "ci", "--scope", READ]);
    both(&["token", "create", "--kind", "app-password", "--account", "dora", "--name", "x", "--scope", READ]);
    both(&["token", "list", "--account", "dora"]);
    both(&["token", "list", "--workspace", "lab"]);
    both(&["token", "review", "--workspace", "lab", "--expiring", "2y"]);
    // Each server has its own ids.
    let ids = [one, other].map(|made| made["id"].as_str().expect("an id").to_owned());
    for command in [&["token", "show"][..], &["token", "rotate"], &["token", "revoke"], &["token", "revoke"]] {
        let run = |cli: &Cli, id: &str| {
            let outcome = cli.run(&[command, &[id, "--json"]].concat());
            let value: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
            (outcome.code, without_chance(value))
        };
        assert_eq!(run(here.cli(), &ids[0]), run(&elsewhere, &ids[1]), "{command:?}");
    }
    both(&["token", "revoke", "nonsense"]);
    both(&["policy", "set", "lab", "--longest", "90d", "--kinds", "api,repository", "--dry-run"]);
    both(&["policy", "set", "lab", "--addresses", "127.0.0.0/8,10.0.0.0/8", "--sso", "on"]);
    both(&["policy", "set", "lab", "--sso", "off", "--addresses", "any"]);
    both(&["policy", "show", "lab"]);
    both(&["policy", "set", "none", "--sso", "on"]);
    both(&["calendar", "announce", "app-password", "--retires", "2099-01-01", "--creation-ends", "2098-01-01"]);
    both(&["calendar", "announce", "app-password", "--retires", "2019-01-01"]);
    both(&[
        "calendar",
        "brownout",
        "app-password",
        "--from",
        "2098-06-01",
        "--for",
        "15m",
        "--every",
        "6h",
        "--until",
        "2098-07-01",
    ]);
    both(&["calendar", "brownout", "app-password", "--from", "2098-06-01", "--for", "0s"]);
    both(&["calendar", "show"]);
    both(&["calendar", "rehearse", "oauth", "--days", "7"]);
    both(&["calendar", "cancel", "app-password"]);
    both(&["why", "01m82f6q6r000000000skkb6bw"]);
    both(&["repository", "delete", "lab/big"]);
    both(&["repository", "delete", "lab/big"]);

    // Where the two must differ: elsewhere it is on record whose doing it was.
    let made = there.cli().json(&["audit", "--reason", "none"]);
    assert_eq!(made, json!([]));
    let all = elsewhere.json(&["audit", "--in", "lab"]);
    let event = |name: &str| all.as_array().expect("a list").iter().find(|row| row["event"] == name).cloned();
    let created = event("workspace.created").expect("a record");
    assert_eq!((&created["account"], &created["surface"]), (&json!("root"), &json!("REST")));
    let request = created["request"].as_str().expect("an id");
    for cli in [there.cli(), &elsewhere] {
        assert_eq!(cli.json(&["why", request])["allowed"], true);
        assert!(cli.ok(&["why", request]).contains("principal   root"), "{}", cli.ok(&["why", request]));
    }
}

#[test]
fn without_a_token_or_a_server_the_command_line_says_what_to_do() {
    let world = World::new();
    let run = |arguments: &[&str], token: Option<&str>| {
        let mut command = world.cli().command(&[]);
        command = std::process::Command::new(command.get_program());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", world.server.directory());
        if let Some(token) = token {
            command.env("DOORWARD_TOKEN", token);
        }
        Outcome::from(command.args(arguments).output().expect("doorward runs"))
    };
    let address = world.server.up().address.clone();
    for (arguments, token, code, expected) in [
        (vec!["--server", &address, "token", "list"], None, 3, "doorward login"),
        (vec!["--server", "http://git.example.org", "token", "list"], Some("x"), 2, "use https"),
        (vec!["--server", &address, "serve"], Some("x"), 2, "--server"),
        (vec!["--server", &address, "--data", "x", "token", "list"], Some("x"), 2, "cannot be used with"),
        (vec!["--server", &address, "token", "list"], Some("nonsense"), 3, "the variable DOORWARD_TOKEN"),
        (vec!["--server", "http://127.0.0.1:1", "token", "list"], Some(world.root.as_str()), 1, "cannot be reached"),
        (
            vec!["--server", &address, "repository", "create", "acme/x", "--import", "/tmp"],
            Some(world.root.as_str()),
            2,
            "--mirror",
        ),
    ] {
        let outcome = run(&arguments, token);
        assert_eq!(outcome.code, Some(code), "{arguments:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(expected) && outcome.stderr.lines().count() <= 6,
            "{arguments:?}: {}",
            outcome.stderr
        );
    }
    // A secret that git's helper has stored is used, too.
    let stored = run(&["credential", "add", &address], None);
    assert_eq!(stored.code, Some(2), "{}", stored.stderr);
}

#[test]
fn nobody_makes_a_token_that_may_do_more_than_the_one_that_makes_it() {
    let world = World::new();
    let maker = token(world.cli(), "ada", &["write:token:doorward", "read:token:doorward", READ]);
    let strong = token(world.cli(), "ada", &[READ, WRITE]);
    let told = world.refused(&maker, "POST", "/tokens", &wanted("ada", &[READ, WRITE]), 403, "beyond_own_token");
    assert!(told["error"]["message"].as_str().expect("a message").contains(WRITE), "{told}");
    // An old name that implies a scope which the maker has not is more, too; and so is rotating a stronger token.
    world.refused(&maker, "POST", "/tokens", &wanted("ada", &["repository"]), 403, "beyond_own_token");
    let rotate = format!("/tokens/{}/rotate", id_of(&strong));
    world.refused(&maker, "POST", &rotate, &Value::Null, 403, "beyond_own_token");
    // Nor for others, whether they are there or not; nor in a place where one is nobody.
    for (body, code) in [
        (wanted("bob", &[READ]), "not_yours"),
        (wanted("nobody", &[READ]), "not_yours"),
        (json!({ "kind": "workspace_access_token", "for": "home", "name": "x", "scopes": [READ] }), "not_yours"),
        (json!({ "kind": "workspace_access_token", "for": "absent", "name": "x", "scopes": [READ] }), "not_yours"),
    ] {
        world.refused(&maker, "POST", "/tokens", &body, 404, code);
    }
    let made = world.ok(&maker, "POST", "/tokens", &wanted("ada", &[READ]), 201);
    assert_eq!((&made["made_by"], &made["state"]), (&json!(id_of(&maker)), &json!("valid")));
    let secret = made["secret"].as_str().expect("a secret");
    world.server.git().ok(world.server.directory(), &["ls-remote", &world.server.url("ada", secret, "acme/site")]);
    // What was made without the scope to make tokens makes none.
    world.refused(secret, "POST", "/tokens", &wanted("ada", &[READ]), 403, "scope_missing");
    // A token of one workspace is no token of the account elsewhere.
    let limited = world.cli().token("ada", &["write:token:doorward", READ], &["--workspace", "acme"]).1;
    world.refused(&limited, "POST", "/tokens", &wanted("ada", &[READ]), 403, "token_limited_to_workspace");
    let of_place = json!({ "kind": "repository_access_token", "for": "acme/site", "name": "ci", "scopes": [READ] });
    world.ok(&limited, "POST", "/tokens", &of_place, 201);
    // A member administers nothing, and a workspace's own token that alone.
    let member = token(world.cli(), "bob", &["write:token:doorward", "read:token:doorward", READ]);
    world.refused(&member, "POST", "/tokens", &of_place, 404, "not_yours");
    let arguments =
        ["token", "create", "--kind", "workspace", "--for", "acme", "--name", "x", "--scope", "write:token:doorward"];
    let own = world.cli().json(&[&arguments[..], &["--scope", READ]].concat());
    let own = own["secret"].as_str().expect("a secret").to_owned();
    world.ok(&own, "POST", "/tokens", &of_place, 201);
    world.refused(&own, "POST", "/tokens", &wanted("ada", &[READ]), 403, "token_limited_to_workspace");
    let elsewhere = json!({ "kind": "workspace_access_token", "for": "home", "name": "x", "scopes": [READ] });
    world.refused(&own, "POST", "/tokens", &elsewhere, 403, "token_limited_to_workspace");
    // An administrator makes them for others, but no more by it than its own token may.
    world.ok(&world.root, "POST", "/tokens", &wanted("bob", &[READ]), 201);
    world.refused(&world.root, "POST", "/tokens", &wanted("bob", &["webhook"]), 403, "beyond_own_token");
}

#[test]
fn a_token_that_is_somebody_elses_is_answered_as_one_that_is_not_there() {
    let world = World::new();
    let (ada, carol) = (token(world.cli(), "ada", OWN), token(world.cli(), "carol", OWN));
    let theirs = id_of(&ada);
    let ci =
        world.cli().json(&["token", "create", "--kind", "workspace", "--for", "acme", "--name", "x", "--scope", READ]);
    let ci = ci["id"].as_str().expect("an id");
    let answer = |method: &str, id: &str| {
        let path = if method == "POST" { format!("/tokens/{id}/rotate") } else { format!("/tokens/{id}") };
        let answer = world.call(&carol, method, &path, &Value::Null);
        let mut value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        value["error"]["detail"]["request_id"] = Value::Null;
        (answer.status, value)
    };
    for method in ["GET", "DELETE", "POST"] {
        let absent = answer(method, "000000000000");
        assert_eq!(absent.0, 404);
        assert_eq!(answer(method, &theirs), absent);
        assert_eq!(answer(method, ci), absent);
    }
    for path in ["/tokens?account=ada", "/tokens?account=nobody", "/tokens?workspace=acme", "/tokens?workspace=none"] {
        world.refused(&carol, "GET", path, &Value::Null, 404, "not_yours");
    }
    let own = world.get(&carol, "/tokens?account=carol");
    assert_eq!(own["values"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.get(&ada, "/tokens?workspace=acme")["values"][0]["id"], ci);
    world.refused(&ada, "GET", "/tokens", &Value::Null, 403, "privilege_missing");
    assert!(world.get(&world.root, "/tokens")["values"].as_array().is_some_and(|all| all.len() > 3));
    world.refused(&world.root, "GET", "/tokens/000000000000", &Value::Null, 404, "token_not_found");
}

#[test]
fn a_stolen_token_is_ended_with_everything_that_was_made_with_it() {
    let world = World::new();
    let stolen = token(world.cli(), "ada", &["write:token:doorward", "read:token:doorward", READ]);
    let make = |with: &str| {
        let body = wanted("ada", &["write:token:doorward", READ]);
        world.ok(with, "POST", "/tokens", &body, 201)["secret"].as_str().expect("a secret").to_owned()
    };
    let first = make(&stolen);
    let second = make(&first);
    let rotated = world.ok(&first, "POST", &format!("/tokens/{}/rotate", id_of(&second)), &Value::Null, 201);
    let rotated = rotated["secret"].as_str().expect("a secret").to_owned();
    let told = world.cli().ok(&["token", "revoke", &id_of(&stolen)]);
    assert!(told.contains("3 tokens made with it still valid") && told.contains("--with-made"), "{told}");
    let is_let_in = |secret: &str| world.plain(secret, "/2.0/repositories/acme/site").status == 200;
    assert!(is_let_in(&first) && is_let_in(&second) && is_let_in(&rotated) && !is_let_in(&stolen));
    let path = format!("/tokens/{}?with_made=true", id_of(&stolen));
    let ended = world.ok(&world.root, "DELETE", &path, &Value::Null, 200);
    assert_eq!(ended["with"].as_array().map(Vec::len), Some(3), "{ended}");
    assert!(!is_let_in(&first) && !is_let_in(&second) && !is_let_in(&rotated));
}

#[test]
fn only_administrators_of_the_server_administer_it_and_they_see_no_repository_by_that() {
    let world = World::new();
    let ada = token(world.cli(), "ada", OWN);
    for (method, path, body) in [
        ("GET", "/accounts", Value::Null),
        ("POST", "/accounts", json!({ "name": "eve", "email": "eve@example.org" })),
        ("PUT", "/accounts/ada", json!({ "administrator": true })),
        ("GET", "/workspaces", Value::Null),
        ("GET", "/repositories", Value::Null),
        ("GET", "/calendar", Value::Null),
        ("PUT", "/calendar/api_token/retirement", json!({})),
        ("GET", "/audit", Value::Null),
    ] {
        world.refused(&ada, method, path, &body, 403, "privilege_missing");
        world.refused("nonsense", method, path, &body, 401, "not_a_token");
    }
    world.refused(&ada, "GET", "/workspaces/home", &Value::Null, 404, "workspace_not_found");
    world.refused(&ada, "GET", "/audit?workspace=home", &Value::Null, 404, "workspace_not_found");
    let bob = token(world.cli(), "bob", OWN);
    world.refused(&bob, "GET", "/workspaces/acme", &Value::Null, 403, "privilege_missing");
    world.refused(&bob, "PUT", "/workspaces/acme/policy", &json!({ "sso": true }), 403, "privilege_missing");
    // Its owner administers a workspace, and so does the server's administrator; but what is in it is not shown to that.
    for who in [&ada, &world.root] {
        assert_eq!(world.get(who, "/workspaces/acme")["members"], json!(["bob"]));
    }
    assert_eq!(world.plain(&world.root, "/2.0/repositories/acme/site").status, 404);
    let token_without = token(world.cli(), "root", &[READ]);
    world.refused(&token_without, "GET", "/accounts", &Value::Null, 403, "scope_missing");
    world.cli().ok(&["account", "set", "root", "--administrator", "off"]);
    world.refused(&world.root, "GET", "/accounts", &Value::Null, 403, "privilege_missing");
}

#[test]
fn each_is_told_why_its_own_requests_were_refused_and_no_others() {
    let world = World::new();
    let (ada, carol) = (token(world.cli(), "ada", OWN), token(world.cli(), "carol", &[OWN, &[READ]].concat()));
    let refused = world.plain(&carol, "/2.0/repositories/acme/site");
    assert_eq!(refused.status, 404);
    let request = refused.header("x-request-id").to_owned();
    let own = world.get(&carol, &format!("/why/{request}"));
    assert_eq!((&own["allowed"], own.get("there")), (&json!(false), None), "{own}");
    assert_eq!(own["records"][0]["reason"], "repository_not_found");
    let all = world.get(&world.root, &format!("/why/{request}"));
    assert_eq!(all["there"], true, "an administrator is told that it is there");
    let other = world.refused(&ada, "GET", &format!("/why/{request}"), &Value::Null, 404, "not_yours");
    let absent = world.refused(&ada, "GET", "/why/01m82f6q6r000000000skkb6bw", &Value::Null, 404, "not_yours");
    assert_eq!(other["error"]["message"], absent["error"]["message"]);
    world.refused(&ada, "GET", "/why/nonsense", &Value::Null, 400, "bad_parameter");
    // The audit: one's own, one's workspace's.
    let own = world.get(&carol, "/audit?account=carol&refused=true");
    assert!(
        own["values"].as_array().is_some_and(|rows| rows.iter().any(|row| row["request"] == json!(request))),
        "{own}"
    );
    assert!(own["values"].as_array().expect("a list").iter().all(|row| row["account"] == "carol"), "{own}");
    world.refused(&carol, "GET", "/audit?account=ada", &Value::Null, 404, "not_yours");
    world.refused(&carol, "GET", "/audit?workspace=acme", &Value::Null, 404, "workspace_not_found");
    let theirs = world.get(&ada, "/audit?workspace=acme&refused=true&reason=repository_not_found");
    assert_eq!(theirs["values"][0]["account"], "carol");
    let inside = |row: &Value| row["subject"].as_str().is_some_and(|name| name == "acme" || name.starts_with("acme/"));
    let page = world.get(&ada, "/audit?workspace=acme&pagelen=2");
    assert!(page["values"].as_array().expect("a list").iter().all(inside) && page["next"].is_string(), "{page}");
    assert_eq!(world.get(&ada, "/audit?workspace=acme&within=home")["values"], json!([]));
    // A request that is only counted is found by its id in what may be seen of it, and nowhere else.
    let counted = world.plain(&ada, "/2.0/user");
    let id = counted.header("x-request-id").to_owned();
    assert_eq!(world.get(&ada, &format!("/audit?workspace=acme&request={id}"))["values"], json!([]));
}

#[test]
fn a_policy_that_would_shut_out_who_sets_it_is_refused() {
    let world = World::new();
    let ada = token(world.cli(), "ada", OWN);
    let path = "/workspaces/acme/policy";
    let told = world.refused(&ada, "PUT", path, &json!({ "addresses": ["192.0.2.0/24"] }), 403, "beyond_own_token");
    assert!(told["error"]["message"].as_str().expect("a message").contains("127.0.0.1"), "{told}");
    world.refused(&ada, "PUT", path, &json!({ "kinds": ["app_password"] }), 403, "beyond_own_token");
    world.refused(&ada, "PUT", path, &json!({ "two_step": true }), 403, "beyond_own_token");
    // To ask what would become of it is no harm.
    let planned = world.ok(&ada, "PUT", &format!("{path}?dry_run=true"), &json!({ "two_step": true }), 200);
    assert!(planned["refuses"].as_array().is_some_and(|all| !all.is_empty()), "{planned}");
    assert_eq!(world.get(&ada, path)["sentence"], "nothing is asked of credentials");
    let set = world.ok(&ada, "PUT", path, &json!({ "addresses": ["127.0.0.0/8"], "longest": "400d" }), 200);
    assert_eq!((&set["longest_days"], &set["dry_run"]), (&json!(400), &json!(false)));
    let set = world.ok(&ada, "PUT", path, &json!({ "addresses": null, "longest": null }), 200);
    assert_eq!(set["sentence"], "nothing is asked of credentials");
}

#[test]
fn what_cannot_have_been_meant_is_refused_with_the_name_of_what_is_wrong() {
    let world = World::new();
    let root = world.root.as_str();
    let long = "x".repeat(2000);
    for (method, path, body, field) in [
        ("POST", "/accounts", json!({ "email": "a@example.org" }), "name"),
        ("POST", "/accounts", json!({ "name": "a b", "email": "a@example.org" }), "name"),
        ("POST", "/accounts", json!({ "name": "x", "email": 7 }), "email"),
        ("POST", "/accounts", json!({ "name": long, "email": "a@example.org" }), "name"),
        ("PUT", "/accounts/ada", json!({}), "disabled"),
        ("PUT", "/accounts/ada", json!({ "disabled": "maybe" }), "disabled"),
        ("GET", "/accounts/%00", Value::Null, "account"),
        ("POST", "/workspaces", json!({ "slug": "A b", "owner": "ada" }), "slug"),
        ("POST", "/workspaces/acme/repositories", json!({ "slug": "../x" }), "slug"),
        ("POST", "/workspaces/acme/repositories", json!({ "slug": "x", "object_format": "md5" }), "object_format"),
        ("PUT", "/workspaces/acme/repositories/site/head", json!({ "branch": "refs/tags/v1" }), "branch"),
        ("PUT", "/workspaces/acme/repositories/site/head", json!({ "branch": "a..b" }), "branch"),
        ("PUT", "/workspaces/acme/repositories/site/permissions/bob", json!({ "privilege": "all" }), "privilege"),
        ("POST", "/tokens", json!({ "name": "x", "scopes": [] }), "account"),
        ("POST", "/tokens", json!({ "account": "ada", "for": "acme", "name": "x", "scopes": [] }), "account"),
        ("POST", "/tokens", json!({ "kind": "account_password", "account": "ada", "name": "x", "scopes": [] }), "kind"),
        ("POST", "/tokens", json!({ "kind": "project_access_token", "for": "acme", "name": "x", "scopes": [] }), "for"),
        ("POST", "/tokens", json!({ "account": "ada", "name": "x" }), "scopes"),
        ("POST", "/tokens", json!({ "account": "ada", "name": "x", "scopes": ["repository:writ"] }), "scopes"),
        ("POST", "/tokens", json!({ "account": "ada", "name": "x\u{7}", "scopes": [] }), "name"),
        ("POST", "/tokens", json!({ "account": "ada", "name": "x", "scopes": [], "expires": "soon" }), "expires"),
        ("POST", "/tokens", json!({ "account": "ada", "name": "x", "scopes": [], "expires": "500y" }), "expires"),
        ("GET", "/tokens/x", Value::Null, "id"),
        ("GET", "/tokens?account=a%20b", Value::Null, "account"),
        ("GET", "/tokens?account=ada&workspace=acme", Value::Null, "account"),
        ("GET", "/tokens/review?unused=x", Value::Null, "unused"),
        ("PUT", "/workspaces/acme/policy", json!({}), "sso"),
        ("PUT", "/workspaces/acme/policy", json!({ "kinds": ["x"] }), "kinds"),
        ("PUT", "/workspaces/acme/policy", json!({ "longest": "1h" }), "longest"),
        ("PUT", "/workspaces/acme/policy", json!({ "addresses": ["x"] }), "addresses"),
        ("PUT", "/calendar/password/end", json!({ "retires_at": "2099-01-01" }), "kind"),
        ("PUT", "/calendar/api_token/end", json!({}), "retires_at"),
        ("PUT", "/calendar/api_token/end", json!({ "retires_at": "soon" }), "retires_at"),
        ("POST", "/calendar/api_token/brownouts", json!({ "from": "2099-01-01", "for": "1h", "every": "2h" }), "until"),
        ("GET", "/calendar/api_token/rehearsal?days=0", Value::Null, "days"),
        ("GET", "/audit?since=yesterday", Value::Null, "since"),
        ("GET", "/audit?request=x", Value::Null, "request"),
        ("GET", "/audit?page=0", Value::Null, "page"),
    ] {
        let told = world.refused(root, method, path, &body, 400, "bad_parameter");
        assert!(told["error"]["fields"][field].is_array(), "{method} {path} {body}: {told}");
    }
    world.refused(root, "POST", "/accounts", &json!({ "name": "ada", "email": "x@example.org" }), 409, "taken");
    world.refused(root, "PUT", "/accounts/nobody", &json!({ "disabled": true }), 404, "account_not_found");
    // Bitbucket Cloud has nothing of this, and so has not what stands in for it.
    let sandbox = doorward_testkit::Sandbox::start(crate::PROGRAM, &[]);
    let answer = sandbox.http().get("/2.0/doorward/tokens", &[]);
    assert!(answer.status == 404 && answer.text().contains("There is no API hosted at this URL"), "{}", answer.text());
}

#[test]
fn what_was_let_in_before_a_revocation_and_comes_to_its_turn_after_it_is_not_done() {
    let world = World::new();
    for _ in 0..3 {
        let stolen = token(world.cli(), "ada", &["write:token:doorward", READ]);
        std::thread::scope(|scope| {
            let thieves: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        // Until it is refused, which it must be soon.
                        for _ in 0..1000 {
                            let answer = world.call(&stolen, "POST", "/tokens", &wanted("ada", &[READ]));
                            if answer.status != 201 {
                                return answer.status;
                            }
                        }
                        201
                    })
                })
                .collect();
            crate::operation::await_that("some were made", || {
                let made = world.cli().json(&["token", "show", &id_of(&stolen)]);
                made["made"].as_array().is_some_and(|made| made.len() > 16)
            });
            let path = format!("/tokens/{}?with_made=true", id_of(&stolen));
            world.ok(&world.root, "DELETE", &path, &Value::Null, 200);
            let statuses: Vec<u16> = thieves.into_iter().map(|thief| thief.join().expect("it ended")).collect();
            assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
        });
        let all = world.cli().json(&["token", "show", &id_of(&stolen)]);
        assert_eq!(all["made"], json!([]), "nothing that it made is left");
    }
}

#[test]
fn a_token_that_ends_while_its_request_is_sent_is_of_no_use_at_its_end() {
    let world = World::new();
    let short = world.cli().token("ada", &["write:token:doorward", READ], &["--expires", "2s"]).1;
    let body = wanted("ada", &[READ]).to_string();
    let head = format!(
        "POST /2.0/doorward/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {short}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = world.server.http().connect();
    std::io::Write::write_all(&mut stream, head.as_bytes()).expect("written");
    crate::operation::await_that("it has ended", || world.plain(&short, "/2.0/repositories/acme/site").status == 401);
    std::io::Write::write_all(&mut stream, body.as_bytes()).expect("written");
    let mut answer = [0; 16];
    std::io::Read::read_exact(&mut stream, &mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn no_record_and_no_id_tells_whose_a_token_is() {
    let world = World::new();
    let (ada, carol) = (token(world.cli(), "ada", OWN), token(world.cli(), "carol", OWN));
    let counted = world.plain(&ada, "/2.0/user").header("x-request-id").to_owned();
    for id in [id_of(&ada), id_of(&world.root), "000000000000".into()] {
        world.refused(&carol, "DELETE", &format!("/tokens/{id}"), &Value::Null, 404, "not_yours");
    }
    world.refused(&carol, "GET", &format!("/why/{counted}"), &Value::Null, 404, "not_yours");
    let own = world.get(&carol, "/audit?account=carol&pagelen=100").to_string();
    assert!(
        own.contains(&id_of(&ada)) && !own.contains("\"ada\"") && !own.contains("@ada") && !own.contains("root"),
        "{own}"
    );
    // The tag in the id of an answer to whoever brings nothing is made of what was asked, and not of what was found.
    let tags: Vec<String> = [id_of(&ada), id_of(&world.root), "000000000000".into()]
        .iter()
        .map(|id| world.server.http().get(&format!("/2.0/doorward/tokens/{id}"), &[]).header("x-request-id").to_owned())
        .collect();
    for id in tags {
        crate::operation::await_that("it is counted", || world.cli().run(&["why", &id]).ok);
        let record = world.cli().json(&["why", &id]);
        let subject = record["records"][0]["subject"].as_str().expect("a subject");
        assert!(!["ada", "@ada", "root", "@root", "(own account)"].contains(&subject), "{record}");
    }
}

#[test]
fn an_account_and_a_workspace_of_the_same_name_have_records_of_their_own() {
    let world = World::new();
    world.cli().ok(&["workspace", "create", "bob", "--owner", "carol"]);
    world.cli().ok(&["account", "set", "bob", "--managed", "on"]);
    let carol = token(world.cli(), "carol", OWN);
    let bob = token(world.cli(), "bob", OWN);
    world.get(&bob, "/tokens?account=bob");
    let seen = world.get(&carol, "/audit?workspace=bob");
    let events: Vec<&str> =
        seen["values"].as_array().expect("a list").iter().filter_map(|row| row["event"].as_str()).collect();
    assert_eq!(events.iter().filter(|event| **event != "allowed").copied().collect::<Vec<_>>(), ["workspace.created"]);
    assert!(!seen.to_string().contains(&id_of(&bob)), "{seen}");
}

#[test]
fn a_token_is_not_limited_to_a_workspace_that_its_maker_may_not_know_of() {
    let world = World::new();
    let carol = token(world.cli(), "carol", &["write:token:doorward"]);
    world.cli().ok(&["policy", "set", "acme", "--kinds", "oauth"]);
    let ask = |workspace: &str| {
        let body = json!({ "account": "carol", "name": "x", "scopes": [], "workspace": workspace });
        let told = world.refused(&carol, "POST", "/tokens", &body, 404, "workspace_not_found");
        told["error"]["message"].as_str().expect("a message").replace(workspace, "?")
    };
    assert_eq!(ask("acme"), ask("nosuch"));
}

#[test]
fn an_administrators_token_for_tokens_alone_makes_none_for_others() {
    let world = World::new();
    let maker = token(world.cli(), "root", &["write:token:doorward", READ]);
    let place = json!({ "kind": "workspace_access_token", "for": "acme", "name": "x", "scopes": [READ] });
    for body in [wanted("bob", &[READ]), place] {
        let told = world.refused(&maker, "POST", "/tokens", &body, 403, "beyond_own_token");
        assert!(told["error"]["message"].as_str().expect("a message").contains("write:admin:doorward"), "{told}");
    }
    let theirs = token(world.cli(), "bob", &[READ]);
    world.refused(&maker, "POST", &format!("/tokens/{}/rotate", id_of(&theirs)), &Value::Null, 403, "beyond_own_token");
    world.ok(&maker, "POST", "/tokens", &wanted("root", &[READ]), 201);
    // What the kernel lets in and is refused all the same is on record as refused, under the id of its answer.
    let answer = world.call(&maker, "POST", "/tokens", &wanted("bob", &[READ]));
    let why = world.cli().json(&["why", answer.header("x-request-id")]);
    assert_eq!((&why["allowed"], &why["records"][0]["reason"]), (&json!(false), &json!("beyond_own_token")), "{why}");
    // And what takes Bitbucket Cloud's scopes is no more to an administrator than to others.
    let old = token(world.cli(), "root", &["admin:repository:bitbucket", "read:workspace:bitbucket", READ]);
    for path in
        ["/2.0/workspaces/acme/permissions/repositories", "/2.0/workspaces/acme/members", "/2.0/workspaces/acme"]
    {
        assert_eq!(world.plain(&old, path).status, 404, "{path}");
    }
}

#[test]
fn a_token_makes_none_that_lasts_longer_than_itself() {
    let world = World::new();
    let maker = world.cli().token("ada", &["write:token:doorward", READ], &["--expires", "1h"]).1;
    let with = |expires: &str| json!({ "account": "ada", "name": "x", "scopes": [READ], "expires": expires });
    for expires in ["2h", "never"] {
        world.refused(&maker, "POST", "/tokens", &with(expires), 403, "beyond_own_token");
    }
    let end = world.cli().json(&["token", "show", &id_of(&maker)])["expires_at"].clone();
    let made = world.ok(&maker, "POST", "/tokens", &wanted("ada", &[READ]), 201);
    assert_eq!(made["expires_at"], end);
    let endless = world.cli().token("ada", &[READ], &["--expires", "never"]).0;
    // One that is rotated lasts as long as it was made to last: nothing that counts on it is to end sooner.
    let rotated = world.ok(&maker, "POST", &format!("/tokens/{endless}/rotate"), &Value::Null, 201);
    assert_eq!((&rotated["expires_at"], &rotated["made_by"]), (&Value::Null, &json!(id_of(&maker))));
    // A token takes its own place for as long as it was made to last.
    let own = world.ok(&maker, "POST", &format!("/tokens/{}/rotate", id_of(&maker)), &json!({ "overlap": "10m" }), 201);
    assert!(own["expires_at"].as_str() >= end.as_str(), "{own}");
}

#[test]
fn whoever_administers_no_more_ends_nothing_of_others_any_more() {
    let world = World::new();
    let made = world.ok(&world.root, "POST", "/tokens", &wanted("carol", &[READ]), 201);
    world.cli().ok(&["account", "set", "root", "--administrator", "off"]);
    let shown = world.get(&world.root, &format!("/tokens/{}", id_of(&world.root)));
    assert_eq!(shown["made"], json!([]));
    let path = format!("/tokens/{}?with_made=true", id_of(&world.root));
    let ended = world.ok(&world.root, "DELETE", &path, &Value::Null, 200);
    assert_eq!((&ended["with"], &ended["left"]), (&json!([]), &json!([])));
    assert_eq!(world.cli().json(&["token", "show", made["id"].as_str().expect("an id")])["state"], "valid");
}

#[test]
fn nobody_shuts_itself_out_from_elsewhere() {
    let world = World::new();
    let elsewhere = world.server.elsewhere(&world.root);
    for arguments in [
        &["account", "disable", "root"][..],
        &["account", "set", "root", "--administrator", "off"],
        &["calendar", "retire", "api"],
        &["calendar", "brownout", "api", "--from", "now", "--for", "1h"],
    ] {
        let outcome = elsewhere.run(arguments);
        assert!(!outcome.ok && outcome.stderr.contains("at the machine itself"), "{arguments:?}: {}", outcome.stderr);
    }
    assert!(elsewhere.run(&["account", "list"]).ok);
    elsewhere.ok(&["calendar", "announce", "api", "--retires", "2099-01-01"]);
    elsewhere.ok(&["account", "disable", "ada"]);
    let answer = world.call(&world.root, "GET", "/accounts", &Value::Null);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[test]
fn an_owner_looks_into_its_workspaces_audit_from_elsewhere_also_with_the_workspaces_own_token() {
    let world = World::new();
    let ada = token(world.cli(), "ada", OWN);
    let limited = world.cli().token("ada", OWN, &["--workspace", "acme"]).1;
    let own = world.cli().json(&[
        "token",
        "create",
        "--kind",
        "workspace",
        "--for",
        "acme",
        "--name",
        "x",
        "--scope",
        "read:audit:doorward",
    ]);
    for who in [&ada, &limited, &own["secret"].as_str().expect("a secret").to_owned()] {
        let rows = world.server.elsewhere(who).json(&["audit", "--in", "acme/site"]);
        assert_eq!(rows[0]["event"], "repository.created", "{rows}");
    }
}

#[test]
fn what_answers_nonsense_is_told_apart_from_a_server() {
    use std::io::{Read, Write};
    for (answer, told) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]", "cannot be understood"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{\"values\":[],\"next\":\"http\"}", "NAME"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "is it a Doorward server?"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{", "check the address"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let end = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let ended = end.clone();
        let server = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.expect("a connection");
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let world = World::new();
        let mut command = world.cli().command(&[]);
        command = std::process::Command::new(command.get_program());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", world.server.directory()).env("DOORWARD_TOKEN", &world.root);
        let outcome = Outcome::from(command.args(["--server", &address, "account", "list"]).output().expect("it runs"));
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(text.contains(told) && !text.contains("panicked"), "{answer}: {text}");
        end.store(true, std::sync::atomic::Ordering::SeqCst);
        drop(std::net::TcpStream::connect(address.trim_start_matches("http://")));
        server.join().expect("it ended");
    }
}

/// Holds the write lock of a server's database, and gives a credential an end before it lets go.
fn hold_the_lock(world: &World, change: &str, meanwhile: impl FnOnce() -> Response + Send) -> Response {
    let path = world.cli().data().join("doorward.db");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut connection = runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
        let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.expect("the lock");
        connection
    });
    std::thread::scope(|scope| {
        let asked = scope.spawn(meanwhile);
        // It cannot be answered before the lock is let go; that it has come so far is seen by nothing else.
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(!asked.is_finished(), "it did not wait for the lock");
        runtime.block_on(async {
            sqlx::raw_sql(sqlx::AssertSqlSafe(change.to_owned())).execute(&mut connection).await.expect("changed");
            let done = "UPDATE epoch SET value = value + 1; COMMIT";
            sqlx::raw_sql(done).execute(&mut connection).await.expect("done");
        });
        asked.join().expect("an answer")
    })
}

#[test]
fn what_waits_for_its_turn_is_not_done_once_its_credential_has_ended() {
    let world = World::new();
    let scopes = ["admin:repository:bitbucket", READ, WRITE];
    let hash = {
        let ada = token(world.cli(), "ada", &scopes);
        let here = world.server.directory();
        world.server.git().ok(here, &["clone", "-q", &world.server.url("ada", &ada, "acme/site"), "site"]);
        let commit = world.server.git().commit(&here.join("site"), "a", "a");
        world.server.git().ok(&here.join("site"), &["push", "-q", "origin", "HEAD:refs/heads/main"]);
        commit.trim().to_owned()
    };
    let branch = json!({ "name": "late", "target": { "hash": hash } });
    for (method, path, body) in [
        ("PUT", "/2.0/repositories/acme/site", json!({ "description": "late" })),
        ("POST", "/2.0/repositories/acme/site/refs/branches", branch),
    ] {
        for end in ["revoked_at = 1", "expires_at = 1"] {
            let ada = token(world.cli(), "ada", &scopes);
            let change = format!("UPDATE credential SET {end} WHERE id = '{}'", id_of(&ada));
            let answer = hold_the_lock(&world, &change, || {
                let authorization = format!("Authorization: Bearer {ada}");
                let headers = [authorization.as_str(), "Content-Type: application/json"];
                world.server.http().call(method, path, &headers, body.to_string().as_bytes())
            });
            assert_eq!(answer.status, 401, "{method} {path} {end}: {}", answer.text());
            let why = world.cli().json(&["why", answer.header("x-request-id")]);
            assert_eq!(why["allowed"], false, "{why}");
        }
    }
    let site = world.plain(&token(world.cli(), "ada", &[READ]), "/2.0/repositories/acme/site");
    assert!(!site.text().contains("late"), "{}", site.text());
}

#[test]
fn a_change_is_made_to_what_it_was_let_in_for_under_whatever_name_it_has_by_then() {
    let world = World::new();
    world.cli().ok(&["repository", "create", "acme/other"]);
    let ada = token(world.cli(), "ada", &["admin:repository:bitbucket", READ]);
    let rename = "UPDATE repository SET slug = 'moved' WHERE slug = 'site'; \
                  UPDATE repository SET slug = 'site' WHERE slug = 'other'";
    let answer = hold_the_lock(&world, rename, || {
        let authorization = format!("Authorization: Bearer {ada}");
        let headers = [authorization.as_str(), "Content-Type: application/json"];
        world.server.http().call("PUT", "/2.0/repositories/acme/site", &headers, b"{\"description\": \"this one\"}")
    });
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(world.plain(&ada, "/2.0/repositories/acme/moved").text().contains("this one"));
    assert!(!world.plain(&ada, "/2.0/repositories/acme/site").text().contains("this one"));
}
