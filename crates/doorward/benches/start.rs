//! What a start of the client costs, beside git's own helper: `cargo bench -p doorward`.

use std::io::Write;
use std::process::{Command, Stdio};

use divan::Bencher;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");
const QUESTION: &[u8] = b"protocol=https\nhost=bitbucket.org\n\n";

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn doorward_answers_git(bencher: Bencher<'_, '_>) {
    let home = home();
    bencher.bench(|| ask(&home, Command::new(PROGRAM).args(["credential", "get"])));
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn git_credential_store_answers_git(bencher: Bencher<'_, '_>) {
    let home = home();
    bencher.bench(|| ask(&home, Command::new("git").args(["credential-store", "get"])));
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn a_process_that_does_nothing(bencher: Bencher<'_, '_>) {
    let home = home();
    bencher.bench(|| Command::new("true").env_clear().env("HOME", home.path()).status().expect("true runs"));
}

/// A home in which both helpers have a token.
fn home() -> TempDir {
    let home = TempDir::new().expect("a directory");
    let token = "dwo_7k2m9q4x1v3bsomethingopaque";
    std::fs::write(home.path().join(".git-credentials"), format!("https://ada:{token}@bitbucket.org\n"))
        .expect("written");
    let mut add = Command::new(PROGRAM);
    add.env_clear().env("HOME", home.path()).args(["credential", "add", "https://bitbucket.org"]);
    let mut child = add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("doorward starts");
    child.stdin.take().expect("its input").write_all(b"opaque-token").expect("written");
    assert!(child.wait().expect("it ends").success());
    // Noted as accepted, as it is in daily use: then an answer writes nothing.
    let told = "protocol=https\nhost=bitbucket.org\nusername=x-token-auth\npassword=opaque-token\n\n";
    let mut store = Command::new(PROGRAM);
    store.env_clear().env("HOME", home.path()).args(["credential", "store"]);
    let mut child = store.stdin(Stdio::piped()).spawn().expect("doorward starts");
    child.stdin.take().expect("its input").write_all(told.as_bytes()).expect("written");
    assert!(child.wait().expect("it ends").success());
    home
}

fn ask(home: &TempDir, command: &mut Command) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", home.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("its input").write_all(QUESTION).expect("written");
    let answer = child.wait_with_output().expect("it ends").stdout;
    assert!(answer.windows(9).any(|word| word == b"password="), "{}", String::from_utf8_lossy(&answer));
}
