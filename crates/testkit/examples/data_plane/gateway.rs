//! What the gateway costs and saves: the same asked of an upstream, and of the gateway in front of it, in one run (`bench/gateway`).
//!
//! Prints a table, and writes it to `bench/GATEWAY.md`. All traffic is on loopback; load, gateway and upstream share the machine.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use doorward_testkit::{Git, History, Sandbox, Server, write_history};

use crate::load::{self, command};
use crate::peers::{NAMES, Peer};
use crate::scenarios::{Round, World, fetches, refs, refs_alone, refs_with};
use crate::{advertisement, answer};

const ROUNDS: usize = 5;

/// Runs all of it, and writes the results; or the scenarios whose names contain a text, and writes nothing.
pub(crate) fn run(program: &str, only: Option<&str>) {
    let directory = tempfile::tempdir().expect("a directory");
    let git = Git::new(directory.path());
    let source = make(&git, directory.path());
    let world = World::new(git, directory.path().to_path_buf(), &source);
    let nginx = Peer::nginx(directory.path(), &source);
    let before_nginx = Peer::gateway(program, "gateway", &nginx);
    let is_asked = |name: &str| only.is_none_or(|only| name.contains(only));
    let mut table = String::from(
        "| scenario | upstream by itself | through the gateway | asked of the upstream |\n|---|---|---|---|\n",
    );
    let mut row = |name: &str, direct: &Peer, through: &Peer, scenario: &dyn Fn(&Peer) -> Round| {
        if !is_asked(name) {
            return;
        }
        let (mut of_direct, mut of_through, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let before = through.asked_upstream();
            let (direct, through_it) = (scenario(direct), scenario(through));
            // The first one makes things warm and is not counted.
            if round > 0 {
                asked.push((through.asked_upstream() - before) as f64);
                of_direct.push(direct);
                of_through.push(through_it);
            }
        }
        let asked = load::spread(asked);
        let line = format!("| {name} | {} | {} | {asked} |\n", load::cell(&of_direct), load::cell(&of_through));
        print!("{line}");
        table.push_str(&line);
    };
    let everything = ["peel", "symrefs", "ref-prefix HEAD", "ref-prefix refs/heads/", "ref-prefix refs/tags/"];
    let everything = command("ls-refs", everything.map(str::to_owned));
    let recorded =
        Peer::recorded(directory.path(), &advertisement(&source, "small"), &answer(&source, "small", &everything));
    let before_recorded = Peer::gateway(program, "gateway before recorded answers", &recorded);
    let warm = |at_once: usize, times: usize| {
        let world = &world;
        move |peer: &Peer| {
            let question = world.clone("medium", false);
            fetches(peer, "medium", "", at_once, times, || question.clone())
        }
    };
    row("`info/refs` and `ls-refs`, 32 connections, http-backend", &nginx, &before_nginx, &|p| {
        refs(p, "small", &everything)
    });
    row("`ls-refs` alone, 32 connections, http-backend", &nginx, &before_nginx, &|p| {
        refs_alone(p, "small", &everything)
    });
    row("`info/refs` and `ls-refs`, 32 connections, fast upstream", &recorded, &before_recorded, &|p| {
        refs(p, "small", &everything)
    });
    row("`ls-refs` alone, 32 connections, fast upstream", &recorded, &before_recorded, &|p| {
        refs_alone(p, "small", &everything)
    });
    row("`info/refs` and `ls-refs`, one connection, fast upstream", &recorded, &before_recorded, &|p| {
        refs_with(p, "small", &everything, 1)
    });
    row("one warm clone, medium", &nginx, &before_nginx, &warm(1, 10));
    row("32 warm clones at once, medium", &nginx, &before_nginx, &warm(32, 1));
    for (name, rows) in [
        ("cold", &(|table: &mut String| cold(program, &world, &nginx, table)) as &dyn Fn(&mut String) -> String),
        ("far", &|table| far(program, &world, table)),
        ("flaky", &|table| flaky(program, &world, table)),
    ] {
        if is_asked(name) {
            print!("{}", rows(&mut table));
        }
    }
    let memory = before_nginx.memory().unwrap_or(0) / (1 << 20);
    let [fetched, served] = ["fetched", "served"].map(|what| before_nginx.upstream_bytes(what) as f64 / 1e6);
    let bytes = format!("{fetched:.1} MB for {served:.1} MB, {:.3} of them", fetched / served);
    println!("fetched from the upstream: {bytes}");
    if only.is_some() {
        return;
    }
    let text = RESULTS.replace("@TABLE@", &table).replace("@BYTES@", &bytes).replace("@MEMORY@", &memory.to_string());
    fs::write("bench/GATEWAY.md", text).expect("written");
}

