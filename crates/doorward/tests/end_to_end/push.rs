//! What a push may bring, and what is left of one that may not or does not get through.

use std::fs;
use std::io::Write;
use std::path::Path;

use doorward_testkit::Server;

use crate::{server, server_with};

/// A server and a clone of its repository.
fn with_clone(server: &Server) -> std::path::PathBuf {
    server.git().ok(server.directory(), &["clone", "-q", &server.up().clone_url, "clone"]);
    server.directory().join("clone")
}

/// Everything in a repository's object directory and among its refs.
fn files(bare: &Path) -> Vec<String> {
    fn walk(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, found) } else { found.push(path.display().to_string()) }
        }
    }
    let mut found = Vec::new();
    walk(bare, &mut found);
    found.sort();
    found
}

#[test]
fn a_push_that_may_not_be_is_refused_ref_by_ref_and_git_never_starts() {
    let server = server_with(&[("DOORWARD_PUSH_UPDATES", "3"), ("DOORWARD_PUSH_REF_DEPTH", "5")]);
    let clone = with_clone(&server);
    let git = server.git();
    let before = files(&server.bare("home/hello"));
    for (refs, said) in [
        (&["HEAD:refs/doorward/x"][..], "refs below refs/doorward/ belong to the server"),
        (&["HEAD:refs/heads/a/b/c/d"], "has more than 5 components"),
        (
            &["HEAD:refs/heads/a", "HEAD:refs/heads/b", "HEAD:refs/heads/c", "HEAD:refs/heads/d"],
            "the push updates more than 3 refs",
        ),
    ] {
        let outcome = git.run(&clone, &[&["push", "origin"], refs].concat());
        assert!(
            !outcome.ok && outcome.stderr.contains("[remote rejected]") && outcome.stderr.contains(said),
            "{}",
            outcome.stderr
        );
    }
    assert_eq!(files(&server.bare("home/hello")), before);
    let refused = server.cli().json(&["audit", "--refused"]);
    assert_eq!(refused.as_array().map(Vec::len), Some(3));
    assert_eq!(refused[0]["reason"], "push_refused");
    git.ok(&clone, &["push", "-q", "origin", "HEAD:refs/heads/a", "HEAD:refs/heads/b", "HEAD:refs/heads/c"]);
}

#[test]
fn a_pack_that_is_too_large_is_refused_and_leaves_nothing() {
    let server = server_with(&[("DOORWARD_PUSH_PACK_BYTES", "100k")]);
    let clone = with_clone(&server);
    let before = files(&server.bare("home/hello"));
    let noise: String = (0..60_000_u64).map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    server.git().commit(&clone, "large", &noise);
    let outcome = server.git().run(&clone, &["push", "origin", "main"]);
    assert!(!outcome.ok && outcome.stderr.contains("pack exceeds maximum allowed size"), "{}", outcome.stderr);
    assert_eq!(files(&server.bare("home/hello")), before);
}

#[test]
fn objects_that_would_harm_a_client_are_not_let_in() {
    let server = server();
    let clone = with_clone(&server);
    let git = server.git();
    // A tree with an entry named `.git`: a client that checks it out would run what is in it.
    let blob = git.ok(&clone, &["hash-object", "-w", "README.md"]);
    let mut command = git.command(&clone, &["hash-object", "-t", "tree", "-w", "--literally", "--stdin"]);
    let mut child =
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().expect("git runs");
    let name: Vec<u8> =
        (0..40).step_by(2).map(|at| u8::from_str_radix(&blob[at..at + 2], 16).expect("hexadecimal")).collect();
    child.stdin.take().expect("its input").write_all(&[b"100644 .git\0", name.as_slice()].concat()).expect("git reads");
    let tree = String::from_utf8(child.wait_with_output().expect("git ends").stdout).expect("a name");
    let commit = git.ok(&clone, &["commit-tree", "-m", "Attack", tree.trim()]);
    let outcome = git.run(&clone, &["push", "origin", &format!("{commit}:refs/heads/attack")]);
    assert!(!outcome.ok && outcome.stderr.contains("hasDotgit"), "{}", outcome.stderr);
    assert!(!git.ok(&clone, &["ls-remote", "origin"]).contains("attack"));
}

