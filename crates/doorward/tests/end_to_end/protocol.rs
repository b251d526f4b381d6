//! What git can do over HTTPS, done with real git.

use std::path::PathBuf;

use doorward_testkit::{Git, Server};

use crate::{server, server_with};

/// A server with a repository of a few branches, tags and merges, and a clone of it.
fn with_history() -> (Server, Git, PathBuf) {
    let server = server();
    let git = server.git();
    git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, "clone"]);
    let clone = server.directory().join("clone");
    for number in 0..10 {
        git.commit(&clone, &format!("file{number}"), &format!("{number}\n").repeat(1000));
    }
    git.ok(&clone, &["tag", "light"]);
    git.ok(&clone, &["tag", "-a", "-m", "Annotated", "v1"]);
    git.ok(&clone, &["checkout", "-q", "-b", "side", "HEAD~5"]);
    git.commit(&clone, "side", "side\n");
    git.ok(&clone, &["push", "-q", "origin", "main", "side", "--tags"]);
    (server, git, clone)
}

#[test]
fn all_three_protocol_versions_clone_fetch_and_push() {
    let (server, git, clone) = with_history();
    for version in ["0", "1", "2"] {
        let git = git.clone().set("protocol.version", version);
        let other = server.directory().join(format!("v{version}"));
        git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, &format!("v{version}")]);
        git.ok(&other, &["fsck", "--strict"]);
        git.ok(&clone, &["checkout", "-q", "main"]);
        let commit = git.commit(&clone, "next", version);
        git.ok(&clone, &["push", "-q", "origin", "main"]);
        git.ok(&other, &["fetch", "-q"]);
        assert_eq!(git.ok(&other, &["rev-parse", "origin/main"]), commit, "version {version}");
        assert_eq!(git.ok(&other, &["tag"]), "light\nv1");
    }
}

#[test]
fn the_git_of_the_system_serves_as_well_as_a_newer_one() {
    // Debian's is some years older than what developers have.
    let server = server_with(&[("DOORWARD_GIT_PROGRAM", "/usr/bin/git")]);
    server.cli().ok(&["repository", "create", "home/empty"]);
    let git = server.git();
    for version in ["0", "1", "2"] {
        let git = git.clone().set("protocol.version", version);
        let clone = server.directory().join(format!("v{version}"));
        git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, &format!("v{version}")]);
        let commit = git.commit(&clone, "a", version);
        git.ok(&clone, &["push", "-q", "origin", "main"]);
        git.ok(&clone, &["fetch", "-q", "--depth", "1"]);
        assert!(git.ok(&clone, &["ls-remote", "origin", "main"]).contains(&commit), "version {version}");
        let url = server.up().clone_url.replace("hello", "empty");
        assert_eq!(git.ok(server.directory(), &["ls-remote", &url]), "", "version {version}");
    }
}

#[test]
fn the_ending_dot_git_and_capital_letters_do_not_matter() {
    let (server, git, _) = with_history();
    let url = server.up().clone_url.clone();
    for url in [
        url.clone(),
        url.trim_end_matches(".git").to_owned(),
        url.replace("home/hello", "Home/HELLO"),
        format!("{url}/"),
    ] {
        assert!(git.ok(server.directory(), &["ls-remote", &url]).contains("refs/heads/side"), "{url}");
    }
}

#[test]
fn shallow_clones_deepen_and_unshallow() {
    let (server, git, clone) = with_history();
    let url = &server.up().clone_url;
    git.ok(server.directory(), &["clone", "-q", "--depth", "2", url, "shallow"]);
    let shallow = server.directory().join("shallow");
    let count = |git: &Git| git.ok(&shallow, &["rev-list", "--count", "HEAD"]);
    assert_eq!(count(&git), "2");
    git.ok(&shallow, &["fetch", "-q", "--deepen", "3"]);
    assert_eq!(count(&git), "5");
    git.commit(&shallow, "from-shallow", "pushed from a shallow clone\n");
    git.ok(&shallow, &["push", "-q", "origin", "HEAD:main"]);
    git.ok(&shallow, &["fetch", "-q", "--unshallow"]);
    assert_eq!(count(&git), "12");
    git.ok(server.directory(), &["clone", "-q", "--shallow-since", "2020-01-01", url, "since"]);
    git.ok(server.directory(), &["clone", "-q", "--shallow-exclude", "light", url, "exclude"]);
    git.ok(&clone, &["fetch", "-q"]);
}

