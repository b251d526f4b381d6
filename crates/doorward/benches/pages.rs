//! What a page costs and how long it is on the wire, from the request to the last byte, for a browser that takes gzip, on connections
//! that are kept:
//! `cargo bench -p doorward --bench pages`.
//!
//! One browser asks, one page after the other; beside each the same server's least answer, `/healthz`, which is what HTTP itself
//! takes. History and refs are read by git, files are not.

use std::time::{Duration, Instant};

use doorward_testkit::{Server, Visitor};
use ureq::Agent;

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");
const TIMES: usize = 300;

fn main() {
    let server = Server::start(PROGRAM);
    let cli = server.cli();
    for number in 0..100 {
        let name = format!("nightly build {number}");
        cli.ok(&["token", "create", "--account", "admin", "--name", &name, "--scope", "read:repository:bitbucket"]);
    }
    let (_, narrow) = cli.token("admin", &["read:user:bitbucket"], &[]);
    for _ in 0..50 {
        let bearer = format!("Authorization: Bearer {narrow}");
        server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[&bearer]);
    }
    let (git, here) = (server.git(), server.directory());
    git.ok(here, &["clone", "-q", &server.up().clone_url, "clone"]);
    let line =
        |number: usize| format!("    let value_{number} = compute(value_{}, {});\n", number / 2, number * 7919 % 1000);
    git.commit(&here.join("clone"), "long.rs", &(0..2000).map(line).collect::<String>());
    git.ok(&here.join("clone"), &["push", "-q"]);
    let ada = Visitor::signed_in(&server, "admin");
    let cookie = format!("doorward_session={}", ada.cookie("doorward_session"));
    let agent = Agent::new_with_defaults();
    let ask = |path: &str| {
        let url = format!("http://{}{path}", server.host());
        let answer =
            agent.get(&url).header("Cookie", &cookie).header("Accept-Encoding", "gzip").call().expect("an answer");
        answer.into_body().read_to_vec().expect("a body").len()
    };
    println!("| page | median | p99 | kB |\n|---|---|---|---|");
    for (what, path) in [
        ("(`/healthz`)", "/healthz"),
        ("sign in", "/account/signin"),
        ("repositories", "/"),
        ("101 tokens", "/account/credentials"),
        ("a new token", "/account/credentials/new"),
        ("50 refusals with their timeline", "/account/refusals"),
        ("policy", "/home/workspace/settings/policy"),
        ("status", "/site/status"),
        ("a repository's files", "/home/hello"),
        ("a file of 2,000 lines", "/home/hello/src/main/long.rs"),
        ("commits (git)", "/home/hello/commits"),
        ("branches (git)", "/home/hello/branches"),
    ] {
        let length = ask(path);
        let mut each: Vec<Duration> = (0..TIMES)
            .map(|_| {
                let before = Instant::now();
                ask(path);
                before.elapsed()
            })
            .collect();
        each.sort();
        let ms = |place: usize| each[place].as_secs_f64() * 1e3;
        println!("| {what} | {:.2} ms | {:.2} ms | {:.1} |", ms(TIMES / 2), ms(TIMES * 99 / 100), length as f64 / 1e3);
    }
}
