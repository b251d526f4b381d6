//! What people suffered with a host's credentials, each case by its number, and what becomes of it here.

use doorward_testkit::{Response, Server};
use serde_json::Value;

use crate::sandbox::base64;
use crate::server;

const READ: &str = "read:repository:bitbucket";

fn ask(server: &Server, path: &str, header: &str) -> Response {
    server.http().get(path, &[header])
}

fn basic(name: &str, secret: &str) -> String {
    format!("Authorization: Basic {}", base64(&format!("{name}:{secret}")))
}

fn bearer(secret: &str) -> String {
    format!("Authorization: Bearer {secret}")
}

fn code(answer: &Response) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{}: {error}", answer.text()));
    body["error"]["detail"]["code"].as_str().unwrap_or_default().to_owned()
}

const GIT: &str = "/home/hello.git/info/refs?service=git-upload-pack";
const REST: &str = "/2.0/repositories/home/hello";

fn access_token(server: &Server, scopes: &str) -> String {
    let arguments =
        ["token", "create", "--kind", "repository", "--for", "home/hello", "--name", "ci", "--scope", scopes];
    server.cli().json(&arguments)["secret"].as_str().expect("a secret").to_owned()
}

#[test]
fn case_13_a_wrong_secret_has_the_same_status_wherever_it_is_put() {
    let server = server();
    for path in [GIT, REST] {
        for header in
            [basic("admin", "wrong"), basic("wrong", "wrong"), bearer("wrong"), basic("x-token-auth", "wrong")]
        {
            assert_eq!(ask(&server, path, &header).status, 401, "{path}");
        }
        let outcome = server.git().run(server.directory(), &["ls-remote", &server.url("admin", "wrong", "home/hello")]);
        assert!(outcome.stderr.contains("Authentication failed"), "{}", outcome.stderr);
    }
}

#[test]
fn case_18_a_throttle_is_not_disguised_as_a_question_for_a_password() {
    let server = crate::server_with(&[("DOORWARD_LIMITS_FAILED_ATTEMPTS", "1")]);
    for _ in 0..5 {
        ask(&server, GIT, &bearer("wrong"));
    }
    let answer = ask(&server, GIT, &bearer("wrong"));
    assert!(answer.status == 429 && answer.header("www-authenticate").is_empty(), "{}", answer.status);
    assert_eq!(server.http().get(GIT, &[]).status, 401);
}

#[test]
fn case_21_22_24_25_any_user_name_of_ones_own_does_on_git_and_on_rest() {
    let server = server();
    let (_, token) = server.cli().token("admin", &[READ], &[]);
    for header in [
        basic("admin", &token),
        basic("admin@localhost", &token),
        basic("x-bitbucket-api-token-auth", &token),
        basic("x-token-auth", &token),
        basic("", &token),
        bearer(&token),
    ] {
        assert_eq!((ask(&server, GIT, &header).status, ask(&server, REST, &header).status), (200, 200));
    }
}

#[test]
fn case_23_29_access_tokens_are_taken_as_basic_too_under_whatever_name() {
    let server = server();
    let token = access_token(&server, "repository");
    for name in ["x-token-auth", "x-bitbucket-api-token-auth", "9f8e7d@bots.bitbucket.org", "admin", ""] {
        assert_eq!(
            (ask(&server, GIT, &basic(name, &token)).status, ask(&server, REST, &basic(name, &token)).status),
            (200, 200)
        );
    }
}

#[test]
fn case_26_four_causes_have_four_messages() {
    let server = server();
    let (_, unscoped) = server.cli().token("admin", &[], &["--no-scopes"]);
    let (_, without_user) = server.cli().token("admin", &[READ], &[]);
    let foreign = "ATATT3xFfGF0abcdefghijklmnopqrstuvwxyz=00000000";
    server.cli().ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    let codes = [
        code(&ask(&server, "/2.0/user", &bearer(&unscoped))),
        code(&ask(&server, "/2.0/user", &bearer(foreign))),
        code(&ask(&server, "/2.0/user", &basic("bob", &without_user))),
        code(&ask(&server, "/2.0/user", &bearer(&without_user))),
    ];
    assert_eq!(codes, ["scope_missing", "foreign_api_token", "user_name_of_somebody_else", "scope_missing"]);
    let told = |secret: &str| ask(&server, "/2.0/user", &bearer(secret)).text();
    assert!(
        told(&unscoped).contains("has no scopes") && told(&without_user).contains("it has read:repository:bitbucket")
    );
}

#[test]
fn case_27_admin_does_not_imply_read_and_the_refusal_names_the_scope() {
    let server = server();
    let (_, token) = server.cli().token("admin", &["admin:repository:bitbucket"], &[]);
    let answer = ask(&server, GIT, &bearer(&token));
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains(READ), "{}", answer.text());
}

#[test]
fn case_28_a_login_probe_with_an_access_token_is_told_its_kind_and_scopes() {
    let server = server();
    let token = access_token(&server, "repository");
    let answer = ask(&server, "/2.0/user", &bearer(&token));
    assert_eq!((answer.status, code(&answer).as_str()), (403, "token_without_account"));
    assert_eq!(
        (answer.header("x-credential-type"), answer.header("x-oauth-scopes")),
        ("repo_access_token", "repository")
    );
}

#[test]
fn case_42_git_that_was_given_no_credential_is_asked_for_one_and_not_refused() {
    let server = server();
    let outcome = server.git().run(server.directory(), &["ls-remote", &server.url("", "", "home/hello")]);
    assert!(outcome.stderr.contains("could not read Username"), "{}", outcome.stderr);
    assert_eq!(
        server
            .cli()
            .json(&["audit", "--refused"])
            .as_array()
            .map_or(0, |rows| { rows.iter().filter(|row| row["requests"].is_null()).count() }),
        0
    );
}

#[test]
fn case_45_a_removed_operation_says_so_and_does_not_blame_the_token() {
    let server = server();
    let (_, token) = server.cli().token("admin", &[READ, "account"], &[]);
    let answer = ask(&server, "/2.0/repositories", &bearer(&token));
    assert_eq!((answer.status, code(&answer).as_str()), (410, "operation_removed"));
}

#[test]
fn case_48_an_end_is_told_as_an_end_and_found_before_it_comes() {
    let server = server();
    let (id, token) = server.cli().token("admin", &[READ], &["--expires", "0s"]);
    let answer = ask(&server, GIT, &bearer(&token));
    assert!(answer.status == 401 && answer.text().starts_with("this token expired at 20"), "{}", answer.text());
    let (soon, _) = server.cli().token("admin", &[READ], &["--expires", "10d"]);
    let review = server.cli().json(&["token", "review"]);
    let expiring: Vec<_> =
        review.as_array().expect("a list").iter().filter(|row| row["finding"] == "expiring").collect();
    assert!(
        expiring.iter().any(|row| row["id"] == soon.as_str()) && expiring.iter().all(|row| row["id"] != id.as_str())
    );
}

#[test]
fn case_50_an_absent_repository_is_not_the_answer_to_everything() {
    let server = server();
    let (_, unscoped) = server.cli().token("admin", &[], &["--no-scopes"]);
    let (_, token) = server.cli().token("admin", &[READ], &[]);
    let absent = "/2.0/repositories/home/absent";
    let codes = [
        code(&ask(&server, absent, "X-No: credential")),
        code(&ask(&server, absent, &bearer("wrong"))),
        code(&ask(&server, absent, &bearer(&unscoped))),
        code(&ask(&server, absent, &bearer(&token))),
    ];
    assert_eq!(codes, ["credential_missing", "not_a_token", "scope_missing", "repository_not_found"]);
}
