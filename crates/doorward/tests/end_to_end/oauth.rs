//! OAuth 2.0: applications that people let act for them, and applications that act for their workspace.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_testkit::{Response, Server, Visitor};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::server;

const CALLBACK: &str = "https://ci.example.com/signed-in";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A server with an application.
struct Stage {
    server: Server,
    key: String,
    secret: String,
}

/// The answer of an authorization: where the browser was sent, with the parameters.
type Sent = (String, Vec<(String, String)>);

impl Stage {
    fn new(more: &[&str]) -> Self {
        let server = server();
        let made = server.cli().json(&[&["consumer", "create", "home", "--name", "CI"], more].concat());
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        let (key, secret) = (text("key"), text("secret"));
        Self { server, key, secret }
    }

    fn private() -> Self {
        Self::new(&["--callback", CALLBACK, "--scope", "repository:write,account"])
    }

    fn post(&self, path: &str, fields: &[(&str, &str)], headers: &[&str]) -> Response {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", value.replace('+', "%2B"))).collect();
        let headers = [headers, &["Content-Type: application/x-www-form-urlencoded"]].concat();
        self.server.http().post(path, &headers, body.join("&").as_bytes())
    }

    /// Asks for tokens as the application.
    fn tokens(&self, fields: &[(&str, &str)]) -> Response {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.key, self.secret));
        self.post("/site/oauth2/access_token", fields, &[&format!("Authorization: Basic {pair}")])
    }

    fn authorize(&self, more: &str) -> String {
        format!("/site/oauth2/authorize?client_id={}&response_type=code&state=xyz{more}", self.key)
    }

    /// Has a person let the application act for it.
    fn consent(&self, visitor: &mut Visitor, more: &str, yes: bool) -> Sent {
        visitor.go(&self.authorize(more));
        assert_eq!(visitor.status(), 200, "{}", visitor.text());
        visitor.send("/site/oauth2/authorize", &[("answer", if yes { "yes" } else { "no" })]);
        sent(&visitor.page.response)
    }

    fn code(&self, visitor: &mut Visitor, more: &str) -> String {
        let (_, parameters) = self.consent(visitor, more, true);
        let code = parameters.iter().find(|(name, _)| name == "code");
        code.unwrap_or_else(|| panic!("no code in {parameters:?}")).1.clone()
    }
}

