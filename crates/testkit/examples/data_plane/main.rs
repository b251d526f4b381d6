//! The same asked of this server, of `git http-backend` behind nginx and behind Apache, and of nginx with files, in one run and in
//! turn. `bench/run` runs this after it has installed what it takes.
//!
//! Prints a table, and writes it to `bench/RESULTS.md`. All that is served lies on one disk, over loopback; load and server share
//! the machine.

mod gateway;
mod gateways;
mod load;
mod peers;
mod scenarios;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use doorward_testkit::{Git, History, write_history};

use load::{cell, command};
use peers::Peer;
use scenarios::{Round, World, fetches, good, nothing_new, pushes, refs, updates};

const ROUNDS: usize = 5;
const ROUNDS_OF_LARGE: usize = 3;
const MANY: usize = 100_000;

/// One scenario: what it is called, what its figures are of, whether files can do it, and how it is done.
type Scenario<'a> = (&'static str, &'static str, bool, Box<dyn Fn(&Peer) -> Round + 'a>);

fn main() {
    let program = std::env::args().nth(1).expect("the path of the built server");
    // Some of what is started works in a directory of its own.
    let program = fs::canonicalize(program).expect("it is there").display().to_string();
    let only = std::env::args().nth(2);
    if only.as_deref() == Some("--gateways") {
        return gateways::run(&program);
    }
    if only.as_deref() == Some("--gateway") {
        return gateway::run(&program, std::env::args().nth(3).as_deref());
    }
    let directory = tempfile::tempdir().expect("a directory");
    let git = Git::new(directory.path());
    let source = directory.path().join("source");
    println!("making the repositories …");
    make(&git, &source);
    let world = World::new(git, directory.path().to_path_buf(), &source);
    let peers = [
        Peer::doorward(&program, &source),
        Peer::nginx(directory.path(), &source),
        Peer::apache(directory.path(), &source),
        Peer::files(directory.path()),
    ];
    let everything = ["peel", "symrefs", "ref-prefix HEAD", "ref-prefix refs/heads/", "ref-prefix refs/tags/"];
    let everything = command("ls-refs", everything.map(str::to_owned));
    let hundred = command("ls-refs", ["peel", "symrefs", "ref-prefix refs/heads/many/0500"].map(str::to_owned));
    write_files(
        &peers[3],
        &source,
        &[
            ("small", "small.refs", &everything),
            ("many", "many.refs", &hundred),
            ("medium", "medium.pack", &world.clone("medium", false)),
            ("large", "large.pack", &world.clone("large", false)),
            ("medium", "medium.shallow", &world.shallow("medium", false)),
            ("large", "large.shallow", &world.shallow("large", false)),
        ],
    );
    let clones = |repository: &'static str, at_once, times, new| {
        let world = &world;
        Box::new(move |peer: &Peer| {
            let file = format!("{repository}.pack");
            let question = world.clone(repository, new);
            let ask = || if new { world.clone(repository, true) } else { question.clone() };
            fetches(peer, repository, &file, at_once, times, ask)
        }) as Box<dyn Fn(&Peer) -> Round>
    };
    let shallows = |repository: &'static str, at_once, times, new| {
        let world = &world;
        Box::new(move |peer: &Peer| {
            let file = format!("{repository}.shallow");
            fetches(peer, repository, &file, at_once, times, || world.shallow(repository, new))
        }) as Box<dyn Fn(&Peer) -> Round>
    };
    let scenarios: Vec<Scenario<'_>> = vec![
        (
            "`info/refs` and `ls-refs`, small, 32 connections",
            "request",
            true,
            Box::new(|p| refs(p, "small", &everything)),
        ),
        ("the same, 100 by prefix of 100,000 refs", "request", true, Box::new(|p| refs(p, "many", &hundred))),
        ("one clone, medium, never asked before", "clone", true, clones("medium", 1, 8, true)),
        ("one clone, medium, asked before", "clone", true, clones("medium", 1, 20, false)),
        ("32 clones at once, medium, new", "32 clones", true, clones("medium", 32, 2, true)),
        ("32 shallow clones at once, medium, new", "32 clones", true, shallows("medium", 32, 1, true)),
        ("one clone, large, never asked before", "clone", true, clones("large", 1, 1, true)),
        ("one clone, large, asked before", "clone", true, clones("large", 1, 5, false)),
        ("8 clones at once, large, new", "8 clones", true, clones("large", 8, 1, true)),
        ("8 shallow clones at once, large, new", "8 clones", true, shallows("large", 8, 1, true)),
        ("fetch with nothing new, 8 clients of git", "fetch", false, Box::new(|p| nothing_new(p, &world))),
        ("10 to 41 new commits, 32 who are each elsewhere", "fetch", false, Box::new(|p| updates(p, &world))),
        ("small pushes, one after the other", "push", false, Box::new(|p| pushes(p, &world, 1, 10))),
        ("small pushes, 8 clients of git", "push", false, Box::new(|p| pushes(p, &world, 8, 3))),
        ("20 good requests a second", "request", true, Box::new(|p| good(p, &everything, false))),
        ("the same beside wrong secrets on 8 connections", "request", false, Box::new(|p| good(p, &everything, true))),
    ];
    let mut table = String::from("| scenario | of each |");
    peers.iter().for_each(|peer| table.push_str(&format!(" {} |", peer.name)));
    table.push_str(&format!("\n|---|---|{}\n", "---|".repeat(peers.len())));
    print!("{table}");
    for (name, unit, has_files, scenario) in &scenarios {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let mut rounds: Vec<Vec<Round>> = peers.iter().map(|_| Vec::new()).collect();
        let rounds_of_it = if name.contains("large") { ROUNDS_OF_LARGE } else { ROUNDS };
        for round in 0..=rounds_of_it {
            for (peer, rounds) in peers.iter().zip(&mut rounds).filter(|(peer, _)| *has_files || !peer.is_static) {
                let came = scenario(peer);
                // The first one makes things warm and is not counted.
                if round > 0 {
                    rounds.push(came);
                }
            }
        }
        let cells: Vec<String> = rounds.iter().map(|rounds| cell(rounds)).collect();
        let row = format!("| {name} | {unit} | {} |\n", cells.join(" | "));
        print!("{row}");
        let _ = std::io::stdout().flush();
        table.push_str(&row);
    }
    let memory = peers[0].memory().unwrap_or(0) / (1 << 20);
    println!("\nthe most memory that the server's own process has had in all of this: {memory} MiB");
    if only.is_none() {
        let text = RESULTS.replace("@TABLE@", &table).replace("@MEMORY@", &memory.to_string());
        let text = text.replace("@MACHINE@", &machine(&world.git)).replace("@SIZES@", &sizes(&world.git, &source));
        fs::write("bench/RESULTS.md", text).expect("written");
    }
}

