//! Passkeys in a real browser, with an authenticator of the browser's own, in software.

use doorward_testkit::{Browser, Look, PASSWORD, Server, Visitor};
use serde_json::json;

use crate::operation::await_that;
use crate::server;

const DESK: Look = Look { width: 1280, dark: false, scripts: true };

/// Passkeys are for names: the same server, by one.
fn at(server: &Server, path: &str) -> String {
    format!("{}{path}", server.up().address.replace("127.0.0.1", "localhost"))
}

fn go(browser: &Browser, server: &Server, path: &str) {
    browser.go(&at(server, path));
}

/// Signs in by a link.
fn sign_in(browser: &Browser, server: &Server) {
    let link = server.cli().json(&["account", "link", "admin"]);
    go(browser, server, link["path"].as_str().expect("a path"));
    browser.write("input[name=password]", PASSWORD);
    browser.write("input[name=again]", PASSWORD);
    browser.click("main button");
    await_that("the way in", || browser.text("main").contains("Repositories"));
}

/// Adds a passkey under *Security*.
fn add(browser: &Browser, server: &Server, name: &str) {
    go(browser, server, "/account/security");
    browser.run(
        "document.querySelector('form[action$=\"/passkeys\"]').closest('details').open = true; \
         arguments[arguments.length - 1](true)",
    );
    browser.write("form[action$='/passkeys'] input[name=name]", name);
    browser.write("form[action$='/passkeys'] input[name=password]", PASSWORD);
    browser.click("form[action$='/passkeys'] button");
    await_that("the next page", || browser.text("h1") == format!("A passkey called {name}"));
    browser.click("form[data-passkey] button");
}

fn sign_out(browser: &Browser) {
    browser.click("form[action='/account/signout'] button");
    await_that("the way out", || browser.text("main").contains("User name or e-mail address"));
}

/// Signs in by the password, and the passkey as the second step.
fn by_password_and_passkey(browser: &Browser, server: &Server) {
    browser.write("input[name=name]", "admin");
    browser.write("input[name=password]", PASSWORD);
    browser.click("form[action='/account/signin'] button");
    await_that("the second step", || browser.text("main").contains("Use your passkey"));
    browser.click("form[data-passkey] button");
    await_that("the way in", || browser.address() == at(server, "/"));
}

/// Sends a form of the page again, with one of its fields changed by a script.
fn change(browser: &Browser, script: &str) {
    browser.run(&format!("{script}; arguments[arguments.length - 1](true)"));
}

#[test]
fn a_passkey_that_makes_sure_who_it_is_lets_in_by_itself_and_any_other_after_the_password() {
    let server = server();
    let browser = Browser::start(DESK);
    browser.authenticator(true);
    sign_in(&browser, &server);
    let mut elsewhere = Visitor::new(&server);
    elsewhere.go("/account/signin");
    elsewhere.send("/account/signin", &[("name", "admin"), ("password", PASSWORD)]);
    assert_eq!(elsewhere.go("/account/security").status(), 200);
    add(&browser, &server, "telephone");
    await_that("recovery codes", || browser.text("main").contains("Your recovery codes"));
    let codes: Vec<String> = browser.text("pre").lines().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    // Sessions that came without it have ended, and a password alone lets nobody in.
    assert!(elsewhere.go("/account/security").page.path.starts_with("/account/signin"));
    elsewhere.send("/account/signin", &[("name", "admin"), ("password", PASSWORD)]);
    assert!(elsewhere.page.path.starts_with("/account/signin/step"), "{}", elsewhere.page.path);
    elsewhere.send("/account/signin/step", &[("code", "000000")]);
    assert_eq!(elsewhere.status(), 401, "{}", elsewhere.text());
    elsewhere.send("/account/signin/step", &[("code", &codes[0])]);
    assert_eq!((elsewhere.status(), elsewhere.page.path.as_str()), (200, "/account/security"), "{}", elsewhere.text());

    go(&browser, &server, "/account/security");
    assert!(browser.text("main").contains("telephone") && browser.text("main").contains("not used yet"));
    sign_out(&browser);
    go(&browser, &server, "/account/signin?next=/home/hello");
    browser.click("form[data-passkey] button");
    // With its page: one that is still on its way would take the place of the next.
    await_that("the way in", || {
        browser.address().ends_with("/home/hello") && browser.text("main").contains("README.md")
    });
    go(&browser, &server, "/account/security");
    assert!(browser.text("main").contains("last used"), "{}", browser.text("main"));
    // After the password, too.
    sign_out(&browser);
    by_password_and_passkey(&browser, &server);
    // Without the password nothing is made.
    go(&browser, &server, "/account/security");
    change(&browser, "document.querySelectorAll('details').forEach((part) => { part.open = true; })");
    browser.write("form[action$='/passkeys'] input[name=name]", "mine");
    browser.write("form[action$='/passkeys'] input[name=password]", "a wrong password");
    browser.click("form[action$='/passkeys'] button");
    await_that("it is refused", || browser.text("main").contains("not your password"));
    // A second one of the same authenticator is refused by it; removing the last one turns the second step off.
    add(&browser, &server, "again");
    await_that("it is there already", || browser.text("main").contains("has a passkey for you already"));
    go(&browser, &server, "/account/security");
    change(&browser, "document.querySelectorAll('details').forEach((part) => { part.open = true; })");
    browser.write("form[action$='/remove'] input[name=password]", PASSWORD);
    browser.click("form[action$='/remove'] button");
    await_that("it was removed", || browser.text("main").contains("The passkey was removed."));
    assert!(server.cli().json(&["account", "list"])[0]["two_step"] == false);
    sign_out(&browser);
    browser.click("form[data-passkey] button");
    await_that("it is known no more", || browser.text("main").contains("not known here"));
    let records = server.cli().ok(&["audit"]);
    for said in [
        "got a passkey, `telephone`",
        "the passkey `telephone` was taken from `admin`",
        "this passkey is not known here",
    ] {
        assert!(records.contains(said), "{said}: {records}");
    }
}

