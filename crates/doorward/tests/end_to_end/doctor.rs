//! The doctor: cases from the field, reproduced in the sandbox and on our own server, and what it makes of them.

use std::process::{Command, Stdio};

use doorward_testkit::{Outcome, Sandbox};
use serde_json::Value;

use crate::operation::await_that;
use crate::{PROGRAM, server};

/// The doctor in a home of its own.
fn command(home: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
    command.env("GIT_CONFIG_NOSYSTEM", "1").arg("doctor").args(arguments).current_dir(home).stdin(Stdio::null());
    command
}

/// Its verdict, its confidence, its exit code, and all of it.
fn diagnose(command: &mut Command) -> (String, String, i32, Value) {
    let outcome: Outcome = command.arg("--json").output().expect("doorward runs").into();
    let value: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.stderr));
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("confidence"), outcome.code.unwrap_or(-1), value)
}

fn has(diagnosis: &Value, code: &str) -> bool {
    diagnosis["findings"].as_array().is_some_and(|findings| findings.iter().any(|finding| finding["code"] == code))
}

#[test]
fn case_01_a_refusal_that_means_nothing_is_the_providers_trouble() {
    let sandbox = Sandbox::start(PROGRAM, &["--spurious-401", "1"]);
    let url = sandbox.url("ada", sandbox.secret("api_token", "valid"), "acme/site");
    let mut doctor = command(sandbox.directory(), &[&url]);
    let child = doctor.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("doorward starts");
    await_that("it was refused", || sandbox.log().iter().any(|entry| entry["reason"] == "spurious_401"));
    sandbox.control("faults", r#"{"spurious_401": "0"}"#);
    let output = child.wait_with_output().expect("it ends");
    let diagnosis: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), diagnosis["verdict"].as_str()), (Some(12), Some("provider")), "{diagnosis}");
    assert!(diagnosis["remedy"].as_str().is_some_and(|remedy| remedy.contains("doorward run")));
}

#[test]
fn our_own_server_says_itself_what_is_the_case_and_the_doctor_passes_it_on() {
    let server = server();
    let home = server.directory();
    let cli = server.cli();
    let (revoked, revoked_secret) = cli.token("admin", &["read:repository:bitbucket"], &[]);
    cli.ok(&["token", "revoke", &revoked]);
    let (_, unscoped) = cli.token("admin", &[], &["--no-scopes"]);
    let (_, valid) = cli.token("admin", &["read:repository:bitbucket"], &[]);
    for (secret, repository, verdict, told) in [
        (valid.as_str(), "home/hello", "healthy", "can be fetched from"),
        (&revoked_secret, "home/hello", "fixable", "this token was revoked at 20"),
        (&unscoped, "home/hello", "fixable", "has no scopes"),
        (&valid[..40], "home/hello", "fixable", "the end of this token is missing"),
        (&valid, "home/absent", "administrator", "there is no such repository"),
    ] {
        let (found, sure, _, diagnosis) = diagnose(&mut command(home, &[&server.url("admin", secret, repository)]));
        assert_eq!((found.as_str(), sure.as_str()), (verdict, "high"), "{diagnosis}");
        assert!(diagnosis["sentence"].as_str().is_some_and(|text| text.contains(told)), "{diagnosis}");
    }
}

#[test]
fn a_secret_is_shown_neither_where_an_address_cannot_be_read_nor_where_a_helper_has_it() {
    let home = tempfile::tempdir().expect("a directory");
    let url = "https://ada:hunter/2secret@bitbucket.org/acme/site.git";
    let (.., diagnosis) = diagnose(&mut command(home.path(), &["--offline", url]));
    assert!(has(&diagnosis, "remote_unreadable") && !diagnosis.to_string().contains("2secret"), "{diagnosis}");
    let helper = "[credential]\n\thelper = \"!f() { echo username=ada; echo password=hunter2-plain; }; f\"\n";
    std::fs::write(home.path().join(".gitconfig"), helper).expect("written");
    let (.., diagnosis) = diagnose(&mut command(home.path(), &["--offline", "https://git.example.org/a/b"]));
    assert_eq!(diagnosis["helpers"][0]["answers"]["username"], "ada", "{diagnosis}");
    assert!(!diagnosis.to_string().contains("hunter2"), "{diagnosis}");
}

#[test]
fn what_is_mended_is_what_was_meant_and_nothing_else() {
    let home = tempfile::tempdir().expect("a directory");
    let git = doorward_testkit::Git::new(home.path());
    git.ok(home.path(), &["init", "-q", "clone"]);
    let clone = home.path().join("clone");
    // An address with groups in groups, and letters that are told apart, keeps them.
    git.ok(&clone, &["remote", "add", "origin", "https://ada:x@git.example.org/Group/Sub/Project.git"]);
    let (.., diagnosis) = diagnose(command(home.path(), &["--offline", "."]).current_dir(&clone));
    let remedy = diagnosis["findings"][0]["remedy"].as_str().unwrap_or_default().to_owned();
    assert!(remedy.ends_with("git remote set-url origin https://git.example.org/Group/Sub/Project.git"), "{diagnosis}");
    // The header of another host is not taken out.
    let config = "[http \"https://other.example\"]\n\textraHeader = Authorization: Basic b3RoZXI6eA==\n";
    std::fs::write(home.path().join(".gitconfig"), config).expect("written");
    let arguments = ["http://127.0.0.1:1/acme/missing.git"];
    let (.., diagnosis) = diagnose(&mut command(home.path(), &arguments));
    assert!(!has(&diagnosis, "extra_header"), "{diagnosis}");
    // A word within the address is no reason.
    let (verdict, confidence, ..) =
        diagnose(&mut command(home.path(), &["http://127.0.0.1:1/acme/certificate-tool.git"]));
    assert_eq!((verdict.as_str(), confidence.as_str()), ("provider", "high"));
}

