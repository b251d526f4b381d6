//! Every kind of credential on our own server, what workspaces ask of them, and how a kind comes to its end.

use std::time::{Duration, Instant};

use doorward_testkit::{Response, Server};
use serde_json::Value;

use crate::operation::await_that;
use crate::sandbox::base64;
use crate::{server, server_with};

const READ: &str = "read:repository:bitbucket";
const WRITE: &str = "write:repository:bitbucket";

fn bearer(secret: &str) -> String {
    format!("Authorization: Bearer {secret}")
}

fn basic(name: &str, secret: &str) -> String {
    format!("Authorization: Basic {}", base64(&format!("{name}:{secret}")))
}

fn on_git(server: &Server, header: &str, repository: &str) -> Response {
    server.http().get(&format!("/{repository}.git/info/refs?service=git-upload-pack"), &[header])
}

fn on_rest(server: &Server, header: &str, path: &str) -> Response {
    server.http().get(path, &[header])
}

fn json_of(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{}: {error}", answer.text()))
}

/// Makes a token of a kind; its id and its secret.
fn make(server: &Server, arguments: &[&str]) -> (String, String) {
    let token = server.cli().json(&[&["token", "create", "--name", "test"], arguments].concat());
    let text = |key: &str| token[key].as_str().unwrap_or_else(|| panic!("no {key} in {token}")).to_owned();
    (text("id"), text("secret"))
}

/// A workspace of ada's with a repository, and an account that belongs to it.
fn furnished() -> Server {
    furnish(server())
}

fn furnish(server: Server) -> Server {
    let cli = server.cli();
    cli.ok(&["account", "create", "ada", "--email", "ada@example.org"]);
    cli.ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    cli.ok(&["workspace", "create", "acme", "--owner", "ada"]);
    cli.ok(&["project", "create", "acme/OPS", "--title", "Operations"]);
    cli.ok(&["repository", "create", "acme/site"]);
    cli.ok(&["repository", "create", "acme/infra", "--project", "OPS"]);
    server
}

