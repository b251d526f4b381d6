//! The gateway beside other people's, before the same upstream and with the same questions (`bench/gateways`).
//!
//! Which are there the environment says: `GIT_CACHE_PROXY` and `JOSH_PROXY` are programs, `GIT_CDN` is a checkout of git_cdn with its
//! Python environment in `venv`. Prints a table, and writes it to `bench/GATEWAYS.md`. All traffic is on loopback.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use doorward_testkit::Git;

use crate::gateway::make;
use crate::load::{self, command, taken};
use crate::peers::{Peer, free_address};
use crate::scenarios::{Round, World, fetches, nothing_new, refs_alone, wrong};

const ROUNDS: usize = 3;

/// How one of them is started, in a directory of its own.
type Start<'a> = Box<dyn Fn(&Path) -> Peer + 'a>;

/// Runs all of it, and writes the results; or the scenarios whose names contain a text, and writes nothing.
pub(crate) fn run(program: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let git = Git::new(directory.path());
    let source = make(&git, directory.path());
    let world = World::new(git, directory.path().to_path_buf(), &source);
    let nginx = Peer::nginx(directory.path(), &source);
    let log = directory.path().join("nginx/access.log");
    let all = starts(program, &nginx);
    let number = Cell::new(0);
    let start = |start: &Start<'_>| {
        number.set(number.get() + 1);
        let home = directory.path().join(format!("gateway-{}", number.get()));
        fs::create_dir_all(&home).expect("made");
        start(&home)
    };
    let everything = ["peel", "symrefs", "ref-prefix HEAD", "ref-prefix refs/heads/", "ref-prefix refs/tags/"];
    let everything = command("ls-refs", everything.map(str::to_owned));
    let tips = world.git.ok(&source.join("medium.git"), &["for-each-ref", "--format=want %(objectname)"]);
    let warm = |depth: Option<&'static str>, at_once: usize| {
        let wants: Vec<String> = tips.lines().map(str::to_owned).collect();
        move |peer: &Peer| {
            let question = if peer.is_old { in_version_0(&wants, depth) } else { in_version_2(&wants, depth) };
            fetches(peer, "medium", "", at_once, 1, || question.clone())
        }
    };
    type Scenario<'a> = Box<dyn Fn(&Peer) -> Round + 'a>;
    let scenarios: [(&str, bool, Scenario<'_>); 8] = [
        ("`ls-refs`, 32 connections", false, Box::new(|peer| refs_alone(peer, "medium", &everything))),
        ("fetch with nothing new, 8 clients of git", false, Box::new(|peer| nothing_new(peer, &world))),
        ("one warm clone", false, Box::new(warm(None, 1))),
        ("32 warm clones at once", false, Box::new(warm(None, 32))),
        ("32 warm shallow clones at once", false, Box::new(warm(Some("deepen 1"), 32))),
        ("one cold clone, a client of git", true, Box::new(|peer| clones(peer, &world, 1))),
        ("16 cold clones at once, clients of git", true, Box::new(|peer| clones(peer, &world, 16))),
        ("wrong credentials, 8 connections", false, Box::new(|peer| wrong(peer, "medium"))),
    ];
    let direct = Peer::before("the upstream itself", &nginx, nginx.host.clone(), idle());
    let running: Vec<Peer> = all.iter().map(|(_, gateway)| start(gateway)).collect();
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let mut table = format!("| scenario | {} | {} |\n", direct.name, names.join(" | "));
    table.push_str(&format!("|---|{}\n", "---|".repeat(names.len() + 1)));
    print!("{table}");
    let only = std::env::args().nth(3);
    for (name, is_cold, scenario) in &scenarios {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let mut cells = vec![Cells::default(); names.len() + 1];
        for round in 0..=ROUNDS {
            for place in 0..=names.len() {
                let fresh = (*is_cold && place > 0).then(|| start(&all[place - 1].1));
                let peer = fresh.as_ref().unwrap_or_else(|| if place == 0 { &direct } else { &running[place - 1] });
                let before = lines(&log);
                let came = scenario(peer);
                // The first one makes things warm and is not counted; but what begins anew each time is cold each time.
                if round > 0 || *is_cold {
                    cells[place].rounds.push(came);
                    cells[place].asked.push(lines(&log) - before);
                }
            }
        }
        let cells: Vec<String> = cells.iter_mut().map(Cells::told).collect();
        let row = format!("| {name} | {} |\n", cells.join(" | "));
        print!("{row}");
        table.push_str(&row);
    }
    if only.is_some() {
        return;
    }
    fs::write("bench/GATEWAYS.md", RESULTS.replace("@TABLE@", &table)).expect("written");
}

/// What came of one scenario with one of them.
#[derive(Clone, Default)]
struct Cells {
    rounds: Vec<Round>,
    asked: Vec<u64>,
}

impl Cells {
    fn told(&mut self) -> String {
        self.asked.sort_unstable();
        let asked = self.asked[self.asked.len() / 2];
        format!("{}, asked {asked}", load::cell(&self.rounds))
    }
}

