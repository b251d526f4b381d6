//! A person stores a token: at a terminal, or through a pipe.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use doorward_testkit::{Outcome, Sandbox};
use serde_json::Value;

use crate::PROGRAM;

fn command(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", sandbox.directory());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("TERM", "xterm").current_dir(sandbox.directory()).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn login(sandbox: &Sandbox, arguments: &[&str], secret: &str) -> Outcome {
    let host = format!("http://{}/acme/site", sandbox.host());
    let arguments = [&["login", &host][..], arguments].concat();
    let mut child = command(sandbox, PROGRAM, &arguments).spawn().expect("doorward starts");
    let _ = child.stdin.take().expect("its input").write_all(secret.as_bytes());
    let outcome: Outcome = child.wait_with_output().expect("it ends").into();
    assert!(secret.len() < 20 || !format!("{outcome:?}").contains(secret), "the secret is printed");
    outcome
}

fn stored(sandbox: &Sandbox) -> Value {
    let output = command(sandbox, PROGRAM, &["credential", "list", "--json"]).output().expect("doorward runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_token_is_tried_on_both_surfaces_stored_and_used_by_git_at_once() {
    let sandbox = Sandbox::start(PROGRAM, &["--at", "2026-11-22"]);
    let outcome = login(&sandbox, &["--email", "ada@example.org"], sandbox.secret("api_token", "valid"));
    assert!(outcome.ok, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("REST    works: Ada") || outcome.stdout.contains("REST    works: ada"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stdout.contains("git     works: http://"), "{}", outcome.stdout);
    let url = sandbox.url("", "", "acme/infra");
    let listed = sandbox.git().run(sandbox.directory(), &["ls-remote", &url]);
    assert!(listed.ok, "{}", listed.stderr);
    // A token that is stored anew takes the place of the old one, under whichever name that stood there.
    assert!(login(&sandbox, &[], sandbox.secret("api_token", "read_only")).ok);
    assert!(login(&sandbox, &[], sandbox.secret("api_token", "valid")).ok);
    assert_eq!(stored(&sandbox).as_array().map(Vec::len), Some(1), "{}", stored(&sandbox));
    // An access token is stored where it is of use.
    let access = login(&sandbox, &[], sandbox.secret("repository_access_token", "valid"));
    assert!(
        access.stdout.contains("REST    knows it, and it acts for nobody: repo_access_token, scopes repository:write"),
        "{}",
        access.stdout
    );
    assert!(access.stdout.contains("/acme/site\n"), "{}", access.stdout);
    let forgotten = command(&sandbox, PROGRAM, &["logout", &format!("http://{}", sandbox.host())]).output();
    assert!(forgotten.expect("doorward runs").status.success() && stored(&sandbox) == Value::Array(Vec::new()));
    let read_only = login(&sandbox, &[], sandbox.secret("api_token", "read_only"));
    assert!(read_only.stdout.contains("it lacks write:repository:bitbucket: it cannot push"), "{}", read_only.stdout);
}

#[test]
fn case_26_what_cannot_work_is_refused_with_its_reason_and_not_stored() {
    let sandbox = Sandbox::start(PROGRAM, &["--at", "2026-11-22"]);
    let valid = sandbox.secret("api_token", "valid");
    for (arguments, secret, told) in [
        (&["--email", "ada@example.org"][..], sandbox.secret("api_token", "unscoped"), "has no Bitbucket scopes"),
        (&["--email", "bob@example.org"], valid, "is not its owner's e-mail address"),
        (&["--email", "ada@example.org"], sandbox.secret("api_token", "revoked"), "does not take this token"),
        (&[], sandbox.secret("api_token", "admin_only"), "git may not fetch"),
        (&[], sandbox.secret("app_password", "valid"), "this is an app password"),
        (&[], &valid[..100], "the end of the token is missing"),
        (&[], "", "no token was given"),
        (&[], "two words", "white space"),
        (&[], "\"quoted\"", "a quote"),
        (&[], "dwa_7k2m9q4x1v3b_0123", "the end of the token is missing"),
    ] {
        let outcome = login(&sandbox, arguments, secret);
        assert!(!outcome.ok && outcome.stderr.contains(told), "{told}: {}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.stderr.contains("nothing was stored"), "{}", outcome.stderr);
    }
    assert_eq!(stored(&sandbox).as_array().map(Vec::len), Some(0));
    // A host that cannot be asked says nothing about a token, and what crosses a network in the clear is not sent.
    let run = |arguments: &[&str]| -> Outcome {
        let mut child = command(&sandbox, PROGRAM, arguments).spawn().expect("starts");
        let _ = child.stdin.take().expect("its input").write_all(valid.as_bytes());
        child.wait_with_output().expect("it ends").into()
    };
    let nowhere = run(&["login", "http://127.0.0.1:1", "--no-setup"]);
    assert!(!nowhere.ok && nowhere.stderr.contains("could not be tried"), "{}", nowhere.stderr);
    let clear = run(&["login", "http://git.example.org"]);
    assert!(clear.code == Some(2) && clear.stderr.contains("is not encrypted"), "{}", clear.stderr);
    let untried = run(&["login", "http://127.0.0.1:1", "--no-setup", "--offline"]);
    assert!(untried.ok, "{}", untried.stderr);
}

#[test]
fn at_a_terminal_the_way_is_told_the_token_is_not_shown_and_giving_up_stores_nothing() {
    let sandbox = Sandbox::start(PROGRAM, &["--at", "2026-11-22"]);
    let secret = sandbox.secret("api_token", "valid");
    let at_terminal = |typed: &str| {
        let line = format!("'{PROGRAM}' login http://{}/acme/site", sandbox.host());
        let mut child = command(&sandbox, "script", &["-qec", &line, "/dev/null"]).spawn().expect("script starts");
        let (mut input, mut output) = (child.stdin.take().expect("input"), child.stdout.take().expect("output"));
        // What is typed before the question would be shown, as it would be by any terminal.
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains("(it is not shown): ") {
            let mut byte = [0];
            assert_eq!(output.read(&mut byte).expect("read"), 1, "{}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        input.write_all(typed.as_bytes()).expect("typed");
        output.read_to_end(&mut shown).expect("read");
        (child.wait().expect("it ends").code(), String::from_utf8_lossy(&shown).into_owned())
    };
    let (code, shown) = at_terminal("ATATThalf\u{3}");
    assert_eq!(code, Some(130), "{shown}");
    assert!(!shown.contains("ATATThalf") && stored(&sandbox) == Value::Array(Vec::new()), "{shown}");
    let (code, shown) = at_terminal(&format!("wrong\u{15}{secret}\r"));
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("doorward token create") && shown.contains("git     works"), "{shown}");
    assert!(!shown.contains(secret) && !shown.contains("wrong"), "{shown}");
}

#[test]
fn shells_complete_the_commands_and_man_shows_them() {
    let sandbox = Sandbox::start(PROGRAM, &[]);
    for (shell, check) in [("bash", "bash -n"), ("zsh", "cat >/dev/null"), ("fish", "cat >/dev/null")] {
        let output = command(&sandbox, PROGRAM, &["completions", shell]).output().expect("doorward runs");
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && script.contains("migrate"), "{shell}");
        let mut child = command(&sandbox, "sh", &["-c", check]).spawn().expect("a shell starts");
        child.stdin.take().expect("its input").write_all(script.as_bytes()).expect("written");
        let checked = child.wait_with_output().expect("it ends");
        assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
    }
    let written = command(&sandbox, PROGRAM, &["manual", "man/man1"]).output().expect("doorward runs");
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let page = std::fs::read_to_string(sandbox.directory().join("man/man1/doorward-credential-add.1")).expect("a page");
    assert!(page.contains("Store a credential"), "{page}");
}
