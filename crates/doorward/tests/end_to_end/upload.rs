//! Uploads by REST: files become a commit. Real git is asked what came of it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use doorward_testkit::{Response, Server};
use serde_json::Value;

use crate::{server, server_with};

const SRC: &str = "/2.0/repositories/home/hello/src";
const SCOPES: [&str; 2] = ["read:repository:bitbucket", "write:repository:bitbucket"];

/// A server with a repository, and a token that may write.
struct World {
    server: Server,
    token: String,
}

/// A form of several parts.
#[derive(Default, Clone)]
struct Form(Vec<u8>);

impl Form {
    fn part(mut self, disposition: &str, content: &[u8]) -> Self {
        let head = format!("--BOUND\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        self.part(&format!("name=\"{path}\"; filename=\"x\""), content)
    }

    fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"--BOUND--\r\n");
        self.0
    }
}

impl World {
    fn of(server: Server) -> Self {
        let (_, token) = server.cli().token("admin", &SCOPES, &[]);
        Self { server, token }
    }

    fn new() -> Self {
        Self::of(server())
    }

    fn send(&self, form: Form, more: &[&str]) -> Response {
        let authorization = format!("Authorization: Bearer {}", self.token);
        let headers = [&[authorization.as_str(), "Content-Type: multipart/form-data; boundary=BOUND"], more].concat();
        self.server.http().post(SRC, &headers, &form.end())
    }

    /// The commit that an upload became.
    fn done(&self, form: Form) -> String {
        let answer = self.send(form, &[]);
        assert_eq!((answer.status, answer.text().as_str()), (201, ""), "{}", answer.text());
        let (_, id) = answer.header("location").rsplit_once("/commit/").expect("a commit");
        id.to_owned()
    }

    fn refused(&self, form: Form, status: u16, code: &str) -> Value {
        refused(&self.send(form, &[]), status, code)
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.server.git().ok(&self.server.bare("home/hello"), arguments)
    }

    fn tip(&self, branch: &str) -> String {
        self.git(&["rev-parse", branch])
    }

    /// What is left beside the repository of uploads that came to nothing.
    fn scratch(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.server.cli().data().join("repositories")).expect("the directory");
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "upload")).collect()
    }
}

fn refused(answer: &Response, status: u16, code: &str) -> Value {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    assert_eq!((answer.status, value["error"]["detail"]["code"].as_str()), (status, Some(code)), "{value}");
    value
}

#[test]
fn five_hundred_files_of_fifty_megabytes_become_one_commit_as_they_were() {
    let world = World::new();
    let before = world.tip("main");
    let content = |number: usize| -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..100 * 1024).map(|at: usize| (at.wrapping_mul(number + 7) >> 3) as u8).collect();
        bytes.extend_from_slice(format!("\r\n--BOUN{number}\r\n").as_bytes());
        bytes
    };
    let mut form = Form::default().field("message", "Ünpack <everything>\n\nin one go");
    for number in 0..500 {
        form = form.file(&format!("data/{}/ä {number}.bin", number % 7), &content(number));
    }
    let form = form
        .field("author", "Grace Hopper <grace@example.org>")
        .part("name=\"/bin/run\"; filename=\"run\"; x-attributes:\"executable\"", b"#!/bin/sh\n")
        .part("name=\"latest\"; filename=\"l\"; x-attributes=\"link\"", b"bin/run")
        .part("name=\"message\"; filename=\"message\"", b"a file of that name")
        .field("files", "README.md")
        .part("name=\"sbin/run\"; filename=\"r\"\r\nX-Attributes: executable", b"#!/bin/sh\n");
    world.server.git().ok(world.server.directory(), &["clone", "-q", &url(&world), "before"]);
    let size = form.0.len();
    let quiet = world.server.memory("VmHWM");
    let id = world.done(form);
    let grown = world.server.memory("VmHWM") - quiet;
    assert!(size > 50_000_000 && grown < 16 * 1024 * 1024, "{size} bytes took {grown} of memory");
    assert_eq!(world.git(&["rev-list", &format!("{before}..main")]), id);
    let shown = world.git(&["log", "-1", "--format=%an <%ae>|%cn|%B", "main"]);
    assert_eq!(shown, "Grace Hopper <grace@example.org>|admin|Ünpack <everything>\n\nin one go");
    let clone = world.server.directory().join("clone");
    world.server.git().ok(world.server.directory(), &["clone", "-q", &url(&world), "clone"]);
    for number in 0..500 {
        let path = clone.join(format!("data/{}/ä {number}.bin", number % 7));
        assert!(fs::read(&path).expect("a file") == content(number), "{}", path.display());
    }
    let modes = world.git(&["ls-tree", "main", "bin/run", "latest", "message", "sbin/run", "README.md"]);
    let modes: Vec<&str> = modes.lines().map(|line| &line[..6]).collect();
    assert_eq!(modes, ["100755", "120000", "100644", "100755"]);
    world.git(&["fsck", "--strict"]);
    assert!(world.scratch().is_empty());
    // A clone that was there before takes it as any other commit.
    world.server.git().ok(&world.server.directory().join("before"), &["pull", "-q", "--ff-only"]);
    let audit = world.server.cli().ok(&["audit"]);
    assert!(audit.contains("push.started") && audit.contains("push.finished"), "{audit}");
}

