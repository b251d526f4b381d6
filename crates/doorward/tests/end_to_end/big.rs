//! Large things: a long history that is imported and worked on, and a gigabyte in each direction.

use std::fs::{self, File};
use std::io::Write;

use doorward_testkit::{History, write_history};

use crate::server;

#[test]
fn a_history_of_thousands_of_commits_is_imported_cloned_fetched_and_pushed_to() {
    let server = server();
    let git = server.git();
    let source = server.directory().join("source.git");
    write_history(&git, &source, History { commits: 6000, binary_bytes: 20_000 });
    let source_text = source.to_string_lossy().into_owned();
    server.cli().ok(&["repository", "create", "home/long", "--import", &source_text]);
    let (url, bare) = (server.url_of("home/long"), server.bare("home/long"));
    let refs = |directory: &std::path::Path| git.ok(directory, &["for-each-ref", "--format=%(objectname) %(refname)"]);
    assert_eq!(refs(&bare), refs(&source));
    assert!(git.ok(&bare, &["config", "--list", "--local"]).lines().all(|line| !line.starts_with("remote.")));

    git.ok(server.directory(), &["clone", "-q", &url, "long"]);
    let clone = server.directory().join("long");
    assert_eq!(git.ok(&clone, &["rev-list", "--count", "--all"]), "6000");
    assert!(
        git.ok(&clone, &["rev-list", "--count", "--merges", "--all"]).parse::<usize>().is_ok_and(|merges| merges > 500)
    );
    assert_eq!(git.ok(&clone, &["tag"]).lines().count(), 120);
    git.ok(&clone, &["fsck", "--full", "--strict"]);

    git.ok(server.directory(), &["clone", "-q", &url, "other"]);
    let commit = git.commit(&clone, "assets/100.bin", "replaced\n");
    git.ok(&clone, &["push", "-q", "origin", "main", "HEAD:refs/tags/pushed"]);
    git.ok(&server.directory().join("other"), &["pull", "-q", "--ff-only"]);
    assert_eq!(git.ok(&server.directory().join("other"), &["rev-parse", "HEAD"]), commit);

    // The same over HTTP, with a token in the URL: from one server's repository into another.
    server.cli().ok(&["repository", "create", "home/copy", "--import", &url]);
    assert_eq!(refs(&server.bare("home/copy")), refs(&bare));
}

#[test]
fn a_gigabyte_is_pushed_and_cloned_in_less_than_100_mib_of_the_servers_own_memory() {
    let mut server = server();
    let git = server.git().set("core.compression", "0").set("core.bigFileThreshold", "1m").set("http.postBuffer", "1m");
    git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, "clone"]);
    let clone = server.directory().join("clone");
    // Sixteen files of 64 MiB that do not compress and have nothing in common.
    let mut state = 1_u64;
    for number in 0..16 {
        let mut file = File::create(clone.join(format!("part{number}"))).expect("made");
        for _ in 0..64 {
            let mut block = Vec::with_capacity(1 << 20);
            while block.len() < 1 << 20 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                block.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
            }
            file.write_all(&block).expect("written");
        }
    }
    git.ok(&clone, &["add", "."]);
    git.ok(&clone, &["commit", "-q", "-m", "A gigabyte"]);
    let idle = server.memory("VmHWM");
    git.ok(&clone, &["push", "-q", "origin", "main"]);
    let pushed = server.memory("VmHWM");
    fs::remove_dir_all(&clone).expect("removed");
    // A new server looks through what the old one has left.
    server.restart();
    git.ok(server.directory(), &["clone", "-q", "--bare", &server.up().clone_url, "again.git"]);
    let cloned = server.memory("VmHWM");
    println!(
        "memory of the server's own: {} MiB idle, {} after the push, {} after the clone",
        idle >> 20,
        pushed >> 20,
        cloned >> 20
    );
    let size = git.ok(&server.directory().join("again.git"), &["count-objects", "-v"]);
    let kilobytes =
        size.lines().find_map(|line| line.strip_prefix("size-pack: ")).and_then(|text| text.parse::<u64>().ok());
    assert!(kilobytes.is_some_and(|kilobytes| kilobytes > 1_000_000), "{size}");
    assert!(cloned < 100 << 20, "{cloned} bytes");
}