fn sent(response: &Response) -> Sent {
    // By a page, lest the policy of the page before it is held against wherever the application sends people next.
    assert_eq!((response.status, response.header("location")), (200, ""), "{}", response.text());
    let html = response.text();
    let location = html.split("<a id=\"onward\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
    let location =
        location.unwrap_or_else(|| panic!("nowhere to go: {html}")).replace("&#38;", "&").replace("&amp;", "&");
    // Where nobody was asked, nobody is sent by itself.
    let sent = html.contains("<meta http-equiv=\"refresh\" content=\"0;url=");
    assert_eq!(sent, !html.contains("which is told what was wrong"), "{html}");
    let (to, query) = location.split_once('?').unwrap_or((&location, ""));
    let pair = |part: &str| part.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    (to.to_owned(), query.split('&').filter_map(pair).collect())
}

fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// The error of a refused request for tokens.
fn refused(response: &Response) -> (u16, String) {
    assert_eq!(response.header("cache-control"), "no-store");
    let value = json(response);
    assert!(value["error_description"].as_str().is_some_and(|why| why.len() > 10), "{value}");
    (response.status, text(&value, "error"))
}

fn challenge() -> String {
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    format!("&code_challenge={digest}&code_challenge_method=S256")
}

#[test]
fn a_person_lets_an_application_act_for_it_and_it_clones_until_it_is_ended() {
    let stage = Stage::private();
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    ada.go(&stage.authorize(""));
    for said in ["Let CI act for you?", "Push, and upload files", "https://ci.example.com", "act as admin"] {
        assert!(ada.text().contains(said), "{}", ada.text());
    }
    let (to, parameters) = stage.consent(&mut ada, "", true);
    assert_eq!(to, CALLBACK);
    assert!(parameters.contains(&("state".into(), "xyz".into())), "{parameters:?}");
    assert!(parameters.iter().any(|(name, value)| name == "iss" && value.contains("127.0.0.1")), "{parameters:?}");
    let code = &parameters.iter().find(|(name, _)| name == "code").expect("a code").1;
    let answer = stage.tokens(&[("grant_type", "authorization_code"), ("code", code)]);
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text());
    let tokens = json(&answer);
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&"bearer".into(), &7200.into()));
    assert_eq!(tokens["scope"], "repository:write account");
    let access = text(&tokens, "access_token");
    let (git, here) = (stage.server.git(), stage.server.directory());
    git.ok(here, &["clone", "-q", &stage.server.url("x-token-auth", &access, "home/hello"), "clone"]);
    git.commit(&here.join("clone"), "new", "new");
    git.ok(&here.join("clone"), &["push", "-q"]);
    let me = stage.server.http().json(&access, "GET", "/2.0/user", &Value::Null);
    assert_eq!(json(&me)["nickname"], "admin");
    // What it may not is told by name.
    let more = stage.server.http().json(&access, "DELETE", "/2.0/repositories/home/hello", &Value::Null);
    more.refused(403, "scope_missing");
    ada.go("/account/credentials");
    assert!(ada.text().contains("CI since"), "{}", ada.text());
    ada.send("/account/grants/", &[]);
    assert!(ada.text().contains("act for you None"), "{}", ada.text());
    let ended = git.run(here, &["ls-remote", &stage.server.url("x-token-auth", &access, "home/hello")]);
    assert!(ended.stderr.contains("revoked"), "{}", ended.stderr);
    let refresh = text(&tokens, "refresh_token");
    let again = stage.tokens(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]);
    assert_eq!(refused(&again), (400, "invalid_grant".into()));
}

#[test]
fn who_says_no_is_taken_at_its_word() {
    let stage = Stage::private();
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    let (to, parameters) = stage.consent(&mut ada, "", false);
    assert_eq!(to, CALLBACK);
    assert!(parameters.contains(&("error".into(), "access_denied".into())), "{parameters:?}");
    assert!(parameters.iter().all(|(name, _)| name != "code"), "{parameters:?}");
}

#[test]
fn a_browser_is_sent_nowhere_but_to_what_was_registered() {
    let stage = Stage::private();
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    for more in [
        "&redirect_uri=https://evil.example/",
        "&redirect_uri=https://ci.example.com/signed-in/../x",
        "&redirect_uri=https://ci.example.com/signed-in%3Fx",
        "&redirect_uri=https://ci.example.com/signed-in&redirect_uri=https://evil.example/",
        "&client_id=other",
    ] {
        ada.go(&stage.authorize(more));
        assert_eq!(ada.status(), 400, "{more}");
        assert!(
            ada.text().contains("not set up right") && ada.text().contains("Nothing was sent to it"),
            "{}",
            ada.text()
        );
    }
    let unknown = ada.ask("GET", "/site/oauth2/authorize?client_id=x&response_type=code", &[], b"");
    assert_eq!((unknown.status, unknown.header("location")), (400, ""));
    // What else is wrong is told to the application.
    let told = |visitor: &mut Visitor, path: &str| {
        let (to, parameters) = sent(&visitor.ask("GET", path, &[], b""));
        assert_eq!(to, CALLBACK);
        parameters.into_iter().find(|(name, _)| name == "error").expect("an error").1
    };
    let of = |response_type: &str, more: &str| {
        format!("/site/oauth2/authorize?client_id={}&response_type={response_type}&state=xyz{more}", stage.key)
    };
    assert_eq!(told(&mut ada, &of("token", "")), "unsupported_response_type");
    // And to the person, who sees it first.
    let page = ada.ask("GET", &of("token", ""), &[], b"").text();
    assert!(page.contains("the implicit grant is gone"), "{page}");
    assert_eq!(told(&mut ada, &of("", "")), "invalid_request");
    assert_eq!(told(&mut ada, &of("code", "&scope=repository:admin")), "invalid_scope");
    assert_eq!(told(&mut ada, &of("code", "&code_challenge=x&code_challenge_method=plain")), "invalid_request");
    assert_eq!(told(&mut ada, &of("code", "&code_challenge=x&code_challenge_method=S256")), "invalid_request");
}

