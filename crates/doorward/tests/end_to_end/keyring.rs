//! The keyring of a desktop: a real GNOME keyring on a bus of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use doorward_testkit::{Outcome, Sandbox};
use tempfile::TempDir;

use crate::PROGRAM;
use crate::operation::await_that;

/// A session with a bus and an unlocked keyring; both end with it.
struct Session {
    home: TempDir,
    bus: Child,
    address: String,
    keyring: Option<Child>,
}

impl Session {
    fn start() -> Self {
        let home = TempDir::new().expect("a directory");
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon starts (Debian's package of that name)");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().expect("its output")).read_line(&mut address).expect("its address");
        let address = address.trim().to_owned();
        let mut session = Self { home, bus, address, keyring: None };
        session.unlock();
        session
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.home.path());
        command.env("XDG_RUNTIME_DIR", self.home.path()).env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.command(PROGRAM, arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends").into()
    }

    /// Starts the keyring with its password; it is ready once it has its name on the bus.
    fn unlock(&mut self) {
        let mut command = self.command("gnome-keyring-daemon", &["--foreground", "--unlock", "--components=secrets"]);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = spawned.expect("gnome-keyring-daemon starts (Debian's package gnome-keyring)");
        child.stdin.take().expect("its input").write_all(b"password\n").expect("written");
        self.keyring = Some(child);
        await_that("the keyring is on the bus", || {
            let asked = self.bus_call(&["/", "org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
            asked.stdout.contains("true")
        });
    }

    fn lock(&self) {
        let collection = "array:objpath:/org/freedesktop/secrets/collection/login";
        let locked = self.secrets_call(&["org.freedesktop.Secret.Service.Lock", collection]);
        assert!(locked.ok && locked.stdout.contains("login"), "{}{}", locked.stdout, locked.stderr);
    }

    fn secrets_call(&self, call: &[&str]) -> Outcome {
        let to = ["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"];
        self.command("dbus-send", &[&to[..], call].concat()).output().expect("dbus-send runs").into()
    }

    fn bus_call(&self, call: &[&str]) -> Outcome {
        let to = ["--session", "--print-reply", "--dest=org.freedesktop.DBus"];
        self.command("dbus-send", &[&to[..], call].concat()).output().expect("dbus-send runs").into()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in self.keyring.iter_mut().chain([&mut self.bus]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a text stands in a file below a directory.
fn stands_in_a_file(directory: &Path, text: &str) -> bool {
    fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => stands_in_a_file(&path, text),
            false => fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)),
        }
    })
}

#[test]
fn a_token_is_kept_in_the_keyring_given_to_git_and_forgotten() {
    let session = Session::start();
    let sandbox = Sandbox::start(PROGRAM, &["--at", "2026-11-22"]);
    let address = format!("http://{}", sandbox.host());
    let secret = sandbox.secret("api_token", "valid");
    assert!(session.run(&["setup", &address], "").ok);
    let added = session.run(&["credential", "add", &address], secret);
    assert!(added.stdout.contains("in the keyring"), "{}{}", added.stdout, added.stderr);
    let url = format!("{address}/acme/site.git");
    let fetched: Outcome = session.command("git", &["ls-remote", &url]).output().expect("git runs").into();
    assert!(fetched.ok, "{}", fetched.stderr);
    let explained = session.run(&["credential", "explain", &url], "");
    assert!(explained.stdout.contains("from       the keyring, stored for"), "{}", explained.stdout);
    let listed = session.run(&["credential", "list"], "");
    assert!(listed.stdout.contains("api_token") && listed.stdout.contains("accepted on"), "{}", listed.stdout);
    assert!(!stands_in_a_file(session.home.path(), secret));
    // Stored anew, the old one is gone from the keyring; removed, the new one is.
    let items = || {
        session
            .secrets_call(&["org.freedesktop.Secret.Service.SearchItems", "dict:string:string:application,doorward"])
            .stdout
    };
    assert!(session.run(&["credential", "add", &address], sandbox.secret("api_token", "read_only")).ok);
    assert_eq!(items().matches("object path").count(), 1, "{}", items());
    assert!(session.run(&["credential", "remove", &address], "").ok);
    assert_eq!(items().matches("object path").count(), 0, "{}", items());
}

#[test]
fn case_09_a_locked_keyring_says_nothing_about_a_token() {
    let session = Session::start();
    let host = "https://git.example.org";
    let question = "protocol=https\nhost=git.example.org\n\n";
    let added = session.run(&["credential", "add", host, "--username", "ada"], "s3cr3t");
    assert!(added.stdout.contains("in the keyring"), "{}{}", added.stdout, added.stderr);
    session.lock();
    let got = session.run(&["credential", "get"], question);
    assert_eq!((got.code, got.stdout.as_str()), (Some(0), ""));
    assert!(got.stderr.contains("the keyring is locked; unlock it"), "{}", got.stderr);
    // A refusal of what somebody typed meanwhile takes nothing away, and a new one goes where it can be kept.
    let refused =
        session.run(&["credential", "erase"], "protocol=https\nhost=git.example.org\nusername=ada\npassword=x\n\n");
    assert!(refused.ok, "{}", refused.stderr);
    assert!(session.run(&["credential", "list"], "").stdout.contains("https://git.example.org"));
    let strict = session.run(&["credential", "add", "https://other.example.org", "--in", "keyring"], "s");
    assert!(strict.code == Some(1) && strict.stderr.contains("locked"), "{}", strict.stderr);
    let lenient = session.run(&["credential", "add", "https://other.example.org"], "s");
    assert!(
        lenient.stdout.contains("in the vault, since the keyring is locked"),
        "{}{}",
        lenient.stdout,
        lenient.stderr
    );
}

#[test]
fn a_bus_that_takes_a_question_and_never_answers_is_not_waited_for() {
    let home = TempDir::new().expect("a directory");
    let socket = home.path().join("bus");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let silent = std::thread::spawn(move || listener.incoming().flatten().take(1).collect::<Vec<_>>());
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home.path());
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", socket.display()));
    command.args(["credential", "add", "https://git.example.org"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("doorward starts");
    child.stdin.take().expect("its input").write_all(b"s3cr3t").expect("written");
    let outcome: Outcome = child.wait_with_output().expect("it ends").into();
    assert!(
        outcome.stdout.contains("in the vault, since the keyring cannot be used now: it does not answer"),
        "{outcome:?}"
    );
    drop(silent);
}

#[test]
fn without_a_keyring_the_file_is_used_and_nothing_is_started() {
    let home = TempDir::new().expect("a directory");
    let run = |arguments: &[&str]| -> Outcome {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home.path());
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let _ = child.stdin.take().expect("its input").write_all(b"s3cr3t");
        child.wait_with_output().expect("it ends").into()
    };
    let added = run(&["credential", "add", "https://git.example.org"]);
    assert!(added.stdout.ends_with("in the vault\n"), "{}{}", added.stdout, added.stderr);
    let strict = run(&["credential", "add", "https://git.example.org", "--in", "keyring"]);
    assert!(strict.code == Some(1) && strict.stderr.contains("this session has none"), "{}", strict.stderr);
}
