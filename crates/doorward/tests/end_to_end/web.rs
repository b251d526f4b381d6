//! The web pages, as somebody uses them who has cookies and nothing else; and as somebody misuses them.

use std::process::Command;

use doorward_testkit::{PASSWORD, Server, Visitor};

use crate::operation::await_that;
use crate::server;

fn link(server: &Server, account: &str) -> String {
    server.cli().json(&["account", "link", account])["path"].as_str().expect("a path").to_owned()
}

fn sign_in<'a>(visitor: &'a mut Visitor, name: &str, password: &str) -> &'a mut Visitor {
    visitor.go("/account/signin");
    visitor.send("/account/signin", &[("name", name), ("password", password)])
}

/// Somebody with an account of its own.
fn guest(server: &Server) -> Visitor {
    server.cli().ok(&["account", "create", "guest", "--email", "guest@example.org"]);
    Visitor::signed_in(server, "guest")
}

#[test]
fn a_person_chooses_a_password_by_a_link_and_signs_in_by_name_or_address_and_out() {
    let server = server();
    let link = link(&server, "admin");
    let mut ada = Visitor::new(&server);
    for (password, again, said) in [
        ("short", "short", "fewer than 12 characters"),
        ("a sentence that nobody knows", "a sentence", "not the same"),
        ("administrator1", "administrator1", "would guess it in"),
    ] {
        ada.go(&link).send("/account/welcome", &[("password", password), ("again", again)]);
        assert_eq!(ada.status(), 422);
        assert!(ada.text().contains(said), "{}", ada.text());
    }
    ada.go(&link).send("/account/welcome", &[("password", PASSWORD), ("again", PASSWORD)]);
    assert!(ada.text().contains("Repositories home"), "{}", ada.text());
    for name in ["admin", "admin@localhost", "ADMIN"] {
        ada.send("/account/signout", &[]);
        assert_eq!(ada.page.path, "/account/signin");
        assert_eq!(ada.cookie("doorward_session"), "");
        sign_in(&mut ada, name, PASSWORD);
        assert_eq!((ada.status(), ada.page.path.as_str()), (200, "/"), "{name}");
    }
}

#[test]
fn a_link_is_good_once_and_no_more_when_there_is_a_later_one() {
    let server = server();
    let (first, second) = (link(&server, "admin"), link(&server, "admin"));
    let mut visitor = Visitor::new(&server);
    assert_eq!(visitor.go(&first).status(), 404);
    assert!(visitor.text().contains("ask an administrator") || visitor.text().contains("Ask an administrator"));
    visitor.go(&second).send("/account/welcome", &[("password", PASSWORD), ("again", PASSWORD)]);
    let mut other = Visitor::new(&server);
    assert_eq!(other.go(&second).status(), 404);
    assert_eq!(other.go("/account/welcome/guessed").status(), 404);
    let ended = server.cli().json(&["account", "link", "admin", "--lifetime", "0s"]);
    assert_eq!(other.go(ended["path"].as_str().expect("a path")).status(), 404);
}

#[test]
fn whoever_guesses_learns_nothing_and_is_slowed_down_and_nobody_else_is() {
    let server = server();
    let mut guest = guest(&server);
    drop(Visitor::signed_in(&server, "admin"));
    let mut thief = Visitor::new(&server);
    let told = |thief: &Visitor| (thief.status(), thief.text().replace("nobody", "…").replace("guest", "…"));
    let absent = told(&sign_in(&mut thief, "nobody", "a wrong password").clone());
    assert_eq!(
        told(&sign_in(&mut thief, "guest", "a wrong password").clone()).1.split("request").next(),
        absent.1.split("request").next()
    );
    assert_eq!(absent.0, 401);
    for _ in 0..9 {
        sign_in(&mut thief, "guest", "a wrong password");
    }
    sign_in(&mut thief, "guest", PASSWORD);
    assert_eq!(thief.status(), 429, "{}", thief.text());
    assert!(thief.text().contains("Wait"), "{}", thief.text());
    // By its other name it is the same account.
    assert_eq!(sign_in(&mut thief, "guest@example.org", PASSWORD).status(), 429);
    assert_eq!(sign_in(&mut thief, "admin", PASSWORD).status(), 200);
    // The browser that it has signed in with before is no stranger, whatever strangers do.
    assert_eq!(guest.go("/account/security").status(), 200);
    guest.send("/account/signout", &[]);
    sign_in(&mut guest, "guest", "a wrong password");
    assert_eq!(sign_in(&mut guest, "guest", PASSWORD).status(), 200, "{}", guest.text());
    let forged = "0".repeat(guest.cookie("doorward_browser").len());
    let mut thief = Visitor::new(&server);
    thief.set_cookie("doorward_browser", &forged);
    assert_eq!(sign_in(&mut thief, "guest", PASSWORD).status(), 429);
    let refused = server.cli().json(&["audit", "--refused", "--reason", "sign_in_wrong"]);
    assert!(refused.as_array().is_some_and(|rows| rows.len() > 5), "{refused}");
}