#[test]
fn partial_clones_fetch_what_they_lack_when_it_is_needed() {
    let (server, git, _) = with_history();
    let url = &server.up().clone_url;
    for (name, filter, version) in
        [("blobless", "blob:none", "2"), ("treeless", "tree:0", "2"), ("limit", "blob:limit=100", "0")]
    {
        let git = git.clone().set("protocol.version", version);
        git.ok(server.directory(), &["clone", "-q", "--no-checkout", "--filter", filter, url, name]);
        let partial = server.directory().join(name);
        let missing = git.ok(&partial, &["rev-list", "--objects", "--missing=print", "--no-object-names", "HEAD"]);
        assert!(missing.lines().any(|line| line.starts_with('?')), "{name} is not partial");
        git.ok(&partial, &["checkout", "-q", "main"]);
        assert!(partial.join("file9").exists());
    }
}

#[test]
fn single_branches_and_single_tags_can_be_cloned() {
    let (server, git, _) = with_history();
    let url = &server.up().clone_url;
    git.ok(server.directory(), &["clone", "-q", "--single-branch", "--branch", "side", url, "single"]);
    let branches = git.ok(&server.directory().join("single"), &["branch", "-r"]);
    assert!(branches.contains("origin/side") && !branches.contains("origin/main"), "{branches}");
    git.ok(server.directory(), &["clone", "-q", "--branch", "v1", "--depth", "1", url, "tag"]);
}

#[test]
fn a_mirror_push_makes_the_same_refs_and_a_mirror_clone_gets_them() {
    let (server, git, clone) = with_history();
    server.cli().ok(&["repository", "create", "home/mirror"]);
    let url = server.url_of("home/mirror");
    git.ok(&clone, &["notes", "add", "-m", "A note"]);
    git.ok(&clone, &["update-ref", "refs/custom/thing", "HEAD"]);
    git.ok(&clone, &["push", "-q", "--mirror", &url]);
    let local = git.ok(&clone, &["for-each-ref", "--format=%(objectname) %(refname)"]);
    git.ok(server.directory(), &["clone", "-q", "--mirror", &url, "mirror"]);
    let remote = git.ok(&server.directory().join("mirror"), &["for-each-ref", "--format=%(objectname) %(refname)"]);
    assert_eq!(local, remote);
    assert!(remote.contains("refs/custom/thing") && remote.contains("refs/notes/commits"));
    git.ok(&clone, &["update-ref", "-d", "refs/custom/thing"]);
    git.ok(&clone, &["push", "-q", "--mirror", &url]);
    assert!(!git.ok(&clone, &["ls-remote", &url]).contains("refs/custom/thing"));
    // Git refuses to create `refs/stash`, and nothing else because of it.
    git.ok(&clone, &["update-ref", "refs/stash", "HEAD"]);
    git.ok(&clone, &["branch", "beside-a-stash"]);
    let outcome = git.run(&clone, &["push", &url, "beside-a-stash", "refs/stash"]);
    assert!(outcome.stderr.contains("refs/stash (funny refname)"), "{}", outcome.stderr);
    assert!(git.ok(&clone, &["ls-remote", &url]).contains("refs/heads/beside-a-stash"));
}

#[test]
fn refs_are_created_moved_forced_and_deleted() {
    let (_server, git, clone) = with_history();
    git.ok(&clone, &["push", "-q", "origin", "side:refs/heads/feature/one", "main:refs/tags/v2"]);
    let behind = git.run(&clone, &["push", "origin", "main~3:refs/heads/main"]);
    assert!(!behind.ok && behind.stderr.contains("non-fast-forward"), "{}", behind.stderr);
    git.ok(&clone, &["push", "-q", "--force", "origin", "main~3:refs/heads/main"]);
    git.ok(&clone, &["push", "-q", "origin", "--delete", "feature/one", "refs/tags/v2"]);
    let refs = git.ok(&clone, &["ls-remote", "origin"]);
    assert!(!refs.contains("feature/one") && !refs.contains("refs/tags/v2"), "{refs}");
    assert!(refs.contains(&format!("{}\trefs/heads/main", git.ok(&clone, &["rev-parse", "main~3"]))), "{refs}");
    let lease = git
        .run(&clone, &["push", "--force-with-lease=main:0123456789012345678901234567890123456789", "origin", "main"]);
    assert!(!lease.ok, "a stale lease must not be honoured");
}

