//! Who gets in, who does not, and what they are told.

use doorward_testkit::{Outcome, Server};

use crate::server;

const READ: &str = "read:repository:bitbucket";
const WRITE: &str = "write:repository:bitbucket";

/// Asks for the refs of a repository, as a clone does first.
fn ask(server: &Server, user: &str, secret: &str, repository: &str) -> Outcome {
    let url = server.url(user, secret, repository);
    server.git().run(server.directory(), &["ls-remote", &url])
}

/// Asks to push, without pushing anything.
fn ask_to_push(server: &Server, user: &str, secret: &str, repository: &str) -> Outcome {
    let clone = server.directory().join("empty");
    if !clone.exists() {
        server.git().ok(server.directory(), &["init", "-q", "empty"]);
        server.git().commit(&clone, "a", "a");
    }
    let url = server.url(user, secret, repository);
    server.git().run(&clone, &["push", "--dry-run", &url, "HEAD:refs/heads/x"])
}

/// What git printed after `remote: `.
fn remote(outcome: &Outcome) -> Vec<&str> {
    outcome.stderr.lines().filter_map(|line| line.strip_prefix("remote: ")).collect()
}

/// The request id that a refusal named.
fn request(outcome: &Outcome) -> &str {
    let line = remote(outcome).into_iter().find_map(|line| line.strip_prefix("request: "));
    line.and_then(|line| line.split(' ').next()).unwrap_or_else(|| panic!("no request id in {}", outcome.stderr))
}

#[test]
fn a_valid_token_is_accepted_in_every_form_that_clients_use() {
    let server = server();
    let token = &server.up().token;
    for user in ["admin", "ADMIN", "admin%40localhost", "x-token-auth", "x-bitbucket-api-token-auth", "git", "nobody"] {
        let outcome = ask(&server, user, token, "home/hello");
        assert!(outcome.ok, "{user}: {}", outcome.stderr);
    }
    for (user, secret) in [(token.as_str(), ""), (token, "x-oauth-basic")] {
        let outcome = ask(&server, user, secret, "home/hello");
        assert!(outcome.ok, "{}", outcome.stderr);
    }
    let bearer = format!("http.extraHeader=Authorization: Bearer {token}");
    let url = server.url("", "", "home/hello");
    server.git().ok(server.directory(), &["-c", &bearer, "ls-remote", &url]);
}

#[test]
fn a_token_works_through_a_credential_helper_and_askpass_as_people_use_them() {
    let server = server();
    let store = server.directory().join(".git-credentials");
    let (scheme, host) = server.up().address.split_once("://").expect("an address");
    std::fs::write(&store, format!("{scheme}://admin:{}@{host}\n", server.up().token)).expect("written");
    let url = server.url("", "", "home/hello");
    server.git().set("credential.helper", "store").ok(server.directory(), &["ls-remote", &url]);
    let script = server.directory().join("askpass");
    std::fs::write(
        &script,
        format!("#!/bin/sh\ncase $1 in User*) echo admin;; *) echo {};; esac\n", server.up().token),
    )
    .expect("written");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("executable");
    let mut command = server.git().command(server.directory(), &["ls-remote", &url]);
    assert!(command.env("GIT_ASKPASS", &script).status().expect("git runs").success());
}

