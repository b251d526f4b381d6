//! The refs that a server lists from memory are those that git lists, byte by byte, whoever has changed them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use doorward_testkit::{Git, Server};
use serde_json::Value;

use crate::operation::await_that;
use crate::server;

/// A repository on a server, as it lies on its disk.
struct World {
    server: Server,
    git: Git,
    directory: PathBuf,
    name: String,
}

impl World {
    fn new(more: &[&str]) -> Self {
        let server = server();
        let name = "home/refs".to_owned();
        let made: Value = server.cli().json(&[&["repository", "create", name.as_str()], more].concat());
        let id = made["id"].as_str().expect("an id");
        let directory = server.cli().data().join(format!("repositories/{id}.git"));
        Self { git: server.git(), server, directory, name }
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.git.ok(&self.directory, arguments)
    }

    /// What git lists, asked as the server would ask it.
    fn by_git(&self, service: &str, version: &str, request: Option<&[u8]>) -> Vec<u8> {
        let mut command = Command::new("git");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
        command.env("GIT_PROTOCOL", format!("version={version}")).env("GIT_NO_REPLACE_OBJECTS", "1");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args([service, "--stateless-rpc"]);
        if request.is_none() {
            command.arg("--http-backend-info-refs");
        }
        command.arg(&self.directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("git starts");
        let mut stdin = child.stdin.take().expect("its input");
        std::io::Write::write_all(&mut stdin, request.unwrap_or_default()).expect("written");
        drop(stdin);
        child.wait_with_output().expect("it ends").stdout
    }

    fn authorization(&self) -> String {
        format!("Authorization: Bearer {}", self.server.up().token)
    }

    fn by_server(&self, service: &str, version: &str, request: Option<&[u8]>) -> Vec<u8> {
        let (http, protocol) = (self.server.http(), format!("Git-Protocol: version={version}"));
        let authorization = self.authorization();
        let answer = match request {
            None => http.get(
                &format!("/{}.git/info/refs?service=git-{service}", self.name),
                &[authorization.as_str(), protocol.as_str()],
            ),
            Some(request) => http.post(
                &format!("/{}.git/git-{service}", self.name),
                &[authorization.as_str(), protocol.as_str(), "Content-Type: application/x-git-upload-pack-request"],
                request,
            ),
        };
        assert_eq!(answer.status, 200, "{service} {version}: {}", answer.text());
        let begin = format!("001e# service=git-{service}\n0000");
        let begin = if service == "receive-pack" { begin.replacen("001e", "001f", 1) } else { begin };
        answer.body.strip_prefix(begin.as_bytes()).map_or(answer.body.clone(), <[u8]>::to_vec)
    }

    /// Compares all that can be asked.
    fn compare(&self, what: &str) {
        let same = |ours: Vec<u8>, theirs: Vec<u8>, how: &str| {
            assert!(
                ours == theirs,
                "{what}, {how}\n{}\n--- git:\n{}",
                String::from_utf8_lossy(&ours).replace('\0', " NUL "),
                String::from_utf8_lossy(&theirs).replace('\0', " NUL ")
            );
        };
        for version in ["0", "1", "2"] {
            same(self.by_server("upload-pack", version, None), self.by_git("upload-pack", version, None), version);
        }
        same(self.by_server("receive-pack", "0", None), self.by_git("receive-pack", "0", None), "receive-pack");
        for arguments in QUESTIONS {
            let mut request = Vec::new();
            line(b"command=ls-refs\n", &mut request);
            let format = self.run(&["rev-parse", "--show-object-format"]);
            line(format!("object-format={}", format.trim()).as_bytes(), &mut request);
            request.extend_from_slice(b"0001");
            arguments.iter().for_each(|argument| line(argument.as_bytes(), &mut request));
            request.extend_from_slice(b"0000");
            let ours = self.by_server("upload-pack", "2", Some(&request));
            same(ours, self.by_git("upload-pack", "2", Some(&request)), &arguments.join(" "));
        }
    }

    fn commit(&self, message: &str) -> String {
        let tree = self.run(&["hash-object", "-w", "-t", "tree", "/dev/null"]);
        self.run(&["commit-tree", "-m", message, tree.trim()]).trim().to_owned()
    }
}

fn line(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:04x}", data.len() + 4).as_bytes());
    out.extend_from_slice(data);
}

/// How the server has git list refs.
const SETTINGS: &[&str] = &[
    "uploadpack.advertiseBundleURIs=true",
    "receive.advertisePushOptions=true",
    "uploadpack.allowFilter=true",
    "uploadpack.allowAnySHA1InWant=true",
    "uploadpack.allowSidebandAll=true",
    "transfer.hideRefs=refs/doorward",
];
const QUESTIONS: &[&[&str]] = &[
    &[],
    &["peel", "symrefs", "unborn"],
    &["peel"],
    &["symrefs", "ref-prefix HEAD"],
    &["unborn", "ref-prefix HEAD"],
    &["peel", "symrefs", "ref-prefix refs/heads/", "ref-prefix refs/tags/"],
    &["peel", "ref-prefix refs/tags/v", "ref-prefix refs/tags/v1", "ref-prefix H"],
    &["symrefs", "ref-prefix refs/heads/topic", "ref-prefix refs/heads/a", "ref-prefix none"],
    &["ref-prefix refs/heads/main", "ref-prefix refs/heads/main"],
    &["peel", "symrefs", "ref-prefix "],
];

