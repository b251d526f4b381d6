//! Killed without warning in the middle of pushes, a hundred times: nothing that was acknowledged is lost, nothing is
//! broken, nothing is left behind.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::server;

const ROUNDS: u64 = 100;
const CLIENTS: usize = 4;

#[test]
fn a_hundred_kills_during_pushes_lose_nothing_that_was_acknowledged() {
    let mut server = server();
    let git = server.git();
    let bare = server.bare("home/hello");
    for number in 0..CLIENTS {
        git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, &format!("client{number}")]);
    }
    // For each client, what it pushed and was told is there.
    let acknowledged: Vec<Mutex<Option<String>>> = (0..CLIENTS).map(|_| Mutex::new(None)).collect();
    let (mut pushes, mut cut_off) = (0, 0);
    for round in 0..ROUNDS {
        let (done, failed) = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let clone = server.directory().join(format!("client{number}"));
                    let (git, acknowledged) = (&git, &acknowledged[number]);
                    scope.spawn(move || {
                        let mut done = 0;
                        loop {
                            let commit = git.commit(&clone, "file", &format!("{round} {done}\n"));
                            let refspec = format!("+HEAD:refs/heads/client{number}");
                            if !git.run(&clone, &["push", "-q", "origin", &refspec]).ok {
                                return done;
                            }
                            *acknowledged.lock().expect("nobody panicked") = Some(commit);
                            done += 1;
                        }
                    })
                })
                .collect();
            // The moment wanders over the whole life of a push.
            thread::sleep(Duration::from_millis(20 + round * 37 % 400));
            server.kill();
            let done: usize = clients.into_iter().map(|client| client.join().expect("the client ended")).sum();
            (done, CLIENTS)
        });
        pushes += done;
        cut_off += failed;
        server.start_again();
        // The first push sweeps up what the kill has left, after whatever still runs has ended.
        git.ok(&server.directory().join("client0"), &["push", "-q", "origin", &format!("HEAD:refs/tags/round{round}")]);
        // Git's own checker reads all packs and must not meet upkeep, for which a server that stops waits.
        server.signal(Signal::TERM);
        assert!(server.wait().success());
        assert_eq!(leftovers(&bare), Vec::<String>::new(), "round {round}");
        for (number, commit) in acknowledged.iter().enumerate() {
            let Some(commit) = commit.lock().expect("nobody panicked").clone() else { continue };
            // A later push that was cut off before its answer may have been done as well: then this one is below it.
            let branch = format!("refs/heads/client{number}");
            let kept = git.run(&bare, &["merge-base", "--is-ancestor", &commit, &branch]);
            assert!(kept.ok, "round {round}: {commit} was acknowledged and is not in {branch}: {}", kept.stderr);
        }
        let fsck = git.run(&bare, &["fsck", "--full", "--connectivity-only"]);
        assert!(fsck.ok && !fsck.stderr.contains("error"), "round {round}: {}{}", fsck.stdout, fsck.stderr);
        server.start_again();
    }
    git.ok(&bare, &["fsck", "--full", "--strict"]);
    println!("{ROUNDS} kills, {pushes} pushes acknowledged, {cut_off} cut off, none lost");
    assert!(pushes > 0);
}

/// Locks and temporary files.
fn leftovers(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.ends_with(".lock") || name.starts_with("tmp_") {
            found.push(path.display().to_string());
        } else if path.is_dir() {
            found.extend(leftovers(&path));
        }
    }
    found
}