fn url(world: &World) -> String {
    world.server.url("admin", &world.token, "home/hello")
}

#[test]
fn a_commit_goes_on_top_of_what_was_said_and_of_nothing_else() {
    let world = World::new();
    let form = || Form::default().file("a.txt", b"a");
    let begin = world.tip("main");
    let one = world.done(form());
    assert_eq!(world.git(&["rev-parse", "main", "main^"]), format!("{one}\n{begin}"));
    assert_eq!(world.git(&["log", "-1", "--format=%s", "main"]), "a.txt edited online");
    // A new branch from where main is; main stays.
    let two = world.done(form().field("branch", "feature/x"));
    assert_eq!(world.git(&["rev-parse", "feature/x", "feature/x^", "main"]), format!("{two}\n{one}\n{one}"));
    // A new branch from a commit that was named, also with nothing in it.
    let three = world.done(Form::default().field("branch", "old").field("parents", &begin));
    assert_eq!(world.git(&["rev-parse", "old", "old^"]), format!("{three}\n{begin}"));
    assert_eq!(world.git(&["diff", "--stat", "old", "old^"]), "");
    // On top of a branch if that is its tip, and not if it is not.
    let four = world.done(form().field("branch", "old").field("parents", &three[..12]));
    assert_eq!(world.tip("old^"), three);
    for form in [form().field("branch", "old").field("parents", &begin), form().field("parents", &begin)] {
        let value = world.refused(form, 409, "branch_moved");
        assert!([&four, &one].iter().any(|tip| value["error"]["data"]["hash"] == tip.as_str()), "{value}");
    }
    world.refused(form().field("parents", &"1".repeat(40)), 404, "commit_not_found");
    for form in [
        Form::default(),
        Form::default().field("branch", "empty"),
        form().field("files", "not/there"),
        form().field("branch", "x").field("branch", "y"),
        form().field("branch", "a..b"),
        form().field("branch", &"a/".repeat(200)),
        form().field("author", "nobody"),
        form().field("author", "A <b>\nc <d@e>"),
    ] {
        let value = world.refused(form, 400, "bad_parameter");
        assert!(value["error"]["fields"].is_object(), "{value}");
    }
    assert_eq!(world.git(&["for-each-ref", "--format=%(refname)"]).lines().count(), 3);
}

#[test]
fn an_empty_repository_gets_its_first_commit_and_its_main_branch() {
    let world = World::new();
    world.server.cli().ok(&["repository", "create", "home/new"]);
    let send = |body: &str| {
        let authorization = format!("Authorization: Bearer {}", world.token);
        let form = "Content-Type: application/x-www-form-urlencoded";
        world.server.http().post("/2.0/repositories/home/new/src", &[&authorization, form], body.as_bytes())
    };
    assert_eq!(send("branch=trunk&docs%2Fa+b.txt=50%25+%2B+%C3%A4%FF&%2Fmessage=text&message=First").status, 201);
    let bare = world.server.bare("home/new");
    let git = |arguments: &[&str]| world.server.git().ok(&bare, arguments);
    assert_eq!(git(&["symbolic-ref", "HEAD"]), "refs/heads/trunk");
    assert_eq!(git(&["log", "--format=%s", "trunk"]), "First");
    assert_eq!(git(&["ls-tree", "-r", "--name-only", "trunk"]), "docs/a b.txt\nmessage");
    assert_eq!(git(&["cat-file", "-s", "trunk:docs/a b.txt"]), "9");
    assert_eq!(send("files=message&a=b").status, 201);
    assert_eq!(git(&["ls-tree", "-r", "--name-only", "trunk"]), "a\ndocs/a b.txt");
}

