//! A real browser walks the pages: with and without scripts, on a telephone, in the dark; and signs in for git.

use std::path::{Path, PathBuf};
use std::process::Command;

use doorward_testkit::{Browser, Look, PASSWORD, Server};
use serde_json::Value;

use crate::operation::await_that;
use crate::server;

/// The pages whose pictures are in the documentation.
const KEPT: &[&str] = &["credentials", "new-credential", "refusals", "why", "policy", "files", "credentials-telephone"];
const DESK: Look = Look { width: 1280, dark: false, scripts: true };

/// A server with something on each page.
fn furnished() -> Server {
    let server = server();
    let (cli, git, here) = (server.cli(), server.git(), server.directory());
    cli.ok(&["account", "create", "ada", "--email", "ada@example.org"]);
    cli.ok(&["workspace", "member", "add", "home", "ada"]);
    cli.ok(&[
        "token",
        "create",
        "--account",
        "admin",
        "--name",
        "nightly build",
        "--scope",
        "read:repository:bitbucket",
    ]);
    let place = ["--kind", "repository", "--for", "home/hello", "--name", "deploy", "--scope", "repository"];
    cli.ok(&[&["token", "create"][..], &place].concat());
    let callback = ["--callback", "https://ci.example.com/signed-in", "--scope", "repository:write,account"];
    cli.ok(&[&["consumer", "create", "home", "--name", "CI"][..], &callback].concat());
    git.ok(here, &["clone", "-q", &server.up().clone_url, "clone"]);
    let clone = here.join("clone");
    std::fs::create_dir(clone.join("src")).expect("a directory");
    git.commit(&clone, "src/main.rs", "fn main() {\n    println!(\"Hello\");\n}\n");
    git.ok(&clone, &["tag", "v1.0"]);
    git.ok(&clone, &["push", "-q", "origin", "main", "v1.0"]);
    // A refusal for each of some reasons.
    let (_, secret) = cli.token("admin", &["read:user:bitbucket"], &[]);
    let bearer = |secret: &str| format!("Authorization: Bearer {secret}");
    let refs = "/home/hello.git/info/refs?service=git-upload-pack";
    for secret in [secret.as_str(), "ATATT3xFfGF0nonsense", "dwa_nonsense"] {
        server.http().get(refs, &[&bearer(secret)]);
    }
    server
}

/// The pages, and what is said on each.
fn pages(server: &Server) -> Vec<(&'static str, String, &'static str)> {
    let list = server.cli().json(&["token", "list", "--account", "admin"]);
    let id = |row: &Value| row["id"].as_str().expect("an id").to_owned();
    let token = id(&list[0]);
    let refused = server.cli().json(&["audit", "--refused"]);
    let request = refused[0]["request"].as_str().expect("a request").to_owned();
    let consumer = server.cli().json(&["consumer", "list", "home"])[0]["key"].as_str().expect("a key").to_owned();
    let head = server.git().ok(&server.directory().join("clone"), &["rev-parse", "HEAD"]);
    let page = |name, path: &str, said| (name, path.to_owned(), said);
    vec![
        page("repositories", "/", "hello"),
        page("credentials", "/account/credentials", "nightly build"),
        page("new-credential", "/account/credentials/new", "What is it for?"),
        page("credential", &format!("/account/credentials/{token}"), "What it was used for"),
        page("refusals", "/account/refusals", "Why was this refused?"),
        page("why", &format!("/account/refusals/{request}"), "It was refused"),
        page("security", "/account/security", "Add a passkey"),
        page("workspace", "/home", "hello"),
        page("members", "/home/workspace/settings/members", "ada"),
        page("access-tokens", "/home/workspace/settings/tokens", "deploy"),
        page("new-access-token", "/home/workspace/settings/tokens/new", "Belongs to"),
        page("consumers", "/home/workspace/settings/consumers", "CI"),
        page("policy", "/home/workspace/settings/policy", "nothing is asked of credentials"),
        page("upstreams", "/home/workspace/settings/upstreams", "repositories of this workspace are here"),
        page("workspace-refusals", "/home/workspace/settings/refusals", "scope"),
        page("server-refusals", "/site/refusals?everything=1", "Records"),
        page("status", "/site/status", "Answers made by git"),
        page("calendar", "/site/calendar", "API token"),
        page("files", "/home/hello", "This repository was made by"),
        page("directory", "/home/hello/src/main/src", "main.rs"),
        page("file", "/home/hello/src/main/src/main.rs", "println!"),
        page("commits", "/home/hello/commits", "Change src/main.rs"),
        page("commit", &format!("/home/hello/commits/{head}"), "println!"),
        page("branches", "/home/hello/branches", "main"),
        page("tags", "/home/hello/tags", "v1.0"),
        page(
            "consent",
            &format!("/site/oauth2/authorize?client_id={consumer}&response_type=code"),
            "Let CI act for you?",
        ),
        page("nothing", "/home/absent", "nothing here that you may see"),
    ]
}