/// The repositories: a few commits, thousands, many thousands with large files, and a hundred thousand refs.
fn make(git: &Git, source: &Path) {
    fs::create_dir_all(source).expect("made");
    for (name, commits, binary_bytes) in [("small", 40, 0), ("medium", 2300, 200_000), ("large", 30_000, 1_000_000)] {
        let bare = source.join(format!("{name}.git"));
        write_history(git, &bare, History { commits, binary_bytes });
        // As upkeep leaves a repository, and as the peers would be served best.
        git.ok(&bare, &["-c", "repack.writeBitmaps=true", "repack", "-adbq"]);
        git.ok(&bare, &["commit-graph", "write", "--reachable", "--no-progress"]);
        git.ok(&bare, &["pack-refs", "--all"]);
    }
    let many = source.join("many.git");
    assert!(
        Command::new("cp").arg("-a").args([source.join("small.git"), many.clone()]).status().expect("cp").success()
    );
    let commit = git.ok(&many, &["rev-parse", "main"]);
    let mut text = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    let _ = writeln!(text, "{commit} refs/heads/main");
    (0..MANY).for_each(|number| text.push_str(&format!("{commit} refs/heads/many/{number:06}\n")));
    fs::write(many.join("packed-refs"), text).expect("written");
}

/// What the others answer, as files.
fn write_files(files: &Peer, source: &Path, answers: &[(&str, &str, &Vec<u8>)]) {
    let root = &files.files;
    for (repository, file, question) in answers {
        fs::write(root.join(file), answer(source, repository, question)).expect("written");
    }
    for repository in ["small", "many"] {
        fs::write(root.join(format!("{repository}.info")), advertisement(source, repository)).expect("written");
    }
}

/// What git answers to a question.
fn answer(source: &Path, repository: &str, question: &[u8]) -> Vec<u8> {
    let answer = upload_pack(source, repository, &["--stateless-rpc"], question);
    assert!(!answer.is_empty(), "no answer of {repository}");
    answer
}

/// What git says before any.
fn advertisement(source: &Path, repository: &str) -> Vec<u8> {
    upload_pack(source, repository, &["--stateless-rpc", "--http-backend-info-refs"], b"")
}

fn upload_pack(source: &Path, repository: &str, arguments: &[&str], question: &[u8]) -> Vec<u8> {
    let mut git = Command::new("git");
    git.env("GIT_PROTOCOL", "version=2").arg("upload-pack").args(arguments);
    git.arg(source.join(format!("{repository}.git")));
    let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git runs");
    let mut stdin = child.stdin.take().expect("its input");
    let question = question.to_vec();
    let feeding = std::thread::spawn(move || stdin.write_all(&question));
    let answer = child.wait_with_output().expect("git ends").stdout;
    let _ = feeding.join();
    answer
}

fn machine(git: &Git) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let version = |program: &str| {
        let output = Command::new(program).arg("-v").output().expect("it runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        text.lines().next().unwrap_or_default().replace("nginx version: ", "").replace("Server version: ", "")
    };
    let git = git.ok(Path::new("/"), &["version"]);
    format!("{cores} cores, {git}, {}, {}", version("nginx"), version("apache2"))
}

fn sizes(git: &Git, source: &Path) -> String {
    let told = ["small", "medium", "large"].map(|name| {
        let bare = source.join(format!("{name}.git"));
        let count = git.ok(&bare, &["rev-list", "--all", "--count"]);
        let refs = git.ok(&bare, &["for-each-ref"]).lines().count();
        let packs = fs::read_dir(bare.join("objects/pack")).expect("there").flatten();
        let bytes: u64 = packs.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum();
        format!("{name}: {count} commits, {refs} refs, {:.1} MB", bytes as f64 / 1e6)
    });
    told.join("; ")
}

const RESULTS: &str = "# The data plane beside its peers

Written by `bench/run`; @MACHINE@. Repositories: @SIZES@, all with bitmaps and a commit-graph; and one with 100,000 refs. The same
files, questions and git for all, over loopback, without TLS, one after the other in the same run; load and server share the cores.
Each cell has the median of five rounds, of three with the large repository (the least – the greatest): time or rate, and the
processor time of everything that is not the load itself. Unless it is said that real clients ask, the questions are sent as git
sends them and the answers are read and dropped. Static files are asked without a credential; of this server and the others each question has one. Pushes are durable alike
(`core.fsync`); this server waits for the directories, too.

@TABLE@
The most memory that this server's own process has had in all of this: @MEMORY@ MiB.
";
