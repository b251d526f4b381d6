//! What listing refs costs beside git processes that do the same, and beside the least that this server can answer:
//! `cargo bench -p doorward --bench refs`.
//!
//! Sixteen callers ask at once on connections that are kept, each with a token of its own account. Printed are the rate, the median,
//! the 99th of a hundred, and the time that all cores were busy in the server for each; of git, the process that an answer takes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use doorward_testkit::{Server, command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");
const CALLERS: usize = 16;
const REFS: usize = 100_000;

fn main() {
    let server = Server::start(PROGRAM);
    let cli = server.cli();
    cli.ok(&["repository", "create", "home/many"]);
    let (small, many) = (server.bare("home/hello"), server.bare("home/many"));
    fill(&small, &many);
    let token = cli.token("admin", &["read:repository:bitbucket"], &[]).1;
    let prefix: &[&[u8]] = &[b"peel", b"symrefs", b"ref-prefix refs/heads/many/0500"];
    let everything: &[&[u8]] =
        &[b"peel", b"symrefs", b"ref-prefix HEAD", b"ref-prefix refs/heads/", b"ref-prefix refs/tags/"];
    println!(
        "{CALLERS} callers at once\n\n| what | a second | median | p99 | server CPU for each |\n|---|---|---|---|---|"
    );
    let world = World { server: &server, token };
    world.measured("the least there is: `GET /2.0/doorward/avatar.svg`", &world.get("/2.0/doorward/avatar.svg", ""));
    world.measured("`info/refs`, version 2", &world.get("/home/hello.git/info/refs?service=git-upload-pack", V2));
    world.measured("`ls-refs`, small repository", &world.post("home/hello", everything));
    world.measured("`ls-refs`, 100 by prefix of 100,000", &world.post("home/many", prefix));
    for (what, bare, arguments) in [
        ("git: `upload-pack`, `ls-refs`, small repository", &small, everything),
        ("git: `upload-pack`, 100 by prefix of 100,000", &many, prefix),
    ] {
        let began = Instant::now();
        (0..200).for_each(|_| upload_pack(bare, &command("ls-refs", &[], arguments)));
        let each = began.elapsed().as_secs_f64() * 5.0;
        println!("| {what}, one after the other | {:.0} | {each:.2} ms | | |", 1000.0 / each);
    }
    println!("\nmemory of the server: {} MiB", server.memory("VmRSS") / 1024 / 1024);
}

const V2: &str = "Git-Protocol: version=2\r\n";

struct World<'a> {
    server: &'a Server,
    token: String,
}

impl World<'_> {
    fn get(&self, path: &str, header: &str) -> Vec<u8> {
        let (host, token) = (self.server.host(), &self.token);
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{header}\r\n").into()
    }

    fn post(&self, repository: &str, arguments: &[&[u8]]) -> Vec<u8> {
        let (host, token, body) = (self.server.host(), &self.token, command("ls-refs", &[], arguments));
        let head = format!(
            "POST /{repository}.git/git-upload-pack HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{V2}\
             Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body].concat()
    }

    /// Sends a request again and again for some seconds, and prints what it takes.
    fn measured(&self, what: &str, request: &[u8]) {
        let busy = self.busy();
        let began = Instant::now();
        let mut each: Vec<Duration> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(|| self.ask(request, began))).collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("its end")).collect()
        });
        let (all, busy) = (began.elapsed().as_secs_f64(), self.busy() - busy);
        each.sort();
        let ms = |at: usize| each[at.min(each.len() - 1)].as_secs_f64() * 1e3;
        let (count, cpu) = (each.len(), busy * 1e3 / each.len() as f64);
        let rate = count as f64 / all;
        println!("| {what} | {rate:.0} | {:.2} ms | {:.2} ms | {cpu:.3} ms |", ms(count / 2), ms(count * 99 / 100));
    }

    fn ask(&self, request: &[u8], began: Instant) -> Vec<Duration> {
        let mut stream = TcpStream::connect(self.server.host()).expect("a connection");
        stream.set_nodelay(true).expect("set");
        let (mut buffer, mut each) = (vec![0; 256 * 1024], Vec::new());
        while began.elapsed() < LENGTH {
            let asked = Instant::now();
            stream.write_all(request).expect("sent");
            let (mut have, mut need) = (0, usize::MAX);
            while have < need {
                let read = stream.read(&mut buffer[have..]).expect("an answer");
                assert!(read > 0, "the server hung up");
                have += read;
                if need == usize::MAX {
                    need = length(&buffer[..have]).unwrap_or(usize::MAX);
                }
            }
            each.push(asked.elapsed());
        }
        each
    }

    /// Seconds that cores were busy in the server so far.
    fn busy(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.server.pid())).expect("the server runs");
        let fields: Vec<&str> = text.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / 100.0
    }
}

/// Bytes of the whole answer, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).expect("a head").to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200"), "{text}");
    let length = text.split("content-length: ").nth(1).expect("a length").split("\r\n").next().expect("a number");
    Some(head + 4 + length.parse::<usize>().expect("a number"))
}

fn upload_pack(bare: &Path, question: &[u8]) {
    let mut command = Command::new("git");
    command.args(["upload-pack", "--stateless-rpc"]).arg(bare).env("GIT_PROTOCOL", "version=2");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git");
    child.stdin.take().expect("its input").write_all(question).expect("written");
    assert!(child.wait_with_output().expect("its end").stdout.len() > 50);
}

/// A hundred thousand refs that lead to a commit of another repository's.
fn fill(small: &Path, many: &Path) {
    let git = |bare: &Path, arguments: &[&str]| {
        let output = Command::new("git").current_dir(bare).args(arguments).output().expect("git");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    git(many, &["fetch", "-q", &small.display().to_string(), "refs/heads/*:refs/heads/*"]);
    let commit = git(many, &["rev-parse", "HEAD"]);
    let mut text = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    (0..REFS).for_each(|number| text.push_str(&format!("{commit} refs/heads/many/{number:06}\n")));
    std::fs::write(many.join("packed-refs"), text).expect("written");
}

const LENGTH: Duration = Duration::from_secs(4);
