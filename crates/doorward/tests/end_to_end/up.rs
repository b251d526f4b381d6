//! From nothing to a clone, and what a second run does.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use doorward_testkit::Cli;
use rustix::process::Signal;
use serde_json::Value;

use crate::operation::await_that;
use crate::{PROGRAM, server};

#[test]
fn one_command_serves_a_repository_that_can_be_cloned_changed_and_pushed() {
    let server = server();
    let git = server.git();
    git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, "clone"]);
    let clone = server.directory().join("clone");
    let commit = git.commit(&clone, "README.md", "changed\n");
    git.ok(&clone, &["push", "-q"]);
    let refs = git.ok(server.directory(), &["ls-remote", &server.up().clone_url, "HEAD"]);
    assert_eq!(refs, format!("{commit}\tHEAD"));
}

#[test]
fn the_first_line_has_everything_and_the_second_run_has_no_token() {
    let directory = tempfile::tempdir().expect("a directory");
    let cli = Cli::new(PROGRAM, &directory.path().join("data"));
    let first = first_line(&cli);
    for key in ["address", "data", "account", "email", "workspace", "repository", "token", "clone_url"] {
        assert!(first[key].is_string(), "{key} in {first}");
    }
    let token = first["token"].as_str().unwrap_or_default();
    assert!(first["clone_url"].as_str().is_some_and(|url| url.contains(token)), "{first}");
    let second = first_line(&cli);
    assert_eq!(second["token"], Value::Null);
    for key in ["account", "email", "workspace", "repository", "data"] {
        assert_eq!(first[key], second[key]);
    }
    let clone_url = second["clone_url"].as_str().unwrap_or_default();
    assert!(clone_url.contains("admin@") && !clone_url.contains("dwa_"), "{clone_url}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused_with_a_remedy() {
    let server = server();
    let outcome = server.cli().run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    let line = outcome.stderr.trim_end();
    assert!(line.starts_with("error: another server is serving ") && line.ends_with("with --data"), "{line}");
}

#[test]
fn the_text_for_people_fits_a_terminal_but_for_the_line_to_copy() {
    let directory = tempfile::tempdir().expect("a directory");
    let cli = Cli::new(PROGRAM, &directory.path().join("data"));
    let mut command = cli.command(&["up", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("doorward starts");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let lines: Vec<String> = output.lines().map_while(Result::ok).take_while(|line| line != "Ctrl-C stops.").collect();
    let _ = child.kill();
    let _ = child.wait();
    assert!(lines.iter().any(|line| line.starts_with("  git clone http://admin:dwa_")), "{lines:#?}");
    for line in lines.iter().filter(|line| !line.contains("git clone") && !line.contains("data")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// Starts `up`, reads its first line, and lets it finish.
fn first_line(cli: &Cli) -> Value {
    let mut command = cli.command(&["up", "--json", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("doorward starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).expect("a process id");
    rustix::process::kill_process(pid, Signal::TERM).expect("the process is there");
    assert!(child.wait().expect("it ends").success());
    serde_json::from_str(&line).expect("one JSON object")
}

#[test]
fn a_first_run_that_cannot_listen_makes_no_token_that_nobody_sees() {
    let directory = tempfile::tempdir().expect("a directory");
    let cli = Cli::new(PROGRAM, &directory.path().join("data"));
    let refused = cli.run(&["up", "--listen", "0.0.0.0:0"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(5), ""), "{}", refused.stderr);
    let first = first_line(&cli);
    assert!(first["token"].is_string(), "{first}");
}

#[test]
fn a_repository_that_the_database_does_not_know_is_never_removed() {
    let mut server = server();
    let orphan = server.cli().data().join("repositories/01999999-0000-7000-8000-000000000000.git");
    let unfinished = server.cli().data().join("repositories/01999999-0000-7000-8000-000000000001.new");
    for directory in [&orphan, &unfinished] {
        std::fs::create_dir(directory).expect("made");
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7 * 86_400);
        std::fs::File::open(directory).and_then(|file| file.set_modified(long_ago)).expect("made old");
    }
    server.restart();
    await_that("the unfinished one is removed", || !unfinished.exists());
    await_that("there is a warning about the other one", || {
        server.log().contains("a repository is not in the database; it is left alone")
    });
    assert!(orphan.exists());
}