#[test]
fn of_many_uploads_at_once_none_overwrites_another() {
    let world = World::new();
    let before = world.tip("main");
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..6)
            .map(|number| {
                let form = Form::default().file(&format!("{number}.txt"), b"x").field("parents", &before);
                let world = &world;
                scope.spawn(move || world.send(form, &[]))
            })
            .collect();
        uploads.into_iter().map(|upload| upload.join().expect("an answer")).collect()
    });
    let done: Vec<&Response> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    let tip = world.tip("main");
    assert!(done[0].header("location").ends_with(&tip));
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused(answer, 409, "branch_moved")["error"]["data"]["hash"], tip.as_str());
    }
    assert!(world.scratch().is_empty());
}

#[test]
fn what_is_sent_again_under_its_key_is_done_once() {
    let mut world = World::new();
    let form = || Form::default().file("a", b"1").field("message", "once");
    let key = "Idempotency-Key: 6f1c";
    let first = world.send(form(), &[key]);
    assert_eq!(first.status, 201, "{}", first.text());
    // Somebody else goes on meanwhile, and the server is started again.
    world.done(Form::default().file("b", b"2"));
    world.server.restart();
    let again = world.send(form(), &[key]);
    assert_eq!((again.status, again.header("location")), (201, first.header("location")));
    assert_eq!(world.git(&["log", "--format=%s", "--grep=once", "main"]), "once");
    refused(&world.send(form().file("c", b"3"), &[key]), 422, "key_reused");
    assert_eq!(world.send(form(), &["Idempotency-Key: other"]).status, 201);
    // The key of another caller is another key.
    let (_, token) = world.server.cli().token("admin", &SCOPES, &[]);
    let other = World { token, server: world.server };
    assert_eq!(other.send(form(), &[key]).header("location"), first.header("location"));
    refused(&other.send(form(), &[&format!("Idempotency-Key: {}", "k".repeat(300))]), 400, "bad_parameter");
    // What is in the address is part of it.
    let authorization = format!("Authorization: Bearer {}", other.token);
    let headers = [authorization.as_str(), "Content-Type: application/x-www-form-urlencoded", "Idempotency-Key: q"];
    let send = |branch: &str| other.server.http().post(&format!("{SRC}?branch={branch}"), &headers, b"q=1");
    assert_eq!((send("b1").status, send("b1").status), (201, 201));
    refused(&send("b2"), 422, "key_reused");
}

#[test]
fn nothing_comes_in_that_a_push_would_not_bring_in() {
    let world = World::new();
    let before = world.tip("main");
    for path in ["../a", "a/../../b", ".git/config", "a/.GIT/x", "git~1/x", "a//b", "a\u{200c}/../b", ".g\u{200c}it/x"]
    {
        world.refused(Form::default().file(path, b"x"), 400, "bad_parameter");
        world.refused(Form::default().field("files", path), 400, "bad_parameter");
    }
    world.refused(Form::default().file(&"a/".repeat(3000), b"x"), 400, "bad_parameter");
    let submodule = "[submodule \"x\"]\n\tpath = x\n\turl = -u./payload\n";
    let value = world.refused(Form::default().file(".gitmodules", submodule.as_bytes()), 400, "push_refused");
    assert!(value["error"]["message"].as_str().is_some_and(|text| text.contains("gitmodules")), "{value}");
    let link = Form::default().part("name=\".gitmodules\"; filename=\"x\"; x-attributes=link", b"/etc/passwd");
    world.refused(link, 400, "push_refused");
    let submodule = Form::default().part("name=\"x\"; filename=\"x\"; x-attributes:\"subrepository\"", b"");
    world.refused(submodule, 400, "bad_parameter");
    assert_eq!(world.tip("main"), before);
    assert!(world.scratch().is_empty());
    let (_, reader) = world.server.cli().token("admin", &SCOPES[..1], &[]);
    let reader = World { token: reader, server: world.server };
    reader.refused(Form::default().file("a", b"x"), 403, "scope_missing");
}