/// The server by a name, so that there are passkeys on its pages.
fn address(server: &Server) -> String {
    server.up().address.replace("127.0.0.1", "localhost")
}

fn sign_in(browser: &Browser, server: &Server) {
    sign_in_at(browser, server, &address(server));
}

fn sign_in_at(browser: &Browser, server: &Server, base: &str) {
    let link = server.cli().json(&["account", "link", "admin"]);
    browser.go(&format!("{base}{}", link["path"].as_str().expect("a path")));
    browser.write("input[name=password]", PASSWORD);
    browser.write("input[name=again]", PASSWORD);
    browser.click("main button");
    await_that("the way in", || browser.text("main").contains("Repositories"));
}

/// Goes to each page; `look` at it there.
fn walk(browser: &Browser, server: &Server, look: impl Fn(&str)) {
    for (name, path, said) in pages(server) {
        browser.go(&format!("{}{path}", address(server)));
        await_that(&format!("{said} on {path}"), || browser.text("body").contains(said));
        look(name);
    }
}

/// Keeps a picture for the documentation, where that is asked for.
fn keep(browser: &Browser, name: &str) {
    if KEPT.contains(&name) && std::env::var_os("UPDATE_DOCS").is_some() {
        let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures");
        std::fs::create_dir_all(&pictures).expect("a directory");
        browser.picture(&pictures.join(format!("{name}.png")));
    }
}

/// What axe-core finds that keeps people from using a page.
fn barriers(browser: &Browser, axe: &str) -> Vec<String> {
    let script = format!(
        "{axe}; const done = arguments[arguments.length - 1]; \
         axe.run(document, {{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }}).then( \
           found => done(found.violations.map(v => `${{v.impact}} ${{v.id}}: ${{v.nodes.map(n => n.html).join(' ')}}`)), \
           error => done(['axe failed: ' + error]));"
    );
    let found = browser.run(&script);
    let found = found.as_array().cloned().unwrap_or_else(|| panic!("axe said {found}"));
    found.iter().filter_map(|one| one.as_str()).map(str::to_owned).collect()
}

/// axe-core, in the version that was looked at.
fn axe(server: &Server) -> String {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/axe");
    let to: PathBuf = server.directory().join("axe");
    std::fs::create_dir(&to).expect("a directory");
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(from.join(file), to.join(file)).expect("copied");
    }
    let mut npm = Command::new("npm");
    let installed =
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&to).output().expect("npm");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    std::fs::read_to_string(to.join("node_modules/axe-core/axe.min.js")).expect("axe-core")
}

#[test]
fn a_browser_walks_each_page_in_the_light_and_nothing_is_in_anybodys_way() {
    let server = furnished();
    let axe = axe(&server);
    let browser = Browser::start(DESK);
    browser.go(&format!("{}/account/signin", address(&server)));
    assert_eq!(barriers(&browser, &axe), Vec::<String>::new(), "the sign-in page");
    keep(&browser, "sign-in");
    sign_in(&browser, &server);
    walk(&browser, &server, |name| {
        assert_eq!(barriers(&browser, &axe), Vec::<String>::new(), "{name}");
        keep(&browser, name);
    });
}

#[test]
fn a_browser_walks_each_page_in_the_dark_on_a_telephone() {
    let server = furnished();
    let axe = axe(&server);
    let browser = Browser::start(Look { width: 360, dark: true, scripts: true });
    sign_in(&browser, &server);
    walk(&browser, &server, |name| {
        assert_eq!(barriers(&browser, &axe), Vec::<String>::new(), "{name}");
        let width = browser.run("arguments[0](document.documentElement.scrollWidth)");
        assert!(width.as_u64().is_some_and(|width| width <= 360), "{name} is {width} wide");
        let dark = browser.run("arguments[0](getComputedStyle(document.documentElement).backgroundColor)");
        assert_eq!(dark, "rgb(15, 20, 26)", "{name}");
        if ["credentials", "refusals"].contains(&name) {
            keep(&browser, &format!("{name}-telephone"));
        }
    });
}