#[test]
fn a_token_made_on_the_pages_clones_and_pushes_until_it_is_revoked_there() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    ada.go("/account/credentials/new");
    ada.send("/account/credentials/new", &[("name", "laptop"), ("task", "push"), ("expires", "30d")]);
    let secret = ada.secret();
    assert!(secret.starts_with("dwa_") && ada.text().contains("this once"), "{}", ada.text());
    let url = server.url("x-bitbucket-api-token-auth", &secret, "home/hello");
    assert!(ada.text().contains(&server.url("x-bitbucket-api-token-auth", "", "home/hello").replace(":@", "@")));
    let (git, here) = (server.git(), server.directory());
    git.ok(here, &["clone", "-q", &url, "clone"]);
    git.commit(&here.join("clone"), "new", "new");
    git.ok(&here.join("clone"), &["push", "-q"]);
    ada.go("/account/credentials");
    assert!(!ada.html().contains(&secret[20..]), "a secret is shown once");
    let id = secret.split('_').nth(1).expect("an id").to_owned();
    // Uses are written in batches.
    let shown = format!("/account/credentials/{id}");
    await_that("the push is shown", || ada.clone().go(&shown).text().contains("push git home/hello"));
    ada.go(&shown);
    assert!(ada.text().contains("write:repository:bitbucket"), "{}", ada.text());
    ada.send(&format!("/account/credentials/{id}/rotate"), &[("overlap", "1d")]);
    let renewed = ada.secret();
    // The old one works for a day, and is not among those that have ended.
    assert!(ada.go("/account/credentials").text().contains("replaced"), "{}", ada.text());
    assert!(!ada.text().contains("ended"), "{}", ada.text());
    git.ok(here, &["ls-remote", &url]);
    git.ok(here, &["ls-remote", &server.url("admin", &renewed, "home/hello")]);
    for id in [id.as_str(), renewed.split('_').nth(1).expect("an id")] {
        ada.go(&format!("/account/credentials/{id}")).send(&format!("/account/credentials/{id}/revoke"), &[]);
        assert_eq!(ada.page.path, "/account/credentials");
    }
    for url in [&url, &server.url("admin", &renewed, "home/hello")] {
        let refused = git.run(here, &["ls-remote", url]);
        assert!(refused.stderr.contains("revoked"), "{}", refused.stderr);
    }
}

#[test]
fn access_tokens_of_a_repository_are_made_by_who_administers_the_workspace() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    for (place, prefix) in [("home/hello", "dwr_"), ("home/PROJ", "dwj_"), ("home", "dww_")] {
        ada.go("/home/workspace/settings/tokens/new");
        let fields = [("name", "job"), ("place", place), ("task", "fetch"), ("expires", "never")];
        ada.send("/home/workspace/settings/tokens/new", &fields);
        assert!(ada.secret().starts_with(prefix), "{}", ada.text());
        server.git().ok(server.directory(), &["ls-remote", &server.url("x-token-auth", &ada.secret(), "home/hello")]);
    }
    ada.go("/home/workspace/settings/tokens/new");
    ada.send("/home/workspace/settings/tokens/new", &[("name", "job"), ("place", "other/hello"), ("task", "fetch")]);
    assert_eq!(ada.status(), 400, "{}", ada.text());
    let mut guest = guest(&server);
    for path in
        ["/home/workspace/settings/tokens", "/home/workspace/settings/members", "/home/workspace/settings/policy"]
    {
        assert_eq!(guest.go(path).status(), 404, "{path}");
    }
}