#[test]
fn a_code_is_good_once_and_with_what_it_was_asked_for_alone() {
    let stage = Stage::private();
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    let redirect = format!("&redirect_uri={CALLBACK}");
    let code = stage.code(&mut ada, &format!("{redirect}{}", challenge()));
    let with = |code: &str, more: &[(&str, &str)]| {
        stage.tokens(&[&[("grant_type", "authorization_code"), ("code", code)], more].concat())
    };
    let invalid = (400, "invalid_grant".to_owned());
    assert_eq!(refused(&with("guessed", &[])), invalid);
    assert_eq!(refused(&with(&code, &[("redirect_uri", CALLBACK)])), invalid);
    assert_eq!(refused(&with(&code, &[("code_verifier", VERIFIER)])), invalid);
    let wrong = VERIFIER.replace('d', "e");
    assert_eq!(refused(&with(&code, &[("redirect_uri", CALLBACK), ("code_verifier", &wrong)])), invalid);
    // Another application gets nothing for it.
    let other = stage.server.cli().json(&["consumer", "create", "home", "--name", "other", "--scope", "repository"]);
    let (key, secret) = (text(&other, "key"), text(&other, "secret"));
    let stolen = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("client_id", &key),
        ("client_secret", &secret),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(refused(&stage.post("/site/oauth2/access_token", &stolen, &[])), invalid);
    let right = [("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    let tokens = json(&with(&code, &right));
    let access = text(&tokens, "access_token");
    let me = || stage.server.http().json(&access, "GET", "/2.0/user", &Value::Null).status;
    assert_eq!(me(), 200);
    // Whoever comes with it a second time, one of the two has stolen it.
    assert_eq!(refused(&with(&code, &right)), invalid);
    assert_eq!(me(), 401);
    assert!(stage.server.cli().ok(&["audit", "--in", "home"]).contains("used twice"));
    // A challenge that somebody has taken out is missed.
    let code = stage.code(&mut ada, "");
    assert_eq!(refused(&with(&code, &[("code_verifier", VERIFIER)])), invalid);
}

#[test]
fn refresh_tokens_rotate_and_one_whose_answer_was_lost_is_good_once_more() {
    let stage = Stage::private();
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    let code = stage.code(&mut ada, "&scope=repository");
    let first = json(&stage.tokens(&[("grant_type", "authorization_code"), ("code", &code)]));
    assert_eq!(first["scope"], "repository");
    let refresh = |token: &str| stage.tokens(&[("grant_type", "refresh_token"), ("refresh_token", token)]);
    let second = json(&refresh(&text(&first, "refresh_token")));
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(second["scope"], "repository");
    // Whoever has not heard the answer, or asks in two places at once, hears the same again.
    assert_eq!(json(&refresh(&text(&first, "refresh_token")))["refresh_token"], second["refresh_token"]);
    let third = json(&refresh(&text(&second, "refresh_token")));
    stage.server.cli().ok(&["account", "disable", "admin"]);
    assert_eq!(refused(&refresh(&text(&third, "refresh_token"))), (400, "invalid_grant".into()));
    // Once the next one was used, who comes with the first one again is a thief.
    stage.server.cli().ok(&["account", "enable", "admin"]);
    assert_eq!(refused(&refresh(&text(&first, "refresh_token"))), (400, "invalid_grant".into()));
    assert_eq!(refused(&refresh(&text(&third, "refresh_token"))), (400, "invalid_grant".into()));
}

#[test]
fn an_application_of_a_workspace_acts_for_it_and_for_nobody() {
    let stage = Stage::new(&["--scope", "repository:write"]);
    let tokens = json(&stage.tokens(&[("grant_type", "client_credentials")]));
    assert!(tokens["refresh_token"].is_null());
    let access = text(&tokens, "access_token");
    let url = stage.server.url("x-token-auth", &access, "home/hello");
    stage.server.git().ok(stage.server.directory(), &["ls-remote", &url]);
    stage.server.http().json(&access, "GET", "/2.0/user", &Value::Null).refused(403, "token_without_account");
    // It is of no use in another workspace of the same owner.
    stage.server.cli().ok(&["workspace", "create", "away", "--owner", "admin"]);
    stage.server.cli().ok(&["repository", "create", "away/x"]);
    let away =
        stage.server.git().run(stage.server.directory(), &["ls-remote", &stage.server.url("", &access, "away/x")]);
    assert!(!away.ok, "{}", away.stdout);
    // Nobody can be asked to let it act for them.
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    assert!(ada.go(&stage.authorize("")).text().contains("no callback"), "{}", ada.text());
    // The old secret goes on while the new one is carried to where it is used; then all ends with the application.
    let renewed = stage.server.cli().json(&["consumer", "rotate", "home", &stage.key, "--overlap", "1h"]);
    assert_eq!(stage.tokens(&[("grant_type", "client_credentials")]).status, 200);
    let stage = Stage { secret: text(&renewed, "secret"), ..stage };
    assert_eq!(stage.tokens(&[("grant_type", "client_credentials")]).status, 200);
    stage.server.cli().ok(&["consumer", "rotate", "home", &stage.key, "--overlap", "0s"]);
    assert_eq!(refused(&stage.tokens(&[("grant_type", "client_credentials")])), (401, "invalid_client".into()));
    stage.server.git().ok(stage.server.directory(), &["ls-remote", &url]);
    stage.server.cli().ok(&["consumer", "revoke", "home", &stage.key]);
    let ended = stage.server.git().run(stage.server.directory(), &["ls-remote", &url]);
    assert!(ended.stderr.contains("revoked"), "{}", ended.stderr);
}

#[test]
fn an_application_that_cannot_keep_a_secret_has_to_prove_that_it_asked() {
    let stage = Stage::new(&["--callback", "http://127.0.0.1/", "--scope", "repository", "--public"]);
    let useless = ["consumer", "create", "home", "--name", "CI", "--scope", "repository", "--public"];
    let useless = stage.server.cli().run(&useless);
    assert!(!useless.ok && useless.stderr.contains("without a callback"), "{}", useless.stderr);
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    let redirect = "&redirect_uri=http://127.0.0.1:43817/";
    let (_, parameters) = sent(&ada.ask("GET", &stage.authorize(redirect), &[], b""));
    assert!(parameters.contains(&("error".into(), "invalid_request".into())), "{parameters:?}");
    let code = stage.code(&mut ada, &format!("{redirect}{}", challenge()));
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("client_id", &stage.key),
        ("code_verifier", VERIFIER),
        ("redirect_uri", "http://127.0.0.1:43817/"),
    ];
    let tokens = json(&stage.post("/site/oauth2/access_token", &fields, &[]));
    let refresh = text(&tokens, "refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &refresh), ("client_id", &stage.key)];
    assert_eq!(stage.post("/site/oauth2/access_token", &fields, &[]).status, 200);
    let fields = [("grant_type", "client_credentials"), ("client_id", &stage.key)];
    assert_eq!(refused(&stage.post("/site/oauth2/access_token", &fields, &[])), (400, "unauthorized_client".into()));
}

#[test]
fn who_is_no_application_gets_nothing_and_a_right_secret_never_waits() {
    let stage = Stage::private();
    let ask = |fields: &[(&str, &str)], headers: &[&str]| stage.post("/site/oauth2/access_token", fields, headers);
    let grant = ("grant_type", "client_credentials");
    let wrong = [grant, ("client_id", &stage.key), ("client_secret", "guessed")];
    let answer = ask(&wrong, &[]);
    assert!(answer.header("www-authenticate").starts_with("Basic"), "{:?}", answer.headers);
    assert_eq!(refused(&answer), (401, "invalid_client".into()));
    assert_eq!(refused(&ask(&[grant], &[])), (401, "invalid_client".into()));
    // A secret is needed where there is one.
    assert_eq!(refused(&ask(&[grant, ("client_id", &stage.key)], &[])), (401, "invalid_client".into()));
    // As many as the server allows are answered as what they are.
    for _ in 0..100 {
        ask(&wrong, &[]);
    }
    let many = ask(&wrong, &[]);
    assert_eq!(refused(&many), (429, "temporarily_unavailable".into()));
    assert!(many.header("retry-after").parse::<u32>().is_ok());
    assert_eq!(stage.tokens(&[grant]).status, 200);
    for (fields, error) in [
        (vec![("grant_type", "password"), ("username", "admin"), ("password", "x")], "unsupported_grant_type"),
        (vec![("grant_type", "implicit")], "unsupported_grant_type"),
        (vec![], "invalid_request"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (vec![grant, grant], "invalid_request"),
        (vec![grant, ("client_secret", "another")], "invalid_request"),
        (vec![grant, ("client_id", "another")], "invalid_request"),
    ] {
        assert_eq!(refused(&stage.tokens(&fields)).1, error, "{fields:?}");
    }
    assert_eq!(stage.server.http().get("/site/oauth2/access_token", &[]).status, 405);
}

#[test]
fn an_application_gives_back_what_it_was_let_do() {
    let stage = Stage::private();
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    for name in ["access_token", "refresh_token"] {
        let code = stage.code(&mut ada, "");
        let tokens = json(&stage.tokens(&[("grant_type", "authorization_code"), ("code", &code)]));
        let fields =
            [("token", text(&tokens, name)), ("client_id", stage.key.clone()), ("client_secret", stage.secret.clone())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(stage.post("/site/oauth2/revoke", &fields, &[]).status, 200);
        let access = text(&tokens, "access_token");
        assert_eq!(stage.server.http().json(&access, "GET", "/2.0/user", &Value::Null).status, 401);
        // Whether there is such a token is nobody's business (RFC 7009 §2.2).
        let other = [("token", "guessed"), fields[1], fields[2]];
        assert_eq!(stage.post("/site/oauth2/revoke", &other, &[]).status, 200);
    }
    let stranger = [("token", "guessed"), ("client_id", "x"), ("client_secret", "y")];
    assert_eq!(refused(&stage.post("/site/oauth2/revoke", &stranger, &[])), (401, "invalid_client".into()));
}

/// A statement that openssl signs.
fn statement(header: &str, claims: &str, secret: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let script = "printf %s \"$1\" | openssl dgst -sha256 -hmac \"$2\" -binary | base64 -w0 | tr '+/' '-_' | tr -d =";
    let output = Command::new("sh").args(["-c", script, "sh", &signed, secret]).output().expect("openssl");
    format!("{signed}.{}", String::from_utf8_lossy(&output.stdout).trim())
}

#[test]
fn a_signed_statement_is_taken_for_a_token_and_a_forged_one_is_not() {
    let stage = Stage::private();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    let claims = |exp: u64| format!("{{\"iss\":\"{}\",\"iat\":{now},\"exp\":{exp},\"sub\":\"x\"}}", stage.key);
    let head = "{\"typ\":\"JWT\",\"alg\":\"HS256\"}";
    let ask = |statement: &str| {
        let fields = [("grant_type", "urn%3Abitbucket%3Aoauth2%3Ajwt")];
        stage.post("/site/oauth2/access_token", &fields, &[&format!("Authorization: JWT {statement}")])
    };
    let right = statement(head, &claims(now + 180), &stage.secret);
    let access = text(&json(&ask(&right)), "access_token");
    stage
        .server
        .git()
        .ok(stage.server.directory(), &["ls-remote", &stage.server.url("x-token-auth", &access, "home/hello")]);
    let (signed, _) = right.rsplit_once('.').expect("three parts");
    for wrong in [
        statement(head, &claims(now + 180), "guessed"),
        statement(head, &claims(now - 180), &stage.secret),
        statement(head, &claims(now + 7200), &stage.secret),
        statement("{\"alg\":\"none\"}", &claims(now + 180), &stage.secret),
        statement("{\"alg\":\"HS512\"}", &claims(now + 180), &stage.secret),
        statement(head, &claims(now + 180).replace(&stage.key, "other"), &stage.secret),
        format!("{signed}."),
        format!("{}.{}.", URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"), URL_SAFE_NO_PAD.encode(claims(now + 180))),
        "x".into(),
        "..".into(),
    ] {
        assert_eq!(refused(&ask(&wrong)), (400, "invalid_grant".into()), "{wrong}");
    }
}

#[test]
fn a_token_makes_no_application_that_outlives_it_or_reaches_further() {
    let stage = Stage::private();
    let cli = stage.server.cli();
    cli.ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    cli.ok(&["workspace", "create", "bobs", "--owner", "bob"]);
    let new = serde_json::json!({ "name": "backdoor", "scopes": ["repository"] });
    let create = |token: &str, workspace: &str| {
        stage.server.http().json(token, "POST", &format!("/2.0/doorward/workspaces/{workspace}/consumers"), &new)
    };
    // One that may make tokens, of an administrator of the server, in somebody else's workspace and in its own.
    let (_, narrow) = cli.token("admin", &["write:token:doorward", "read:repository:bitbucket"], &[]);
    create(&narrow, "bobs").refused(403, "beyond_own_token");
    create(&narrow, "home").refused(403, "beyond_own_token");
    // What an application was given, whatever its scopes.
    let wide = ["--scope", "repository,write:token:doorward,write:admin:doorward"];
    let made = cli.json(&[&["consumer", "create", "home", "--name", "wide"][..], &wide].concat());
    let fields = [("grant_type", "client_credentials"), ("client_id", made["key"].as_str().expect("a key"))];
    let fields = [&fields[..], &[("client_secret", made["secret"].as_str().expect("a secret"))]].concat();
    let access = text(&json(&stage.post("/site/oauth2/access_token", &fields, &[])), "access_token");
    create(&access, "home").refused(403, "beyond_own_token");
    let rotate = format!("/2.0/doorward/workspaces/home/consumers/{}/rotate", stage.key);
    stage.server.http().json(&access, "POST", &rotate, &serde_json::json!({})).refused(403, "beyond_own_token");
    // One that is for administering may; and what it makes it is told once.
    let scopes = ["write:token:doorward", "read:token:doorward", "write:admin:doorward", "repository:write", "account"];
    let (_, full) = cli.token("admin", &scopes, &[]);
    assert_eq!(create(&full, "home").status, 201);
    let elsewhere = stage.server.elsewhere(&full);
    assert!(elsewhere.json(&["consumer", "list", "home"]).to_string().contains("backdoor"));
    let rotated = elsewhere.json(&["consumer", "rotate", "home", &stage.key]);
    assert_eq!(rotated["secret"].as_str().map(str::len), Some(32));
    assert!(!elsewhere.run(&["consumer", "rotate", "home", &stage.key, "--overlap", "60d"]).ok);
    // Who owns a workspace makes none that would hand out the server, if an administrator lets it.
    let mut bob = Visitor::signed_in(&stage.server, "bob");
    bob.go("/bobs/workspace/settings/consumers");
    assert!(!bob.html().contains("write:admin:doorward"));
    let (_, bobs) = cli.token("bob", &["write:token:doorward", "write:admin:doorward"], &[]);
    let trap = serde_json::json!({ "name": "trap", "scopes": ["write:admin:doorward"], "callback": CALLBACK });
    let answer = stage.server.http().json(&bobs, "POST", "/2.0/doorward/workspaces/bobs/consumers", &trap);
    answer.refused(403, "beyond_own_token");
    let unfit = serde_json::json!({ "name": "x", "scopes": ["write:repository:bitbucket"] });
    let answer = stage.server.http().json(&full, "POST", "/2.0/doorward/workspaces/home/consumers", &unfit);
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[test]
fn a_flood_of_wrong_applications_takes_no_memory_and_keeps_nobody_out() {
    let stage = Stage::private();
    drop(Visitor::signed_in(&stage.server, "admin"));
    let before = stage.server.memory("VmRSS");
    let long = "A".repeat(1_000_000);
    for number in 0..100 {
        let fields =
            [("grant_type", "client_credentials"), ("client_id", &format!("{number}{long}")), ("client_secret", "x")];
        assert!([401, 429].contains(&stage.post("/site/oauth2/access_token", &fields, &[]).status));
    }
    let grown = stage.server.memory("VmRSS").saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more");
    assert_eq!(stage.tokens(&[("grant_type", "client_credentials")]).status, 200);
    let mut ada = Visitor::new(&stage.server);
    ada.go("/account/signin").send("/account/signin", &[("name", "admin"), ("password", doorward_testkit::PASSWORD)]);
    assert_eq!((ada.status(), ada.page.path.as_str()), (200, "/"));
}

#[test]
fn an_application_asks_for_less_than_it_may_have_and_never_gets_more() {
    let stage = Stage::private();
    let itself = |scope: &str| stage.tokens(&[("grant_type", "client_credentials"), ("scope", scope)]);
    assert_eq!(json(&itself("repository"))["scope"], "repository");
    assert_eq!(refused(&itself("repository:admin")), (400, "invalid_scope".into()));
    assert_eq!(refused(&itself("nonsense")), (400, "invalid_scope".into()));
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    let code = stage.code(&mut ada, "");
    let tokens = json(&stage.tokens(&[("grant_type", "authorization_code"), ("code", &code)]));
    let refresh = text(&tokens, "refresh_token");
    let again =
        |scope: &str| stage.tokens(&[("grant_type", "refresh_token"), ("refresh_token", &refresh), ("scope", scope)]);
    assert_eq!(refused(&again("repository:admin")), (400, "invalid_scope".into()));
    assert_eq!(json(&again("account"))["scope"], "account");
}

#[test]
fn programs_find_out_what_there_is() {
    let stage = Stage::private();
    let found = json(&stage.server.http().get("/.well-known/oauth-authorization-server", &[]));
    let issuer = text(&found, "issuer");
    assert_eq!(issuer, format!("http://{}", stage.server.host()));
    assert_eq!(found["authorization_endpoint"], format!("{issuer}/site/oauth2/authorize"));
    assert_eq!(found["token_endpoint"], format!("{issuer}/site/oauth2/access_token"));
    assert_eq!(found["code_challenge_methods_supported"], serde_json::json!(["S256"]));
}

#[test]
fn secrets_of_oauth_are_neither_in_the_log_nor_in_the_database() {
    let stage = Stage::private();
    let mut ada = Visitor::signed_in(&stage.server, "admin");
    let code = stage.code(&mut ada, "");
    let tokens = json(&stage.tokens(&[("grant_type", "authorization_code"), ("code", &code)]));
    let mut stored = Vec::new();
    for file in ["doorward.db", "doorward.db-wal"] {
        stored.extend(std::fs::read(stage.server.cli().data().join(file)).unwrap_or_default());
    }
    let log = stage.server.log();
    for secret in
        [&stage.secret, &code, &text(&tokens, "access_token")[20..].to_owned(), &text(&tokens, "refresh_token")]
    {
        assert!(!log.contains(secret.as_str()), "{secret}");
        assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}