#[test]
fn an_atomic_push_updates_all_refs_or_none() {
    let (server, git, clone) = with_history();
    let git_dir = server.bare("home/hello");
    git.ok(&clone, &["push", "-q", "--atomic", "origin", "main:refs/heads/one", "side:refs/heads/two"]);
    // A ref that cannot be: `one` is a branch, so nothing can be below it.
    let failed = git.run(&clone, &["push", "--atomic", "origin", "main:refs/heads/three", "main:refs/heads/one/below"]);
    assert!(!failed.ok, "{}", failed.stderr);
    let refs = git.ok(&git_dir, &["for-each-ref", "--format=%(refname)"]);
    assert!(refs.contains("refs/heads/two") && !refs.contains("refs/heads/three"), "{refs}");
}

#[test]
fn push_options_are_taken() {
    let (_server, git, clone) = with_history();
    git.ok(&clone, &["push", "-q", "-o", "ci.skip", "-o", "topic=x", "origin", "main:refs/heads/with-options"]);
    assert!(git.ok(&clone, &["ls-remote", "origin"]).contains("refs/heads/with-options"));
}

#[test]
fn an_empty_repository_is_cloned_and_its_first_push_names_its_head() {
    let server = server();
    let git = server.git();
    server.cli().ok(&["repository", "create", "home/empty"]);
    let url = server.url_of("home/empty");
    git.ok(server.directory(), &["clone", "-q", &url, "empty"]);
    let clone = server.directory().join("empty");
    git.ok(&clone, &["checkout", "-q", "-b", "trunk"]);
    git.commit(&clone, "a", "a\n");
    git.ok(&clone, &["push", "-q", "origin", "trunk"]);
    assert!(git.ok(&clone, &["ls-remote", "--symref", "origin", "HEAD"]).contains("ref: refs/heads/trunk\tHEAD"));
    git.ok(server.directory(), &["clone", "-q", &url, "again"]);
    assert!(server.directory().join("again/a").exists());
}

#[test]
fn the_head_of_a_repository_can_be_set_to_a_branch_that_exists() {
    let (server, git, clone) = with_history();
    assert_eq!(server.cli().ok(&["repository", "head", "home/hello"]), "refs/heads/main\n");
    assert_eq!(server.cli().ok(&["repository", "head", "home/hello", "side"]), "refs/heads/side\n");
    assert!(git.ok(&clone, &["ls-remote", "--symref", "origin", "HEAD"]).contains("ref: refs/heads/side\tHEAD"));
    assert_eq!(server.cli().run(&["repository", "head", "home/hello", "nope"]).code, Some(3));
    let current = git.run(&clone, &["push", "origin", "--delete", "side"]);
    assert!(!current.ok && current.stderr.contains("deletion of the current branch prohibited"), "{}", current.stderr);
    git.ok(&clone, &["push", "-q", "origin", "--delete", "main"]);
}

#[test]
fn a_sha_256_repository_is_cloned_and_pushed_to() {
    let server = server();
    let git = server.git();
    server.cli().ok(&["repository", "create", "home/wide", "--object-format", "sha256"]);
    let url = server.url_of("home/wide");
    git.ok(server.directory(), &["init", "-q", "--object-format=sha256", "wide"]);
    let clone = server.directory().join("wide");
    let commit = git.commit(&clone, "a", "a\n");
    assert_eq!(commit.len(), 64);
    git.ok(&clone, &["push", "-q", &url, "main"]);
    for version in ["0", "2"] {
        let git = git.clone().set("protocol.version", version);
        git.ok(server.directory(), &["clone", "-q", &url, &format!("wide{version}")]);
        assert_eq!(git.ok(&server.directory().join(format!("wide{version}")), &["rev-parse", "HEAD"]), commit);
    }
}

