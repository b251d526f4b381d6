//! Webhooks: a receiver on this machine is told of pushes, by git and by REST, signed, and again until it takes them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use doorward_testkit::{Response, Server};
use serde_json::{Value, json};

use crate::operation::await_that;
use crate::server_with;

const HOOKS: &str = "/2.0/repositories/home/hello/hooks";
const SCOPES: &[&str] = &[
    "read:repository:bitbucket",
    "write:repository:bitbucket",
    "read:webhook:bitbucket",
    "write:webhook:bitbucket",
    "delete:webhook:bitbucket",
];

/// What a receiver got: its head in small letters, and its body.
struct Message {
    head: String,
    body: String,
}

impl Message {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn change(&self) -> Value {
        let body: Value = serde_json::from_str(&self.body).expect("JSON");
        body["push"]["changes"][0].clone()
    }
}

/// Takes messages, and answers each with the next of these statuses; the last one for ever.
fn receiver(statuses: &'static [u16]) -> (String, Receiver<Message>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook?from=doorward", listener.local_addr().expect("an address"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || receive(&listener, statuses, &sender));
    (url, receiver)
}

fn receive(listener: &TcpListener, statuses: &[u16], sender: &Sender<Message>) {
    for (count, stream) in listener.incoming().enumerate() {
        let mut stream = stream.expect("a connection");
        let (mut head, mut reader) = (String::new(), BufReader::new(stream.try_clone().expect("a stream")));
        while reader.read_line(&mut head).is_ok_and(|length| length > 2) {}
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let status = statuses[count.min(statuses.len() - 1)];
        let location = if status == 302 { "Location: http://127.0.0.1:1/elsewhere\r\n" } else { "" };
        let answer = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes());
        if sender.send(Message { head, body: String::from_utf8(body).expect("text") }).is_err() {
            return;
        }
    }
}

struct World {
    server: Server,
    token: String,
}

