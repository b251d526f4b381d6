//! One answer for all who ask the same: made once, sent whole to each, and never to one who may not have it.

use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use doorward_testkit::{Git, Response, Server, command, read_answer};

use crate::operation::await_that;
use crate::{server, server_with};

/// A repository on a server, and a clone of it.
struct World {
    server: Server,
    git: Git,
    clone: PathBuf,
}

impl World {
    fn new(server: Server) -> Self {
        let git = server.git();
        git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, "work"]);
        let clone = server.directory().join("work");
        let world = Self { server, git, clone };
        world.commit("a", b"first");
        world
    }

    /// One whose first clone is of this many megabytes that cannot be compressed.
    fn large(server: Server, megabytes: usize) -> Self {
        let world = Self::new(server);
        let mut random = vec![0; megabytes << 20];
        std::fs::File::open("/dev/urandom").expect("there").read_exact(&mut random).expect("read");
        world.commit("large", &random);
        world
    }

    /// Commits and pushes; the commit.
    fn commit(&self, file: &str, content: &[u8]) -> String {
        std::fs::write(self.clone.join(file), content).expect("written");
        self.git.ok(&self.clone, &["add", file]);
        self.git.ok(&self.clone, &["commit", "-q", "-m", file]);
        self.git.ok(&self.clone, &["push", "-q", "origin", "HEAD:main"]);
        self.head()
    }

    fn head(&self) -> String {
        self.git.ok(&self.clone, &["rev-parse", "HEAD"])
    }

    /// How fetches were answered: made, joined, kept, passed.
    fn counts(&self) -> [u64; 4] {
        ["made", "joined", "kept", "passed"].map(|how| self.metric(&format!("fetch_answers_total{{how=\"{how}\"}}")))
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.server.http().get("/metrics", &[]).text();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("doorward_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a number")
    }

    /// Sends a question for objects as the holder of a token, and leaves the answer to be read.
    fn begin(&self, token: &str, arguments: &[&str]) -> TcpStream {
        let authorization = format!("Authorization: Bearer {token}");
        let headers =
            [&*authorization, "Git-Protocol: version=2", "Content-Type: application/x-git-upload-pack-request"];
        self.server.http().begin("/home/hello.git/git-upload-pack", &headers, &command("fetch", &[], arguments))
    }

    fn ask(&self, arguments: &[&str]) -> Response {
        read_answer(&mut self.begin(&self.server.up().token, arguments))
    }

    /// Takes the only places, by reading too slowly what there is no room for: one for those who do so, and the one for clones.
    fn occupied(&self) -> Vec<TcpStream> {
        let want = format!("want {}", self.head());
        let slow = ["ofs-delta", "thin-pack"].map(|flag| {
            let mut slow = self.begin(&self.server.up().token, &[&want, "no-progress", "done", flag]);
            slow.read_exact(&mut [0; 64]).expect("it has begun");
            slow
        });
        slow.into()
    }

    /// Checks that an answer has a pack, which need not be all of the history.
    fn check_shallow(&self, answer: &Response) {
        let (pack, messages) = unpacked(&answer.body);
        assert!(answer.status == 200 && pack.starts_with(b"PACK"), "{}: {messages}", answer.status);
    }

    /// Processes of git's that work in the repository.
    fn processes(&self) -> Vec<String> {
        let repository = self.server.bare("home/hello").canonicalize().expect("it is there");
        let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
        let here = processes.filter(|process| {
            std::fs::read_link(process.path().join("cwd")).is_ok_and(|directory| directory == repository)
        });
        here.map(|process| std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default()).collect()
    }

    /// Checks that an answer ends with a pack that holds a commit.
    fn check(&self, answer: &Response, commit: &str) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (pack, messages) = unpacked(&answer.body);
        assert!(pack.starts_with(b"PACK"), "{messages}");
        let directory = tempfile::tempdir().expect("a directory");
        self.git.ok(directory.path(), &["init", "-q", "--bare", "."]);
        std::fs::write(directory.path().join("pack"), pack).expect("written");
        self.git.ok(directory.path(), &["index-pack", "--strict", "-o", "objects/pack/pack-1.idx", "pack"]);
        std::fs::rename(directory.path().join("pack"), directory.path().join("objects/pack/pack-1.pack"))
            .expect("moved");
        self.git.ok(directory.path(), &["rev-list", "--objects", commit]);
    }
}