#[test]
fn a_form_that_another_site_made_changes_nothing() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    let before = server.cli().json(&["token", "list"]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let wanted = vec![pair("name", "forged"), pair("task", "push"), pair("expires", "never")];
    // Without the token of the page, and with another's.
    assert_eq!(ada.post("/account/credentials/new", &wanted).status(), 403);
    let forged = [wanted.clone(), vec![pair("form_token", &"0".repeat(128))]].concat();
    assert_eq!(ada.post("/account/credentials/new", &forged).status(), 403);
    assert!(ada.text().contains("load the page again"), "{}", ada.text());
    let mut stranger = Visitor::new(&server);
    stranger.go("/account/signin");
    let theirs = stranger.html().split("form_token\" value=\"").nth(1).expect("a token")[..128].to_owned();
    let forged = [wanted.clone(), vec![pair("form_token", &theirs)]].concat();
    assert_eq!(ada.post("/account/credentials/new", &forged).status(), 403);
    // With everything right, but from elsewhere.
    let own = ada.go("/account/credentials/new").html();
    let own = own.split("form_token\" value=\"").nth(1).expect("a token")[..128].to_owned();
    let body = format!("name=forged&task=push&expires=never&form_token={own}");
    let form = "Content-Type: application/x-www-form-urlencoded";
    for site in ["cross-site", "same-site"] {
        let elsewhere = format!("Sec-Fetch-Site: {site}");
        let answer = ada.ask("POST", "/account/credentials/new", &[form, &elsewhere], body.as_bytes());
        assert_eq!(answer.status, 403, "{site}");
    }
    // Nor as something that a script of another site may send without asking first.
    for media_type in ["text/plain", "multipart/form-data; boundary=x", "application/json"] {
        let media_type = format!("Content-Type: {media_type}");
        let answer = ada.ask("POST", "/account/credentials/new", &[&media_type], body.as_bytes());
        assert_eq!(answer.status, 415, "{media_type}");
    }
    assert_eq!(server.cli().json(&["token", "list"]), before);
    let answer = ada.ask("POST", "/account/credentials/new", &[form, "Sec-Fetch-Site: same-origin"], body.as_bytes());
    assert_eq!(answer.status, 200);
}

#[test]
fn nobody_is_led_to_another_site_by_a_link_that_begins_here() {
    let server = server();
    drop(Visitor::signed_in(&server, "admin"));
    for next in
        ["https://evil.example/", "//evil.example/", "/%5Cevil.example", "/%09/evil.example", "javascript:alert(1)"]
    {
        let mut ada = Visitor::new(&server);
        ada.go(&format!("/account/signin?next={next}"));
        ada.send("/account/signin", &[("name", "admin"), ("password", PASSWORD)]);
        assert_eq!((ada.status(), ada.page.path.as_str()), (200, "/"), "{next}");
    }
    let mut ada = Visitor::new(&server);
    ada.go("/home/hello/commits?at=main");
    assert!(ada.page.path.starts_with("/account/signin?next="), "{}", ada.page.path);
    ada.send("/account/signin", &[("name", "admin"), ("password", PASSWORD)]);
    assert_eq!(ada.page.path, "/home/hello/commits?at=main");
}

#[test]
fn a_session_is_of_no_use_but_to_its_browser_and_ends_when_it_is_told_to() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    let secret = ada.cookie("doorward_session").to_owned();
    assert!(secret.starts_with("dws_"));
    // Whoever gets hold of it has no token.
    let refused = server.git().run(server.directory(), &["ls-remote", &server.url("admin", &secret, "home/hello")]);
    assert!(refused.stderr.contains("web session"), "{}", refused.stderr);
    let answer = server.http().json(&secret, "GET", "/2.0/user", &serde_json::Value::Null);
    answer.refused(401, "kind_useless_here");
    // Nor is a token a session.
    let mut thief = Visitor::new(&server);
    thief.set_cookie("doorward_session", &server.up().token);
    assert!(thief.go("/account/credentials").page.path.starts_with("/account/signin"));
    // Signing in makes another one, and what was there before is not taken over.
    let mut fixed = Visitor::new(&server);
    fixed.set_cookie("doorward_session", "dws_chosen_by_a_thief");
    sign_in(&mut fixed, "admin", PASSWORD);
    assert_ne!(fixed.cookie("doorward_session"), "dws_chosen_by_a_thief");
    assert_ne!(fixed.cookie("doorward_session"), secret);
    // One browser signs the other out.
    fixed.go("/account/security");
    let ended = fixed.html().split("/account/security/sessions/").nth(1).expect("another session")[..12].to_owned();
    fixed.send(&format!("/account/security/sessions/{ended}/end"), &[]);
    assert!(ada.go("/account/credentials").page.path.starts_with("/account/signin"));
    assert_eq!(fixed.go("/account/credentials").status(), 200);
    // Signing out ends it here, too, and not only in the browser.
    let secret = fixed.cookie("doorward_session").to_owned();
    fixed.send("/account/signout", &[]);
    thief.set_cookie("doorward_session", &secret);
    assert!(thief.go("/account/credentials").page.path.starts_with("/account/signin"));
}