#[test]
fn a_passkey_that_makes_sure_of_nobody_is_a_second_step_and_no_more() {
    let server = server();
    let browser = Browser::start(DESK);
    browser.authenticator(false);
    sign_in(&browser, &server);
    add(&browser, &server, "key");
    await_that("recovery codes", || browser.text("main").contains("Your recovery codes"));
    go(&browser, &server, "/account/security");
    let id = browser.run(
        "arguments[arguments.length - 1](document.querySelector('form[action$=\"/remove\"]').action.split('/').at(-2))",
    );
    sign_out(&browser);
    // The browser does not even offer it; told to, it does, and the server looks.
    browser.click("form[data-passkey] button");
    await_that("it is not offered", || browser.text("main").contains("No passkey was used"));
    let offered = json!({ "userVerification": "discouraged", "allowCredentials": [id] });
    change(
        &browser,
        &format!(
            "const form = document.querySelector('form[data-passkey]'); \
             form.dataset.passkey = JSON.stringify({{ ...JSON.parse(form.dataset.passkey), ...{offered} }})"
        ),
    );
    browser.click("form[data-passkey] button");
    await_that("it is refused", || browser.text("main").contains("did not make sure that it is you"));
    by_password_and_passkey(&browser, &server);
}

#[test]
fn an_answer_of_a_passkey_is_good_once_and_where_it_was_asked_for() {
    let server = server();
    let browser = Browser::start(DESK);
    browser.authenticator(true);
    sign_in(&browser, &server);
    add(&browser, &server, "telephone");
    await_that("recovery codes", || browser.text("main").contains("Your recovery codes"));
    go(&browser, &server, "/account/security");
    sign_out(&browser);
    // A thief has what the form sends, and sends it as well.
    change(
        &browser,
        "HTMLFormElement.prototype.submit = function () { \
           window.taken = new URLSearchParams(new FormData(this)).toString(); document.title = 'taken'; }",
    );
    browser.click("form[data-passkey] button");
    await_that("it was taken", || browser.run("arguments[arguments.length - 1](document.title)") == "taken");
    let taken = browser.run("arguments[arguments.length - 1](window.taken)").as_str().expect("a form").to_owned();
    let pairs: Vec<(String, String)> = taken
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%2F", "/")))
        .collect();
    // In a browser of its own it is not what was asked there.
    let mut thief = Visitor::at(&server.host().replace("127.0.0.1", "localhost"));
    thief.go("/account/signin");
    let html = thief.html();
    let token = html.split("name=\"form_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let token = token.expect("a form's token").to_owned();
    let mut own = pairs.clone();
    own.iter_mut().filter(|(name, _)| name == "form_token").for_each(|(_, value)| value.clone_from(&token));
    thief.post("/account/signin/passkey", &own);
    assert_eq!(thief.status(), 401, "{}", thief.text());
    assert_eq!(thief.cookie("doorward_session"), "");
    // In the same browser it lets in once.
    let send = json!({ "body": taken });
    let script = format!(
        "const done = arguments[arguments.length - 1]; const sent = {send}; \
         fetch('/account/signin/passkey', {{ method: 'POST', body: sent.body, redirect: 'manual', \
           headers: {{ 'Content-Type': 'application/x-www-form-urlencoded' }} }}).then((answer) => done(answer.type + answer.status))"
    );
    assert_eq!(browser.run(&script), "opaqueredirect0");
    let again = browser.run(&script);
    assert!(again == "basic401" || again == "basic403", "{again}");
}

#[test]
fn at_an_address_without_a_name_there_are_no_passkeys_and_that_is_said() {
    let server = server();
    let mut ada = Visitor::signed_in(&server, "admin");
    assert!(
        ada.go("/account/security").text().contains("Passkeys are for the address that people use"),
        "{}",
        ada.text()
    );
    let mut stranger = Visitor::new(&server);
    assert!(!stranger.go("/account/signin").html().contains("data-passkey"));
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let answer = server.http().post("/account/signin/passkey", &form, b"id=AA");
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[test]
fn without_scripts_there_is_no_button_for_what_takes_one() {
    let server = server();
    let browser = Browser::start(Look { scripts: false, ..DESK });
    go(&browser, &server, "/account/signin");
    assert_eq!(browser.text("form[data-passkey]"), "");
    assert!(browser.text("main").contains("Sign in"));
}