/// The bytes of the first side band after the headings, and those of the others.
fn unpacked(mut body: &[u8]) -> (Vec<u8>, String) {
    let (mut pack, mut messages) = (Vec::new(), Vec::new());
    while let Some(digits) = body.get(..4) {
        let length = usize::from_str_radix(&String::from_utf8_lossy(digits), 16).expect("a length").max(4);
        let line = &body[4..length];
        match line.first() {
            Some(1) if pack.is_empty() && !line[1..].starts_with(b"PACK") => {}
            Some(1) => pack.extend_from_slice(&line[1..]),
            Some(2 | 3) => messages.extend_from_slice(&line[1..]),
            _ => {}
        }
        body = &body[length..];
    }
    (pack, String::from_utf8_lossy(&messages).into_owned())
}

#[test]
fn sixteen_who_clone_at_once_share_one_answer_and_later_ones_have_it_too() {
    let world = World::large(server(), 8);
    let clones = |round: &str| {
        let children: Vec<_> = (0..16)
            .map(|number| {
                let name = format!("clone{round}{number}");
                let arguments = ["clone", "-q", "--bare", &world.server.up().clone_url, &name];
                world.git.command(world.server.directory(), &arguments).spawn().expect("git starts")
            })
            .collect();
        assert!(children.into_iter().all(|mut child| child.wait().expect("git ends").success()));
    };
    let [made, joined, kept, passed] = world.counts();
    clones("a");
    let after = world.counts();
    assert_eq!((after[0] - made, after[3]), (1, passed), "{after:?}");
    assert_eq!(after[1] + after[2] - joined - kept, 15, "{after:?}");
    clones("b");
    assert_eq!(world.counts(), [after[0], after[1], after[2] + 16, passed]);
    assert!(world.metric("fetch_answer_bytes") > 8 << 20);
    let clone = world.server.directory().join("clonea3");
    world.git.ok(&clone, &["fsck", "--full", "--strict"]);
    // A new commit is a new question.
    world.commit("b", b"second");
    clones("c");
    assert_eq!(world.counts()[0], after[0] + 1);
    let clone = world.server.directory().join("clonec3");
    assert_eq!(world.git.ok(&clone, &["rev-parse", "main"]), world.head());
}

#[test]
fn an_answer_is_kept_when_it_is_asked_for_a_second_time_and_says_how_long_it_is() {
    let world = World::new(server());
    let commit = world.head();
    let arguments = [&*format!("want {commit}"), "no-progress", "done"];
    let before = world.counts()[0];
    let first = world.ask(&arguments);
    world.check(&first, &commit);
    await_that("what nobody asks for again is gone", || world.metric("fetch_answer_bytes") == 0);
    let second = world.ask(&arguments);
    await_that("the second is kept", || world.metric("fetch_answer_bytes") == second.body.len() as u64);
    // In another order, and by another program, it is the same question.
    let third = world.ask(&["done", "no-progress", &format!("want {commit}")]);
    assert_eq!(third.header("content-length"), second.body.len().to_string());
    assert!(second.body == third.body && unpacked(&first.body) == unpacked(&second.body));
    let [made, _, kept, _] = world.counts();
    assert_eq!((made - before, kept), (2, 1));
}