/// All that can be started here.
fn starts<'a>(program: &'a str, nginx: &'a Peer) -> Vec<(&'static str, Start<'a>)> {
    let mut all: Vec<(&'static str, Start<'a>)> =
        vec![("doorward", Box::new(move |_: &Path| Peer::gateway(program, "doorward", nginx)))];
    let upstream = format!("http://{}", nginx.host);
    if let Some(checkout) = std::env::var_os("GIT_CDN").map(PathBuf::from) {
        let upstream = upstream.clone();
        all.push((
            "git_cdn",
            Box::new(move |home| {
                let host = free_address();
                let mut python = Command::new(checkout.join("venv/bin/gunicorn"));
                python.args(["git_cdn.app:app", "-c", "config.py", "--bind", &host]).current_dir(&checkout);
                python.env("GITSERVER_UPSTREAM", format!("{upstream}/")).env("WORKING_DIRECTORY", home);
                Peer::before("git_cdn", nginx, host, python)
            }),
        ));
    }
    if let Some(josh) = std::env::var_os("JOSH_PROXY") {
        let upstream = upstream.clone();
        all.push((
            "josh-proxy",
            Box::new(move |home| {
                let host = free_address();
                let port = host.rsplit(':').next().expect("a port").to_owned();
                let mut josh = Command::new(&josh);
                josh.args(["--remote", &upstream, "--port", &port, "--local"]).arg(home).current_dir(home);
                let mut peer = Peer::before("josh-proxy", nginx, host, josh);
                peer.is_old = true;
                peer
            }),
        ));
    }
    for (name, seconds) in [("git-cache-proxy", "10"), ("git-cache-proxy, no TTL", "0")] {
        let (Some(proxy), upstream) = (std::env::var_os("GIT_CACHE_PROXY"), upstream.clone()) else { continue };
        all.push((
            name,
            Box::new(move |home| {
                let host = free_address();
                let mut proxy = Command::new(&proxy);
                proxy.args(["--bind", &host, "--upstream", &upstream, "--fetch-ttl-seconds", seconds, "--cache-root"]);
                proxy.arg(home).env("GITCACHEPROXY_UPSTREAM_AUTH_HEADER", nginx.authorization.trim());
                Peer::before(name, nginx, host, proxy)
            }),
        ));
    }
    all
}

fn in_version_2(wants: &[String], depth: Option<&str>) -> Vec<u8> {
    let flags = ["thin-pack", "ofs-delta", "no-progress", "done"].into_iter().chain(depth);
    command("fetch", flags.map(str::to_owned).chain(wants.iter().cloned()))
}

/// The same as version 0 of the protocol has it (gitprotocol-pack, "Packfile Negotiation").
fn in_version_0(wants: &[String], depth: Option<&str>) -> Vec<u8> {
    let line = |text: String| format!("{:04x}{text}", text.len() + 4);
    let first = line(format!("{} side-band-64k thin-pack ofs-delta no-progress\n", wants[0]));
    let others = wants[1..].iter().map(|want| line(format!("{want}\n"))).collect::<String>();
    let depth = depth.map(|depth| line(format!("{depth}\n"))).unwrap_or_default();
    format!("{first}{others}{depth}0000{}", line("done\n".into())).into_bytes()
}

/// Clients of git clone at once, each into a directory that is new.
fn clones(peer: &Peer, world: &World, at_once: usize) -> Round {
    let directory = tempfile::tempdir_in(&world.directory).expect("a directory");
    let url = peer.url("medium");
    let mut failed = 0;
    let taken = taken(|| {
        let children: Vec<_> = (0..at_once)
            .map(|number| {
                let mut git =
                    world.git.command(directory.path(), &["clone", "-q", "--bare", &url, &number.to_string()]);
                git.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("git runs")
            })
            .collect();
        failed =
            children.into_iter().filter_map(|mut child| child.wait().ok()).filter(|ended| !ended.success()).count();
    });
    Round { count: 1, failed, taken, late: None }
}

/// A program that does nothing, for what needs none in front of it.
fn idle() -> Command {
    let mut sleep = Command::new("sleep");
    sleep.arg("3600");
    sleep
}

fn lines(log: &Path) -> u64 {
    fs::read(log).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count() as u64)
}

const RESULTS: &str = "# The gateway beside others

Written by `bench/gateways`. All of them before the same `git http-backend` behind nginx, one after the other in the same run, over loopback
and without TLS; load, gateway and upstream share two cores. Each cell has the median of three rounds, of four if it is cold (the least – the
greatest): time or rate, the processor time of everything that is not the load itself, the upstream's included, and how many requests
the upstream was asked in a round, as its log counts them. Repository: 2,300 commits, 7 MB. Unless clients of git ask, the questions
are sent as git sends them, and the answers are read and dropped; josh-proxy, which knows version 0 of the protocol alone, is asked
in that. `ls-refs` is asked without `info/refs` before it, so that each has to be let in by itself;
that is as many questions as there are.

What each of them promises is not the same. This gateway and git_cdn ask the upstream about each credential; this one shares one look among
those who ask at the same time with the same credential. josh-proxy remembers for half an hour that it was let in. git-cache-proxy has
one credential for everybody, and lets in whoever comes: that it answers wrong credentials is what `failed` says in the last row.

@TABLE@";
