//! People sign in at their organisation's own provider: `oidc-provider` from npm, which is somebody else's program.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use doorward_testkit::{Browser, Http, Look, PASSWORD, Response, Server, Visitor};
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::operation::await_that;

/// A provider, and a server whose people sign in there.
struct World {
    provider: Provider,
    server: Server,
}

struct Provider {
    child: Child,
    output: BufReader<ChildStdout>,
    host: String,
}

impl Provider {
    /// One that waits to be told whose provider it is.
    fn start() -> Self {
        let mut node = Command::new("node");
        node.arg("provider.js").current_dir(installed()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.stderr(Stdio::null()).spawn().expect("node runs: apt install nodejs npm");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut port = String::new();
        output.read_line(&mut port).expect("its port");
        Self { child, output, host: format!("127.0.0.1:{}", port.trim()) }
    }

    fn tell(&mut self, settings: &Value) {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, "{settings}").expect("told");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its answer");
        assert_eq!(line, "ready\n");
    }

    fn control(&self, wanted: &Value) {
        let answer = Http::new(&self.host).post("/_control", &[], wanted.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Goes to the provider as a new browser does, signs in there as whoever is set, and returns where that sends it back to.
    fn sign_in(&self, url: &str) -> String {
        let base = format!("http://{}", self.host);
        let mut path = url.strip_prefix(&base).unwrap_or_else(|| panic!("{url} is not at {base}")).to_owned();
        let mut cookies: Vec<(String, String)> = Vec::new();
        for _ in 0..10 {
            let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = Http::new(&self.host).get(&path, &[&format!("Cookie: {}", pairs.join("; "))]);
            for (_, set) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
                let (name, rest) = set.split_once('=').unwrap_or_default();
                cookies.retain(|(known, _)| known != name);
                cookies.push((name.to_owned(), rest.split(';').next().unwrap_or_default().to_owned()));
            }
            let to = answer.header("location").to_owned();
            assert!((300..400).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
            match to.strip_prefix(&base).or(to.starts_with('/').then_some(&to)) {
                Some(further) => path = further.to_owned(),
                None => return to,
            }
        }
        panic!("it leads nowhere: {path}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The provider with what it needs, installed once for all tests.
fn installed() -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/oidc");
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oidc");
    std::fs::create_dir_all(&to).expect("a directory");
    let lock = File::create(to.join("lock")).expect("a lock");
    lock.lock().expect("locked");
    let read = |path: PathBuf| std::fs::read(path).unwrap_or_default();
    let files = ["package.json", "package-lock.json", "provider.js"];
    if files.iter().all(|file| read(from.join(file)) == read(to.join(file))) && to.join("done").exists() {
        return to;
    }
    for file in files {
        std::fs::copy(from.join(file), to.join(file)).expect("copied");
    }
    let mut npm = Command::new("npm");
    let done = npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&to).output().expect("npm");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    File::create(to.join("done")).expect("noted");
    to
}

fn people() -> Value {
    let person = |email: &str, verified: bool, name: &str, groups: &[&str]| json!({ "email": email, "email_verified": verified, "preferred_username": name, "groups": groups });
    json!({
        "1": person("ada@example.org", true, "Ada.L", &["developers", "everybody"]),
        "2": person("admin@localhost", true, "admin", &[]),
        "3": person("eve@example.org", false, "eve", &[]),
        "4": person("mallory@evil.example", true, "mallory", &[]),
        "5": person("other.ada@example.org", true, "ada.l", &["everybody"]),
    })
}

impl World {
    fn new() -> Self {
        Self::with("", &json!({}))
    }

    fn with(more: &str, settings: &Value) -> Self {
        let mut provider = Provider::start();
        let configuration = format!(
            "[sso]\nissuer = \"http://{}\"\nname = \"Example\"\nclient_id = \"doorward\"\nclient_secret = \"env:SSO_SECRET\"\n\
             scopes = \"email profile groups\"\ndomains = \"example.org, localhost\"\nworkspaces = \"developers=home, nobody=there-is-none\"\n{more}\n",
            provider.host
        );
        let server = Server::start_configured(PROGRAM, &configuration, &[("SSO_SECRET", "a secret: with+odd%letters")]);
        let mut told = json!({
            "secret": "a secret: with+odd%letters", "doorward": server.up().address, "people": people(),
            "method": "client_secret_basic",
        });
        for (key, value) in settings.as_object().expect("settings") {
            told[key] = value.clone();
        }
        provider.tell(&told);
        Self { provider, server }
    }

    /// Signs in as somebody, and goes to where that leads.
    fn sign_in<'a>(&self, visitor: &'a mut Visitor, who: &str, next: &str) -> &'a mut Visitor {
        self.provider.control(&json!({ "who": who }));
        let back = self.provider.sign_in(&begin(visitor, next));
        visitor.go(self.path(&back))
    }

    /// A path here of an address here.
    fn path<'a>(&self, url: &'a str) -> &'a str {
        url.strip_prefix(&self.server.up().address).unwrap_or_else(|| panic!("{url} is not here"))
    }

    fn account(&self, name: &str) -> Value {
        let all = self.server.cli().json(&["account", "list"]);
        let found = all.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name)).cloned();
        found.unwrap_or_else(|| panic!("no {name} in {all}"))
    }
}