#[test]
fn what_is_kept_is_not_given_to_one_who_may_not_have_it_any_more() {
    let world = World::new(server());
    let commit = world.head();
    let arguments = [&*format!("want {commit}"), "no-progress", "done"];
    (0..3).for_each(|_| world.check(&world.ask(&arguments), &commit));
    assert_eq!(world.counts()[2], 1);
    let (id, secret) = world.server.cli().token("admin", &["read:repository:bitbucket"], &[]);
    world.check(&read_answer(&mut world.begin(&secret, &arguments)), &commit);
    assert_eq!(world.counts()[2], 2, "another who may have it");
    world.server.cli().ok(&["token", "revoke", &id]);
    assert_eq!(read_answer(&mut world.begin(&secret, &arguments)).status, 401);
    // No ref leads there any more: git has to say.
    world.git.ok(&world.clone, &["commit", "-q", "--amend", "-m", "another"]);
    world.git.ok(&world.clone, &["push", "-q", "--force", "origin", "HEAD:main"]);
    let [made, joined, kept, passed] = world.counts();
    world.ask(&arguments);
    assert_eq!(world.counts(), [made, joined, kept, passed + 1]);
}

#[test]
fn tags_that_are_to_be_sent_along_are_those_of_now() {
    let world = World::new(server());
    let arguments = [&*format!("want {}", world.head()), "no-progress", "include-tag", "done"];
    (0..3).for_each(|_| drop(world.ask(&arguments)));
    let before = world.ask(&arguments);
    world.git.ok(&world.clone, &["tag", "-a", "-m", "a tag", "v1"]);
    world.git.ok(&world.clone, &["push", "-q", "origin", "v1"]);
    let (with, made) = (world.ask(&arguments), world.counts()[0]);
    assert!(with.body.len() > before.body.len());
    world.git.ok(&world.clone, &["push", "-q", "origin", ":refs/tags/v1"]);
    assert_eq!(world.ask(&arguments).body.len(), before.body.len());
    assert_eq!(world.counts()[0], made, "the one from before the tag is kept");
}

#[test]
fn who_asked_first_may_go_and_the_others_still_get_it_whole() {
    let world = World::large(server_with(&[("DOORWARD_CACHE_BYTES", "8m")]), 32);
    let commit = world.head();
    let arguments = [&*format!("want {commit}"), "no-progress", "done"];
    let before = world.counts();
    let token = &world.server.up().token;
    let mut first = world.begin(token, &arguments);
    first.read_exact(&mut [0; 64]).expect("it has begun");
    // There is no room for all of it, so that it cannot be over before the second one comes; but its beginning is there.
    let mut second = world.begin(token, &arguments);
    second.read_exact(&mut [0; 17]).expect("it has begun too");
    drop(first);
    let [made, joined, ..] = world.counts();
    assert_eq!(made + joined - before[0] - before[1], 2);
    let mut rest = Vec::new();
    second.read_to_end(&mut rest).expect("the rest");
    assert!(rest.len() > 32 << 20 && rest.ends_with(b"0\r\n\r\n"), "{}", rest.len());
}

#[test]
fn when_nobody_waits_any_more_the_work_ends() {
    let world = World::large(server_with(&[("DOORWARD_CACHE_BYTES", "1m")]), 32);
    let arguments = [&*format!("want {}", world.head()), "no-progress", "done"];
    let mut gone = world.begin(&world.server.up().token, &arguments);
    gone.read_exact(&mut [0; 64]).expect("it has begun");
    assert!(!world.processes().is_empty());
    drop(gone);
    await_that("git has ended", || world.processes().is_empty());
    await_that("nothing is left of it", || world.metric("fetch_answer_bytes") == 0);
    world.check(&world.ask(&arguments), &world.head());
}