#[test]
fn what_is_too_much_or_breaks_off_leaves_nothing() {
    let world = World::of(server_with(&[("DOORWARD_UPLOAD_BYTES", "4m"), ("DOORWARD_UPLOAD_FILES", "20")]));
    let before = world.tip("main");
    world.refused(Form::default().file("big", &vec![b'x'; 5 << 20]), 413, "request_too_long");
    let many = (0..30).fold(Form::default(), |form, number| form.file(&number.to_string(), b"x"));
    world.refused(many, 413, "too_many_files");
    world.refused(Form::default().field("message", &"m".repeat(100_000)), 400, "bad_parameter");
    let authorization = format!("Authorization: Bearer {}", world.token);
    for (media_type, body) in [
        ("multipart/form-data", &b"--BOUND"[..]),
        ("multipart/form-data; boundary=BOUND", b"no boundary at all"),
        ("multipart/form-data; boundary=BOUND", b"--BOUND\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhalf"),
        ("multipart/form-data; boundary=BOUND", b"--BOUND\r\nnonsense\r\n\r\n--BOUND--"),
    ] {
        let media_type = format!("Content-Type: {media_type}");
        let answer = world.server.http().post(SRC, &[&authorization, &media_type], body);
        refused(&answer, 400, "body_unreadable");
    }
    let answer = world.server.http().post(SRC, &[&authorization, "Content-Type: application/json"], b"{}");
    refused(&answer, 415, "media_type_unsupported");
    // A form without an end: bytes come for as long as they are taken.
    let mut stream = world.server.http().connect();
    let head = format!(
        "POST {SRC} HTTP/1.1\r\nHost: x\r\n{authorization}\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: multipart/form-data; boundary=BOUND\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let piece = Form::default().file("a", &vec![b'y'; 60_000]).0;
    let piece = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
    let taken = (0..10_000).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(taken < 1000, "{taken} pieces were taken");
    drop(stream);
    // And one that is given up half-way.
    let mut stream = world.server.http().connect();
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&piece)).expect("sent");
    drop(stream);
    assert_eq!(world.tip("main"), before);
    assert!(world.scratch().is_empty());
}

#[test]
fn the_head_of_a_part_that_has_no_end_takes_neither_memory_nor_time() {
    let world = World::new();
    let mut body = b"--BOUND\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\nX-Junk: ".to_vec();
    body.resize(60 << 20, b'A');
    let quiet = world.server.memory("VmHWM");
    let authorization = format!("Authorization: Bearer {}", world.token);
    let media_type = "Content-Type: multipart/form-data; boundary=BOUND";
    let answer = world.server.http().post(SRC, &[&authorization, media_type], &body);
    // The server may close the connection before it has read all of it.
    assert!([0, 400].contains(&answer.status), "{answer:?}");
    let grown = world.server.memory("VmHWM") - quiet;
    assert!(grown < 16 * 1024 * 1024, "{grown}");
}

#[test]
fn forms_of_every_make_are_read_whole() {
    let world = World::of(server_with(&[("DOORWARD_UPLOAD_BYTES", "256m")]));
    let many = (0..1900).fold(Form::default(), |form, number| form.file(&format!("small/{number}"), b"tiny"));
    let mixed = [0, 1, 64 << 10, 300 << 10, 5 << 20].into_iter().cycle().take(50).enumerate();
    let mixed =
        mixed.fold(Form::default(), |form, (number, size)| form.file(&format!("mixed/{number}"), &vec![b'x'; size]));
    let quiet = world.server.memory("VmHWM");
    for (form, count) in [(many, 1900), (mixed, 50)] {
        let body = form.end();
        let packed = gzip(&body);
        for (body, encoding) in [(&body, "identity"), (&packed, "gzip")] {
            let authorization = format!("Authorization: Bearer {}", world.token);
            let encoding = format!("Content-Encoding: {encoding}");
            let headers = [&authorization, "Content-Type: multipart/form-data; boundary=BOUND", &encoding];
            let answer = world.server.http().post(SRC, &headers, body);
            assert_eq!(answer.status, 201, "{encoding}: {}", answer.text());
            let listed = world.git(&["ls-tree", "-r", "--name-only", "main"]);
            let folder = if count == 50 { "mixed/" } else { "small/" };
            assert_eq!(listed.lines().filter(|path| path.starts_with(folder)).count(), count);
        }
    }
    let grown = world.server.memory("VmHWM") - quiet;
    assert!(grown < 24 * 1024 * 1024, "{grown}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let gzip = std::process::Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut gzip = gzip.expect("gzip");
    let mut input = gzip.stdin.take().expect("its input");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).expect("written"));
    let packed = gzip.wait_with_output().expect("its end").stdout;
    writer.join().expect("written");
    packed
}