/// Where the sign-in page sends a browser.
fn begin(visitor: &mut Visitor, next: &str) -> String {
    let answer = visitor.ask("GET", &format!("/account/sso?next={next}"), &[], b"");
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").to_owned()
}

fn refused(visitor: &Visitor, code: &str, said: &str) {
    assert!(visitor.html().contains(code), "not {code}: {}", visitor.text());
    assert!(visitor.text().contains(said), "not `{said}`: {}", visitor.text());
    assert_eq!(visitor.cookie("doorward_session"), "");
}

#[test]
fn who_signs_in_at_the_provider_has_an_account_and_belongs_to_where_its_groups_do() {
    for claims in ["told-apart", "in-token"] {
        let world = World::with("", &json!({ "claims": claims, "method": "client_secret_post" }));
        let mut ada = Visitor::new(&world.server);
        ada.go("/account/signin?next=%2Fhome%2Fhello");
        assert!(ada.text().contains("Sign in with Example"), "{}", ada.text());
        assert!(ada.html().contains("href=\"/account/sso?next=%2Fhome%2Fhello\""), "{}", ada.html());
        world.sign_in(&mut ada, "1", "%2Fhome%2Fhello");
        assert_eq!((ada.status(), ada.page.path.as_str()), (200, "/home/hello"), "{}", ada.text());
        let account = world.account("ada.l");
        assert_eq!((account["managed"] == true, account["email"].as_str()), (true, Some("ada@example.org")));
        // Whom the provider calls the same is somebody else here.
        let mut other = Visitor::new(&world.server);
        world.sign_in(&mut other, "5", "");
        assert_eq!(world.account("ada.l-2")["email"], "other.ada@example.org");
        assert_eq!(other.go("/home/hello").status(), 404, "no group lets it in");
        // The address may change: the person does not. Who is given the address gets no account with it.
        let moved = json!({ "email": "countess@example.org", "email_verified": true });
        let new = json!({ "email": "ada@example.org", "email_verified": true, "preferred_username": "ada-the-second" });
        world.provider.control(&json!({ "people": { "1": moved, "7": new } }));
        let mut second = Visitor::new(&world.server);
        world.sign_in(&mut second, "7", "%2F");
        refused(&second, "sso_no_account", "is somebody else's at your organisation");
        let mut again = Visitor::new(&world.server);
        world.sign_in(&mut again, "1", "%2F");
        assert_eq!(world.account("ada.l")["email"], "countess@example.org");
        world.sign_in(&mut second, "7", "%2F");
        assert_eq!(world.account("ada-the-second")["email"], "ada@example.org");
        assert_eq!(again.go("/home/hello").status(), 404, "it is in no group any more");
        assert_eq!(ada.go("/home/hello").status(), 404, "nor are its other sessions");
        assert_eq!(world.server.cli().json(&["account", "list"]).as_array().map(Vec::len), Some(4));
        let records = world.server.cli().ok(&["audit"]);
        for said in ["who signed in at http://", "by its groups", "signed in to the web pages by http://"] {
            assert!(records.contains(said), "{said}: {records}");
        }
        assert!(!world.server.log().contains("odd%letters"));
    }
}