#[test]
fn a_browser_without_scripts_does_everything() {
    let server = furnished();
    let browser = Browser::start(Look { scripts: false, ..DESK });
    sign_in(&browser, &server);
    walk(&browser, &server, |_| {});
    browser.go(&format!("{}/account/credentials/new", address(&server)));
    browser.write("input[name=name]", "laptop");
    browser.click("input[name=task][value=push]");
    browser.click("main button");
    let secret = browser.text("#secret");
    let url = server.url("x-bitbucket-api-token-auth", &secret, "home/hello");
    server.git().ok(server.directory(), &["ls-remote", &url]);
    assert!(!browser.source().contains(">Copy<"), "no script has run");
    browser.go(&format!("{}/account/credentials/{}", address(&server), secret.split('_').nth(1).expect("an id")));
    browser.click("details:last-of-type summary");
    browser.click("form[action$='/revoke'] button");
    assert!(browser.text("main").contains("Your credentials"), "{}", browser.text("main"));
    let refused = server.git().run(server.directory(), &["ls-remote", &url]);
    assert!(refused.stderr.contains("revoked"), "{}", refused.stderr);
    browser.click(".who button");
    await_that("the browser is led to the sign-in", || browser.address().ends_with("/account/signin"));
}

#[test]
fn who_has_no_mouse_signs_in_and_makes_a_token() {
    let server = server();
    let browser = Browser::start(DESK);
    sign_in(&browser, &server);
    let focus = || browser.run("arguments[0](document.activeElement.innerText || document.activeElement.name || '')");
    let until = |wanted: &str| {
        for _ in 0..40 {
            browser.press("\u{e004}");
            if focus().as_str().is_some_and(|focus| focus.contains(wanted)) {
                return;
            }
        }
        panic!("Tab never reaches {wanted} on {}", browser.address());
    };
    until("Skip to the content");
    until("Credentials");
    browser.press("\u{e007}");
    assert!(browser.text("h1").contains("Your credentials"));
    until("Create a token");
    browser.press("\u{e007}");
    assert!(browser.text("h1").contains("Create a token"));
    until("name");
    browser.write("input[name=name]", "laptop");
    until("task");
    browser.press(" ");
    until("Create it");
    browser.press("\u{e007}");
    assert!(browser.text("h1").contains("Your new token"));
}

#[test]
fn with_scripts_secrets_are_copied_and_records_come_by_themselves() {
    let server = server();
    let browser = Browser::start(DESK);
    sign_in(&browser, &server);
    browser.go(&format!("{}/account/credentials/new", address(&server)));
    browser.write("input[name=name]", "laptop");
    browser.click("input[name=task][value=fetch]");
    browser.click("main button");
    browser.click("#secret + button");
    let copied = browser.text("#secret + button");
    assert!(["Copied", "Selected"].contains(&copied.as_str()), "{copied}");
    browser.go(&format!("{}/site/refusals", address(&server)));
    assert!(browser.text("[data-tail]").contains("Nothing was found"));
    browser.click("label.choice input[type=checkbox]:not([name])");
    let bearer = "Authorization: Bearer dwa_nonsense";
    server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[bearer]);
    await_that("the refusal is shown", || browser.text("[data-tail]").contains("home/hello"));
}

#[test]
fn git_credential_oauth_signs_in_by_the_browser_and_git_clones() {
    let server = server();
    let made = ["--callback", "http://127.0.0.1", "--scope", "repository:write", "--public"];
    let made =
        server.cli().json(&[&["consumer", "create", "home", "--name", "git-credential-oauth"][..], &made].concat());
    let browser = Browser::start(DESK);
    sign_in_at(&browser, &server, &server.up().address);
    let (here, base) = (server.directory(), &server.up().address);
    // What opens a browser on a desktop writes down where it is to go.
    let (bin, wanted) = (here.join("bin"), here.join("wanted"));
    std::fs::create_dir(&bin).expect("a directory");
    for name in ["xdg-open", "x-www-browser", "www-browser"] {
        let script = format!("#!/bin/sh\nprintf %s \"$1\" > '{0}.part' && mv '{0}.part' '{0}'\n", wanted.display());
        std::fs::write(bin.join(name), script).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join(name), mode).expect("a program");
    }
    let of = |name: &str| format!("credential.{base}.{name}");
    // It listens where it is told to; the application is registered without a port.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let port = free.port();
    let git = server
        .git()
        .set("credential.helper", "oauth")
        .set(&of("oauthClientId"), made["key"].as_str().expect("a key"))
        .set(&of("oauthAuthURL"), "/site/oauth2/authorize")
        .set(&of("oauthTokenURL"), "/site/oauth2/access_token")
        .set(&of("oauthRedirectURL"), &format!("http://127.0.0.1:{port}"))
        .set(&of("oauthScopes"), "repository:write");
    let mut clone = git.command(here, &["clone", "-q", &format!("{base}/home/hello.git"), "clone"]);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let child = clone.env("PATH", path).stderr(std::process::Stdio::piped()).spawn().expect("git");
    await_that("a browser is asked for", || wanted.exists());
    browser.go(&std::fs::read_to_string(&wanted).expect("an address"));
    assert!(browser.text("h1").contains("Let git-credential-oauth act for you?"), "{}", browser.text("main"));
    browser.click("button[value=yes]");
    let ended = child.wait_with_output().expect("git ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(here.join("clone/README.md").exists());
}