#[test]
fn who_waits_is_told_how_many_are_before_and_who_finds_the_line_full_is_told_to_come_again() {
    let settings = [
        ("DOORWARD_GIT_CLONE_PROCESSES", "1"),
        ("DOORWARD_GIT_LONG_PROCESSES", "1"),
        // Of which one account may have two.
        ("DOORWARD_GIT_WAITING", "8"),
        ("DOORWARD_CACHE_BYTES", "1m"),
        ("DOORWARD_GIT_WAIT", "2s"),
    ];
    let world = World::large(server_with(&settings), 32);
    let large = format!("want {}", world.head());
    let slow = world.occupied();
    let clone = |name: &str, how: &str| {
        let arguments = ["clone", how, "--depth", "1", &world.server.up().clone_url, name];
        let mut clone = world.git.command(world.server.directory(), &arguments);
        clone.stderr(std::process::Stdio::piped()).spawn().expect("git starts")
    };
    let mut told = clone("told", "--progress");
    await_that("one waits", || world.metric("git_waiting") == 1);
    // One that cannot be told waits for a while, and is refused by a status.
    let began = Instant::now();
    let silent = world.begin(&world.server.up().token, &[&large, "no-progress", "done", "ofs-delta"]);
    await_that("two wait", || world.metric("git_waiting") == 2);
    let full = world.ask(&[&large, "no-progress", "done", "thin-pack"]);
    assert_eq!((full.status, full.header("retry-after")), (503, "5"));
    assert!(full.text().contains("too many fetches and pushes wait"), "{}", full.text());
    let silent = read_answer(&mut { silent });
    assert_eq!((silent.status, silent.header("retry-after")), (503, "5"));
    assert!(began.elapsed() >= Duration::from_secs(2));
    read_all(slow);
    let mut said = String::new();
    told.stderr.take().expect("its messages").read_to_string(&mut said).expect("text");
    assert!(told.wait().expect("git ends").success(), "{said}");
    assert!(said.contains("remote: Waiting for a place: yours is the next one"), "{said}");
}

#[test]
fn who_waits_for_long_is_kept_waiting_also_if_it_wants_to_hear_nothing() {
    let world = World::large(server_with(&FEW_PLACES), 32);
    let slow = world.occupied();
    let clones = ["-q", "--progress"].map(|how| {
        let arguments = ["clone", how, "--bare", "--depth", "1", &world.server.up().clone_url, how.trim_matches('-')];
        world.git.command(world.server.directory(), &arguments).spawn().expect("git starts")
    });
    await_that("both wait", || world.metric("git_waiting") == 2);
    // They hear of the server every five seconds, and must make nothing of it.
    let began = Instant::now();
    await_that("they were kept waiting", || began.elapsed() > Duration::from_secs(7));
    assert_eq!(world.metric("git_waiting"), 2);
    read_all(slow);
    for mut clone in clones {
        assert!(clone.wait().expect("git ends").success());
    }
}

#[test]
fn a_credential_that_ends_while_its_holder_waits_is_of_no_use_any_more() {
    let world = World::large(server_with(&FEW_PLACES), 32);
    let large = format!("want {}", world.head());
    let slow = world.occupied();
    let (id, secret) = world.server.cli().token("admin", &["read:repository:bitbucket"], &[]);
    let mut waits = world.begin(&secret, &[&large, "sideband-all", "deepen 1", "done"]);
    let mut begin = [0; 16];
    waits.read_exact(&mut begin).expect("it is told that it waits");
    assert!(begin.starts_with(b"HTTP/1.1 200"));
    world.server.cli().ok(&["token", "revoke", &id]);
    read_all(slow);
    let mut rest = Vec::new();
    waits.read_to_end(&mut rest).expect("the rest");
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("revoked") && !rest.contains("PACK"), "{rest}");
}

#[test]
fn fetches_go_on_when_answers_cannot_be_written_and_nothing_is_left_of_a_server_that_was_killed() {
    let mut world = World::new(server());
    let (cache, commit) = (world.server.cli().data().join("cache"), world.head());
    let arguments = [&*format!("want {commit}"), "no-progress", "done"];
    (0..3).for_each(|_| world.check(&world.ask(&arguments), &commit));
    world.server.kill();
    assert_eq!(files(&cache), 0, "answers have no names");
    std::fs::remove_dir(&cache).expect("it is empty");
    std::fs::write(&cache, "in the way").expect("written");
    world.server.start_again();
    world.check(&world.ask(&arguments), &commit);
    assert_eq!(world.counts(), [0, 0, 0, 1]);
}

#[test]
fn a_slow_reader_for_whose_answer_there_is_no_room_keeps_no_place_from_others() {
    let settings = [("DOORWARD_GIT_CLONE_PROCESSES", "1"), ("DOORWARD_CACHE_BYTES", "1m")];
    let world = World::large(server_with(&settings), 32);
    let arguments = [&*format!("want {}", world.head()), "no-progress", "done"];
    let mut slow = world.begin(&world.server.up().token, &arguments);
    slow.read_exact(&mut [0; 64]).expect("it has begun");
    let other = world.ask(&[&arguments[..], &["deepen 1"]].concat());
    world.check_shallow(&other);
    read_all(vec![slow]);
}