#[test]
fn a_disabled_account_is_out_at_once() {
    let server = server();
    let mut guest = guest(&server);
    assert_eq!(guest.go("/account/credentials").status(), 200);
    server.cli().ok(&["account", "disable", "guest"]);
    guest.go("/account/credentials");
    assert_ne!(guest.status(), 200);
    assert!(guest.text().contains("disabled"), "{}", guest.text());
    let mut again = Visitor::new(&server);
    sign_in(&mut again, "guest", PASSWORD);
    assert_ne!(again.status(), 200);
    assert!(again.text().contains("disabled"), "{}", again.text());
    // Who does not know the password is not told that.
    let mut thief = Visitor::new(&server);
    sign_in(&mut thief, "guest", "a wrong password");
    assert!(!thief.text().contains("disabled"), "{}", thief.text());
}

/// The key of a second step, as the page shows it.
pub(crate) fn key(visitor: &Visitor) -> String {
    let html = visitor.html();
    let rest = html.split("data-copy=\"the key\">").nth(1).unwrap_or_else(|| panic!("no key: {}", visitor.text()));
    rest.split('<').next().expect("a key").to_owned()
}

/// The code that an authenticator app shows now, or some half minutes later.
pub(crate) fn code(key: &str, later: i64) -> String {
    let script = "import base64,hmac,struct,sys,time;k=base64.b32decode(sys.argv[1]);\
                  d=hmac.new(k,struct.pack('>Q',int(time.time())//30+int(sys.argv[2])),'sha1').digest();o=d[19]&15;\
                  print('%06d'%((struct.unpack('>I',d[o:o+4])[0]&0x7fffffff)%1000000))";
    let output = Command::new("python3").args(["-c", script, key, &later.to_string()]).output().expect("python3");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn with_two_step_verification_the_password_alone_lets_nobody_in() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    let mut elsewhere = Visitor::new(&server);
    sign_in(&mut elsewhere, "admin", PASSWORD);
    ada.go("/account/security").send("/account/security/two-step", &[("password", "a wrong password")]);
    assert!(ada.text().contains("not your password"), "{}", ada.text());
    ada.send("/account/security/two-step", &[("password", PASSWORD)]);
    let key = key(&ada);
    assert!(ada.html().contains("<svg class=\"qr\""));
    ada.send("/account/security/two-step/confirm", &[("code", "000000")]);
    assert_eq!(ada.status(), 422, "{}", ada.text());
    let first = code(&key, 0);
    ada.send("/account/security/two-step/confirm", &[("code", &first)]);
    let codes = ada.html().split("<pre data-copy=\"the codes\">").nth(1).expect("codes").to_owned();
    let codes: Vec<String> = codes.split("</pre>").next().expect("codes").lines().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    // The session that came without it has ended.
    assert!(elsewhere.go("/account/credentials").page.path.starts_with("/account/signin"));
    sign_in(&mut elsewhere, "admin", PASSWORD);
    assert!(elsewhere.page.path.starts_with("/account/signin/step"), "{}", elsewhere.page.path);
    assert!(elsewhere.go("/account/credentials").page.path.starts_with("/account/signin"));
    // The code that confirmed it was used already; the next one is good, once.
    elsewhere.go("/account/signin/step").send("/account/signin/step", &[("code", &first)]);
    assert_eq!(elsewhere.status(), 401, "{}", elsewhere.text());
    let next = code(&key, 1);
    elsewhere.send("/account/signin/step", &[("code", &next)]);
    assert_eq!((elsewhere.status(), elsewhere.page.path.as_str()), (200, "/"), "{}", elsewhere.text());
    let mut again = Visitor::new(&server);
    sign_in(&mut again, "admin", PASSWORD).send("/account/signin/step", &[("code", &next)]);
    assert_eq!(again.status(), 401);
    // A recovery code is good once, too.
    again.send("/account/signin/step", &[("code", &codes[3])]);
    assert_eq!((again.status(), again.page.path.as_str()), (200, "/"), "{}", again.text());
    let mut thief = Visitor::new(&server);
    sign_in(&mut thief, "admin", PASSWORD).send("/account/signin/step", &[("code", &codes[3])]);
    assert_eq!(thief.status(), 401);
    assert!(again.go("/account/security").text().contains("9 recovery codes left"), "{}", again.text());
    // Turning it off takes the password; an administrator can, for who has lost everything.
    again.send("/account/security/two-step/off", &[("password", "a wrong password")]);
    assert!(again.text().contains("not your password"), "{}", again.text());
    server.cli().ok(&["account", "set", "admin", "--two-step", "off"]);
    let mut ada = Visitor::new(&server);
    sign_in(&mut ada, "admin", PASSWORD);
    assert_eq!((ada.status(), ada.page.path.as_str()), (200, "/"));
}