#[test]
fn every_kind_is_let_in_to_its_own_place_in_every_form_and_nowhere_else() {
    for shape in ["doorward", "bitbucket"] {
        let server = furnish(server_with(&[("DOORWARD_TOKENS_SHAPE", shape)]));
        // The command line reads its settings by itself.
        let create = |arguments: &[&str]| {
            let arguments =
                [&["token", "create", "--name", "test", "--json", "--scope", "repository:write"], arguments].concat();
            let output =
                server.cli().command(&arguments).env("DOORWARD_TOKENS_SHAPE", shape).output().expect("doorward runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let token: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            token["secret"].as_str().expect("a secret").to_owned()
        };
        server.cli().ok(&["calendar", "announce", "app-password", "--retires", "30d"]);
        for (kind, holder, prefix, length, reaches) in [
            ("api", ["--account", "ada"], ["dwa_", "ATATT3xFfGF0"], [56, 192], [true, true, false]),
            ("app-password", ["--account", "ada"], ["dwp_", "ATBB"], [56, 36], [true, true, false]),
            ("repository", ["--for", "acme/site"], ["dwr_", "ATCTT3xFfGN0"], [56, 192], [true, false, false]),
            ("project", ["--for", "acme/ops"], ["dwj_", "ATCTT3xFfGN0"], [56, 192], [false, true, false]),
            ("workspace", ["--for", "acme"], ["dww_", "ATCTT3xFfGN0"], [56, 192], [true, true, false]),
        ] {
            let secret = create(&[&["--kind", kind], &holder[..]].concat());
            let own = usize::from(shape == "bitbucket");
            assert!(
                secret.starts_with(prefix[own]) && secret.len() == length[own],
                "{kind}: {} characters",
                secret.len()
            );
            for (repository, reached) in ["acme/site", "acme/infra", "home/hello"].into_iter().zip(reaches) {
                for header in [
                    bearer(&secret),
                    basic("", &secret),
                    basic("x-token-auth", &secret),
                    basic("x-bitbucket-api-token-auth", &secret),
                    basic("whoever", &secret),
                    basic(&secret, ""),
                ] {
                    let found = on_git(&server, &header, repository).status;
                    assert_eq!(found == 200, reached, "{kind} in {repository}: {found}");
                    let found = on_rest(&server, &header, &format!("/2.0/repositories/{repository}")).status;
                    assert_eq!(found == 200, reached, "{kind} in {repository} on REST: {found}");
                }
            }
        }
    }
}

#[test]
fn an_access_token_is_told_where_it_belongs_and_that_it_is_nobody() {
    let server = furnished();
    for (kind, place, repository, code) in [
        ("repository", "acme/site", "acme/infra", "token_limited_to_repository"),
        ("project", "acme/OPS", "acme/site", "token_limited_to_project"),
        ("workspace", "acme", "home/hello", "token_limited_to_workspace"),
    ] {
        let (_, secret) = make(&server, &["--kind", kind, "--for", place, "--scope", "repository"]);
        let elsewhere = on_rest(&server, &bearer(&secret), &format!("/2.0/repositories/{repository}"));
        assert_eq!((elsewhere.status, &json_of(&elsewhere)["error"]["detail"]["code"]), (403, &code.into()));
        let absent = on_rest(&server, &bearer(&secret), "/2.0/repositories/home/absent");
        assert_eq!(json_of(&absent)["error"]["detail"]["code"], code);
        let nobody = on_rest(&server, &bearer(&secret), "/2.0/user");
        assert_eq!(
            (nobody.status, &json_of(&nobody)["error"]["detail"]["code"]),
            (403, &"token_without_account".into())
        );
    }
    let wrong = |arguments: &[&str]| {
        server.cli().run(&[&["token", "create", "--name", "x", "--scope", "repository"], arguments].concat())
    };
    for arguments in [
        &["--kind", "repository", "--account", "ada"][..],
        &["--kind", "repository"],
        &["--kind", "project", "--for", "acme"],
        &["--kind", "api", "--for", "acme"],
        &["--kind", "api"],
        &["--kind", "workspace", "--for", "acme", "--workspace", "acme"],
    ] {
        let outcome = wrong(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(wrong(&["--kind", "project", "--for", "acme/NONE"]).code, Some(3));
}

#[test]
fn the_envelope_says_everything_that_the_terminal_does() {
    let server = furnished();
    let (_, reader) = make(&server, &["--account", "ada", "--scope", READ]);
    let answer = on_rest(&server, &bearer(&reader), "/2.0/user");
    let body = json_of(&answer);
    assert_eq!((answer.status, body["type"].as_str()), (403, Some("error")));
    let detail = &body["error"]["detail"];
    assert_eq!(detail["code"], "scope_missing");
    assert_eq!(detail["required"], serde_json::json!(["account", "read:user:bitbucket"]));
    assert_eq!(detail["granted"], serde_json::json!([READ]));
    assert_eq!(detail["request_id"], answer.header("x-request-id"));
    assert!(body["error"]["message"].as_str().is_some_and(|text| text.contains("read:user:bitbucket")));
    assert!(detail["remedy"].as_str().is_some_and(|text| text.contains("create a token")));
    let why = server.cli().json(&["why", detail["request_id"].as_str().expect("an id")]);
    assert_eq!(why["records"][0]["reason"], "scope_missing");
    for (header, path, status, code) in [
        ("X-Nothing: here", "/2.0/user", 401, "credential_missing"),
        (&bearer("hunter2"), "/2.0/user", 401, "not_a_token"),
        ("Authorization: JWT a.b.c", "/2.0/user", 401, "connect_jwt"),
        ("Authorization: nonsense", "/2.0/user", 400, "header_malformed"),
        (&bearer(&reader), "/2.0/repositories/acme/absent", 404, "repository_not_found"),
        (&bearer(&reader), "/2.0/repositories/home/hello", 404, "repository_not_found"),
        (&bearer(&reader), "/2.0/nothing/at/all", 404, "no_such_operation"),
        (&bearer(&reader), "/2.0/repositories", 410, "operation_removed"),
        (&bearer(&reader), "/2.0/repositories/absent", 404, "workspace_not_found"),
    ] {
        let answer = on_rest(&server, header, path);
        let body = json_of(&answer);
        assert_eq!((answer.status, body["error"]["detail"]["code"].as_str()), (status, Some(code)), "{path} {header}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let wrong_method = server.http().post("/2.0/user", &[&bearer(&reader)], b"");
    assert_eq!((wrong_method.status, json_of(&wrong_method)["type"].as_str()), (405, Some("error")));
}

#[test]
fn rest_tells_who_one_is_where_one_belongs_and_what_a_repository_is() {
    let server = furnished();
    let (_, secret) = make(&server, &["--account", "ada", "--scope", "account", "--scope", "repository"]);
    let user = json_of(&on_rest(&server, &basic("ada@example.org", &secret), "/2.0/user"));
    assert_eq!(
        (user["type"].as_str(), user["username"].as_str(), user["nickname"].as_str()),
        (Some("user"), Some("ada"), Some("ada"))
    );
    assert!(user["uuid"].as_str().is_some_and(|uuid| uuid.starts_with('{') && uuid.ends_with('}')));
    let workspaces = json_of(&on_rest(&server, &bearer(&secret), "/2.0/user/workspaces"));
    assert_eq!(workspaces["values"][0]["workspace"]["slug"], "acme");
    assert_eq!(
        (workspaces["values"][0]["administrator"].as_bool(), workspaces["size"].as_u64()),
        (Some(true), Some(1))
    );
    let repository = json_of(&on_rest(&server, &bearer(&secret), "/api/2.0/repositories/acme/infra"));
    assert_eq!(
        (repository["full_name"].as_str(), repository["is_private"].as_bool()),
        (Some("acme/infra"), Some(true))
    );
    assert_eq!(
        (repository["project"]["key"].as_str(), repository["mainbranch"]["name"].as_str()),
        (Some("OPS"), Some("main"))
    );
    let clone = repository["links"]["clone"][0]["href"].as_str().expect("an address").replace("://", "://ada@");
    let mut command = server.git().command(server.directory(), &["ls-remote", &clone]);
    let askpass = server.directory().join("askpass");
    std::fs::write(&askpass, format!("#!/bin/sh\necho {secret}\n")).expect("written");
    std::fs::set_permissions(&askpass, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("executable");
    assert!(command.env("GIT_ASKPASS", &askpass).status().expect("git runs").success(), "{clone}");
}

#[test]
fn every_authenticated_answer_tells_its_scopes_and_kind_also_a_refusal_on_git() {
    let server = furnished();
    let (_, reader) = make(&server, &["--account", "ada", "--scope", READ]);
    let push = server.http().get("/acme/site.git/info/refs?service=git-receive-pack", &[&bearer(&reader)]);
    let told = |answer: &Response| {
        ["x-credential-type", "x-oauth-scopes", "x-accepted-oauth-scopes"].map(|name| answer.header(name).to_owned())
    };
    assert_eq!((push.status, told(&push)), (403, ["api_token", READ, WRITE].map(String::from)));
    let fetch = on_git(&server, &bearer(&reader), "acme/site");
    assert_eq!((fetch.status, told(&fetch)), (200, ["api_token", READ, READ].map(String::from)));
    let (_, deploy) = make(&server, &["--kind", "repository", "--for", "acme/site", "--scope", "repository"]);
    let fetch = on_git(&server, &bearer(&deploy), "acme/site");
    assert_eq!(told(&fetch), ["repo_access_token", "repository", "repository"].map(String::from));
    let stranger = on_git(&server, &bearer("hunter2"), "acme/site");
    assert_eq!((stranger.status, told(&stranger)), (401, Default::default()));
}

#[test]
fn app_passwords_are_off_then_announced_then_browned_out_then_gone() {
    let server = furnished();
    let cli = server.cli();
    let create = [
        "token",
        "create",
        "--kind",
        "app-password",
        "--account",
        "ada",
        "--name",
        "old script",
        "--scope",
        "repository",
    ];
    let refused = cli.run(&create);
    assert_eq!(refused.code, Some(4));
    assert!(refused.stderr.contains("doorward calendar announce"), "{}", refused.stderr);
    cli.ok(&["calendar", "announce", "app-password", "--retires", "2099-01-01", "--creation-ends", "2098-01-01"]);
    let (id, secret) = make(&server, &["--kind", "app-password", "--account", "ada", "--scope", "repository"]);
    let header = basic("ada", &secret);
    for answer in [on_git(&server, &header, "acme/site"), on_rest(&server, &header, "/2.0/repositories/acme/site")] {
        assert_eq!(answer.status, 200);
        assert!(answer.header("deprecation").starts_with('@'), "{}", answer.header("deprecation"));
        assert_eq!(answer.header("sunset"), "Thu, 01 Jan 2099 00:00:00 GMT");
    }
    let (_, api) = make(&server, &["--account", "ada", "--scope", READ]);
    assert_eq!(on_git(&server, &bearer(&api), "acme/site").header("deprecation"), "");

    await_that("the use is on record", || cli.json(&["calendar", "rehearse", "app-password"])[0]["id"] == id.as_str());
    let rehearsed = cli.json(&["calendar", "rehearse", "app-password", "--days", "1"]);
    assert_eq!((rehearsed[0]["owner"].as_str(), rehearsed[0]["requests"].as_i64()), (Some("ada"), Some(2)));
    let review = cli.json(&["token", "review"]);
    assert!(
        review
            .as_array()
            .is_some_and(|rows| rows.iter().any(|row| row["id"] == id.as_str() && row["finding"] == "retiring"))
    );

    // In a brownout git keeps the secret, since it works again afterwards.
    let store = server.directory().join(".git-credentials");
    let stored = format!("http://ada:{secret}@{}\n", server.host());
    std::fs::write(&store, &stored).expect("written");
    let git = server.git().set("credential.helper", "store");
    let url = server.url("", "", "acme/site");
    cli.ok(&["calendar", "brownout", "app-password", "--from", "now", "--for", "1h"]);
    let outcome = git.run(server.directory(), &["ls-remote", &url]);
    assert!(
        outcome.stderr.contains("remote: app passwords are going to end, and are refused until"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("hint: create an API token"), "{}", outcome.stderr);
    assert_eq!(std::fs::read_to_string(&store).expect("kept"), stored);

    // Once they are over, it is of no use to anybody.
    cli.ok(&["calendar", "retire", "app-password"]);
    let outcome = git.run(server.directory(), &["ls-remote", &url]);
    assert!(outcome.stderr.contains("remote: app passwords are not accepted since"), "{}", outcome.stderr);
    assert_eq!(std::fs::read_to_string(&store).expect("a file"), "");
    assert_eq!(cli.run(&create).code, Some(4));
    cli.ok(&["calendar", "cancel", "app-password"]);
    let off = on_rest(&server, &header, "/2.0/repositories/acme/site");
    assert_eq!((off.status, json_of(&off)["error"]["detail"]["code"].as_str()), (403, Some("kind_off")));
}

#[test]
fn a_kind_can_be_planned_to_end_in_a_hundred_years_and_not_in_nonsense() {
    let server = furnished();
    let cli = server.cli();
    let (_, secret) = make(&server, &["--account", "ada", "--scope", READ]);
    cli.ok(&["calendar", "announce", "api", "--retires", "9999-12-31T23:59:59Z"]);
    assert_eq!(on_git(&server, &bearer(&secret), "acme/site").header("sunset"), "Fri, 31 Dec 9999 23:59:59 GMT");
    cli.ok(&["calendar", "cancel", "api"]);
    for arguments in [
        &["announce", "api", "--retires", "9000y"][..],
        &["announce", "api", "--retires", "9999-12-31T23:59:59-23:59"],
        &["announce", "api", "--retires", "2020-01-01"],
        &["announce", "api", "--retires", "30d", "--creation-ends", "60d"],
        &["retire", "api", "--at", "2020-01-01"],
        &["brownout", "api", "--from", "2020-01-01", "--for", "1h"],
        &["brownout", "api", "--from", "400d", "--for", "1h", "--every", "12h", "--until", "1d"],
        &["brownout", "api", "--from", "1d", "--for", "2h", "--every", "1h", "--until", "3d"],
        &["brownout", "api", "--from", "1d", "--for", "0s"],
        &["brownout", "app-password", "--from", "1d", "--for", "1h"],
    ] {
        let outcome = cli.run(&[&["calendar"], arguments].concat());
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(on_git(&server, &bearer(&secret), "acme/site").header("deprecation"), "");
}

#[test]
fn a_rotation_of_which_nobody_sees_the_secret_changes_nothing() {
    let server = furnished();
    let (id, secret) = make(&server, &["--account", "ada", "--scope", READ]);
    let before = server.cli().json(&["token", "show", &id]);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device that is full");
    let mut command = server.cli().command(&["token", "rotate", &id]);
    assert_eq!(command.stdout(full).output().expect("doorward runs").status.code(), Some(1));
    let after = server.cli().json(&["token", "show", &id]);
    assert_eq!((&before["expires_at"], &before["state"]), (&after["expires_at"], &after["state"]));
    assert_eq!(on_git(&server, &bearer(&secret), "acme/site").status, 200);
    let valid = server.cli().json(&["token", "list", "--account", "ada"]);
    let valid = valid.as_array().expect("a list").iter().filter(|row| row["state"] == "valid").count();
    assert_eq!(valid, 1);
}

#[test]
fn a_token_of_a_workspace_names_no_other() {
    let server = furnished();
    server.cli().ok(&["workspace", "create", "elsewhere", "--owner", "ada"]);
    let (_, secret) = make(&server, &["--account", "ada", "--workspace", "acme", "--scope", "account"]);
    let workspaces = json_of(&on_rest(&server, &bearer(&secret), "/2.0/user/workspaces"));
    assert_eq!(
        (workspaces["size"].as_u64(), workspaces["values"][0]["workspace"]["slug"].as_str()),
        (Some(1), Some("acme"))
    );
}

#[test]
fn each_rule_of_a_policy_refuses_says_so_and_lets_go_again() {
    let server = furnished();
    let cli = server.cli();
    cli.ok(&["account", "set", "ada", "--managed", "on"]);
    let (id, secret) = make(&server, &["--account", "ada", "--scope", READ, "--expires", "300d"]);
    let (_, deploy) =
        make(&server, &["--kind", "repository", "--for", "acme/site", "--scope", "repository", "--expires", "30d"]);
    assert_eq!(on_git(&server, &bearer(&secret), "acme/site").status, 200);
    // `--dry-run` knows where a token was last used from.
    await_that("the use is on record", || !cli.json(&["token", "show", &id])["last_used"].is_null());
    for (rule, value, back, code, also_deploy) in [
        ("--sso", "on", "off", "policy_sso", false),
        ("--kinds", "repository,oauth", "any", "policy_kind", false),
        ("--longest", "90d", "any", "policy_lifetime", false),
        ("--addresses", "192.0.2.0/24,2001:db8::/32", "any", "policy_address", true),
        ("--two-step", "on", "off", "policy_two_step", false),
    ] {
        let planned = cli.json(&["policy", "set", "acme", rule, value, "--dry-run"]);
        let named = planned["refuses"].as_array().expect("a list");
        assert!(
            named.iter().any(|row| row["id"] == id.as_str() && row["reason"] == code && !row["last_used_at"].is_null()),
            "{planned}"
        );
        assert_eq!(on_git(&server, &bearer(&secret), "acme/site").status, 200, "{rule} was to change nothing");
        cli.ok(&["policy", "set", "acme", rule, value]);
        let answer = on_rest(&server, &bearer(&secret), "/2.0/repositories/acme/site");
        assert_eq!((answer.status, json_of(&answer)["error"]["detail"]["code"].as_str()), (403, Some(code)), "{rule}");
        let told = server.git().run(server.directory(), &["ls-remote", &server.url("ada", &secret, "acme/site")]);
        let sentence = told.stderr.lines().next().unwrap_or_default();
        assert!(
            sentence.starts_with("remote: this token is valid, but ") && sentence.contains("the workspace "),
            "{sentence}"
        );
        assert_eq!(on_git(&server, &bearer(&deploy), "acme/site").status == 403, also_deploy, "{rule}");
        // A policy is asked only of those who may know of the repository.
        let (_, bobs) = make(&server, &["--account", "bob", "--scope", READ]);
        assert_eq!(on_git(&server, &bearer(&bobs), "acme/site").status, 404, "{rule}");
        cli.ok(&["policy", "set", "acme", rule, back]);
        assert_eq!(on_git(&server, &bearer(&secret), "acme/site").status, 200, "{rule} was taken back");
    }
    cli.ok(&["policy", "set", "acme", "--addresses", "127.0.0.0/8", "--two-step", "on"]);
    cli.ok(&["account", "set", "ada", "--two-step", "on"]);
    assert_eq!(on_git(&server, &bearer(&secret), "acme/site").status, 200);
    assert!(cli.ok(&["policy", "show", "acme"]).contains("only from 127.0.0.0/8; two-step verification"));
    // What is public stays so.
    cli.ok(&["repository", "create", "acme/open", "--public"]);
    cli.ok(&["policy", "set", "acme", "--addresses", "192.0.2.1"]);
    assert_eq!(on_git(&server, &bearer(&secret), "acme/open").status, 200);
    for arguments in [&["--addresses", "nowhere"][..], &["--kinds", "apis"], &["--longest", "1h"], &["--sso", "maybe"]]
    {
        assert_eq!(cli.run(&[&["policy", "set", "acme"], arguments].concat()).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_hint_names_everything_that_stands_in_the_way_and_not_only_the_first() {
    let server = furnished();
    server.cli().ok(&["workspace", "member", "add", "acme", "bob"]);
    let (_, secret) = make(&server, &["--account", "bob", "--scope", READ, "--expires", "0s"]);
    let push = server.http().get("/acme/site.git/info/refs?service=git-receive-pack", &[&bearer(&secret)]);
    let text = push.text();
    assert!(text.starts_with("this token expired at "), "{text}");
    assert!(
        text.contains(
            "hint: create a new one in its place; then create it anew with the scope write:repository:bitbucket; \
             then ask an administrator of the repository for write access"
        ),
        "{text}"
    );
    // Who may not know of a repository is not told what would help there.
    let hidden = server.http().get("/home/hello.git/info/refs?service=git-receive-pack", &[&bearer(&secret)]).text();
    let absent = server.http().get("/home/absent.git/info/refs?service=git-receive-pack", &[&bearer(&secret)]).text();
    let without_id = |text: &str| text.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(without_id(&hidden), without_id(&absent));
    assert!(!hidden.contains("write access"), "{hidden}");
}

#[test]
fn many_wrong_secrets_are_slowed_down_and_a_valid_one_never() {
    let server = server_with(&[("DOORWARD_LIMITS_FAILED_ATTEMPTS", "5")]);
    let valid = bearer(&server.up().token);
    let statuses: Vec<u16> =
        (0..12).map(|number| on_git(&server, &bearer(&format!("hunter{number}")), "home/hello").status).collect();
    // The minute may turn over once on the way.
    assert!(
        statuses[..5].iter().all(|status| *status == 401)
            && statuses.iter().filter(|status| **status == 429).count() >= 2,
        "{statuses:?}"
    );
    let slowed = on_rest(&server, &bearer("hunter2"), "/2.0/user");
    if slowed.status == 429 {
        let wait: u64 = slowed.header("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&wait));
        let body = json_of(&slowed);
        assert_eq!(body["error"]["detail"]["code"], "too_many_attempts");
        assert!(
            body["error"]["message"].as_str().is_some_and(|text| text.ends_with("passwords are not accepted here")),
            "{body}"
        );
        assert!(
            server.cli().run(&["why", slowed.header("x-request-id")]).ok || {
                await_that("it is counted", || server.cli().run(&["why", slowed.header("x-request-id")]).ok);
                true
            }
        );
    }
    for _ in 0..20 {
        assert_eq!(on_git(&server, &valid, "home/hello").status, 200);
        // A request without a credential is only asked for one.
        assert_eq!(server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[]).status, 401);
    }
}

#[test]
fn a_review_finds_what_is_unused_what_may_do_too_much_and_what_ends_soon() {
    let server = furnished();
    let cli = server.cli();
    let (unused, _) = make(&server, &["--account", "ada", "--scope", READ, "--expires", "2y"]);
    let (wide, _) = make(&server, &["--account", "ada", "--scope", READ, "--scope", "wiki", "--expires", "2y"]);
    let (short, _) = make(&server, &["--account", "ada", "--scope", READ, "--expires", "5d"]);
    let (pusher, secret) = make(&server, &["--account", "ada", "--scope", READ, "--scope", WRITE, "--expires", "2y"]);
    let (gone, _) = make(&server, &["--account", "ada", "--scope", "wiki", "--expires", "5d"]);
    cli.ok(&["token", "revoke", &gone]);
    let findings = |unused: &str| {
        let rows = cli.json(&["token", "review", "--unused", unused]);
        let rows = rows.as_array().expect("a list").clone();
        rows.into_iter()
            .map(|row| {
                (
                    row["id"].as_str().unwrap_or_default().to_owned(),
                    row["finding"].as_str().unwrap_or_default().to_owned(),
                )
            })
            .collect::<Vec<_>>()
    };
    let has = |found: &[(String, String)], id: &str, finding: &str| found.iter().any(|(i, f)| i == id && f == finding);
    let found = findings("90d");
    assert!(has(&found, &wide, "over-scoped") && has(&found, &short, "expiring"), "{found:?}");
    assert!(!has(&found, &unused, "unused"), "it is too young for that: {found:?}");
    assert!(!found.iter().any(|(id, _)| *id == gone), "{found:?}");
    await_that("all of them are a second old", || has(&findings("1s"), &unused, "unused"));
    assert_eq!(on_git(&server, &bearer(&secret), "acme/site").status, 200);
    await_that("its use is on record", || !cli.json(&["token", "show", &pusher])["last_used"].is_null());
    let found = findings("30s");
    assert!(!has(&found, &pusher, "unused"), "{found:?}");
    let shown = cli.json(&["token", "show", &pusher]);
    assert_eq!(
        (shown["uses"][0]["action"].as_str(), shown["uses"][0]["repository"].as_str()),
        (Some("fetch"), Some("acme/site"))
    );
    assert_eq!(shown["last_used"]["address"], "127.0.0.1");
    // Whoever has found a token has its id.
    assert_eq!(cli.json(&["token", "show", &secret])["id"], pusher.as_str());
}

#[test]
fn a_hidden_repository_and_an_absent_one_cannot_be_told_apart() {
    let server = furnished();
    let (_, secret) = make(&server, &["--account", "bob", "--scope", READ, "--scope", "repository"]);
    let header = bearer(&secret);
    let same = |answer: &Response, name: &str| {
        // What is different by its nature: the time, the id, and the name that was asked for.
        let headers: Vec<_> =
            answer.headers.iter().filter(|(name, _)| name != "date" && name != "x-request-id").collect();
        let text = answer.text().replace(answer.header("x-request-id"), "ID").replace(name, "NAME");
        format!("{} {headers:?} {text}", answer.status)
    };
    for path in [
        "/acme/NAME.git/info/refs?service=git-upload-pack",
        "/acme/NAME.git/info/refs?service=git-receive-pack",
        "/2.0/repositories/acme/NAME",
    ] {
        for header in [header.as_str(), "X-No: credential", "Authorization: Bearer hunter2"] {
            let ask = |name| same(&server.http().get(&path.replace("NAME", name), &[header]), name);
            assert_eq!(ask("site"), ask("sift"), "{path} {header}");
        }
    }
    // Asked in turn, so that whatever slows the machine down slows both.
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let time = |name: &str| {
        let began = Instant::now();
        assert_eq!(on_rest(&server, &header, &format!("/2.0/repositories/acme/{name}")).status, 404);
        began.elapsed()
    };
    let (mut hidden, mut absent) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        hidden.push(time("site"));
        absent.push(time("sift"));
    }
    let (hidden, absent) = (median(hidden), median(absent));
    println!("hidden {hidden:?}, absent {absent:?}");
    assert!(hidden.abs_diff(absent) < hidden.max(absent) / 4, "hidden {hidden:?}, absent {absent:?}");
}

#[test]
fn what_the_command_line_changes_holds_for_the_next_request_whatever_is_remembered() {
    let server = furnished();
    let cli = server.cli();
    let (id, secret) = make(&server, &["--account", "ada", "--scope", READ]);
    let ask = || on_git(&server, &bearer(&secret), "acme/site").status;
    for _ in 0..20 {
        assert_eq!((ask(), ask()), (200, 200));
        cli.ok(&["account", "disable", "ada"]);
        assert_eq!(ask(), 403);
        cli.ok(&["account", "enable", "ada"]);
    }
    assert_eq!(ask(), 200);
    cli.ok(&["token", "revoke", &id]);
    assert_eq!(ask(), 401);
}