#[test]
fn who_asks_the_same_as_one_with_many_questions_does_not_wait_for_those() {
    let world = World::large(server_with(&FEW_PLACES), 32);
    world.server.cli().ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    world.server.cli().ok(&["permission", "set", "home/hello", "bob", "read"]);
    let (_, bob) = world.server.cli().token("bob", &["read:repository:bitbucket"], &[]);
    let want = format!("want {}", world.head());
    let slow = world.occupied();
    let admin = &world.server.up().token;
    let ask = |token: &str, depth: usize| {
        world.begin(token, &[&want, "sideband-all", "no-progress", "done", &format!("deepen {depth}")])
    };
    let mut many: Vec<TcpStream> = Vec::new();
    for depth in 1..=8 {
        many.push(ask(admin, depth));
        await_that("it waits", || world.metric("git_waiting") == depth as u64);
    }
    // The last of eight, which another one wants too: so it is the second of all.
    let also = ask(&bob, 8);
    await_that("it waits in its own name", || world.metric("git_waiting") == 9);
    let also = thread::spawn(move || read_answer(&mut { also }));
    // The others' own would be in the way only if they were not read.
    read_all(many.pop().into_iter().collect());
    read_all(slow);
    world.check_shallow(&also.join().expect("its end"));
    drop(many);
}

/// One place for clones, and one for those that go on at their readers' pace.
const FEW_PLACES: [(&str, &str); 3] =
    [("DOORWARD_GIT_CLONE_PROCESSES", "1"), ("DOORWARD_GIT_LONG_PROCESSES", "1"), ("DOORWARD_CACHE_BYTES", "1m")];

