//! Moving a machine from app passwords to API tokens, and back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use doorward_testkit::{Outcome, Sandbox};
use serde_json::Value;

use crate::PROGRAM;

/// A machine with a home, some clones, and a sandbox that takes no app passwords any more.
struct Machine {
    sandbox: Sandbox,
    host: String,
}

impl Machine {
    fn new() -> Self {
        let sandbox = Sandbox::start(PROGRAM, &["--at", "2026-06-01"]);
        let host = format!("http://{}", sandbox.host());
        Self { sandbox, host }
    }

    fn home(&self) -> &Path {
        self.sandbox.directory()
    }

    fn old(&self) -> &str {
        self.sandbox.secret("app_password", "valid")
    }

    fn new_secret(&self) -> &str {
        self.sandbox.secret("api_token", "valid")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, text).expect("written");
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.home());
        command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(self.home().join("work")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Outcome {
        use std::io::Write;
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
        let outcome: Outcome = child.wait_with_output().expect("it ends").into();
        for secret in [self.old(), self.new_secret()] {
            assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "a secret is printed");
        }
        outcome
    }

    fn migrate(&self, arguments: &[&str]) -> Outcome {
        self.run(&[&["migrate", "--host", &self.host], arguments].concat(), "")
    }

    fn finds(&self) -> Vec<(String, String, bool)> {
        let outcome = self.migrate(&["--json"]);
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.stderr));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = report["finds"].as_array().expect("finds").clone();
        rows.iter().map(|row| (text(&row["path"]), text(&row["found"]), row["by_hand"] == true)).collect()
    }

    fn fetches(&self, clone: &str) -> Outcome {
        self.sandbox.git().run(&self.home().join("work").join(clone), &["fetch", "-q"])
    }
}