#[test]
fn what_one_may_not_see_looks_like_what_is_not_there() {
    let server = server();
    let mut guest = guest(&server);
    let told = |visitor: &mut Visitor, path: &str| {
        let answer = visitor.ask("GET", path, &[], b"");
        let body = answer.text();
        let body = body.split("<dt>Request").next().unwrap_or_default().to_owned();
        // What its form is known by looks different on each page.
        let token =
            body.split("form_token\" value=\"").nth(1).and_then(|rest| rest.get(..128)).unwrap_or("-").to_owned();
        let body = body.replace(&token, "…");
        let next = answer.header("location").replace("hello", "…").replace("absent", "…").replace("home", "…");
        (answer.status, body, next, answer.header("content-security-policy").to_owned())
    };
    let mut stranger = Visitor::new(&server);
    for visitor in [&mut guest, &mut stranger] {
        for part in ["", "/src/main/", "/src/main/README.md", "/commits", "/branches", "/raw/main/README.md"] {
            let hidden = told(visitor, &format!("/home/hello{part}"));
            assert_eq!(hidden, told(visitor, &format!("/home/absent{part}")), "{part}");
            assert_eq!(hidden, told(visitor, &format!("/absent/hello{part}")), "{part}");
            assert!(hidden.0 == 404 || hidden.0 == 303, "{}", hidden.0);
        }
        let hidden = told(visitor, "/home");
        assert_eq!(hidden, told(visitor, "/absent"));
        let hidden = told(visitor, "/home/workspace/settings/policy");
        assert_eq!(hidden, told(visitor, "/absent/workspace/settings/policy"));
    }
}

#[test]
fn what_strangers_write_is_shown_and_never_run() {
    let server = server();
    let (git, here) = (server.git(), server.directory());
    git.ok(here, &["clone", "-q", &server.up().clone_url, "clone"]);
    let clone = here.join("clone");
    let attack = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    git.commit(
        &clone,
        "README.md",
        &format!("# {attack}\n\n[x](javascript:alert(1)) ![y](https://evil.example/p.png)\n\n{attack}\n"),
    );
    git.commit(&clone, "<b>&'\"name", attack);
    std::fs::write(clone.join("page.html"), attack).expect("written");
    git.ok(&clone, &["add", "."]);
    git.ok(&clone, &["commit", "-q", "-m", attack, "--author", "X &amp; 'Y' <ada@example.org>"]);
    git.ok(&clone, &["branch", "x<s>y"]);
    git.ok(&clone, &["push", "-q", "origin", "main", "x<s>y"]);
    let head = git.ok(&clone, &["rev-parse", "HEAD"]);
    server.cli().ok(&["token", "create", "--account", "admin", "--name", attack, "--scope", "repository"]);
    let mut ada = Visitor::signed_in(&server, "admin");
    for path in [
        "/home/hello",
        "/home/hello/src/main/README.md?plain=1",
        "/home/hello/src/main/page.html",
        "/home/hello/src/main/%3Cb%3E%26'%22name",
        "/home/hello/commits",
        &format!("/home/hello/commits/{head}"),
        "/home/hello/branches?q=%3Cs%3E",
        "/home/hello/src/x%3Cs%3Ey/",
        "/account/credentials",
        "/account/refusals?in=%3Cscript%3Ealert(1)%3C/script%3E&everything=1",
        "/account/signin?next=%22%3E%3Cscript%3E",
        "/home/hello/src/%3Cscript%3E/x",
        "/account/refusals/%3Cscript%3E",
    ] {
        let html = ada.go(path).html();
        let main = html.split("<main").nth(1).unwrap_or_else(|| panic!("{path}: {html}"));
        for tag in ["<script", "<img", "<b>", "<i>", "<s>", "href=\"javascript:", "onerror=alert(1)>"] {
            assert!(!main.contains(tag), "{tag} on {path}: {main}");
        }
    }
    // A file by itself is text, in a page that may do nothing.
    let raw = ada.ask("GET", "/home/hello/raw/main/page.html", &[], b"");
    assert_eq!(raw.text(), attack);
    assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(raw.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(raw.header("x-content-type-options"), "nosniff");
}

#[test]
fn browsers_are_told_to_run_nothing_and_to_keep_nothing() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    for path in ["/", "/account/credentials/new", "/home/hello", "/absent", "/site/status"] {
        let answer = ada.ask("GET", path, &[], b"");
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let html = answer.text();
        for inline in [" style=", " onclick=", "<style", "<script>"] {
            assert!(!html.contains(inline), "{inline} on {path}");
        }
        for asset in html.split("\"/site/assets/").skip(1) {
            let found = ada.ask("GET", &format!("/site/assets/{}", asset.split('"').next().expect("a path")), &[], b"");
            assert_eq!((found.status, found.header("cache-control")), (200, "public, max-age=31536000, immutable"));
        }
    }
    let mut set = Visitor::new(&server);
    let link = link(&server, "admin");
    set.go(&link);
    let token = set.html().split("form_token\" value=\"").nth(1).expect("a token")[..128].to_owned();
    let body = format!("password={0}&again={0}&form_token={token}", PASSWORD.replace(' ', "+"));
    let form = "Content-Type: application/x-www-form-urlencoded";
    let answer = set.ask("POST", &link, &[form], body.as_bytes());
    let cookie = answer.header("set-cookie");
    // Compressed for who takes that, but for pages with secrets on them.
    let gzip = ["Accept-Encoding: gzip, deflate, br"];
    let mut ada = Visitor::signed_in(&server, "admin");
    for (path, packed) in
        [("/home/hello/src/main/", true), ("/account/credentials/new", true), ("/account/security", false)]
    {
        let answer = ada.ask("GET", path, &gzip, b"");
        assert_eq!((answer.status, answer.header("content-encoding") == "gzip"), (200, packed), "{path}");
        assert_eq!(ada.ask("GET", path, &[], b"").header("content-encoding"), "", "{path}");
    }
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"), "{cookie}");
}