/// Reads answers to their ends, and drops them.
fn read_all(answers: Vec<TcpStream>) {
    for mut answer in answers {
        thread::spawn(move || std::io::copy(&mut answer, &mut std::io::sink()));
    }
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

/// Of the answers that were made, those that git had no part in.
fn packed(world: &World) -> [u64; 2] {
    [world.metric("fetch_answers_total{how=\"made\"}"), world.metric("fetch_answers_packed_total")]
}

#[test]
fn clones_and_fetches_are_packed_without_git_and_real_git_takes_them() {
    let world = World::new(server());
    let (git, url, directory) = (&world.git, &world.server.up().clone_url, world.server.directory());
    git.ok(directory, &["clone", "-q", url, "reader"]);
    let reader = directory.join("reader");
    for number in 0..5 {
        world.commit(&format!("file{number}"), format!("number {number}\n").repeat(100).as_bytes());
        git.ok(&world.clone, &["tag", "-a", "-m", "x", &format!("v{number}")]);
        git.ok(&world.clone, &["push", "-q", "--tags", "origin"]);
        git.ok(&reader, &["pull", "-q"]);
        git.ok(&reader, &["fsck", "--full", "--strict"]);
        assert_eq!(git.ok(&reader, &["rev-parse", "HEAD"]), world.head());
        // Tags come along.
        git.ok(&reader, &["rev-parse", &format!("v{number}^{{commit}}")]);
    }
    git.ok(directory, &["clone", "-q", "--mirror", url, "mirror"]);
    git.ok(directory, &["clone", "-q", "--branch", "v2", "--single-branch", url, "one"]);
    let [made, packed] = packed(&world);
    assert!(made >= 8 && made == packed, "{packed} of {made}");
    // Histories that are cut off, and objects that are left out, are git's.
    git.ok(directory, &["clone", "-q", "--depth", "1", url, "shallow"]);
    git.ok(directory, &["clone", "-q", "--filter", "blob:none", url, "partial"]);
    let after = self::packed(&world);
    assert!(after[0] > made && after[1] == packed, "{after:?} after {made}");
    git.ok(&directory.join("shallow"), &["fetch", "-q", "--unshallow"]);
    for clone in ["shallow", "partial", "one", "mirror"] {
        git.ok(&directory.join(clone), &["fsck", "--full"]);
    }
}

#[test]
fn a_clone_gets_the_pack_that_upkeep_has_left_and_what_came_since() {
    let mut world = World::large(server(), 3);
    // Stopping waits for upkeep that has begun.
    world.server.restart();
    let bare = world.server.bare("home/hello");
    let names = std::fs::read_dir(bare.join("objects/pack")).expect("there").flatten().map(|entry| entry.path());
    assert!(names.into_iter().any(|path| path.extension().is_some_and(|end| end == "bitmap")), "no bitmaps");
    let (url, directory) = (world.server.url_of("home/hello"), world.server.directory().to_path_buf());
    for (number, clone) in ["first", "second"].iter().enumerate() {
        world.git.ok(&directory, &["clone", "-q", &url, clone]);
        world.git.ok(&directory.join(clone), &["fsck", "--full", "--strict"]);
        assert_eq!(world.git.ok(&directory.join(clone), &["rev-parse", "HEAD"]), world.head());
        world.git.ok(&world.clone, &["remote", "set-url", "origin", &url]);
        world.commit(&format!("since{number}"), b"since");
    }
    let [made, packed] = packed(&world);
    assert!(made == 2 && packed == 2, "{packed} of {made}");
}

#[test]
fn a_client_that_takes_bundles_gets_one_and_then_what_came_since() {
    let mut world = World::large(server(), 3);
    world.server.restart();
    let (url, directory) = (world.server.url_of("home/hello"), world.server.directory().to_path_buf());
    world.git.ok(&world.clone, &["remote", "set-url", "origin", &url]);
    world.commit("since", b"since");
    let clone = |name: &str| {
        world.git.ok(&directory, &["-c", "transfer.bundleURI=true", "clone", "-q", &url, name]);
        world.git.ok(&directory.join(name), &["fsck", "--full", "--strict"]);
        assert_eq!(world.git.ok(&directory.join(name), &["rev-parse", "HEAD"]), world.head());
        world.git.ok(&directory.join(name), &["for-each-ref", "refs/bundles"])
    };
    assert!(clone("with").contains("refs/bundles/"), "nothing came of the bundle");
    // Any part of it can be had, by whoever may fetch.
    let authorization = format!("Authorization: Bearer {}", world.server.up().token);
    let version = "Git-Protocol: version=2";
    let question = command("bundle-uri", &[], &[] as &[&str]);
    let media_type = "Content-Type: application/x-git-upload-pack-request";
    let offered =
        world.server.http().post("/home/hello.git/git-upload-pack", &[&authorization, version, media_type], &question);
    let offered = offered.text();
    let path = offered.split("bundle.history.uri=.").nth(1).expect("an address").trim_end_matches("0000");
    let path = format!("/home/hello.git{path}");
    let whole = world.server.http().get(&path, &[&authorization]);
    assert!(whole.body.starts_with(b"# v2 git bundle\n"), "{:?}", &whole.headers);
    let half = whole.body.len() / 2;
    let rest = world.server.http().get(&path, &[&authorization, &format!("Range: bytes={half}-")]);
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[half..]));
    let begin = world.server.http().get(&path, &[&authorization, "Range: bytes=5-9"]);
    assert_eq!((begin.status, &begin.body[..]), (206, &whole.body[5..10]));
    let beyond = format!("Range: bytes={}-", whole.body.len());
    assert_eq!(world.server.http().get(&path, &[&authorization, &beyond]).status, 416);
    assert_eq!(world.server.http().get(&path, &[]).status, 401);
    assert_eq!(world.server.http().get(&format!("{path}0"), &[&authorization]).status, 404);
    // When a branch is gone that led to some of it, nobody gets it any more.
    world.git.ok(&world.clone, &["push", "-q", "--force", "origin", "main~2:main"]);
    assert_eq!(world.server.http().get(&path, &[&authorization]).status, 404);
    world.git.ok(&world.clone, &["reset", "-q", "--hard", "main~2"]);
    assert_eq!(clone("without"), "");
}