/// Everything in the home, but for what doorward keeps for itself.
fn picture(home: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut directories = vec![home.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("read").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with(".local") {
                directories.push(path);
            } else if path.is_file() && !path.ends_with("log") && !path.ends_with("FETCH_HEAD") {
                files.push((path.clone(), fs::read(&path).expect("read")));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn case_43_a_machine_moves_from_app_passwords_to_a_token_in_one_command_and_back() {
    let machine = Machine::new();
    let (old, home) = (machine.old().to_owned(), machine.home().to_owned());
    let host = machine.sandbox.host().to_owned();
    fs::create_dir_all(home.join("work")).expect("made");
    let git = machine.sandbox.git();
    git.ok(&home.join("work"), &["clone", "-q", &machine.sandbox.url("ada", &old, "acme/site"), "site"]);
    git.ok(&home.join("work"), &["clone", "-q", &machine.sandbox.url("ada", &old, "acme/infra"), "infra"]);
    machine.write(".netrc", &format!("machine 127.0.0.1\n  login ada\n  password {old}\n"));
    machine.write(".git-credentials", &format!("http://ada:{old}@{host}\nhttps://ada:x@github.com\n"));
    machine.write("work/site/deploy.sh", &format!("#!/bin/sh\ngit clone http://ada:{old}@{host}/acme/site.git x\n"));
    machine.write("work/site/.gitignore", ".env\nvendor/\n");
    machine.write("work/site/.env", &format!("BITBUCKET_APP_PASSWORD={old}\n"));
    machine.write("work/site/settings.py", &format!("PASSWORD = '{old}'\n"));
    machine.write("work/site/vendor/old.sh", &format!("P={old}\n"));
    let before = picture(&home);
    machine.sandbox.control("clock", r#"{"at": "2026-11-22T00:00:00Z"}"#);
    assert!(machine.fetches("site").stderr.contains("App passwords are deprecated"));

    // Without --apply it only tells.
    let found = machine.finds();
    assert_eq!(picture(&home), before);
    let has = |end: &str, by_hand: bool| found.iter().any(|find| find.0.ends_with(end) && find.2 == by_hand);
    for path in ["site/.git/config", "infra/.git/config", ".git-credentials", "site/deploy.sh", "site/.env"] {
        assert!(has(path, false), "{path}: {found:?}");
    }
    assert!(has("settings.py", true) && !has("vendor/old.sh", false), "{found:?}");
    // Nothing is there yet to move to.
    let without = machine.migrate(&["--apply"]);
    assert!(without.code == Some(3) && without.stderr.contains("doorward login"), "{}", without.stderr);
    assert_eq!(picture(&home), before);

    let stored =
        machine.run(&["credential", "add", &machine.host, "--username", "ada@example.org"], machine.new_secret());
    assert!(stored.ok, "{}", stored.stderr);
    let applied = machine.migrate(&["--apply"]);
    assert!(applied.ok, "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("/acme/site.git  works"), "{}", applied.stdout);
    for clone in ["site", "infra"] {
        let outcome = machine.fetches(clone);
        assert!(outcome.ok, "{}", outcome.stderr);
    }
    let read = |name: &str| fs::read_to_string(home.join(name)).expect("there");
    assert!(read("work/site/deploy.sh").contains("x-bitbucket-api-token-auth:${BITBUCKET_API_TOKEN}@"));
    assert_eq!(read(".git-credentials"), "https://ada:x@github.com\n");
    assert!(applied.stdout.contains("BITBUCKET_API_TOKEN must be set"), "{}", applied.stdout);
    assert_eq!(read("work/site/.env"), format!("BITBUCKET_APP_PASSWORD={}\n", machine.new_secret()));
    let left = machine.finds();
    assert!(left.iter().all(|find| find.2), "{left:?}");

    let undone = machine.migrate(&["--undo"]);
    assert!(undone.ok, "{}", undone.stderr);
    let after = picture(&home).into_iter().filter(|(path, bytes)| !(path.ends_with(".gitconfig") && bytes.is_empty()));
    assert_eq!(after.collect::<Vec<_>>(), before);
    assert_eq!(machine.migrate(&["--undo"]).code, Some(3));
}

#[test]
fn the_persons_own_configuration_goes_back_too_and_a_name_cannot_speak_to_the_terminal() {
    let machine = Machine::new();
    let (old, host) = (machine.old().to_owned(), machine.sandbox.host().to_owned());
    let own = format!("[url \"http://ada:{old}@{host}/\"]\n\tinsteadOf = bb:\n[include]\n\tpath = ~/work.inc\n");
    machine.write(".gitconfig", &own);
    let included = format!("[url \"http://ada:{old}@{host}/\"]\n\tinsteadOf = cc:\n");
    machine.write("work.inc", &included);
    machine.write("work/\u{1b}[31mred\nname/a.env", &format!("P={old}\n"));
    let stored =
        machine.run(&["credential", "add", &machine.host, "--username", "ada@example.org"], machine.new_secret());
    assert!(stored.ok, "{}", stored.stderr);
    let applied = machine.migrate(&["--apply", "--offline"]);
    assert!(applied.ok && !applied.stdout.contains('\u{1b}'), "{}{}", applied.stdout, applied.stderr);
    assert!(
        applied.stdout.lines().any(|line| line.starts_with('\u{fffd}') && line.contains("a.env:1")),
        "{}",
        applied.stdout
    );
    assert!(!fs::read_to_string(machine.home().join(".gitconfig")).expect("there").contains(&old));
    let undone = machine.migrate(&["--undo"]);
    assert!(
        undone.stdout.starts_with("3 files put back as before") && !undone.stdout.contains("left"),
        "{}",
        undone.stdout
    );
    assert_eq!(fs::read_to_string(machine.home().join(".gitconfig")).expect("there"), own);
}

#[test]
fn a_secret_is_not_written_into_what_git_keeps_and_links_are_not_followed() {
    let machine = Machine::new();
    let (old, home) = (machine.old().to_owned(), machine.home().to_owned());
    let outside = machine.write("outside/.env", &format!("P={old}\n"));
    machine.write("work/.env", &format!("P={old}\n"));
    std::os::unix::fs::symlink(home.join("outside"), home.join("work/linked")).expect("a link");
    std::os::unix::fs::symlink(&outside, home.join("work/.env.local")).expect("a link");
    let git = machine.sandbox.git();
    git.ok(&home.join("work"), &["init", "-q"]);
    git.ok(&home.join("work"), &["add", ".env"]);
    let found = machine.finds();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0.ends_with(".env") && found[0].2, "{found:?}");
    // Also where a variable points git elsewhere, as it does within a hook.
    let mut command = machine.command(&["migrate", "--host", &machine.host, "--json"]);
    let output = command.env("GIT_DIR", home.join("outside")).output().expect("doorward runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["finds"][0]["by_hand"], true, "{report}");
}