#[test]
fn large_requests_come_compressed_and_in_chunks_and_are_understood() {
    let (server, git, clone) = with_history();
    // Many references on both sides make git compress its question.
    let head = git.ok(&clone, &["rev-parse", "HEAD"]);
    let refs: String = (0..2000).map(|n| format!("create refs/tags/many-{n} {head}\n")).collect();
    let mut update = git.command(&clone, &["update-ref", "--stdin"]);
    let mut child = update.stdin(std::process::Stdio::piped()).spawn().expect("git runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("its input"), refs.as_bytes()).expect("git reads");
    assert!(child.wait().expect("git ends").success());
    // A small buffer makes git send its pack in chunks.
    let chunked = git.clone().set("http.postBuffer", "1024");
    chunked.ok(&clone, &["push", "-q", "origin", "--tags"]);
    git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, "other"]);
    let other = server.directory().join("other");
    for number in 0..300 {
        git.ok(&other, &["commit", "-q", "--allow-empty", "-m", &format!("Local {number}")]);
    }
    git.ok(&clone, &["checkout", "-q", "main"]);
    let commit = git.commit(&clone, "new", "new\n");
    git.ok(&clone, &["push", "-q", "origin", "main"]);
    git.clone().set("protocol.version", "0").ok(&other, &["fetch", "-q"]);
    assert_eq!(git.ok(&other, &["rev-parse", "origin/main"]), commit);
}

#[test]
fn a_gzip_question_and_one_that_waits_for_leave_are_answered() {
    let (server, _, _) = with_history();
    let bearer = format!("Authorization: Bearer {}", server.up().token);
    let question = b"0014command=ls-refs\n0000";
    let mut gzip = std::process::Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip runs");
    std::io::Write::write_all(&mut gzip.stdin.take().expect("its input"), question).expect("gzip reads");
    let compressed = gzip.wait_with_output().expect("gzip ends").stdout;
    let headers = [&bearer, "Content-Type: application/x-git-upload-pack-request", "Git-Protocol: version=2"];
    let plain = server.http().post("/home/hello.git/git-upload-pack", &headers, question);
    let packed = server.http().post(
        "/home/hello.git/git-upload-pack",
        &[&headers[..], &["Content-Encoding: gzip"]].concat(),
        &compressed,
    );
    let waiting = server.http().post(
        "/home/hello.git/git-upload-pack",
        &[&headers[..], &["Expect: 100-continue"]].concat(),
        question,
    );
    assert!(plain.text().contains("refs/heads/side"), "{}", plain.text());
    assert_eq!((plain.status, &plain.body), (packed.status, &packed.body));
    assert_eq!((plain.status, &plain.body), (waiting.status, &waiting.body));
    let unknown = server.http().post(
        "/home/hello.git/git-upload-pack",
        &[&headers[..], &["Content-Encoding: br"]].concat(),
        question,
    );
    assert_eq!(unknown.status, 415);
}

#[test]
fn what_is_not_supported_says_so_and_what_to_do_instead() {
    let (server, git, _) = with_history();
    let dumb = server.http().get("/home/hello.git/info/refs", &[]);
    assert_eq!(dumb.status, 403);
    assert!(
        dumb.text().contains("the dumb HTTP protocol is not supported\nhint: use git 1.6.6 or later"),
        "{}",
        dumb.text()
    );
    assert_eq!(server.http().get("/home/hello.git/HEAD", &[]).status, 403);
    assert_eq!(server.http().get("/home/hello.git/objects/info/packs", &[]).status, 403);
    let mut command = git.command(server.directory(), &["ls-remote", &server.up().clone_url]);
    let outcome = command.env("GIT_SMART_HTTP", "0").output().expect("git runs");
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("remote: repositories are not served as plain files"));
    let archive = server.http().get("/home/hello.git/info/refs?service=git-upload-archive", &[]);
    assert_eq!(archive.status, 403);
    assert!(archive.text().contains("hint: run `git clone --depth 1`"), "{}", archive.text());
    let archive = git.run(server.directory(), &["archive", "--remote", &server.up().clone_url, "HEAD"]);
    assert!(!archive.ok);
}