#[test]
fn a_workspace_that_wants_single_sign_on_refuses_everything_else_of_managed_accounts_at_once() {
    let world = World::new();
    let cli = world.server.cli();
    let mut ada = Visitor::new(&world.server);
    world.sign_in(&mut ada, "1", "%2Fhome");
    let (_, secret) = cli.token("ada.l", &["read:repository:bitbucket"], &[]);
    let bearer = format!("Authorization: Bearer {secret}");
    let refs = || world.server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[&bearer]);
    // Whoever chooses a password is signed out everywhere else.
    let mut by_password = Visitor::signed_in(&world.server, "ada.l");
    world.sign_in(&mut ada, "1", "%2Fhome");
    assert_eq!(
        (refs().status, by_password.go("/home/hello").status(), ada.go("/home/hello").status()),
        (200, 200, 200)
    );
    cli.ok(&["policy", "set", "home", "--sso", "on"]);
    let token = refs();
    assert!(token.status == 403 && token.text().contains("single sign-on"), "{}", token.text());
    assert_eq!(by_password.go("/home/hello").status(), 403);
    assert!(by_password.text().contains("single sign-on"), "{}", by_password.text());
    assert!(by_password.html().contains("href=\"/account/sso?next=%2Fhome%2Fhello\""), "{}", by_password.html());
    assert_eq!(ada.go("/home/hello").status(), 200);
    // What an application is given in such a session counts as it does.
    let made = cli.json(&[
        "consumer",
        "create",
        "home",
        "--name",
        "CI",
        "--callback",
        "https://ci.example.com/",
        "--scope",
        "repository",
    ]);
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    let tokens = |visitor: &mut Visitor| {
        visitor.go(&format!("/site/oauth2/authorize?client_id={}&response_type=code", text("key")));
        visitor.send("/site/oauth2/authorize", &[("answer", "yes")]);
        let html = visitor.html();
        let code =
            html.split("code=").nth(1).and_then(|rest| rest.split(['&', '"']).next()).expect("a code").to_owned();
        let body = format!(
            "grant_type=authorization_code&code={code}&client_id={}&client_secret={}",
            text("key"),
            text("secret")
        );
        let form = ["Content-Type: application/x-www-form-urlencoded"];
        let answer = world.server.http().post("/site/oauth2/access_token", &form, body.as_bytes());
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        value["access_token"].as_str().unwrap_or_else(|| panic!("no token: {value}")).to_owned()
    };
    let clones = |token: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        world.server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[&bearer]).status
    };
    assert_eq!(clones(&tokens(&mut ada)), 200);
    assert_eq!(clones(&tokens(&mut by_password)), 403);
}

#[test]
fn whoever_the_provider_names_takes_no_account_that_is_not_the_organisations() {
    let world = World::new();
    let cli = world.server.cli();
    let mut visitor = Visitor::new(&world.server);
    world.sign_in(&mut visitor, "2", "");
    refused(&visitor, "sso_no_account", "your organisation does not manage it");
    assert!(visitor.text().contains("doorward account set admin --managed on"), "{}", visitor.text());
    world.sign_in(&mut visitor, "3", "");
    refused(&visitor, "sso_no_account", "has not verified that eve@example.org is yours");
    world.sign_in(&mut visitor, "4", "");
    refused(&visitor, "sso_no_account", "evil.example");
    world.provider.control(&json!({ "people": { "6": { "preferred_username": "nobody" } } }));
    world.sign_in(&mut visitor, "6", "");
    refused(&visitor, "sso_no_account", "does not tell your e-mail address");
    assert_eq!(cli.json(&["account", "list"]).as_array().map(Vec::len), Some(1), "nobody got one");
    let records = cli.json(&["audit", "--refused", "--reason", "sso_no_account"]);
    assert_eq!(records.as_array().map(Vec::len), Some(4), "{records}");
    // Once an administrator has given it to the organisation, it is the organisation's.
    cli.ok(&["account", "set", "admin", "--managed", "on"]);
    world.sign_in(&mut visitor, "2", "%2Fhome");
    assert_eq!((visitor.status(), visitor.page.path.as_str()), (200, "/home"), "{}", visitor.text());
    cli.ok(&["account", "disable", "admin"]);
    let mut again = Visitor::new(&world.server);
    world.sign_in(&mut again, "2", "");
    refused(&again, "account_disabled", "disabled");
    cli.ok(&["account", "enable", "admin"]);
    cli.ok(&["account", "set", "admin", "--managed", "off"]);
    world.sign_in(&mut again, "2", "");
    refused(&again, "sso_no_account", "your organisation does not manage it");
}

#[test]
fn nobody_gets_in_who_was_made_by_the_administrator_alone_where_that_is_set() {
    let world = World::with("create_accounts = false\nunverified_emails = true", &json!({}));
    let mut eve = Visitor::new(&world.server);
    world.sign_in(&mut eve, "3", "");
    refused(&eve, "sso_no_account", "There is no account here with your address eve@example.org");
    world.server.cli().ok(&["account", "create", "eve", "--email", "eve@example.org"]);
    world.server.cli().ok(&["account", "set", "eve", "--managed", "on"]);
    world.sign_in(&mut eve, "3", "");
    assert_eq!((eve.status(), eve.page.path.as_str()), (200, "/"), "{}", eve.text());
}