#[test]
fn no_secret_of_the_pages_is_in_the_log() {
    let server = server();
    let link = link(&server, "admin");
    let mut ada = Visitor::new(&server);
    ada.go(&link).send("/account/welcome", &[("password", PASSWORD), ("again", PASSWORD)]);
    ada.go("/account/credentials/new");
    ada.send("/account/credentials/new", &[("name", "laptop"), ("task", "push"), ("expires", "30d")]);
    let log = server.log();
    assert!(log.contains("/account/welcome/"), "{log}");
    for secret in [
        link.rsplit('/').next().expect("a secret"),
        PASSWORD,
        &ada.secret()[20..],
        &ada.cookie("doorward_session")[20..],
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn who_was_refused_finds_out_why_and_so_does_the_administrator_and_nobody_else() {
    let server = server();
    let mut guest = guest(&server);
    let (id, secret) = server.cli().token("guest", &["read:user:bitbucket"], &[]);
    let refused = server
        .http()
        .get("/home/hello.git/info/refs?service=git-upload-pack", &[&format!("Authorization: Bearer {secret}")]);
    let request = refused.header("x-request-id").to_owned();
    guest.go(&format!("/account/refusals?request={request}"));
    assert_eq!(guest.page.path, format!("/account/refusals/{request}"));
    assert!(guest.text().contains("It was refused") && guest.text().contains(&id), "{}", guest.text());
    guest.go("/account/refusals?reason=scope_missing");
    assert!(
        guest.text().contains("scope_missing 1") && guest.html().contains("<svg class=\"timeline\""),
        "{}",
        guest.text()
    );
    let mut ada = Visitor::signed_in(&server, "admin");
    for path in [
        format!("/account/refusals/{request}"),
        format!("/home/workspace/settings/refusals/{request}"),
        format!("/site/refusals?credential={id}"),
        format!("/site/refusals/{request}"),
        "/home/workspace/settings/refusals".into(),
    ] {
        assert!(ada.go(&path).text().contains("scope"), "{path}: {}", ada.text());
    }
    // One comes back to the list that one came from.
    ada.go(&format!("/site/refusals?request={request}"));
    assert!(ada.html().contains("<a href=\"/site/refusals\">Refusals</a>"), "{}", ada.html());
    server.cli().ok(&["account", "create", "other", "--email", "other@example.org"]);
    let mut other = Visitor::signed_in(&server, "other");
    for path in [
        format!("/account/refusals/{request}"),
        format!("/home/workspace/settings/refusals/{request}"),
        "/home/workspace/settings/refusals".into(),
    ] {
        assert_eq!(other.go(&path).status(), 404, "{path}");
    }
    assert_eq!(other.go("/site/refusals").status(), 403);
    assert_eq!(other.go(&format!("/site/refusals/{request}")).status(), 403);
    assert!(!other.go("/account/refusals?everything=1").text().contains(&id));
    assert_eq!(other.go("/account/refusals?since=x").status(), 400);
}

#[test]
fn a_policy_shows_whom_it_refuses_before_it_is_saved() {
    let server = server();
    server.cli().token("admin", &["read:repository:bitbucket"], &["--expires", "1y"]);
    let mut ada = Visitor::signed_in(&server, "admin");
    ada.go("/home/workspace/settings/policy");
    let wanted = [("kind", "repository_access_token"), ("longest", "90d"), ("addresses", "127.0.0.1")];
    ada.send("/home/workspace/settings/policy", &[&wanted[..], &[("do", "show")]].concat());
    assert!(ada.text().contains("2 tokens would be refused"), "{}", ada.text());
    assert!(server.cli().json(&["policy", "show", "home"])["longest_days"].is_null());
    ada.send("/home/workspace/settings/policy", &[&wanted[..], &[("do", "save")]].concat());
    assert!(ada.text().contains("The policy is set"), "{}", ada.text());
    assert_eq!(server.cli().json(&["policy", "show", "home"])["longest_days"], 90);
    // Who administers it by a session is not shut out by what machines may use.
    assert_eq!(ada.go("/home/workspace/settings/policy").status(), 200);
    ada.send("/home/workspace/settings/policy", &[("addresses", "nonsense"), ("do", "save")]);
    assert_eq!(ada.status(), 400);
    assert!(
        ada.text().contains("no address and no range") && ada.html().contains("value=\"nonsense\""),
        "{}",
        ada.text()
    );
    ada.send("/home/workspace/settings/policy", &[("addresses", "203.0.113.0/24"), ("do", "save")]);
    assert!(ada.text().contains("would refuse the"), "{}", ada.text());
}

#[test]
fn members_and_privileges_are_set_on_the_pages() {
    let server = server();
    let mut guest = guest(&server);
    let mut ada = Visitor::signed_in(&server, "admin");
    assert_eq!(guest.go("/home/hello").status(), 404);
    ada.go("/home/workspace/settings/members").send("/home/workspace/settings/members", &[("account", "guest")]);
    assert!(ada.text().contains("guest is a member now"), "{}", ada.text());
    assert_eq!(guest.go("/home/hello").status(), 200);
    assert!(guest.go("/").text().contains("hello"));
    let fields = [("repository", "hello"), ("account", "guest"), ("privilege", "write")];
    ada.send("/home/workspace/settings/permissions", &fields);
    assert!(ada.text().contains("home/hello: write"), "{}", ada.text());
    ada.send("/home/workspace/settings/members/guest/remove", &[]);
    assert_eq!(guest.go("/home/hello").status(), 404);
    ada.send("/home/workspace/settings/members", &[("account", "absent")]);
    assert!(ada.text().contains("There is no account"), "{}", ada.text());
}

#[test]
fn what_opens_a_way_in_takes_the_password_again() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    let new = "another sentence that nobody knows";
    let change = |present: &'static str| [("present", present), ("password", new), ("again", new)];
    ada.go("/account/security").send("/account/security/password", &change("a wrong password"));
    assert!(ada.text().contains("That is not your password"), "{}", ada.text());
    let mut elsewhere = Visitor::new(&server);
    sign_in(&mut elsewhere, "admin", PASSWORD);
    ada.send("/account/security/password", &change(PASSWORD));
    assert!(ada.text().contains("The password was changed"), "{}", ada.text());
    assert_eq!(ada.go("/account/security").status(), 200);
    assert!(elsewhere.go("/account/security").page.path.starts_with("/account/signin"));
    let mut again = Visitor::new(&server);
    assert_eq!(sign_in(&mut again, "admin", PASSWORD).status(), 401);
    assert_eq!(sign_in(&mut again, "admin", new).status(), 200);
    // Recovery codes are made by who knows it, and only where there is a second step.
    again.post("/account/security/recovery", &[]);
    assert_eq!(again.status(), 403);
}

#[test]
fn a_request_that_is_held_back_brings_back_neither_an_old_code_nor_an_old_count() {
    let server = server();
    drop(Visitor::signed_in(&server, "admin"));
    let mut thief = Visitor::new(&server);
    thief.go("/account/signin");
    let token = thief.html().split("form_token\" value=\"").nth(1).expect("a token")[..128].to_owned();
    let visit = thief.cookie("doorward_visit").to_owned();
    // A form that does not come to its end is given up before long, and nothing waits for it.
    let head = format!(
        "POST /account/signin HTTP/1.1\r\nHost: {}\r\nCookie: doorward_visit={visit}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\nform_token={token}&name=admin",
        server.host()
    );
    let mut held = server.http().connect();
    std::io::Write::write_all(&mut held, head.as_bytes()).expect("sent");
    assert_eq!(doorward_testkit::read_answer(&mut held).status, 408);
}

#[test]
fn names_that_look_like_what_is_counted_keep_nobody_out() {
    let server = server();
    let link = link(&server, "admin");
    let mut thief = Visitor::new(&server);
    for name in ["(links)", "admin (second step)", "admin (password again)"] {
        for _ in 0..4 {
            sign_in(&mut thief, name, "a wrong password");
        }
    }
    let mut ada = Visitor::new(&server);
    ada.go(&link).send("/account/welcome", &[("password", PASSWORD), ("again", PASSWORD)]);
    assert_eq!((ada.status(), ada.page.path.as_str()), (200, "/"));
}

#[test]
fn a_token_is_limited_to_a_workspace_that_one_belongs_to_and_names_nothing_hidden() {
    let server = server();
    let mut guest = guest(&server);
    server.cli().ok(&["workspace", "member", "add", "home", "guest"]);
    server.cli().ok(&["permission", "set", "home/hello", "guest", "none"]);
    guest.go("/account/credentials/new");
    let fields = [("name", "laptop"), ("task", "fetch"), ("workspace", "home"), ("expires", "30d")];
    guest.send("/account/credentials/new", &fields);
    assert_eq!(guest.status(), 200, "{}", guest.text());
    assert!(!guest.html().contains("home/hello"), "{}", guest.text());
    let mut ada = Visitor::signed_in(&server, "admin");
    server.cli().ok(&["workspace", "create", "away", "--owner", "admin"]);
    ada.go("/home/workspace/settings/tokens/new");
    ada.send("/home/workspace/settings/tokens/new", &[("name", "job"), ("place", "home/hello"), ("task", "fetch")]);
    let id = ada.secret().split('_').nth(1).expect("an id").to_owned();
    assert_eq!(ada.go(&format!("/home/workspace/settings/tokens/{id}")).status(), 200);
    assert_eq!(ada.go(&format!("/away/workspace/settings/tokens/{id}")).status(), 404);
}

#[test]
fn a_token_that_may_not_become_anybody_makes_no_link_to_become_somebody() {
    let server = server();
    server.cli().ok(&["account", "create", "guest", "--email", "guest@example.org"]);
    let link =
        |token: &str| server.http().json(token, "POST", "/2.0/doorward/accounts/guest/link", &serde_json::json!({}));
    let (_, narrow) = server.cli().token("admin", &["write:admin:doorward"], &[]);
    link(&narrow).refused(403, "beyond_own_token");
    let (_, both) = server.cli().token("admin", &["write:admin:doorward", "write:token:doorward"], &[]);
    assert_eq!(link(&both).status, 201);
}

#[test]
fn an_address_where_there_is_nothing_is_a_page_to_a_browser_and_settings_begin_somewhere() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    ada.go("/home/workspace/settings");
    assert_eq!((ada.status(), ada.page.path.as_str()), (200, "/home/workspace/settings/members"));
    assert!(ada.go("/home/workspace/settings/upstreams").text().contains("repositories of this workspace are here"));
    let page = ada.ask("GET", "/home/hello/pull-requests/1/nothing", &["Accept: text/html,*/*"], b"");
    assert_eq!(page.status, 404);
    assert!(page.text().contains("<h1>There is nothing here that you may see</h1>"), "{}", page.text());
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{:?}", page.headers);
    assert!(page.text().contains("Sign out"), "whoever is in stays in: {}", page.text());
    let text = server.http().get("/home/hello/pull-requests/1/nothing", &["Accept: */*"]);
    assert!(text.status == 404 && text.text().contains("git clone"), "{}", text.text());
    // A link is for the address at which the server is, whoever told it that.
    assert!(
        server.cli().ok(&["account", "link", "admin"]).contains(&format!("{}/account/welcome/", server.up().address))
    );
}
