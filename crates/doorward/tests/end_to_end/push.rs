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

/// Sends a push with this pack, as git would; what the server reports.
fn send(server: &Server, old: &str, new: &str, name: &str, pack: &[u8]) -> String {
    let line = format!("{old} {new} {name}\0report-status");
    let body = [format!("{:04x}{line}0000", line.len() + 4).into_bytes(), pack.to_vec()].concat();
    let authorization = format!("Authorization: Bearer {}", server.up().token);
    let headers = [&*authorization, "Content-Type: application/x-git-receive-pack-request"];
    server.http().post("/home/hello.git/git-receive-pack", &headers, &body).text()
}

/// A pack of some objects and nothing else, whatever they need.
fn pack_of(git: &doorward_testkit::Git, clone: &Path, objects: &str) -> Vec<u8> {
    let mut pack = git.command(clone, &["pack-objects", "-q", "--stdout"]);
    let mut child =
        pack.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().expect("git runs");
    child.stdin.take().expect("its input").write_all(objects.as_bytes()).expect("git reads");
    child.wait_with_output().expect("git ends").stdout
}

/// How many pushes were carried out here, and by `git receive-pack`.
fn carried_out(server: &Server) -> [u64; 2] {
    let text = server.http().get("/metrics", &[]).text();
    ["here", "git"].map(|how| {
        let name = format!("doorward_pushes_total{{how=\"{how}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
    })
}

const NULL: &str = "0000000000000000000000000000000000000000";

#[test]
fn a_push_without_all_that_it_needs_is_refused_whatever_is_missing() {
    let server = server();
    let (git, clone) = (server.git(), with_clone(&server));
    let main = git.ok(&clone, &["rev-parse", "main"]);
    fs::create_dir_all(clone.join("deep/er")).expect("made");
    for file in ["deep/er/file", "other"] {
        fs::write(clone.join(file), file).expect("written");
    }
    git.ok(&clone, &["add", "."]);
    git.ok(&clone, &["commit", "-q", "-m", "deep"]);
    git.ok(&clone, &["commit", "-q", "--allow-empty", "-m", "on top"]);
    let listed = git.ok(&clone, &["rev-list", "--objects", "--no-object-names", "main", &format!("^{main}")]);
    let (objects, head) = (listed.lines().collect::<Vec<_>>(), git.ok(&clone, &["rev-parse", "main"]));
    assert_eq!(objects.len(), 7, "two commits, three trees, two files");
    for missing in &objects {
        let others: String = objects.iter().filter(|id| *id != missing).map(|id| format!("{id}\n")).collect();
        let report = send(&server, NULL, &head, "refs/heads/whole", &pack_of(&git, &clone, &others));
        assert!(report.contains("ng refs/heads/whole "), "without {missing}: {report}");
    }
    let all: String = objects.iter().map(|id| format!("{id}\n")).collect();
    let before = carried_out(&server);
    let report = send(&server, NULL, &head, "refs/heads/whole", &pack_of(&git, &clone, &all));
    assert_eq!(carried_out(&server), [before[0] + 1, before[1]]);
    assert!(report.contains("unpack ok") && report.contains("ok refs/heads/whole"), "{report}");
    let bare = server.bare("home/hello");
    git.ok(&bare, &["fsck", "--full", "--strict"]);
    assert!(!files(&bare).iter().any(|file| file.contains("tmp_objdir")), "{:?}", files(&bare));
}

/// What was never pushed may be in a repository even so, without what it leads to.
#[test]
fn what_lies_in_the_repository_without_what_it_needs_can_be_made_no_branch() {
    let server = server();
    let (git, clone, bare) = (server.git(), with_clone(&server), server.bare("home/hello"));
    let main = git.ok(&clone, &["rev-parse", "main"]);
    let write = |kind: &str, text: &[u8]| {
        fs::write(clone.join("object"), text).expect("written");
        let path = clone.join("object").display().to_string();
        git.ok(&bare, &["hash-object", "-w", "--literally", "-t", kind, &path])
    };
    let signed = "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n";
    let absent = "0123456789012345678901234567890123456789";
    let without_tree = write("commit", format!("tree {absent}\nparent {main}\n{signed}").as_bytes());
    let id: Vec<u8> = (0..20).collect();
    let hollow = write("tree", &[b"100644 file\0", &id[..]].concat());
    let without_file = write("commit", format!("tree {hollow}\nparent {main}\n{signed}").as_bytes());
    let tree = git.ok(&bare, &["rev-parse", "main^{tree}"]);
    let without_parent = write("commit", format!("tree {tree}\nparent {absent}\n{signed}").as_bytes());
    let on_top = write("commit", format!("tree {tree}\nparent {without_parent}\n{signed}").as_bytes());
    let nothing = pack_of(&git, &clone, "");
    for id in [&without_tree, &without_file, &without_parent, &on_top] {
        let report = send(&server, NULL, id, "refs/heads/hollow", &nothing);
        assert!(report.contains("ng refs/heads/hollow "), "{report}");
        assert!(!git.ok(&clone, &["ls-remote", "origin"]).contains("hollow"));
    }
    // And neither can a commit on top of one, in a pack that has all but that.
    let text = format!("tree {tree}\nparent {without_parent}\n{signed}again\n");
    fs::write(clone.join("object"), text).expect("written");
    let top = git.ok(&clone, &["hash-object", "-w", "--literally", "-t", "commit", "object"]);
    let report = send(&server, NULL, &top, "refs/heads/hollow", &pack_of(&git, &clone, &format!("{top}\n")));
    assert!(report.contains("ng refs/heads/hollow "), "{report}");
    for (id, name) in [(&tree, "refs/heads/tree"), (&without_tree, "refs/tags/hollow")] {
        let report = send(&server, NULL, id, name, &nothing);
        assert!(report.contains(&format!("ng {name} ")), "{report}");
    }
    let report = send(&server, NULL, &tree, "refs/tags/tree", &nothing);
    assert!(report.contains("ok refs/tags/tree"), "{report}");
}

#[test]
fn refs_that_cannot_be_beside_each_other_are_not_and_what_has_moved_is_not_overwritten() {
    let server = server();
    let (git, clone, bare) = (server.git(), with_clone(&server), server.bare("home/hello"));
    git.ok(&clone, &["push", "-q", "origin", "main:refs/heads/topic/one", "main:refs/tags/old"]);
    for packed in [false, true] {
        if packed {
            git.ok(&bare, &["pack-refs", "--all"]);
        }
        for crossing in ["refs/heads/topic", "refs/heads/topic/one/more", "refs/heads/main/x", "refs/tags/old/er"] {
            let pushed = git.run(&clone, &["push", "origin", &format!("main:{crossing}")]);
            assert!(!pushed.ok && pushed.stderr.contains("remote rejected"), "{crossing}: {}", pushed.stderr);
        }
    }
    // An administrator moves it in the directory, right before a push that does not know of it.
    let before = git.ok(&clone, &["rev-parse", "main"]);
    server.git().commit(&clone, "a", "mine");
    let (mine, nothing) = (git.ok(&clone, &["rev-parse", "main"]), pack_of(&git, &clone, ""));
    git.ok(&clone, &["push", "-q", "origin", "main:refs/heads/mine"]);
    for packed in [false, true] {
        git.ok(&bare, &["update-ref", "refs/heads/topic/one", &mine, &before]);
        if packed {
            git.ok(&bare, &["pack-refs", "--all"]);
        }
        let report = send(&server, &before, &mine, "refs/heads/topic/one", &nothing);
        assert!(report.contains("ng refs/heads/topic/one"), "{report}");
        let report = send(&server, NULL, &before, "refs/heads/topic/one", &nothing);
        assert!(report.contains("ng refs/heads/topic/one"), "{report}");
        let here = carried_out(&server)[0];
        let report = send(&server, &mine, &before, "refs/heads/topic/one", &nothing);
        assert!(report.contains("ok refs/heads/topic/one"), "{report}");
        assert_eq!(carried_out(&server)[0], here + 1);
    }
    // One that stands for another is moved as git moves it.
    git.ok(&bare, &["symbolic-ref", "refs/heads/alias", "refs/heads/topic/one"]);
    let report = send(&server, &before, &mine, "refs/heads/alias", &nothing);
    assert!(report.contains("ok refs/heads/alias"), "{report}");
    assert_eq!(git.ok(&bare, &["rev-parse", "refs/heads/topic/one"]), mine);
    assert!(!files(&bare).iter().any(|file| file.ends_with(".lock")), "{:?}", files(&bare));
}

#[test]
fn ordinary_pushes_of_git_are_carried_out_here_and_all_others_as_ever() {
    let server = server();
    let (git, clone, bare) = (server.git(), with_clone(&server), server.bare("home/hello"));
    let push = |arguments: &[&str]| git.ok(&clone, &[&["push", "-q", "origin"], arguments].concat());
    let before = carried_out(&server);
    for number in 0..3 {
        server.git().commit(&clone, "a", &number.to_string());
        push(&["main"]);
    }
    git.ok(&clone, &["tag", "-a", "-m", "x", "v1"]);
    push(&["v1", "main~1:refs/heads/older", "main:refs/heads/a/b/c"]);
    push(&["+main~2:refs/heads/older"]);
    push(&["main~3:refs/heads/oldest"]);
    push(&["--push-option=x", "main:refs/heads/with-an-option"]);
    assert_eq!(carried_out(&server), [before[0] + 7, before[1]]);
    push(&["--delete", "older"]);
    push(&["--atomic", "main:refs/heads/one", "main:refs/heads/two"]);
    std::fs::write(clone.join("large"), random(2 << 20)).expect("written");
    git.ok(&clone, &["add", "large"]);
    git.ok(&clone, &["commit", "-q", "-m", "large"]);
    push(&["main"]);
    assert_eq!(carried_out(&server), [before[0] + 7, before[1] + 3]);
    // Git's checker is not to meet upkeep, which what is large has brought about; stopping waits for that.
    let mut server = server;
    server.restart();
    git.ok(&bare, &["fsck", "--full", "--strict"]);
    assert_eq!(git.ok(&bare, &["rev-parse", "main", "v1^{}"]), git.ok(&clone, &["rev-parse", "main", "v1^{}"]));
}

fn random(bytes: usize) -> Vec<u8> {
    use std::io::Read;
    let mut random = vec![0; bytes];
    fs::File::open("/dev/urandom").expect("there").read_exact(&mut random).expect("read");
    random
}

#[test]
fn of_those_who_push_to_one_branch_at_once_one_gets_through() {
    let server = server();
    let (git, clone) = (server.git(), with_clone(&server));
    let nothing = pack_of(&git, &clone, "");
    // Each of its own: a push that changes nothing always gets through.
    for number in 0..40 {
        git.ok(&clone, &["commit", "-q", "--allow-empty", "-m", &number.to_string()]);
    }
    git.ok(&clone, &["push", "-q", "origin", "main"]);
    let commits = git.ok(&clone, &["rev-list", "--reverse", "main"]);
    let commits: Vec<&str> = commits.lines().collect();
    let mut old = NULL.to_owned();
    for round in 0..4 {
        let reports: Vec<String> = std::thread::scope(|scope| {
            let pushing: Vec<_> = (0..8)
                .map(|client| {
                    let (server, old, new, nothing) = (&server, &old, commits[round * 8 + client + 2], &nothing);
                    scope.spawn(move || send(server, old, new, "refs/heads/contested", nothing))
                })
                .collect();
            pushing.into_iter().map(|one| one.join().expect("an answer")).collect()
        });
        let through: Vec<usize> =
            (0..8).filter(|client| reports[*client].contains("ok refs/heads/contested")).collect();
        assert_eq!(through.len(), 1, "{reports:?}");
        let new = commits[round * 8 + through[0] + 2];
        let listed = git.ok(&clone, &["ls-remote", "origin", "refs/heads/contested"]);
        assert!(listed.starts_with(new), "{listed} is not {new}");
        old = new.to_owned();
    }
}