#[test]
fn what_is_listed_from_memory_is_what_git_lists_byte_by_byte() {
    for more in [&[][..], &["--object-format", "sha256"]] {
        let world = World::new(more);
        world.compare("empty");
        let (one, two) = (world.commit("one"), world.commit("two"));
        let change = |what: &str, arguments: &[&str]| {
            world.run(arguments);
            // Changed behind the server's back: it sees that soon, and until then what was before.
            let listed = || world.by_server("receive-pack", "0", None) == world.by_git("receive-pack", "0", None);
            let head = |by: &dyn Fn() -> Vec<u8>| by();
            let same_head = || {
                head(&|| world.by_server("upload-pack", "0", None)) == head(&|| world.by_git("upload-pack", "0", None))
            };
            await_that(what, || listed() && same_head());
            world.compare(what);
        };
        change("a branch that HEAD does not name", &["update-ref", "refs/heads/topic/a", &one]);
        change("HEAD's branch", &["update-ref", "refs/heads/main", &one]);
        change("an annotated tag", &["tag", "-a", "-m", "x", "v1.0", &one]);
        change("a plain tag", &["update-ref", "refs/tags/plain", &one]);
        change("a tag of a tag", &["tag", "-a", "-m", "y", "v1.0-of", "v1.0"]);
        let tree = world.run(&["rev-parse", &format!("{one}^{{tree}}")]);
        change("a tag of a tree", &["update-ref", "refs/tags/v-tree", tree.trim()]);
        change("all of them packed", &["pack-refs", "--all", "--prune"]);
        change("a loose one over a packed one", &["update-ref", "refs/heads/main", &two]);
        change("a packed one deleted", &["update-ref", "-d", "refs/heads/topic/a"]);
        change("a directory in its place", &["update-ref", "refs/heads/topic/a/deep/er", &two]);
        change("what sorts around a slash", &["update-ref", "refs/heads/topic-a", &two]);
        change("a name in UTF-8", &["update-ref", "refs/heads/türe", &two]);
        change("refs of the server itself", &["update-ref", "refs/doorward/x", &two]);
        change("other refs", &["update-ref", "refs/notes/commits", &two]);
        change("a symbolic ref", &["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
        change("one of those that leads nowhere", &["symbolic-ref", "refs/heads/alas", "refs/heads/none"]);
        change("another HEAD", &["symbolic-ref", "HEAD", "refs/heads/alias"]);
        change("a detached HEAD", &["update-ref", "--no-deref", "HEAD", &one]);
        change("a HEAD that leads nowhere", &["symbolic-ref", "HEAD", "refs/heads/absent"]);
        change("packed again", &["pack-refs", "--all", "--prune"]);
        change("moved, deleted, and tagged again", &["update-ref", "-d", "refs/tags/v1.0"]);
        let config = world.directory.join("config");
        let before = std::fs::read(&config).expect("a configuration");
        std::fs::write(&config, [&before[..], b"[gitweb]\n\towner = J\xfcrgen of sha256-tools\n"].concat())
            .expect("written");
        change("words in the configuration that mean nothing", &["update-ref", "refs/heads/words", &one]);
        std::fs::write(world.directory.join("refs/heads/words"), format!("{two}\n")).expect("written over");
        change("a file that was written over in its place", &["rev-parse", "HEAD"]);
        change("settings that hide refs", &["config", "uploadpack.hideRefs", "refs/notes"]);
        world.run(&["config", "--unset", "uploadpack.hideRefs"]);
        change("no such settings any more", &["update-ref", "refs/tags/v1.0", &two]);
    }
}

#[test]
fn a_hundred_thousand_refs_are_listed_as_git_lists_them_and_found_by_their_prefix() {
    let world = World::new(&[]);
    let (one, two) = (world.commit("one"), world.commit("two"));
    let mut text = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for number in 0..100_000 {
        text.push_str(&format!("{one} refs/heads/many/{number:06}\n"));
    }
    std::fs::write(world.directory.join("packed-refs"), text).expect("written");
    world.run(&["update-ref", "refs/heads/main", &two]);
    world.run(&["update-ref", "refs/heads/many/050000", &two]);
    await_that("they are seen", || {
        world.by_server("receive-pack", "0", None) == world.by_git("receive-pack", "0", None)
    });
    let mut request = Vec::new();
    line(b"command=ls-refs\n", &mut request);
    request.extend_from_slice(b"0001");
    line(b"ref-prefix refs/heads/many/0500", &mut request);
    request.extend_from_slice(b"0000");
    let ours = world.by_server("upload-pack", "2", Some(&request));
    assert_eq!(ours, world.by_git("upload-pack", "2", Some(&request)));
    assert_eq!(ours.iter().filter(|byte| **byte == b'\n').count(), 100);
    world.compare("a hundred thousand");
}

#[test]
fn a_push_is_listed_as_soon_as_it_is_acknowledged_whatever_else_goes_on() {
    let world = World::new(&[]);
    let commit = world.commit("one");
    world.run(&["update-ref", "refs/heads/main", &commit]);
    let pushing = std::sync::atomic::AtomicUsize::new(4);
    let url = world.server.url("admin", &world.server.up().token, &world.name);
    std::thread::scope(|scope| {
        let packer = scope.spawn(|| {
            while pushing.load(std::sync::atomic::Ordering::SeqCst) > 0 {
                let _ = world.git.run(&world.directory, &["pack-refs", "--all", "--prune"]);
            }
        });
        let pushers: Vec<_> = (0..4)
            .map(|number| {
                let (world, url, pushing) = (&world, &url, &pushing);
                scope.spawn(move || {
                    let pushed = std::panic::catch_unwind(|| push_and_look(world, url, number));
                    pushing.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    pushed
                })
            })
            .collect();
        let pushed: Vec<_> = pushers.into_iter().map(|pusher| pusher.join().expect("it ended")).collect();
        assert!(pushed.iter().all(Result::is_ok), "what was pushed was not listed");
        packer.join().expect("it ended");
    });
}

fn push_and_look(world: &World, url: &str, number: usize) {
    let name = format!("clone{number}");
    let here: &Path = world.server.directory();
    world.git.ok(here, &["init", "-q", &name]);
    let clone = here.join(name);
    let branch = format!("refs/heads/branch{number}");
    for turn in 0..8 {
        let commit = world.git.commit(&clone, "file", &format!("{number} {turn}"));
        world.git.ok(&clone, &["push", "-q", url, &format!("HEAD:{branch}")]);
        let listed = world.git.ok(&clone, &["ls-remote", url, &branch]);
        assert!(listed.starts_with(commit.trim()), "turn {turn} of {number}: {listed} is not {commit}");
    }
    world.git.ok(&clone, &["push", "-q", url, "--delete", &branch]);
    assert_eq!(world.git.ok(&clone, &["ls-remote", url, &branch]).trim(), "");
}

#[test]
fn a_list_that_is_damaged_is_not_given_as_if_it_were_whole() {
    let world = World::new(&[]);
    let one = world.commit("one");
    let mut text = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for number in 0..20 {
        let id = if number == 10 { &one[1..] } else { one.as_str() };
        text.push_str(&format!("{id} refs/heads/b{number:02}\n"));
    }
    std::fs::write(world.directory.join("packed-refs"), text).expect("written");
    let url = world.server.url("admin", &world.server.up().token, &world.name);
    let here = world.server.directory().to_owned();
    for version in ["0", "2"] {
        let git = world.git.clone().set("protocol.version", version);
        await_that("it is broken off, as git does it", || !git.run(&here, &["ls-remote", &url]).ok);
    }
}

#[test]
fn thousands_of_directories_of_refs_are_looked_at_in_no_time() {
    let world = World::new(&[]);
    let one = world.commit("one");
    for number in 0..4000 {
        let directory = world.directory.join(format!("refs/heads/u{number:05}"));
        std::fs::create_dir_all(&directory).expect("made");
        std::fs::write(directory.join("x"), format!("{one}\n")).expect("written");
    }
    let same = || world.by_server("receive-pack", "0", None) == world.by_git("receive-pack", "0", None);
    await_that("they are seen", same);
    world.run(&["update-ref", "refs/heads/u00000/y", &one]);
    await_that("one more is seen", same);
}

#[test]
fn refs_are_not_listed_for_a_token_that_ends_while_the_question_is_sent() {
    let world = World::new(&[]);
    let (id, token) = world.server.cli().token("admin", &["read:repository:bitbucket"], &[]);
    let mut request = Vec::new();
    line(b"command=ls-refs\n", &mut request);
    request.extend_from_slice(b"0001");
    line(b"peel", &mut request);
    let head = format!(
        "POST /{}.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nGit-Protocol: version=2\r\n\
         Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {}\r\n\r\n",
        world.name,
        request.len() + 4
    );
    let mut stream = world.server.http().connect();
    std::io::Write::write_all(&mut stream, &[head.as_bytes(), &request].concat()).expect("sent");
    // It is let in by now, and waits for the rest; as long as it takes for it to be asked about again.
    std::thread::sleep(std::time::Duration::from_millis(700));
    world.server.cli().ok(&["token", "revoke", &id]);
    std::io::Write::write_all(&mut stream, b"0000").expect("sent");
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 401");
}
