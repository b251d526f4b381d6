//! What REST costs on a repository of 50,000 commits, beside git processes that do the same work without a server:
//! `cargo bench -p doorward --bench rest`.
//!
//! Two callers ask at once, on connections that are kept, as long as there are so many cores. Printed are the median, the 99th of a
//! hundred and the rate of each; of git, the processes that an answer takes, one after the other, also by two at once.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use doorward_testkit::Server;
use ureq::Agent;

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");
const COMMITS: usize = 50_000;
const FILES: usize = 1000;
const CALLERS: usize = 2;

fn main() {
    let server = Server::start(PROGRAM);
    let source = server.directory().join("source.git");
    make(&source);
    let cli = server.cli();
    cli.ok(&["repository", "create", "home/large", "--import", &source.display().to_string()]);
    let (_, token) = cli.token("admin", &["read:repository:bitbucket", "write:repository:bitbucket"], &[]);
    let bare = server.bare("home/large");
    let world = World { agent: Agent::new_with_defaults(), host: server.host().to_owned(), token };
    println!("{COMMITS} commits, {FILES} files at the top; {CALLERS} callers at once\n");
    println!("| what | median | p99 | a second |\n|---|---|---|---|");
    let git = |arguments: &[&str]| git(&bare, arguments);
    let log = ["log", "-z", "--format=%H%x00%P%x00%an%x00%ae%x00%aI%x00%B", "--max-count=11"];
    let all = ["--date-order", "--branches", "--tags"];
    measured("`commits/main`, page 1", 400, |_| world.get("commits/main"));
    measured("git: `log` of 11", 400, |_| git(&[&log[..], &["main"]].concat()));
    measured("`commits/main`, page 1,000", 200, |_| world.get("commits/main?page=1000"));
    measured("git: `log --skip=9990` of 11", 200, |_| git(&[&log[..], &["--skip=9990", "main"]].concat()));
    measured("`commits`, from all refs, page 1", 50, |_| world.get("commits"));
    measured("git: `log --date-order --branches --tags` of 11", 50, |_| git(&[&log[..], &all].concat()));
    measured("`src`, a file of 1 KiB", 400, |n| world.get(&format!("src/main/f{}", n % FILES)));
    measured("git: `cat-file` of it", 400, |n| git(&["cat-file", "blob", &format!("main:f{}", n % FILES)]));
    measured("`src`, a page of the top", 400, |_| world.get("src/main/?pagelen=100"));
    measured("git: `ls-tree -l` of the top", 400, |_| git(&["ls-tree", "-z", "-l", "main"]));
    measured("`POST src`, one file, branch by branch", 100, |n| world.upload(&format!("b{n}")));
    measured("git: `hash-object`, `mktree`, `commit-tree`, `update-ref`", 100, |n| plumbing(&bare, n));
    let before = Instant::now();
    for _ in 0..20 {
        world.upload("one");
    }
    println!("\n20 uploads to one branch, one after the other: {:.1} ms each", before.elapsed().as_secs_f64() * 50.0);
}

struct World {
    agent: Agent,
    host: String,
    token: String,
}

impl World {
    fn get(&self, path: &str) {
        let url = format!("http://{}/2.0/repositories/home/large/{path}", self.host);
        let answer = self.agent.get(&url).header("Authorization", format!("Bearer {}", self.token)).call();
        let body = answer.expect("an answer").into_body().read_to_vec().expect("a body");
        assert!(body.len() > 500, "{path}");
    }

    fn upload(&self, branch: &str) {
        let url = format!("http://{}/2.0/repositories/home/large/src", self.host);
        let request = self.agent.post(&url).header("Authorization", format!("Bearer {}", self.token));
        let form = [("new/file.txt", "some content\n"), ("branch", branch), ("message", "An upload")];
        assert_eq!(request.send_form(form).expect("an answer").status(), 201);
    }
}

/// Does something so many times, by all callers together, and prints how long each took.
fn measured(what: &str, times: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    work(usize::MAX / 2);
    let began = Instant::now();
    let mut each: Vec<Duration> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut each = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= times {
                            return each;
                        }
                        let began = Instant::now();
                        work(number);
                        each.push(began.elapsed());
                    }
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("its end")).collect()
    });
    let all = began.elapsed();
    each.sort();
    let ms = |at: usize| each[at.min(each.len() - 1)].as_secs_f64() * 1e3;
    let rate = times as f64 / all.as_secs_f64();
    println!("| {what} | {:.1} ms | {:.1} ms | {rate:.0} |", ms(times / 2), ms(times * 99 / 100));
}

/// A repository with that many commits, each of which changes one of the files.
fn make(source: &Path) {
    run(Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(source));
    let mut import = Command::new("git");
    let import = import.args(["fast-import", "--quiet"]).current_dir(source).stdin(Stdio::piped()).spawn();
    let mut import = import.expect("git");
    let mut input = std::io::BufWriter::new(import.stdin.take().expect("its input"));
    for number in 0..COMMITS {
        let at = 1_600_000_000 + number * 60;
        let content = format!("{number:>1023}\n");
        write!(input, "commit refs/heads/main\ncommitter A <a@example.org> {at} +0000\ndata 7\nChange\n\n")
            .expect("written");
        let files = if number == 0 { 0..FILES } else { number % FILES..number % FILES + 1 };
        for file in files {
            write!(input, "M 644 inline f{file}\ndata {}\n{content}\n", content.len()).expect("written");
        }
    }
    drop(input);
    assert!(import.wait().expect("its end").success());
}

fn git(bare: &Path, arguments: &[&str]) {
    let output = run(Command::new("git").current_dir(bare).args(arguments));
    assert!(!output.is_empty());
}

/// What a commit of one file takes in git's own small commands, with a branch for each.
fn plumbing(bare: &Path, number: usize) {
    let with_input = |arguments: &[&str], input: &[u8]| {
        let child =
            Command::new("git").current_dir(bare).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("git");
        child.stdin.take().expect("its input").write_all(input).expect("written");
        String::from_utf8(child.wait_with_output().expect("its end").stdout).expect("text").trim().to_owned()
    };
    let durable = ["-c", "core.fsync=committed,reference"];
    let with = |arguments: &[&'static str]| [&durable[..], arguments].concat();
    let blob = with_input(&with(&["hash-object", "-w", "--stdin"]), b"some content\n");
    let subtree = with_input(&with(&["mktree"]), format!("100644 blob {blob}\tfile.txt\n").as_bytes());
    let mut tree = run(Command::new("git").current_dir(bare).args(["ls-tree", "main"]));
    tree.extend_from_slice(format!("040000 tree {subtree}\tnew\n").as_bytes());
    let tree = with_input(&with(&["mktree"]), &tree);
    let mut commit = Command::new("git");
    commit.current_dir(bare).args(durable).args(["-c", "user.name=A", "-c", "user.email=a@example.org"]);
    let commit = run(commit.args(["commit-tree", "-p", "main", "-m", "An upload", &tree]));
    let commit = String::from_utf8(commit).expect("text");
    run(Command::new("git").current_dir(bare).args(durable).args([
        "update-ref",
        &format!("refs/heads/g{number}"),
        commit.trim(),
    ]));
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