#[test]
fn what_one_clone_has_is_stored_for_it_alone_and_what_stands_in_a_header_or_for_ssh_is_left_to_a_person() {
    let sandbox = Sandbox::start(PROGRAM, &["--at", "2026-11-22"]);
    let (home, git) = (sandbox.directory(), sandbox.git());
    let run = |arguments: &[&str], input: &str| -> Outcome {
        use std::io::Write;
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
        command.current_dir(home).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("doorward starts");
        let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends").into()
    };
    let host = format!("http://{}", sandbox.host());
    assert!(run(&["login", &host, "--email", "ada@example.org"], sandbox.secret("api_token", "valid")).ok);
    let bob = sandbox.started()["credentials"].as_array().expect("credentials").iter();
    let bob = bob.filter(|one| one["username"] == "bob").find_map(|one| one["secret"].as_str()).expect("bob's token");
    git.ok(home, &["init", "-q", "other"]);
    git.ok(&home.join("other"), &["remote", "add", "origin", &sandbox.url("bob@example.org", bob, "other/secret")]);
    let fixed = run(&["doctor", "--fix", "other"], "");
    assert_eq!(fixed.code, Some(0), "{}{}", fixed.stdout, fixed.stderr);
    let site = git.run(home, &["ls-remote", &sandbox.url("", "", "acme/site")]);
    assert!(site.ok, "ada's own is still used elsewhere: {}", site.stderr);
    // A header's secret may be the only copy, and SSH may work.
    git.ok(home, &["init", "-q", "header"]);
    git.ok(&home.join("header"), &["remote", "add", "origin", &sandbox.url("", "", "acme/site")]);
    git.ok(&home.join("header"), &["config", "http.extraHeader", "AUTHORIZATION: basic eDp5"]);
    git.ok(home, &["init", "-q", "ssh"]);
    git.ok(&home.join("ssh"), &["remote", "add", "origin", "git@bitbucket.org:acme/site.git"]);
    for clone in ["header", "ssh"] {
        let config = || std::fs::read_to_string(home.join(clone).join(".git/config")).expect("there");
        let before = config();
        let fixed = run(&["doctor", "--fix", clone], "");
        assert_eq!((fixed.code, config()), (Some(10), before), "{}{}", fixed.stdout, fixed.stderr);
    }
}

#[test]
fn what_is_no_address_of_a_repository_is_named_for_what_it_is() {
    let home = tempfile::tempdir().expect("a directory");
    for (subject, finding) in [
        ("ftp://git.example.org/a/b", "remote_of_another_kind"),
        ("file:///srv/git/a.git", "remote_is_local"),
        ("http://", "remote_unreadable"),
        ("bitbucket.org/acme/site/src/main/README.md", "page_address"),
    ] {
        let (.., diagnosis) = diagnose(&mut command(home.path(), &["--offline", subject]));
        assert!(has(&diagnosis, finding), "{subject}: {diagnosis}");
        assert!(!diagnosis.to_string().contains("percent-encoding"), "{subject}: {diagnosis}");
    }
    let nowhere: Outcome = command(home.path(), &["/nonexistent"]).output().expect("doorward runs").into();
    assert!(nowhere.code == Some(3) && nowhere.stderr.contains("no directory"), "{}", nowhere.stderr);
}

#[test]
fn traps_on_this_machine_are_found_without_asking_anybody() {
    let home = tempfile::tempdir().expect("a directory");
    let host = "https://bitbucket.org/acme/site.git";
    let (_, _, code, echo) = diagnose(command(home.path(), &[host, "--offline"]).env("GIT_ASKPASS", "echo"));
    assert_eq!((code, has(&echo, "askpass_echo")), (10, true), "{echo}");
    for (url, finding) in [
        ("git@bitbucket.org:acme/site.git", "remote_is_ssh"),
        ("https://ada:a/b@bitbucket.org/acme/site.git", "remote_unreadable"),
        ("http://ada:x@git.example.org/a/b", "in_the_clear"),
        ("https://ada:%22dwa_quoted%22@git.example.org/a/b", "token_quoted"),
        ("https://ada:dwa_7k2m9q4x1v3b_0123@git.example.org/a/b", "token_truncated"),
        ("https://ada:ATBBsomethingthatwasoncetypedbyhand0@bitbucket.org/a/b", "kind_retired"),
    ] {
        let (_, _, code, diagnosis) = diagnose(&mut command(home.path(), &[url, "--offline"]));
        assert!(code == 10 && has(&diagnosis, finding), "{url}: {diagnosis}");
    }
    // Case 30: another name of the host has another credential, for LFS too.
    let (.., www) = diagnose(&mut command(home.path(), &["https://www.bitbucket.org/a/b.git", "--offline"]));
    assert!(has(&www, "www_host") && www.to_string().contains("use https://bitbucket.org/a/b.git"), "{www}");
    let (verdict, _, code, _) = diagnose(&mut command(home.path(), &["https://bitbucket.org/a/b", "--offline"]));
    assert_eq!((verdict.as_str(), code), ("unknown", 13));
    let nowhere: Outcome = command(home.path(), &[]).output().expect("doorward runs").into();
    assert_eq!(nowhere.code, Some(3), "{}", nowhere.stderr);
    let down = diagnose(&mut command(home.path(), &["http://127.0.0.1:1/a/b"]));
    assert_eq!((down.0.as_str(), down.2), ("provider", 12), "{}", down.3);
}