#[test]
fn a_sign_in_that_another_has_begun_lets_nobody_in() {
    let world = World::new();
    // Mallory signs in, keeps the answer to itself, and has Ada's browser follow it: Ada would work in Mallory's account.
    let mut mallory = Visitor::new(&world.server);
    world.provider.control(&json!({ "who": "5" }));
    let answer = world.provider.sign_in(&begin(&mut mallory, "%2Fhome"));
    let path = world.path(&answer).to_owned();
    let mut ada = Visitor::new(&world.server);
    ada.go(&path);
    refused(&ada, "sso_not_begun", "not begun in this browser");
    let begun = begin(&mut ada, "%2Fhome");
    ada.go(&path);
    refused(&ada, "sso_not_begun", "not begun in this browser");
    // Nor does anybody choose where it leads to.
    let back = world.provider.sign_in(&begin(&mut ada, "%2Fhome"));
    ada.go(&world.path(&back).replace("%2Fhome", "%2Fevil"));
    refused(&ada, "sso_not_begun", "not begun in this browser");
    for next in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "javascript%3Aalert(1)"] {
        let back = world.provider.sign_in(&begin(&mut ada, next));
        let landed = ada.ask("GET", world.path(&back), &[], b"");
        assert_eq!((landed.status, landed.header("location")), (303, "/"), "{next}");
    }
    // An answer of another provider, and one that does not say whose it is (RFC 9207).
    let mut bob = Visitor::new(&world.server);
    for change in [|url: &str| url.replace("iss=http", "iss=https"), |url: &str| url.replace("&iss=", "&was=")] {
        let back = world.provider.sign_in(&begin(&mut bob, ""));
        bob.go(&change(world.path(&back)));
        refused(&bob, "sso_unbelievable", "provider");
    }
    // What is told of somebody else.
    world.provider.control(&json!({ "told_as": "1" }));
    world.sign_in(&mut bob, "5", "");
    refused(&bob, "sso_unbelievable", "of somebody else");
    world.provider.control(&json!({ "told_as": null }));
    // A code is good once.
    let back = world.provider.sign_in(&begin(&mut bob, ""));
    let path = world.path(&back);
    let (first, twice) = (bob.clone().ask("GET", path, &[], b""), bob.ask("GET", path, &[], b""));
    assert_eq!((first.status, twice.status), (303, 400), "{}", twice.text());
    assert!(twice.text().contains("invalid_grant"), "the provider's own words: {}", twice.text());
    // In two windows the same flow is begun, and who comes back in the second is in.
    let (one, two) = (begin(&mut bob, "%2Fhome"), begin(&mut bob, "%2F"));
    let (one, two) = (world.provider.sign_in(&one), world.provider.sign_in(&two));
    bob.go(world.path(&one));
    bob.go(world.path(&two));
    assert_eq!((bob.status(), bob.page.path.as_str()), (200, "/"), "{}", bob.text());
    assert!(begun.contains("code_challenge_method=S256") && begun.contains("nonce="), "{begun}");
}

#[test]
fn trouble_at_the_provider_is_no_refusal_and_passes() {
    let mut world = World::new();
    let mut ada = Visitor::new(&world.server);
    world.provider.control(&json!({ "who": null }));
    let back = world.provider.sign_in(&begin(&mut ada, ""));
    ada.go(world.path(&back));
    refused(&ada, "sso_refused", "access_denied: the person did not want to");
    // Keys change at any moment.
    world.sign_in(&mut ada, "1", "");
    assert_eq!(ada.status(), 200);
    world.provider.control(&json!({ "rotate": true }));
    let mut again = Visitor::new(&world.server);
    world.sign_in(&mut again, "1", "");
    assert_eq!((again.status(), again.page.path.as_str()), (200, "/"), "{}", again.text());
    // The provider is gone between the sign-in and the answer.
    let back = world.provider.sign_in(&begin(&mut again, ""));
    world.provider.child.kill().expect("killed");
    world.provider.child.wait().expect("it has ended");
    again.set_cookie("doorward_session", "");
    again.go(world.path(&back));
    assert_eq!((again.status(), again.page.response.header("retry-after")), (503, "5"), "{}", again.text());
    assert!(again.text().contains("you were not refused"), "{}", again.text());
    // Who is in stays in, and a server whose provider was never there has a door by password.
    assert_eq!(ada.go("/home/hello").status(), 200);
    world.server.restart();
    let mut visitor = Visitor::new(&world.server);
    assert_eq!(visitor.go("/account/sso").status(), 503, "{}", visitor.text());
    assert_eq!(visitor.go("/account/signin").status(), 200);
}