/// Begins an upload; what is sent goes on when the test says so.
fn begun(world: &World) -> std::net::TcpStream {
    let mut stream = world.server.http().connect();
    let head = format!(
        "POST {SRC} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=BOUND\r\n\r\n",
        world.token,
        LATE.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&LATE[..20])).expect("sent");
    stream
}

const LATE: &[u8] =
    b"--BOUND\r\nContent-Disposition: form-data; name=\"late\"; filename=\"l\"\r\n\r\nx\r\n--BOUND--\r\n";

fn ended(mut stream: std::net::TcpStream) -> String {
    stream.write_all(&LATE[20..]).expect("sent");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("an answer");
    answer
}

#[test]
fn who_is_refused_while_an_upload_is_under_way_uploads_nothing() {
    let world = World::new();
    let before = world.tip("main");
    let (id, token) = world.server.cli().token("admin", &SCOPES, &[]);
    let world = World { token, ..world };
    let stream = begun(&world);
    world.server.cli().ok(&["token", "revoke", &id]);
    let answer = ended(stream);
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("token_revoked"), "{answer}");
    assert_eq!(world.tip("main"), before);
}

#[test]
fn slow_uploads_hold_up_nobody() {
    let world = World::of(server_with(&[("DOORWARD_GIT_LONG_PROCESSES", "1"), ("DOORWARD_GIT_WAIT", "5s")]));
    let slow: Vec<_> = (0..8).map(|_| begun(&world)).collect();
    let git = world.server.git();
    git.ok(world.server.directory(), &["clone", "-q", &url(&world), "clone"]);
    world.done(Form::default().file("quick", b"x"));
    for stream in slow {
        let answer = ended(stream);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    assert_eq!(world.git(&["log", "--format=%s", "--grep=late", "main"]).lines().count(), 8);
}

#[test]
fn of_many_at_once_under_one_key_one_is_done() {
    let world = World::new();
    for round in 0..5 {
        let answers: Vec<Response> = std::thread::scope(|scope| {
            let uploads: Vec<_> = (0..6_usize)
                .map(|number| {
                    let form =
                        Form::default().file("a", format!("{round}").as_bytes()).field("message", &format!("r{round}"));
                    let world = &world;
                    // By whatever address: it is the same repository.
                    let path =
                        ["/2.0/repositories/home/hello/src", "/api/2.0/repositories/home/hello/src/"][number % 2];
                    let authorization = format!("Authorization: Bearer {}", world.token);
                    let key = format!("Idempotency-Key: {round}");
                    scope.spawn(move || {
                        let media_type = "Content-Type: multipart/form-data; boundary=BOUND";
                        world.server.http().post(path, &[&authorization, media_type, &key], &form.end())
                    })
                })
                .collect();
            uploads.into_iter().map(|upload| upload.join().expect("an answer")).collect()
        });
        let places: Vec<&str> = answers.iter().map(|answer| answer.header("location")).collect();
        assert!(
            answers.iter().all(|answer| answer.status == 201) && places.iter().all(|place| *place == places[0]),
            "{places:?}"
        );
        assert_eq!(world.git(&["log", "--format=%s", &format!("--grep=^r{round}$"), "main"]).lines().count(), 1);
    }
}

#[test]
fn files_and_directories_take_each_others_places_and_never_silently() {
    let world = World::new();
    let before = world.tip("main");
    world.done(Form::default().file("a", b"a file").file("d/x", b"x"));
    world.done(Form::default().field("files", "a").file("a/b", b"inner").field("files", "d").file("d", b"a file"));
    assert_eq!(world.git(&["ls-tree", "-r", "--name-only", "main", "a", "d"]), "a/b\nd");
    world.refused(Form::default().file("x", b"file").file("x/y/z", b"inner"), 400, "bad_parameter");
    // The same content on the same parent in the same second is the same commit, which another branch may lead to as well.
    let tip = world.tip("main");
    for round in 0..3 {
        for branch in ["p", "q"] {
            let form = Form::default().file("same", b"1").field("message", "s").field("parents", &tip);
            world.done(form.field("branch", &format!("{branch}{round}")));
        }
    }
    assert_ne!(tip, before);
}
