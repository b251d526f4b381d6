//! The sandbox answers as Bitbucket Cloud does: each row of its decision table, on both sides of every change.

use std::process::Command;

use base64::Engine;
use doorward_testkit::{Response, Sandbox};
use serde_json::{Value, json};

use crate::PROGRAM;

const NO_ACCESS: &str = "You may not have access to this repository or it no longer exists in this workspace. \
     If you think this repository exists and you have access, make sure you are authenticated.";
const SCOPES: &str = "Your credentials lack one or more required privilege scopes.";

fn sandbox(arguments: &[&str]) -> Sandbox {
    Sandbox::start(PROGRAM, arguments)
}

pub(crate) fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// How a credential is presented.
#[derive(Debug, Clone, Copy)]
enum As {
    Basic(&'static str),
    Bearer,
}

impl As {
    fn header(self, secret: &str) -> String {
        match self {
            Self::Basic(name) => format!("Authorization: Basic {}", base64(&format!("{name}:{secret}"))),
            Self::Bearer => format!("Authorization: Bearer {secret}"),
        }
    }
}

fn git(sandbox: &Sandbox, service: &str, form: As, secret: &str, repository: &str) -> Response {
    let path = format!("/{repository}.git/info/refs?service=git-{service}-pack");
    sandbox.http().get(&path, &[&form.header(secret)])
}

fn rest(sandbox: &Sandbox, form: As, secret: &str, path: &str) -> Response {
    sandbox.http().get(path, &[&form.header(secret)])
}

fn json_of(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{}: {error}", answer.text()))
}

const FORMS: [As; 6] = [
    As::Basic("ada"),
    As::Basic("ada@example.org"),
    As::Basic("x-bitbucket-api-token-auth"),
    As::Basic("x-token-auth"),
    As::Basic("bob"),
    As::Bearer,
];

/// For each kind, the statuses of [`FORMS`] on git and on REST at one date.
type Row = (&'static str, [u16; 6], [u16; 6]);

fn check_table(sandbox: &Sandbox, at: &str, rows: &[Row]) {
    sandbox.control("clock", &json!({ "at": at }).to_string());
    for (kind, on_git, on_rest) in rows {
        let secret = sandbox.secret(kind, "valid");
        let found = FORMS.map(|form| git(sandbox, "upload", form, secret, "acme/site").status);
        assert_eq!(found, *on_git, "{kind} on git at {at}");
        let found = FORMS.map(|form| rest(sandbox, form, secret, "/2.0/repositories/acme/site").status);
        assert_eq!(found, *on_rest, "{kind} on REST at {at}");
    }
}

/// Basic with user name, e-mail, `x-bitbucket-api-token-auth`, `x-token-auth`, somebody else's name; Bearer.
const ACCOUNT_PASSWORD_ONCE: Row = ("account_password", [200, 200, 401, 401, 401, 401], [200, 200, 401, 401, 401, 401]);
const ACCOUNT_PASSWORD_NOW: Row = ("account_password", [401; 6], [401; 6]);
const APP_PASSWORD_ONCE: Row = ("app_password", [200, 401, 401, 401, 401, 401], [200, 401, 401, 401, 401, 401]);
const APP_PASSWORD_GONE: Row = ("app_password", [410; 6], [401; 6]);
const API_TOKEN_BASIC: Row = ("api_token", [200, 401, 200, 401, 401, 401], [401, 200, 401, 401, 401, 401]);
const API_TOKEN_BEARER: Row = ("api_token", [200, 401, 200, 401, 401, 401], [401, 200, 401, 401, 401, 200]);
const REPOSITORY_TOKEN: Row =
    ("repository_access_token", [401, 401, 401, 200, 401, 401], [401, 401, 401, 401, 401, 200]);
const PROJECT_TOKEN: Row = ("project_access_token", [401, 401, 401, 200, 401, 401], [401, 401, 401, 401, 401, 200]);
const WORKSPACE_TOKEN: Row = ("workspace_access_token", [401, 401, 401, 200, 401, 401], [401, 401, 401, 401, 401, 200]);
const OAUTH_TOKEN: Row = ("oauth_access_token", [200, 401, 401, 200, 401, 200], [401, 401, 401, 401, 401, 200]);

#[test]
fn every_row_of_the_decision_table_is_answered_as_listed_on_both_sides_of_every_change() {
    let sandbox = sandbox(&["--at", "2022-02-28T23:59:00Z"]);
    let always = [API_TOKEN_BASIC, REPOSITORY_TOKEN, PROJECT_TOKEN, WORKSPACE_TOKEN, OAUTH_TOKEN];
    for (at, rows) in [
        ("2022-02-28T23:58:00Z", [ACCOUNT_PASSWORD_ONCE, APP_PASSWORD_ONCE]),
        ("2022-03-01T00:00:00Z", [ACCOUNT_PASSWORD_NOW, APP_PASSWORD_ONCE]),
        ("2026-06-08T23:58:00Z", [ACCOUNT_PASSWORD_NOW, APP_PASSWORD_ONCE]),
        ("2026-06-09T00:00:00Z", [ACCOUNT_PASSWORD_NOW, APP_PASSWORD_GONE]),
        ("2026-06-09T00:15:00Z", [ACCOUNT_PASSWORD_NOW, APP_PASSWORD_ONCE]),
        ("2026-06-16T00:20:00Z", [ACCOUNT_PASSWORD_NOW, APP_PASSWORD_GONE]),
        ("2026-07-27T23:50:00Z", [ACCOUNT_PASSWORD_NOW, APP_PASSWORD_ONCE]),
        ("2026-07-28T00:00:00Z", [ACCOUNT_PASSWORD_NOW, APP_PASSWORD_GONE]),
    ] {
        check_table(&sandbox, at, &[&rows[..], &always[..]].concat());
    }
    check_table(&sandbox, "2026-08-17T23:58:00Z", &[API_TOKEN_BASIC]);
    check_table(&sandbox, "2026-08-18T00:00:00Z", &[API_TOKEN_BEARER, APP_PASSWORD_GONE, OAUTH_TOKEN]);
}

#[test]
fn removed_operations_answer_410_from_their_day_on_and_new_ones_404_before_theirs() {
    let sandbox = sandbox(&["--at", "2026-01-15"]);
    let (token, form) = (sandbox.secret("api_token", "valid"), As::Basic("ada@example.org"));
    let status = |path| rest(&sandbox, form, token, path).status;
    assert_eq!((status("/2.0/user/workspaces"), status("/2.0/workspaces")), (404, 200));
    sandbox.control("clock", r#"{"at":"2026-01-16"}"#);
    assert_eq!((status("/2.0/user/workspaces"), status("/2.0/workspaces")), (200, 200));
    sandbox.control("clock", r#"{"at":"2026-04-14"}"#);
    for path in [
        "/2.0/workspaces",
        "/2.0/repositories",
        "/2.0/user/permissions/repositories",
        "/2.0/user/permissions/workspaces",
    ] {
        let answer = rest(&sandbox, form, token, path);
        let url = "https://developer.atlassian.com/cloud/bitbucket/changelog#CHANGE-2770";
        let data = json!({ "announcement_url": url });
        let message = "CHANGE-2770 - Functionality has been deprecated";
        let detail = "Please read the changelog entry for more details.";
        let error = json!({ "message": message, "detail": detail, "data": data });
        assert_eq!((answer.status, json_of(&answer)), (410, json!({ "type": "error", "error": error, "data": data })));
    }
    let workspaces = json_of(&rest(&sandbox, form, token, "/2.0/user/workspaces"));
    assert_eq!(workspaces["values"][0]["workspace"]["slug"], "acme");
    let none = rest(&sandbox, form, token, "/2.0/nothing");
    let error = json!({ "message": "Resource not found", "detail": "There is no API hosted at this URL" });
    assert_eq!((none.status, json_of(&none)), (404, json!({ "type": "error", "error": error })));
}

#[test]
fn refusals_on_git_have_bitbucket_clouds_status_text_and_challenge() {
    let sandbox = sandbox(&["--at", "2026-11-22"]);
    let basic = "Basic realm=\"Bitbucket.org HTTP\"";
    let gone = "CHANGE-3222 - Functionality has been deprecated\n\
         App passwords are deprecated and must be replaced with API tokens.\n\
         https://developer.atlassian.com/cloud/bitbucket/changelog#CHANGE-3222\n";
    let hidden = "The requested repository either does not exist or you do not have access. \
         If you believe this repository exists and you have access, make sure you're authenticated.";
    let secret = |kind, state| sandbox.secret(kind, state);
    let api = As::Basic("x-bitbucket-api-token-auth");
    let access = As::Basic("x-token-auth");
    for (form, token, service, repository, status, challenge, text) in [
        (api, "hunter2", "upload", "acme/site", 401, basic, NO_ACCESS),
        (api, secret("api_token", "unscoped"), "upload", "acme/site", 401, basic, NO_ACCESS),
        (api, secret("api_token", "expired"), "upload", "acme/site", 401, basic, NO_ACCESS),
        (api, secret("api_token", "revoked"), "upload", "acme/site", 401, basic, NO_ACCESS),
        (As::Basic("bob"), secret("api_token", "valid"), "upload", "acme/site", 401, basic, NO_ACCESS),
        (api, secret("api_token", "read_only"), "receive", "acme/site", 403, "", SCOPES),
        (access, secret("repository_access_token", "read_only"), "receive", "acme/site", 403, "", SCOPES),
        (api, secret("api_token", "valid"), "upload", "other/secret", 403, "", hidden),
        (api, secret("api_token", "valid"), "upload", "other/absent", 403, "", hidden),
        (access, secret("repository_access_token", "valid"), "upload", "acme/infra", 401, basic, NO_ACCESS),
        (access, secret("project_access_token", "valid"), "upload", "acme/infra", 401, basic, NO_ACCESS),
        (As::Basic("ada"), secret("app_password", "valid"), "upload", "acme/site", 410, "", gone),
        (As::Basic("ada"), "ATBBsomethingthatwasoncetypedbyhand0", "upload", "acme/site", 410, "", gone),
    ] {
        let answer = git(&sandbox, service, form, token, repository);
        assert_eq!(
            (answer.status, answer.header("content-type"), answer.header("www-authenticate"), answer.text().as_str()),
            (status, "text/plain", challenge, text),
            "{form:?} {repository} {service}"
        );
    }
    let anonymous = sandbox.http().get("/acme/site.git/info/refs?service=git-upload-pack", &[]);
    assert_eq!((anonymous.status, anonymous.text().as_str()), (401, NO_ACCESS));
    assert_eq!(sandbox.http().get("/acme/docs.git/info/refs?service=git-upload-pack", &[]).status, 200);
}

#[test]
fn refusals_on_rest_have_bitbucket_clouds_status_body_and_headers() {
    let sandbox = sandbox(&["--at", "2026-11-22"]);
    let (site, user) = ("/2.0/repositories/acme/site", "/2.0/user");
    let mail = As::Basic("ada@example.org");
    let secret = |kind, state| sandbox.secret(kind, state);
    let envelope = |message: &str| json!({ "type": "error", "error": { "message": message } });
    let invalid = envelope("Token is invalid, expired, or not supported for this endpoint.");
    let expired = envelope("Access token expired. Use your refresh token to obtain a new access token.");
    let custom = "BitbucketCustom realm=Bitbucket.org HTTP";
    let basic = "Basic realm=\"Bitbucket.org HTTP\"";
    let unscoped = json!({ "error": "API Token provided has no Bitbucket scopes." });
    let detail = json!({ "required": ["read:user:bitbucket"], "granted": ["read:repository:bitbucket"] });
    let lacking = json!({ "type": "error", "error": { "message": SCOPES, "detail": detail } });
    let wrong_kind = envelope("This resource does not support authentication using the provided token");
    for (form, token, path, status, challenge, body) in [
        (As::Bearer, "hunter2", site, 401, custom, &invalid),
        (As::Bearer, secret("repository_access_token", "revoked"), site, 401, custom, &invalid),
        (As::Bearer, secret("oauth_access_token", "expired"), site, 401, custom, &expired),
        (mail, secret("api_token", "unscoped"), site, 401, basic, &unscoped),
        (mail, secret("api_token", "read_only"), user, 403, "", &lacking),
        (As::Bearer, secret("repository_access_token", "valid"), user, 403, "", &wrong_kind),
        (mail, secret("api_token", "valid"), "/2.0/repositories/other/secret", 404, "", &envelope(NO_ACCESS)),
        (mail, secret("api_token", "valid"), "/2.0/repositories/other/absent", 404, "", &envelope(NO_ACCESS)),
    ] {
        let answer = rest(&sandbox, form, token, path);
        assert_eq!((answer.status, answer.header("www-authenticate")), (status, challenge), "{form:?} {path}");
        assert_eq!(json_of(&answer), *body, "{form:?} {path}");
    }
    // The user name where the e-mail belongs: refused without a word.
    let silent = rest(&sandbox, As::Basic("ada"), secret("api_token", "valid"), user);
    assert_eq!((silent.status, silent.header("www-authenticate"), silent.body.len()), (401, basic, 0));
    // A wrong pair: plain text with two addresses.
    let wrong = rest(&sandbox, As::Basic("ada"), "hunter2", user);
    assert!(
        wrong.text().starts_with("Login failed due to incorrect login credentials or method.\n"),
        "{}",
        wrong.text()
    );
    assert!(wrong.text().contains("\n    https://") && wrong.header("content-type") == "text/plain");
    // Who presents nothing is told that there is nothing.
    let anonymous = sandbox.http().get(site, &[]);
    assert_eq!((anonymous.status, json_of(&anonymous)), (404, envelope(NO_ACCESS)));
    assert_eq!(sandbox.http().get(user, &[]).status, 401);
    assert_eq!(sandbox.http().get("/2.0/repositories/acme/docs", &[]).status, 200);
}

#[test]
fn rest_tells_the_scopes_and_the_kind_of_a_credential_in_headers_refused_or_not() {
    let sandbox = sandbox(&["--at", "2026-11-22"]);
    let site = "/2.0/repositories/acme/site";
    let told = |answer: &Response| {
        ["x-credential-type", "x-oauth-scopes", "x-accepted-oauth-scopes"].map(|name| answer.header(name).to_owned())
    };
    let answer = rest(&sandbox, As::Bearer, sandbox.secret("repository_access_token", "valid"), site);
    assert_eq!(
        (answer.status, told(&answer)),
        (200, ["repo_access_token", "repository:write", "repository"].map(String::from))
    );
    assert_eq!((answer.header("server"), answer.header("access-control-allow-origin")), ("AtlassianEdge", "*"));
    assert!(answer.header("vary").starts_with("Authorization, ") && !answer.header("x-trace-id").is_empty());
    let answer = rest(&sandbox, As::Bearer, sandbox.secret("api_token", "read_only"), "/2.0/user");
    let expected = ["api_token", "read:repository:bitbucket", "read:user:bitbucket"].map(String::from);
    assert_eq!((answer.status, told(&answer)), (403, expected));
    let answer = rest(&sandbox, As::Bearer, sandbox.secret("api_token", "revoked"), "/2.0/user");
    assert_eq!((answer.status, told(&answer), answer.header("server")), (401, Default::default(), "envoy"));
}

#[test]
fn real_git_clones_and_pushes_with_a_token_of_every_kind() {
    let sandbox = sandbox(&["--at", "2026-06-01"]);
    for (kind, user) in [
        ("api_token", "x-bitbucket-api-token-auth"),
        ("app_password", "ada"),
        ("repository_access_token", "x-token-auth"),
        ("project_access_token", "x-token-auth"),
        ("workspace_access_token", "x-token-auth"),
        ("oauth_access_token", "x-token-auth"),
    ] {
        let url = sandbox.url(user, sandbox.secret(kind, "valid"), "acme/site");
        let git = sandbox.git();
        git.ok(sandbox.directory(), &["clone", "-q", &url, kind]);
        git.commit(&sandbox.directory().join(kind), kind, "x\n");
        git.ok(&sandbox.directory().join(kind), &["push", "-q"]);
    }
}

#[test]
fn case_01_valid_credentials_are_refused_in_bursts_and_the_log_says_that_it_was_a_fault() {
    let sandbox = sandbox(&["--spurious-401", "0.3,2", "--seed", "11"]);
    let ask = || git(&sandbox, "upload", As::Basic("ada"), sandbox.secret("api_token", "valid"), "acme/site");
    let statuses: Vec<u16> = (0..100).map(|_| ask().status).collect();
    let refused = statuses.iter().filter(|status| **status == 401).count();
    assert!((20..80).contains(&refused) && statuses.iter().all(|status| [200, 401].contains(status)), "{statuses:?}");
    assert!(statuses.windows(2).any(|pair| pair == [401, 401]), "{statuses:?}");
    let log = sandbox.log();
    assert_eq!(log.iter().filter(|entry| entry["reason"] == "spurious_401").count(), refused);
    sandbox.control("faults", r#"{"spurious_401": 0}"#);
    assert!((0..20).all(|_| ask().status == 200));
    // What is refused for a reason is refused for that reason, whatever the faults.
    sandbox.control("faults", r#"{"spurious_401": "1"}"#);
    assert_eq!(ask().text(), NO_ACCESS);
    assert_eq!(
        git(&sandbox, "receive", As::Basic("ada"), sandbox.secret("api_token", "read_only"), "acme/site").status,
        403
    );
    assert_eq!(sandbox.http().get("/acme/docs.git/info/refs?service=git-upload-pack", &[]).status, 200);
}

#[test]
fn case_16_more_requests_than_an_hour_may_have_are_429_until_the_hour_is_over() {
    let sandbox = sandbox(&["--rate-limit", "3", "--at", "2026-11-22T12:00:00Z"]);
    let site = "/2.0/repositories/acme/site";
    let ask = |kind| rest(&sandbox, As::Bearer, sandbox.secret(kind, "valid"), site);
    let statuses: Vec<u16> = (0..5).map(|_| ask("api_token").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    let message = json!({ "type": "error", "error": { "message": "Rate limit for this resource has been exceeded" } });
    assert_eq!(json_of(&ask("api_token")), message);
    // Each access token has a limit of its own, and is told of it.
    let told = |answer: &Response| {
        ["x-ratelimit-limit", "x-ratelimit-resource", "x-ratelimit-nearlimit"]
            .map(|name| answer.header(name).to_owned())
    };
    let first = ask("workspace_access_token");
    assert_eq!((first.status, told(&first)), (200, ["3", "api", "false"].map(String::from)));
    let statuses: Vec<u16> = (0..3).map(|_| ask("workspace_access_token").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(ask("workspace_access_token").header("x-credential-type"), "workspace_access_token");
    let anonymous = sandbox.http().get("/2.0/repositories/acme/docs", &[]);
    assert_eq!(anonymous.header("x-ratelimit-limit"), "3, 3;w=3600");
    assert_eq!((anonymous.header("x-ratelimit-remaining"), anonymous.header("x-ratelimit-reset")), ("2", "3600"));
    assert!(sandbox.log().iter().any(|entry| entry["status"] == 429 && entry["reason"] == "rate_limit"));
    sandbox.control("clock", r#"{"advance":"61m"}"#);
    assert_eq!(ask("api_token").status, 200);
}

#[test]
fn case_21_email_for_rest_user_name_for_git_and_the_log_says_which() {
    let sandbox = sandbox(&["--at", "2026-07-01"]);
    let token = sandbox.secret("api_token", "valid");
    assert_eq!(git(&sandbox, "upload", As::Basic("ada@example.org"), token, "acme/site").status, 401);
    assert_eq!(rest(&sandbox, As::Basic("ada"), token, "/2.0/user").status, 401);
    let log = sandbox.log();
    let told: Vec<_> = log.iter().map(|entry| (entry["reason"].as_str(), entry["advice"].as_str())).collect();
    assert_eq!(
        told,
        [
            (Some("form_wrong"), Some("present it as Basic with the user name x-bitbucket-api-token-auth")),
            (Some("form_wrong"), Some("present it as Basic with your e-mail as the user name")),
        ]
    );
}

#[test]
fn case_22_bearer_is_accepted_later_and_the_log_says_from_when_on() {
    let sandbox = sandbox(&["--at", "2026-07-01"]);
    assert_eq!(rest(&sandbox, As::Bearer, sandbox.secret("api_token", "valid"), "/2.0/user").status, 401);
    let otherwise = json!([
        { "from": null, "until": "2026-08-18T00:00:00Z", "status": 401 },
        { "from": "2026-08-18T00:00:00Z", "until": null, "status": 200 },
    ]);
    assert_eq!(sandbox.log()[0]["otherwise"], otherwise);
}

#[test]
fn case_43_app_passwords_get_410_on_git_and_git_keeps_the_dead_secret() {
    let sandbox = sandbox(&["--at", "2026-07-28"]);
    let store = sandbox.directory().join(".git-credentials");
    let stored = format!("http://ada:{}@{}\n", sandbox.secret("app_password", "valid"), sandbox.host());
    std::fs::write(&store, &stored).expect("written");
    let git = sandbox.git().set("credential.helper", "store");
    let outcome = git.run(sandbox.directory(), &["ls-remote", &sandbox.url("", "", "acme/site")]);
    assert!(outcome.stderr.contains("remote: CHANGE-3222 - Functionality has been deprecated\n"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("The requested URL returned error: 410"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("remote: App passwords are deprecated and must be replaced with API tokens."));
    assert_eq!(std::fs::read_to_string(&store).expect("still there"), stored);
}

#[test]
fn case_44_a_brownout_looks_like_flakiness_and_the_log_tells_it_apart() {
    let sandbox = sandbox(&["--at", "2026-06-10T06:10:00Z"]);
    let ask = || git(&sandbox, "upload", As::Basic("ada"), sandbox.secret("app_password", "valid"), "acme/site").status;
    assert_eq!(ask(), 410);
    sandbox.control("clock", r#"{"advance":"10m"}"#);
    assert_eq!(ask(), 200);
    let entry = &sandbox.log()[0];
    assert_eq!(entry["reason"], "kind_brownout");
    let otherwise = json!([
        { "from": null, "until": "2026-06-09T00:00:00Z", "status": 200 },
        { "from": "2026-06-09T00:00:00Z", "until": "2026-07-28T00:00:00Z", "status": 200, "in_brownouts": 410 },
        { "from": "2026-07-28T00:00:00Z", "until": null, "status": 410 },
    ]);
    assert_eq!(entry["otherwise"], otherwise);
    assert_eq!(
        entry["advice"],
        "create a new API token in its place and present it as Basic with the user name x-bitbucket-api-token-auth"
    );
}

#[test]
fn case_57_account_passwords_end_in_2022_with_four_lines() {
    let sandbox = sandbox(&["--at", "2022-03-01"]);
    let url = sandbox.url("ada", sandbox.secret("account_password", "valid"), "acme/site");
    let outcome = sandbox.git().run(sandbox.directory(), &["ls-remote", &url]);
    let lines: Vec<&str> = outcome.stderr.lines().filter(|line| line.starts_with("remote: ")).collect();
    assert_eq!(lines.len(), 4, "{}", outcome.stderr);
    assert_eq!(
        lines[0],
        "remote: Bitbucket Cloud recently stopped supporting account passwords for Git authentication."
    );
    assert!(outcome.stderr.contains("fatal: Authentication failed"), "{}", outcome.stderr);
}

#[test]
fn the_alias_and_the_www_name_answer_too_and_the_mirror_for_browsers_does_not() {
    let sandbox = sandbox(&["--at", "2026-11-22"]);
    let token = sandbox.secret("api_token", "valid");
    let form = As::Basic("ada@example.org");
    assert_eq!(rest(&sandbox, form, token, "/api/2.0/user").status, 200);
    assert_eq!(rest(&sandbox, form, token, "/!api/2.0/user").status, 404);
    let header = As::Bearer.header(token);
    let request = format!("GET /2.0/user HTTP/1.1\r\nHost: www.bitbucket.org\r\n{header}\r\nConnection: close\r\n\r\n");
    assert_eq!(sandbox.http().raw(request.as_bytes()).status, 200);
}

#[test]
fn https_is_served_under_the_providers_names_to_whoever_trusts_the_authority() {
    let sandbox = sandbox(&["--tls"]);
    let (host, port) = sandbox.host().rsplit_once(':').expect("a port");
    let ca = sandbox.started()["ca"].as_str().expect("an authority");
    assert_eq!(sandbox.started()["git"], format!("https://bitbucket.org:{port}"));
    assert_eq!(sandbox.started()["rest"], format!("https://api.bitbucket.org:{port}"));
    let token = sandbox.secret("api_token", "valid");
    for name in ["bitbucket.org", "www.bitbucket.org"] {
        let url =
            format!("https://x-bitbucket-api-token-auth:{}@{name}:{port}/acme/site.git", token.replace('=', "%3D"));
        let git = sandbox.git().set("http.curloptResolve", &format!("{name}:{port}:{host}"));
        let trusted = git.clone().set("http.sslCAInfo", ca).run(sandbox.directory(), &["ls-remote", &url]);
        assert!(trusted.ok, "{name}: {}", trusted.stderr);
        // What is told about a repository names the host of git, over HTTP/2 as well.
        let api = format!("api.bitbucket.org:{port}");
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--fail",
            "--http2",
            "--cacert",
            ca,
            "--connect-to",
            &format!("{api}:{}", sandbox.host()),
        ]);
        curl.args(["--oauth2-bearer", sandbox.secret("oauth_access_token", "valid")]);
        let output = curl.arg(format!("https://{api}/2.0/repositories/acme/site")).output().expect("curl runs");
        let repository: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let clone = &repository["links"]["clone"][0]["href"];
        assert_eq!(*clone, format!("https://bitbucket.org:{port}/acme/site.git"));
        let untrusted = git.run(sandbox.directory(), &["ls-remote", &url]);
        assert!(!untrusted.ok && untrusted.stderr.contains("certificate"), "{}", untrusted.stderr);
    }
}

#[test]
fn answers_are_held_back_but_not_those_of_the_controls() {
    let sandbox = sandbox(&["--latency", "1h"]);
    let mut held = sandbox.http().connect();
    std::io::Write::write_all(&mut held, b"GET /2.0/user HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("sent");
    assert_eq!(sandbox.http().get("/healthz", &[]).status, 200);
    sandbox.control("faults", r#"{"latency": "0"}"#);
    assert_eq!(sandbox.http().get("/2.0/user", &[]).status, 401);
    held.set_read_timeout(Some(std::time::Duration::from_millis(50))).expect("a time-out");
    let early = std::io::Read::read(&mut held, &mut [0; 1]);
    assert!(early.is_err(), "it was answered: {early:?}");
}

#[test]
fn a_name_that_no_repository_can_have_is_answered_as_an_absent_one() {
    let sandbox = sandbox(&["--at", "2026-11-22"]);
    for path in ["/2.0/repositories/%7B%7D/site", "/2.0/repositories/acme/.."] {
        let answer = rest(&sandbox, As::Bearer, sandbox.secret("api_token", "valid"), path);
        assert!(
            answer.status == 404 && answer.text().contains("\"type\":\"error\"") && !answer.text().contains("remedy"),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn what_a_control_does_not_take_is_said_and_changes_nothing() {
    let sandbox = sandbox(&["--at", "2026-11-22T00:00:00Z"]);
    let before = sandbox.http().get("/_sandbox/state", &[]);
    assert_eq!(before.status, 200);
    // What the state says can be sent back.
    let state = json_of(&before);
    let faults = json!({ "spurious_401": state["spurious_401"], "latency": state["latency"], "rate_limit": state["rate_limit"] });
    sandbox.control("faults", &faults.to_string());
    for (what, body) in [
        ("clock", ""),
        ("clock", "{}"),
        ("clock", r#"{"at":"yesterday"}"#),
        ("clock", r#"{"at":"2026-01-01","advance":"1h"}"#),
        ("clock", r#"{"advance":"much"}"#),
        ("clock", r#"{"at":"2001-01-01"}"#),
        ("clock", r#"{"advance":"4294967295y"}"#),
        ("faults", r#"{"spurious_401":"2"}"#),
        ("faults", r#"{"latency":"1y"}"#),
        ("faults", r#"{"rate_limit":-1}"#),
        ("faults", r#"{"rate_limits":1}"#),
    ] {
        let answer = sandbox.http().post(&format!("/_sandbox/{what}"), &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{what} {body}: {}", answer.text());
        assert!(json_of(&answer)["error"].as_str().is_some_and(|error| !error.is_empty()));
    }
    let huge = vec![b' '; 4 << 20];
    assert!([400, 413].contains(&sandbox.http().post("/_sandbox/clock", &[], &huge).status));
    let (before, after) = (json_of(&before), json_of(&sandbox.http().get("/_sandbox/state", &[])));
    assert_eq!((&before["spurious_401"], &before["rate_limit"]), (&after["spurious_401"], &after["rate_limit"]));
    assert!(after["at"].as_str().is_some_and(|at| at.starts_with("2026-11-22T00:0")));
}

#[test]
fn nothing_is_left_of_a_sandbox_when_it_stops_and_its_arguments_are_checked() {
    let temporary = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.env("TMPDIR", temporary.path()).arg("sandbox").args(arguments);
        command.output().expect("doorward runs")
    };
    for arguments in [
        &["--at", "tomorrow"][..],
        &["--at", "1969-01-01"],
        &["--spurious-401", "1.5"],
        &["--latency", "9y"],
        &["--rate-limit", "few"],
        &["--listen", "here"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(arguments[0]), "{arguments:?}");
    }
    let sandbox = sandbox(&["--tls"]);
    let scratch = std::path::PathBuf::from(sandbox.started()["ca"].as_str().expect("a file"));
    assert!(scratch.exists());
    drop(sandbox);
    assert!(!scratch.exists(), "{} is left", scratch.display());
}