#[test]
fn a_second_step_is_asked_for_whoever_has_said_who_it_is() {
    let world = World::new();
    let mut ada = Visitor::new(&world.server);
    world.sign_in(&mut ada, "1", "%2Faccount%2Fsecurity");
    // Without a password, having signed in just now is what shows that it is the person.
    assert!(ada.text().contains("prove that it is you"), "{}", ada.text());
    ada.send("/account/security/two-step", &[]);
    assert!(ada.status() == 400 && ada.text().contains("of the last ten minutes"), "{}", ada.text());
    let answer = ada.ask("GET", "/account/sso?again=1&next=%2Faccount%2Fsecurity", &[], b"");
    assert!(answer.header("location").contains("prompt=login&max_age=0"), "{}", answer.header("location"));
    let back = world.provider.sign_in(answer.header("location"));
    ada.go(world.path(&back));
    assert_eq!(ada.page.path, "/account/security");
    ada.send("/account/security/two-step", &[]);
    let key = crate::web::key(&ada);
    ada.send("/account/security/two-step/confirm", &[("code", &crate::web::code(&key, 0))]);
    assert!(ada.text().contains("Your recovery codes"), "{}", ada.text());
    let mut again = Visitor::new(&world.server);
    world.sign_in(&mut again, "1", "%2Fhome%2Fhello");
    assert!(again.page.path.starts_with("/account/signin/step"), "{}", again.page.path);
    assert_eq!(again.cookie("doorward_session"), "");
    again.send("/account/signin/step", &[("code", &crate::web::code(&key, 1))]);
    assert_eq!((again.status(), again.page.path.as_str()), (200, "/home/hello"), "{}", again.text());
    world.server.cli().ok(&["policy", "set", "home", "--sso", "on"]);
    assert_eq!(again.go("/home/hello").status(), 200, "it is a single sign-on all the same");
}

#[test]
fn nobody_ends_sessions_in_the_providers_name() {
    let world = World::new();
    let mut ada = Visitor::new(&world.server);
    world.sign_in(&mut ada, "1", "");
    let send = |token: &str| -> Response {
        let form = ["Content-Type: application/x-www-form-urlencoded"];
        world.server.http().post("/account/sso/logout", &form, format!("logout_token={token}").as_bytes())
    };
    // `{"alg":"none"}` and a claim of Ada's.
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.";
    for token in ["", "nonsense", "a.b.c", unsigned] {
        let answer = send(token);
        assert_eq!((answer.status, answer.header("cache-control")), (400, "no-store"), "{}", answer.text());
    }
    assert_eq!(world.server.http().post("/account/sso/logout", &[], b"logout_token=x").status, 400);
    assert_eq!(ada.go("/home/hello").status(), 200);
}

#[test]
fn a_person_signs_in_on_the_providers_pages_and_what_ends_there_ends_here() {
    let world = World::with("", &json!({ "pages": true }));
    let browser = Browser::start(Look { width: 1280, dark: false, scripts: true });
    let here = &world.server.up().address;
    browser.go(&format!("{here}/home/hello"));
    browser.click("a.button");
    await_that("the provider's page", || browser.text("body").contains("Sign-in"));
    browser.write("input[name=login]", "1");
    browser.write("input[name=password]", PASSWORD);
    browser.click("button[type=submit]");
    await_that("the provider asks", || browser.text("body").contains("Authorize"));
    browser.click("button[type=submit]");
    await_that("the way back", || browser.address() == format!("{here}/home/hello"));
    assert!(browser.text("main").contains("hello"), "{}", browser.text("main"));
    // Signing out there ends the session here (OpenID Connect Back-Channel Logout 1.0).
    browser.go(&format!("http://{}/session/end", world.provider.host));
    browser.click("button[autofocus]");
    await_that("the session has ended", || {
        browser.go(&format!("{here}/account/security"));
        browser.address().contains("/account/signin")
    });
    let records = world.server.cli().ok(&["audit"]);
    assert!(records.contains("ended 1 of the sessions of `ada.l`"), "{records}");
}
