//! Two hundred clients at once while credentials come and go: not one valid credential is refused, not one that was
//! revoked is accepted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use doorward_testkit::{Git, Server};
use rustix::process::Signal;

use crate::server;

const CLIENTS: usize = 200;
const ROUNDS: usize = 3;
const RESTARTS: usize = 3;
const BOTH: [&str; 2] = ["read:repository:bitbucket", "write:repository:bitbucket"];

/// What clients saw, by how it ended.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<&'static str, usize>>);

impl Tally {
    fn count(&self, what: &'static str) {
        *self.0.lock().expect("nobody panicked").entry(what).or_default() += 1;
    }
}

#[test]
fn two_hundred_clients_are_never_refused_while_tokens_come_and_go_and_the_server_restarts() {
    let server = server();
    let git = server.git().set("http.lowSpeedLimit", "1").set("http.lowSpeedTime", "120");
    git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, "seed"]);
    let host = server.host().to_owned();
    let cli = server.cli().clone();
    let directory = server.directory().to_path_buf();
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    // Each client has a token of its own, so that a rotation concerns one.
    let tokens: Vec<RwLock<(String, String)>> =
        (0..CLIENTS).map(|_| RwLock::new(cli.token("admin", &BOTH, &[]))).collect();
    let server = Mutex::new(server);
    let began = Instant::now();
    let highest = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (git, host, tokens, tally, directory) = (&git, &host, &tokens, &tally, &directory);
                scope.spawn(move || client(number, git, host, &tokens[number], directory, tally))
            })
            .collect();
        scope.spawn(|| {
            // Rotation with an overlap: the old secret must go on working while its client still uses it.
            for number in (0..CLIENTS).cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                let old = tokens[number].read().expect("nobody panicked").0.clone();
                let new = cli.json(&["token", "rotate", &old, "--overlap", "1h"]);
                let text = |key: &str| new[key].as_str().unwrap_or_default().to_owned();
                *tokens[number].write().expect("nobody panicked") = (text("id"), text("secret"));
                tally.count("tokens rotated");
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let (id, secret) = cli.token("admin", &BOTH, &[]);
                probe(&git, &host, &secret, &directory, true, &tally);
                cli.ok(&["token", "revoke", &id]);
                probe(&git, &host, &secret, &directory, false, &tally);
            }
        });
        for _ in 0..RESTARTS {
            thread::sleep(Duration::from_secs(3));
            server.lock().expect("nobody panicked").restart();
            tally.count("restarts");
        }
        let mut highest = 0;
        while clients.iter().any(|client| !client.is_finished()) {
            highest = highest.max(server.lock().expect("nobody panicked").memory("VmHWM"));
            thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
        highest
    });
    let tally = tally.0.into_inner().expect("nobody panicked");
    println!(
        "{CLIENTS} clients, {ROUNDS} rounds, {:.0} s, at most {} MiB: {tally:#?}",
        began.elapsed().as_secs_f64(),
        highest >> 20
    );
    let count = |what| tally.get(what).copied().unwrap_or(0);
    assert_eq!(count("valid credential refused"), 0);
    assert_eq!(count("revoked credential accepted"), 0);
    assert_eq!(count("fetches") + count("pushes"), 2 * CLIENTS * ROUNDS);
    assert!(count("revoked credential refused") > 0 && count("tokens rotated") > 0 && count("restarts") == RESTARTS);
    let mut server = server.into_inner().expect("nobody panicked");
    // Git's own checker reads all packs and must not meet upkeep, for which a server that stops waits.
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    git.ok(&server.bare("home/hello"), &["fsck", "--full"]);
    let branches = git.ok(&server.bare("home/hello"), &["for-each-ref", "refs/heads/client/"]).lines().count();
    assert_eq!(branches, CLIENTS);
}

/// Fetches and pushes in turn, each until it succeeds; only a server that is away is a reason to try again.
fn client(number: usize, git: &Git, host: &str, token: &RwLock<(String, String)>, directory: &Path, tally: &Tally) {
    let clone = directory.join(format!("client{number}"));
    git.ok(directory, &["clone", "-q", "--shared", "seed", &format!("client{number}")]);
    let url = || format!("http://admin:{}@{host}/home/hello.git", token.read().expect("nobody panicked").1);
    for round in 0..ROUNDS {
        until_done(tally, "fetches", || git.run(&clone, &["fetch", "-q", &url(), "main"]));
        git.ok(&clone, &["commit", "-q", "--allow-empty", "-m", &format!("Client {number} round {round}")]);
        let refspec = format!("HEAD:refs/heads/client/{number}");
        until_done(tally, "pushes", || git.run(&clone, &["push", "-q", &url(), &refspec]));
    }
}

fn until_done(tally: &Tally, what: &'static str, attempt: impl Fn() -> doorward_testkit::Outcome) {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let outcome = attempt();
        if outcome.ok {
            return tally.count(what);
        }
        if is_refusal(&outcome.stderr) {
            println!("{}", outcome.stderr);
            return tally.count("valid credential refused");
        }
        tally.count("tried again while the server was away");
        assert!(Instant::now() < deadline, "never done: {}", outcome.stderr);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Asks with a credential that is surely valid, or surely revoked.
fn probe(git: &Git, host: &str, secret: &str, directory: &Path, valid: bool, tally: &Tally) {
    let url = format!("http://admin:{secret}@{host}/home/hello.git");
    loop {
        let outcome = git.run(directory, &["ls-remote", "-q", &url, "HEAD"]);
        match (outcome.ok, is_refusal(&outcome.stderr), valid) {
            (true, _, true) => return tally.count("new credential accepted"),
            (true, _, false) => return tally.count("revoked credential accepted"),
            (false, true, true) => return tally.count("valid credential refused"),
            (false, true, false) => return tally.count("revoked credential refused"),
            (false, false, _) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Whether the server said no, rather than nothing.
fn is_refusal(stderr: &str) -> bool {
    ["Authentication failed", "error: 403", "error: 401", "error: 429", "not found"]
        .iter()
        .any(|text| stderr.contains(text))
}

#[test]
fn the_slowest_of_many_at_once_is_served_when_there_are_few_places() {
    let server = crate::server_with(&[("DOORWARD_GIT_LONG_PROCESSES", "2"), ("DOORWARD_GIT_SHORT_PROCESSES", "1")]);
    clone_at_once(&server, 24);
}

fn clone_at_once(server: &Server, count: usize) {
    let git = server.git();
    let children: Vec<_> = (0..count)
        .map(|number| {
            let name = format!("clone{number}");
            git.command(server.directory(), &["clone", "-q", &server.up().clone_url, &name]).spawn().expect("git runs")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("git ends").success());
    }
}