impl World {
    fn new(private: &str) -> Self {
        let settings = [("DOORWARD_WEBHOOKS_PRIVATE", private), ("DOORWARD_WEBHOOKS_RETRY", "1s")];
        let server = server_with(&settings);
        let (_, token) = server.cli().token("admin", SCOPES, &[]);
        Self { server, token }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Response {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let authorization = format!("Authorization: Bearer {}", self.token);
        self.server.http().call(method, path, &[&authorization, "Content-Type: application/json"], &body)
    }

    fn hook(&self, url: &str, more: &Value) -> Value {
        let mut wanted = json!({ "url": url, "events": ["repo:push"], "description": "CI" });
        for (name, value) in more.as_object().into_iter().flatten() {
            wanted[name] = value.clone();
        }
        let answer = self.call("POST", HOOKS, &wanted);
        assert_eq!(answer.status, 201, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    fn push(&self, branch: &str) -> String {
        let (git, clone) = (self.server.git(), self.server.directory().join("clone"));
        if !clone.exists() {
            let url = self.server.url("admin", &self.token, "home/hello");
            git.ok(self.server.directory(), &["clone", "-q", &url, "clone"]);
        }
        git.commit(&clone, "file", branch);
        git.ok(&clone, &["push", "-q", "origin", &format!("HEAD:{branch}")]);
        git.ok(&clone, &["rev-parse", "HEAD"])
    }

    fn deliveries(&self, hook: &Value) -> Vec<Value> {
        let id = hook["uuid"].as_str().expect("an id").replace('{', "%7B").replace('}', "%7D");
        let answer =
            self.call("GET", &format!("/2.0/doorward/repositories/home/hello/hooks/{id}/deliveries"), &Value::Null);
        let list: Value = serde_json::from_slice(&answer.body).expect("JSON");
        list["values"].as_array().unwrap_or_else(|| panic!("{list}")).clone()
    }
}

fn next(messages: &Receiver<Message>) -> Message {
    messages.recv_timeout(Duration::from_secs(60)).expect("a message")
}

#[test]
fn a_push_is_told_signed_and_with_what_changed() {
    let world = World::new("127.0.0.0/8");
    let (url, messages) = receiver(&[200]);
    let hook = world.hook(&url, &json!({ "secret": "It's a Secret to Everybody" }));
    assert_eq!((&hook["secret_set"], hook.get("secret")), (&json!(true), None));
    let id = world.push("feature");
    let message = next(&messages);
    assert_eq!((message.header("x-event-key"), message.header("x-attempt-number")), ("repo:push", "1"));
    assert_eq!(format!("{{{}}}", message.header("x-hook-uuid")), hook["uuid"]);
    let mut hmac = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "It's a Secret to Everybody"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("openssl");
    hmac.stdin.take().expect("its input").write_all(message.body.as_bytes()).expect("written");
    let digest = String::from_utf8(hmac.wait_with_output().expect("its end").stdout).expect("text");
    let digest = digest.trim().rsplit(' ').next().expect("a digest").to_owned();
    assert_eq!(message.header("x-hub-signature"), format!("sha256={digest}"));
    let change = message.change();
    assert_eq!(
        json!([change["created"], change["closed"], change["forced"], change["old"], change["new"]["name"]]),
        json!([true, false, false, null, "feature"])
    );
    assert_eq!((&change["new"]["type"], &change["new"]["target"]["hash"]), (&json!("branch"), &json!(id)));
    let body: Value = serde_json::from_str(&message.body).expect("JSON");
    assert_eq!((&body["actor"]["nickname"], &body["repository"]["full_name"]), (&json!("admin"), &json!("home/hello")));
    // What is done by REST is told as well: an upload, a tag, the end of a branch.
    let authorization = format!("Authorization: Bearer {}", world.token);
    let form = "Content-Type: application/x-www-form-urlencoded";
    let done =
        world.server.http().post("/2.0/repositories/home/hello/src", &[&authorization, form], b"a=b&branch=feature");
    assert_eq!(done.status, 201, "{}", done.text());
    let change = next(&messages).change();
    assert_eq!(
        (&change["old"]["target"]["hash"], &change["commits"][0]["message"]),
        (&json!(id), &json!("a edited online"))
    );
    assert_eq!(change["commits"].as_array().map(Vec::len), Some(1));
    let refs = "/2.0/repositories/home/hello/refs";
    world.call("POST", &format!("{refs}/tags"), &json!({ "name": "v1", "target": { "hash": id }, "message": "one" }));
    assert_eq!(next(&messages).change()["new"]["type"], "tag");
    world.call("DELETE", &format!("{refs}/branches/feature"), &Value::Null);
    let change = next(&messages).change();
    assert_eq!((&change["closed"], &change["new"]), (&json!(true), &Value::Null));
    await_that("all is on record", || {
        world.deliveries(&hook).iter().filter(|d| d["state"] == "delivered").count() == 4
    });
    // Who is not active is told nothing; nor is who is ended.
    let one = format!("{HOOKS}/{}", hook["uuid"].as_str().expect("an id").replace('{', "%7B").replace('}', "%7D"));
    assert_eq!(world.call("PUT", &one, &json!({ "active": false })).status, 200);
    world.push("quiet");
    assert_eq!(world.call("PUT", &one, &json!({ "active": true, "secret": "" })).status, 200);
    world.push("loud");
    let message = next(&messages);
    assert!(message.change()["new"]["name"] == "loud" && !message.head.contains("signature"), "{}", message.head);
    assert_eq!(world.call("DELETE", &one, &Value::Null).status, 204);
    assert_eq!(world.call("GET", &one, &Value::Null).status, 404);
}

#[test]
fn a_message_is_sent_again_until_it_is_taken_also_after_a_restart() {
    let mut world = World::new("127.0.0.1");
    let (url, messages) = receiver(&[500, 302, 204]);
    let hook = world.hook(&url, &json!({}));
    world.push("one");
    let attempts: Vec<Message> = (0..3).map(|_| next(&messages)).collect();
    let numbers: Vec<&str> = attempts.iter().map(|message| message.header("x-attempt-number")).collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    let ids: Vec<&str> = attempts.iter().map(|message| message.header("x-request-uuid")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    await_that("it is taken", || world.deliveries(&hook)[0]["state"] == "delivered");
    // Nobody is there: it waits, and is sent by the next server.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let late = world.hook(&format!("http://{address}/"), &json!({}));
    world.push("two");
    await_that("it was tried", || world.deliveries(&late).first().is_some_and(|delivery| delivery["attempts"] != 0));
    world.server.restart();
    let listener = TcpListener::bind(address).expect("the port again");
    let (sender, messages) = channel();
    std::thread::spawn(move || receive(&listener, &[200], &sender));
    assert_eq!(next(&messages).change()["new"]["name"], "two");
    await_that("it is taken", || world.deliveries(&late)[0]["state"] == "delivered");
}

#[test]
fn nothing_is_sent_into_the_servers_own_network_unless_that_is_allowed() {
    let world = World::new("");
    let (url, messages) = receiver(&[200]);
    let hooks = [world.hook(&url, &json!({})), world.hook(&url.replace("127.0.0.1", "localhost"), &json!({}))];
    world.push("one");
    for hook in &hooks {
        await_that("it is refused", || {
            let trouble = world.deliveries(hook).first().map(|delivery| delivery["trouble"].to_string());
            trouble.is_some_and(|trouble| trouble.contains("webhooks.private"))
        });
    }
    assert!(messages.try_recv().is_err());
    for (wanted, field) in [
        (json!({ "events": ["repo:push"] }), "url"),
        (json!({ "url": "file:///etc/passwd", "events": ["repo:push"] }), "url"),
        (json!({ "url": "http://x y", "events": ["repo:push"] }), "url"),
        (json!({ "url": "http://example.org" }), "events"),
        (json!({ "url": "http://example.org", "events": ["repo:pushed"] }), "events"),
        (json!({ "url": "http://example.org", "events": "repo:push" }), "events"),
        (json!({ "url": "http://example.org", "events": ["repo:push"], "active": "maybe" }), "active"),
    ] {
        let answer = world.call("POST", HOOKS, &wanted);
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert!(answer.status == 400 && value["error"]["fields"][field].is_array(), "{wanted}: {value}");
    }
}

#[test]
fn receivers_that_do_not_answer_hold_up_nobody_elses_messages() {
    let world = World::new("127.0.0.0/8");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let cli = world.server.cli();
    cli.ok(&["account", "create", "mallory", "--email", "m@example.org"]);
    cli.ok(&["workspace", "create", "wsm", "--owner", "mallory"]);
    cli.ok(&["repository", "create", "wsm/m"]);
    let (_, token) = cli.token("mallory", SCOPES, &[]);
    let theirs = format!("Authorization: Bearer {token}");
    for number in 0..30 {
        let wanted = json!({ "url": format!("http://{address}/{number}"), "events": ["repo:push"] }).to_string();
        let headers = [theirs.as_str(), "Content-Type: application/json"];
        let made = world.server.http().post("/2.0/repositories/wsm/m/hooks", &headers, wanted.as_bytes());
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(world.server.http().post("/2.0/repositories/wsm/m/src", &[&theirs, form], b"a=b").status, 201);
    let held = silent.accept().expect("one of theirs is being sent");
    let (url, messages) = receiver(&[200]);
    world.hook(&url, &json!({}));
    world.push("mine");
    // Each of theirs takes ten seconds; were mine to wait for all, it would be more than a minute.
    let began = std::time::Instant::now();
    assert_eq!(next(&messages).change()["new"]["name"], "mine");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    drop(held);
}