#[test]
fn hooks_and_configuration_in_a_repository_are_never_run() {
    let server = server();
    let clone = with_clone(&server);
    let bare = server.bare("home/hello");
    let ran = server.directory().join("ran");
    fs::create_dir_all(bare.join("hooks")).expect("made");
    for hook in ["pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive"] {
        let path = bare.join("hooks").join(hook);
        fs::write(&path, format!("#!/bin/sh\ntouch {}\n", ran.display())).expect("written");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    }
    server.git().commit(&clone, "a", "a\n");
    server.git().ok(&clone, &["push", "-q", "origin", "main"]);
    assert!(!ran.exists(), "a hook was run");
}

#[test]
fn a_push_whose_client_dies_half_way_leaves_nothing() {
    let server = server();
    let before = files(&server.bare("home/hello"));
    let new = "1".repeat(40);
    let mut body = Vec::new();
    let line = format!("{} {new} refs/heads/x\0 report-status side-band-64k\n", "0".repeat(40));
    body.extend(format!("{:04x}{line}0000", line.len() + 4).into_bytes());
    body.extend(b"PACK\0\0\0\x02\0\0\0\x05");
    let head = format!(
        "POST /home/hello.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000000\r\n\r\n",
        server.up().token
    );
    server.http().half_closed(&[head.as_bytes(), &body].concat());
    let log = wait_for(&server, |events| events.iter().any(|event| event == "push.finished"));
    assert!(log.contains(&"push.started".to_owned()), "{log:?}");
    assert_eq!(files(&server.bare("home/hello")), before);
}

#[test]
fn a_push_outlives_the_connection_that_brought_it() {
    let server = server();
    let clone = with_clone(&server);
    let git = server.git();
    // The first push of a server's life sweeps up locks; this one shall find a lock and wait for it.
    git.ok(&clone, &["push", "-q", "origin", "main:refs/heads/first"]);
    let lock = server.bare("home/hello").join("refs/heads/outlived.lock");
    fs::write(&lock, "").expect("written");
    let commit = git.commit(&clone, "a", "a\n");
    let mut pack = git.command(&clone, &["pack-objects", "--stdout", "--revs", "-q"]);
    let mut child =
        pack.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().expect("git runs");
    child.stdin.take().expect("its input").write_all(format!("{commit}\n^{commit}~\n").as_bytes()).expect("git reads");
    let pack = child.wait_with_output().expect("git ends").stdout;
    let line = format!("{} {commit} refs/heads/outlived\0 report-status\n", "0".repeat(40));
    let body = [format!("{:04x}{line}0000", line.len() + 4).into_bytes(), pack].concat();
    let head = format!(
        "POST /home/hello.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-git-receive-pack-request\r\nContent-Length: {}\r\n\r\n",
        server.up().token,
        body.len()
    );
    let mut stream = server.http().connect();
    stream.write_all(&[head.as_bytes(), &body].concat()).expect("sent");
    let count = |events: &[String], what: &str| events.iter().filter(|event| *event == what).count();
    wait_for(&server, |events| count(events, "push.started") == 2);
    drop(stream);
    fs::remove_file(&lock).expect("removed");
    let events = wait_for(&server, |events| count(events, "push.finished") == 2);
    assert_eq!(count(&events, "push.finished"), 2, "{events:?}");
    assert!(
        git.ok(&clone, &["ls-remote", "origin"]).contains("refs/heads/outlived"),
        "{}",
        server.cli().ok(&["audit"])
    );
}

#[test]
fn many_small_pushes_are_rolled_into_few_packs() {
    let server = server();
    let clone = with_clone(&server);
    for number in 0..70 {
        server.git().commit(&clone, "a", &number.to_string());
        server.git().ok(&clone, &["push", "-q", "origin", "main"]);
    }
    let mut server = server;
    // Stopping waits for upkeep that has begun.
    server.restart();
    let packs = files(&server.bare("home/hello")).iter().filter(|file| file.ends_with(".pack")).count();
    assert!(packs < 50, "{packs} packs");
    for end in ["/multi-pack-index", ".bitmap", "/commit-graph-chain"] {
        assert!(files(&server.bare("home/hello")).iter().any(|file| file.ends_with(end)), "no {end}");
    }
    server.git().ok(&server.bare("home/hello"), &["fsck", "--full", "--strict"]);
}

/// Waits until the events in the audit are as they should be, for a minute at most; then returns what there is.
fn wait_for(server: &Server, done: impl Fn(&[String]) -> bool) -> Vec<String> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let rows = server.cli().json(&["audit"]);
        let events: Vec<String> = rows
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|row| row["event"].as_str().map(str::to_owned))
            .collect();
        if done(&events) || std::time::Instant::now() > deadline {
            return events;
        }
    }
}