#[test]
fn each_refusal_shows_its_reason_and_remedy_in_the_terminal_and_why_tells_the_rest() {
    let server = server();
    let cli = server.cli();
    cli.ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    cli.ok(&["workspace", "create", "other", "--owner", "bob"]);
    cli.ok(&["repository", "create", "other/site"]);
    let (revoked, revoked_secret) = cli.token("admin", &[READ], &[]);
    cli.ok(&["token", "revoke", &revoked]);
    let (_, expired) = cli.token("admin", &[READ], &["--expires", "0s"]);
    let (_, elsewhere) = cli.token("admin", &[READ], &["--workspace", "other"]);
    let (_, reader) = cli.token("admin", &[READ], &[]);
    let (_, writer) = cli.token("admin", &[WRITE], &[]);
    let (_, bobs) = cli.token("bob", &[READ, WRITE], &[]);
    cli.ok(&["account", "create", "eve", "--email", "eve@example.org"]);
    let (_, eves) = cli.token("eve", &[READ], &[]);
    cli.ok(&["account", "disable", "eve"]);
    cli.ok(&["permission", "set", "home/hello", "bob", "read"]);
    let token = server.up().token.clone();
    let unknown = unknown_token();
    let other = if &token[25..26] == "7" { "8" } else { "7" };
    let altered = format!("{}{other}{}", &token[..25], &token[26..]);

    type Case<'a> = (&'a str, bool, &'a str, &'a str, &'a str, &'a str, &'a str);
    let cases: [Case<'_>; 15] = [
        (
            "token_revoked",
            false,
            "admin",
            &revoked_secret,
            "home/hello",
            "Authentication failed",
            "this token was revoked at 20",
        ),
        ("token_expired", false, "admin", &expired, "home/hello", "Authentication failed", "this token expired at 20"),
        (
            "token_unknown",
            false,
            "admin",
            &unknown,
            "home/hello",
            "Authentication failed",
            "this token is well formed but not known here",
        ),
        (
            "token_truncated",
            false,
            "admin",
            &token[..40],
            "home/hello",
            "Authentication failed",
            "the end of this token is missing",
        ),
        (
            "token_altered",
            false,
            "admin",
            &altered,
            "home/hello",
            "Authentication failed",
            "this token was changed on its way",
        ),
        (
            "not_a_token",
            false,
            "admin",
            "hunter2",
            "home/hello",
            "Authentication failed",
            "what was presented as the password is not a token",
        ),
        (
            "foreign_app_password",
            false,
            "admin",
            "ATBBabcdefgh",
            "home/hello",
            "Authentication failed",
            "this is an app password of Bitbucket Cloud",
        ),
        (
            "foreign_api_token",
            false,
            "x",
            "ATATT3xFfGF0abc",
            "home/hello",
            "Authentication failed",
            "this is an API token of Bitbucket Cloud",
        ),
        (
            "user_name_of_somebody_else",
            false,
            "bob",
            &token,
            "home/hello",
            "Authentication failed",
            "this token is valid, but the user name",
        ),
        (
            "account_disabled",
            false,
            "eve",
            &eves,
            "home/hello",
            "error: 403",
            "this token is valid, but the account of its owner is disabled",
        ),
        (
            "token_limited_to_workspace",
            false,
            "admin",
            &elsewhere,
            "home/hello",
            "error: 403",
            "this token is valid, but limited to another workspace",
        ),
        (
            "scope_missing",
            false,
            "admin",
            &writer,
            "home/hello",
            "error: 403",
            "this token is valid, but this needs the scope repository or read:repository:bitbucket; it has write:repository:bitbucket",
        ),
        (
            "scope_missing",
            true,
            "admin",
            &reader,
            "home/hello",
            "error: 403",
            "this token is valid, but this needs the scope repository:write or write:repository:bitbucket",
        ),
        (
            "repository_not_found",
            false,
            "admin",
            &token,
            "other/site",
            "not found",
            "there is no such repository, or you may not see it",
        ),
        (
            "privilege_missing",
            true,
            "bob",
            &bobs,
            "home/hello",
            "error: 403",
            "this needs write access to the repository; you have read",
        ),
    ];
    for (reason, push, user, secret, repository, fatal, sentence) in cases {
        let outcome =
            if push { ask_to_push(&server, user, secret, repository) } else { ask(&server, user, secret, repository) };
        assert!(!outcome.ok, "{reason} was let in");
        let lines = remote(&outcome);
        assert!(lines.first().is_some_and(|line| line.starts_with(sentence)), "{reason}: {}", outcome.stderr);
        assert!(lines.get(1).is_some_and(|line| line.starts_with("hint: ")), "{reason}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(fatal), "{reason}: {}", outcome.stderr);
        let why = cli.json(&["why", request(&outcome)]);
        assert_eq!(why["records"][0]["reason"], reason, "{why}");
        assert_eq!(why["allowed"], false, "{why}");
        let rules = why["rules"].as_array().expect("rules");
        assert_eq!(rules.iter().filter(|rule| rule["passed"] == false).count(), 1, "{why}");
        assert!(why["records"][0]["remedy"].is_string(), "{why}");
        assert!(!why.to_string().contains(secret), "{reason}: the secret is in the audit");
    }
    assert!(!server.log().contains("dwa_") && !server.log().contains("hunter2"), "a secret is in the log");
}

#[test]
fn why_finds_each_of_many_allowed_reads_and_pushes() {
    let server = server();
    let ask = |service: &str| {
        let header = format!("Authorization: Bearer {}", server.up().token);
        let answer = server.http().get(&format!("/home/hello.git/info/refs?service={service}"), &[&header]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-request-id").to_owned()
    };
    let ids: Vec<String> = (0..20).map(|_| ask("git-upload-pack")).chain([ask("git-receive-pack")]).collect();
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    // Counts are written when the server stops, at the latest.
    let mut server = server;
    server.restart();
    for (place, id) in ids.iter().enumerate() {
        let why = server.cli().json(&["why", id]);
        assert_eq!(
            (why["allowed"].as_bool(), why["records"][0]["account"].as_str()),
            (Some(true), Some("admin")),
            "{why}"
        );
        assert_eq!(why["records"][0]["action"], if place < 20 { "fetch" } else { "push" });
        assert_eq!(why["records"][0]["name_form"], "no user name");
    }
    let refused = server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[]);
    server.restart();
    let why = server.cli().json(&["why", refused.header("x-request-id")]);
    assert_eq!(why["records"][0]["reason"], "credential_missing", "{why}");
}

#[test]
fn what_the_command_line_changes_holds_for_the_very_next_request() {
    let server = server();
    let cli = server.cli();
    cli.ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    for _ in 0..20 {
        let (id, secret) = cli.token("bob", &[READ], &[]);
        assert!(ask(&server, "bob", &secret, "home/hello").stderr.contains("not found"));
        cli.ok(&["permission", "set", "home/hello", "bob", "read"]);
        assert!(ask(&server, "bob", &secret, "home/hello").ok);
        cli.ok(&["account", "disable", "bob"]);
        assert!(!ask(&server, "bob", &secret, "home/hello").ok);
        cli.ok(&["account", "enable", "bob"]);
        assert!(ask(&server, "bob", &secret, "home/hello").ok);
        cli.ok(&["permission", "set", "home/hello", "bob", "none"]);
        assert!(!ask(&server, "bob", &secret, "home/hello").ok);
        cli.ok(&["permission", "set", "home/hello", "bob", "write"]);
        assert!(ask(&server, "bob", &secret, "home/hello").ok);
        cli.ok(&["token", "revoke", &id]);
        assert!(ask(&server, "bob", &secret, "home/hello").stderr.contains("revoked"));
        cli.ok(&["permission", "set", "home/hello", "bob", "none"]);
    }
}

#[test]
fn a_rotated_token_works_until_its_overlap_ends_and_the_new_one_at_once() {
    let server = server();
    let (id, old) = server.cli().token("admin", &[READ], &[]);
    let rotated = server.cli().json(&["token", "rotate", &id]);
    let new = rotated["secret"].as_str().expect("a secret");
    assert!(ask(&server, "admin", &old, "home/hello").ok && ask(&server, "admin", new, "home/hello").ok);
    let (id, old) = server.cli().token("admin", &[READ], &[]);
    server.cli().ok(&["token", "rotate", &id, "--overlap", "0s"]);
    assert!(ask(&server, "admin", &old, "home/hello").stderr.contains("expired"));
}

#[test]
fn a_public_repository_is_read_by_anybody_and_written_by_its_own() {
    let server = server();
    server.cli().ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    server.cli().ok(&["repository", "create", "home/open", "--public"]);
    assert!(ask(&server, "", "", "home/open").ok);
    assert!(ask_to_push(&server, "", "", "home/open").stderr.contains("could not read Username"));
    let (_, bobs) = server.cli().token("bob", &[READ, WRITE], &[]);
    assert!(ask(&server, "bob", &bobs, "home/open").ok);
    assert!(ask_to_push(&server, "bob", &bobs, "home/open").stderr.contains("this needs write access"));
    // A valid credential may do what nobody needs one for, whatever it is limited to; one that is not valid is told so.
    let (_, no_use) = server.cli().token("bob", &["wiki"], &["--workspace", "home"]);
    let limited = format!("Authorization: Bearer {no_use}");
    assert_eq!(server.http().get("/home/open/info/refs?service=git-upload-pack", &[&limited]).status, 200);
    let unknown = format!("Authorization: Bearer {}", unknown_token());
    let refused = server.http().get("/home/open/info/refs?service=git-upload-pack", &[&unknown]);
    assert!(refused.status == 401 && refused.text().contains("not known here"), "{}", refused.text());
}

#[test]
fn a_repository_that_may_not_be_seen_looks_exactly_like_one_that_is_not_there() {
    let server = server();
    server.cli().ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    let (_, bobs) = server.cli().token("bob", &[READ, WRITE], &[]);
    let bearer = format!("Authorization: Bearer {bobs}");
    for service in ["git-upload-pack", "git-receive-pack"] {
        for headers in [&[bearer.as_str()][..], &[]] {
            let look = |repository: &str| {
                let mut answer = server.http().get(&format!("/{repository}.git/info/refs?service={service}"), headers);
                let id = answer.header("x-request-id").to_owned();
                answer.headers.retain(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"));
                (answer.status, answer.headers.clone(), answer.text().replace(&id, "ID"))
            };
            let hidden = look("home/hello");
            assert_eq!(hidden, look("home/absent"));
            assert_eq!(hidden, look("nowhere/absent"));
            assert_eq!(hidden.0, if headers.is_empty() { 401 } else { 404 });
        }
    }
}

#[test]
fn git_keeps_the_stored_credential_unless_it_was_found_bad() {
    let server = server();
    let (id, secret) = server.cli().token("admin", &[WRITE], &[]);
    let store = server.directory().join(".git-credentials");
    let (scheme, host) = server.up().address.split_once("://").expect("an address");
    std::fs::write(&store, format!("{scheme}://admin:{secret}@{host}\n")).expect("written");
    let git = server.git().set("credential.helper", "store");
    let url = server.url("", "", "home/hello");
    assert!(!git.run(server.directory(), &["ls-remote", &url]).ok);
    assert!(std::fs::read_to_string(&store).expect("it is there").contains(&secret), "a 403 must not erase");
    server.cli().ok(&["token", "revoke", &id]);
    assert!(!git.run(server.directory(), &["ls-remote", &url]).ok);
    assert!(!std::fs::read_to_string(&store).expect("it is there").contains(&secret), "a 401 erases");
}

/// A token that is well formed, and was never made here.
fn unknown_token() -> String {
    use secrecy::ExposeSecret;
    let minted = doorward_wire::MintedToken::mint(
        doorward_rules::Kind::ApiToken,
        doorward_wire::TokenShape::Doorward,
        |buffer| {
            buffer.fill(9);
        },
    );
    minted.secret.expose_secret().to_owned()
}