/// The repositories that a gateway is asked about, below a directory; under the other names that are served, small ones.
pub(crate) fn make(git: &Git, directory: &Path) -> PathBuf {
    let source = directory.join("source");
    println!("making the repositories …");
    fs::create_dir_all(&source).expect("made");
    for (name, commits, binary_bytes) in [("small", 40, 0), ("medium", 2300, 200_000)] {
        let bare = source.join(format!("{name}.git"));
        write_history(git, &bare, History { commits, binary_bytes });
        git.ok(&bare, &["-c", "repack.writeBitmaps=true", "repack", "-adbq"]);
    }
    for name in NAMES.into_iter().filter(|name| !source.join(format!("{name}.git")).exists()) {
        git.ok(&source, &["clone", "-q", "--mirror", "--no-local", "small.git", &format!("{name}.git")]);
    }
    source
}

/// Sixteen clones of what no mirror has yet: a new gateway each time.
fn cold(program: &str, world: &World, nginx: &Peer, table: &mut String) -> String {
    let (mut direct, mut through, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    let question = world.clone("medium", false);
    for _ in 0..ROUNDS {
        direct.push(fetches(nginx, "medium", "", 16, 1, || question.clone()));
        let gateway = Peer::gateway(program, "gateway", nginx);
        through.push(fetches(&gateway, "medium", "", 16, 1, || question.clone()));
        asked.push(gateway.asked_upstream() as f64);
    }
    let row = format!(
        "| 16 cold clones at once, medium | {} | {} | {} |\n",
        load::cell(&direct),
        load::cell(&through),
        load::spread(asked)
    );
    table.push_str(&row);
    row
}

/// Real clients fetch from an upstream that is 50 ms away.
fn far(program: &str, world: &World, table: &mut String) -> String {
    let sandbox = Sandbox::start(program, &["--latency", "50ms"]);
    let secret = sandbox.secret("repository_access_token", "valid").to_owned();
    let gateway = before(program, sandbox.host());
    let clone = |host: &str, name: &str| {
        let url = url(host, &secret);
        let path = world.directory.join(name);
        world.git.ok(&world.directory, &["clone", "-q", &url, name]);
        path
    };
    let (direct, through) = (clone(sandbox.host(), "far-direct"), clone(gateway.host(), "far-through"));
    let timed = |clone: &PathBuf, arguments: &[&str]| {
        let began = Instant::now();
        world.git.ok(clone, arguments);
        began.elapsed().as_secs_f64() * 1e3
    };
    let writer = clone(sandbox.host(), "far-writer");
    let mut rows = String::new();
    for (name, of_commit, arguments) in [
        ("`git fetch` with nothing new, upstream 50 ms away", Of::Nothing, &["fetch", "-q"][..]),
        ("`git ls-remote`, the same", Of::Nothing, &["ls-remote", "-q"]),
        ("`git fetch` of a new commit, the same", Of::Theirs, &["fetch", "-q"]),
        ("`git push` of a new commit, the same", Of::Ours, &["push", "-q", "origin"]),
    ] {
        let (mut of_direct, mut of_through) = (Vec::new(), Vec::new());
        for number in 0..10 {
            for (clone, side, values) in [(&direct, "direct", &mut of_direct), (&through, "through", &mut of_through)] {
                let branch = format!("HEAD:refs/heads/{side}");
                let mut arguments = arguments.to_vec();
                match of_commit {
                    Of::Nothing => {}
                    Of::Theirs => {
                        world.git.commit(&writer, "file", &format!("{side} {number}"));
                        world.git.ok(&writer, &["push", "-q", "origin", "HEAD:refs/heads/theirs"]);
                    }
                    Of::Ours => {
                        world.git.commit(clone, "file", &format!("{number}"));
                        arguments.push(&branch);
                    }
                }
                values.push(timed(clone, &arguments));
            }
        }
        let (of_direct, of_through) = (load::spread(of_direct), load::spread(of_through));
        let _ = writeln!(rows, "| {name} | {of_direct} ms | {of_through} ms | |");
    }
    let cloned = |host: &str, side: &str| {
        let values = (0..10).map(|number| {
            let began = Instant::now();
            clone(host, &format!("far-{side}-{number}"));
            began.elapsed().as_secs_f64() * 1e3
        });
        load::spread(values.collect())
    };
    let (of_direct, of_through) = (cloned(sandbox.host(), "direct"), cloned(gateway.host(), "through"));
    let _ = writeln!(rows, "| `git clone`, the same | {of_direct} ms | {of_through} ms | |");
    table.push_str(&rows);
    rows
}

/// Whose commit there is before each time.
#[derive(Clone, Copy)]
enum Of {
    Nothing,
    Theirs,
    Ours,
}

/// Jobs that start together, while the upstream refuses good credentials in bursts.
fn flaky(program: &str, world: &World, table: &mut String) -> String {
    let sandbox = Sandbox::start(program, &["--seed", "1"]);
    let secret = sandbox.secret("repository_access_token", "valid").to_owned();
    let gateway = before(program, sandbox.host());
    world.git.ok(&world.directory, &["ls-remote", "-q", &url(gateway.host(), &secret)]);
    sandbox.control("faults", r#"{"spurious_401": "0.3,3"}"#);
    let jobs = |host: &str, name: &str| {
        let began = Instant::now();
        let children: Vec<_> = (0..64)
            .map(|number| {
                let arguments = ["clone", "-q", &url(host, &secret), &format!("{name}-{number}")];
                let mut clone = world.git.command(&world.directory, &arguments);
                clone.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("git runs")
            })
            .collect();
        let good = children.into_iter().map(|mut child| child.wait().expect("it ends").success());
        let failed = good.filter(|good| !good).count();
        (failed, began.elapsed().as_secs_f64())
    };
    let (failed, took) = jobs(sandbox.host(), "flaky-direct");
    let (failed_through, took_through) = jobs(gateway.host(), "flaky-through");
    let row = format!(
        "| 64 jobs clone at once, 30 % of all requests refused in bursts | {failed} of 64 fail, {took:.1} s | \
         {failed_through} of 64 fail, {took_through:.1} s | |\n"
    );
    table.push_str(&row);
    row
}

fn before(program: &str, upstream: &str) -> Server {
    let configuration =
        format!("[[upstream]]\nname = \"upstream\"\nworkspaces = \"acme\"\ngit = \"http://{upstream}\"\n");
    Server::start_configured(program, &configuration, &[("DOORWARD_LOG_LEVEL", "warn")])
}

fn url(host: &str, secret: &str) -> String {
    format!("http://x-token-auth:{}@{host}/acme/site.git", secret.replace('=', "%3D"))
}

const RESULTS: &str = "# The gateway beside its upstream

Written by `bench/gateway`. The same questions to an upstream and to the gateway in front of it, in turn, in one run, over loopback and
without TLS; load, gateway and upstream share two cores. Each cell has the median of five rounds (the least – the greatest): time or
rate, and the processor time of everything that is not the load itself, the upstream's included. The last column counts the requests
that reached the upstream in a round. Of ls-refs, each `info/refs` is a look at the upstream that began after it, shared with those who
asked meanwhile with the same credential; the `ls-refs` that follows on its connection takes what that look saw, and one without it is a
question of its own. The fast upstream is nginx, which answers with recorded answers out of files whoever has the password.

@TABLE@
What the gateway before http-backend fetched from it in all of this, for what it served: @BYTES@.

The most memory that the gateway's own process has had in all of this: @MEMORY@ MiB.
";
