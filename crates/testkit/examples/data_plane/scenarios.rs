//! What is asked of each, and how.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use doorward_testkit::Git;

use crate::load::{Caller, Taken, command, info_refs, taken, upload_pack};
use crate::peers::Peer;

/// What a round of a scenario came to.
#[derive(Clone)]
pub(crate) struct Round {
    /// Operations.
    pub(crate) count: usize,
    /// Questions that got no answer, though they were good.
    pub(crate) failed: usize,
    pub(crate) taken: Taken,
    /// Milliseconds that one of a hundred took longer than, where that is what it is about.
    pub(crate) late: Option<f64>,
}

/// What the scenarios need to know of the repositories, which are the same everywhere.
pub(crate) struct World {
    pub(crate) git: Git,
    pub(crate) directory: PathBuf,
    /// What branches and tags lead to, by repository.
    tips: HashMap<&'static str, Vec<String>>,
    /// The commits of the main branch of the medium repository, the newest first.
    history: Vec<String>,
    /// Questions that were never asked before have a number that was never given before.
    numbers: Mutex<usize>,
}

impl World {
    pub(crate) fn new(git: Git, directory: PathBuf, source: &Path) -> Self {
        let lines = |name: &str, arguments: &[&str]| -> Vec<String> {
            let text = git.ok(&source.join(format!("{name}.git")), arguments);
            text.lines().map(str::to_owned).collect()
        };
        let tips = ["small", "medium", "large"].map(|name| {
            let mut tips = lines(name, &["for-each-ref", "--format=%(objectname)"]);
            tips.sort();
            tips.dedup();
            (name, tips)
        });
        let history = lines("medium", &["rev-list", "--first-parent", "main"]);
        Self { tips: tips.into(), history, git, directory, numbers: Mutex::new(0) }
    }

    fn number(&self) -> usize {
        let mut numbers = self.numbers.lock().expect("nobody panicked");
        *numbers += 1;
        *numbers
    }

    /// What a clone asks. A new one differs from all before in that one of the tips is not among its wants.
    pub(crate) fn clone(&self, name: &str, new: bool) -> Vec<u8> {
        let tips = &self.tips[name];
        let without = if new { 1 + self.number() % (tips.len() - 1) } else { tips.len() };
        let wants = tips.iter().enumerate().filter(|(place, _)| *place != without);
        let wants = wants.map(|(_, id)| format!("want {id}"));
        command("fetch", ["thin-pack", "ofs-delta", "no-progress", "done"].map(str::to_owned).into_iter().chain(wants))
    }

    /// What a clone of the newest commit alone asks. A new one wants the newest of another branch or tag, too.
    pub(crate) fn shallow(&self, name: &str, new: bool) -> Vec<u8> {
        let tips = &self.tips[name];
        let also = if new { 1 + self.number() % (tips.len() - 1) } else { 0 };
        let wants = [&tips[0], &tips[also]].map(|id| format!("want {id}"));
        let flags = ["thin-pack", "ofs-delta", "no-progress", "deepen 1", "done"].map(str::to_owned);
        command("fetch", flags.into_iter().chain(wants))
    }

    /// What one asks who has all but 10 to 41 commits, and names another number of those that it has each time: nobody has asked the
    /// same before.
    fn update(&self) -> Vec<u8> {
        let number = self.number();
        let (behind, named) = (10 + number % CONNECTIONS, 16 + number / CONNECTIONS);
        let haves = self.history[behind..].iter().take(named).map(|id| format!("have {id}"));
        let want = format!("want {}", self.history[0]);
        let flags = ["thin-pack", "ofs-delta", "no-progress"].map(str::to_owned);
        command("fetch", flags.into_iter().chain([want]).chain(haves))
    }
}

/// Asks for refs as git does, with a connection each, for some seconds.
pub(crate) fn refs(peer: &Peer, repository: &str, question: &[u8]) -> Round {
    refs_with(peer, repository, question, CONNECTIONS)
}

/// The same with so many connections.
pub(crate) fn refs_with(peer: &Peer, repository: &str, question: &[u8], connections: usize) -> Round {
    let file = format!("{repository}.refs");
    asked(peer, &[info_refs(peer, repository), upload_pack(peer, repository, &file, question)], connections, 200)
}

/// `ls-refs` and nothing before it: each is a question of its own.
pub(crate) fn refs_alone(peer: &Peer, repository: &str, question: &[u8]) -> Round {
    // In the first version of the protocol refs are listed in `info/refs` and nowhere else.
    let request = if peer.is_old { info_refs(peer, repository) } else { upload_pack(peer, repository, "", question) };
    asked(peer, &[request], CONNECTIONS, 200)
}

/// Wrong secrets, with a connection each, for some seconds. Whoever lets them in fails.
pub(crate) fn wrong(peer: &Peer, repository: &str) -> Round {
    let request = String::from_utf8_lossy(&info_refs(peer, repository)).replace(&peer.authorization, peer.wrong());
    asked(peer, &[request.into_bytes()], EIGHT, 401)
}

/// Sends requests one after the other and over again on each of so many connections, for some seconds.
fn asked(peer: &Peer, requests: &[Vec<u8>], connections: usize, status: u16) -> Round {
    let (count, failed) = (Mutex::new(0), Mutex::new(0));
    let taken = taken(|| {
        let began = Instant::now();
        scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let (mut caller, mut asked) = (Caller::new(peer), 0);
                    while began.elapsed() < LENGTH {
                        for request in requests {
                            match caller.ask(request).status == status {
                                true => asked += 1,
                                false => *failed.lock().expect("nobody panicked") += 1,
                            }
                        }
                    }
                    *count.lock().expect("nobody panicked") += asked;
                });
            }
        });
    });
    let [count, failed] = [count, failed].map(|count| count.into_inner().expect("nobody panicked"));
    Round { count, failed, taken, late: None }
}

/// Asks the same of one, so many times at once, and so many times over.
pub(crate) fn fetches(
    peer: &Peer,
    repository: &str,
    file: &str,
    at_once: usize,
    times: usize,
    ask: impl Fn() -> Vec<u8>,
) -> Round {
    let failed = AtomicUsize::new(0);
    let taken = taken(|| {
        for _ in 0..times {
            let request = upload_pack(peer, repository, file, &ask());
            scope(|scope| {
                for _ in 0..at_once {
                    scope.spawn(|| {
                        if !has_pack(&mut Caller::new(peer), &request) {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
        }
    });
    Round { count: times, failed: failed.into_inner(), taken, late: None }
}

/// So many who are each at another point ask for what is new.
pub(crate) fn updates(peer: &Peer, world: &World) -> Round {
    let failed = AtomicUsize::new(0);
    let taken = taken(|| {
        scope(|scope| {
            for _ in 0..CONNECTIONS {
                let request = upload_pack(peer, "medium", "", &world.update());
                let failed = &failed;
                scope.spawn(move || {
                    if !has_pack(&mut Caller::new(peer), &request) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
    });
    Round { count: CONNECTIONS, failed: failed.into_inner(), taken, late: None }
}

fn has_pack(caller: &mut Caller, request: &[u8]) -> bool {
    let mut begin = Vec::new();
    let answered = caller.ask_and_keep(request, |piece| {
        let missing = 65_536_usize.saturating_sub(begin.len()).min(piece.len());
        begin.extend_from_slice(&piece[..missing]);
    });
    let has_pack = answered.status == 200 && answered.bytes > 0 && begin.windows(4).any(|four| four == b"PACK");
    if !has_pack {
        let told = String::from_utf8_lossy(&begin[..begin.len().min(200)]).into_owned();
        eprintln!("no pack in the answer: {}, {told:?}", answered.status);
    }
    has_pack
}

/// Real clients fetch, and there is nothing new.
pub(crate) fn nothing_new(peer: &Peer, world: &World) -> Round {
    let clones: Vec<PathBuf> = (0..EIGHT).map(|number| clone_of(peer, world, "medium", number)).collect();
    let taken = taken(|| {
        for _ in 0..3 {
            at_once(clones.iter().map(|clone| world.git.command(clone, &["fetch", "-q"])));
        }
    });
    Round { count: 3 * EIGHT, failed: 0, taken, late: None }
}

/// Real clients push one commit each time, to a branch of their own.
pub(crate) fn pushes(peer: &Peer, world: &World, clients: usize, times: usize) -> Round {
    let git = &world.git;
    let clones: Vec<(PathBuf, Vec<String>)> = (0..clients)
        .map(|number| {
            let clone = clone_of(peer, world, "small", number);
            let commits = (0..times).map(|_| {
                git.ok(&clone, &["commit", "-q", "--allow-empty", "-m", &format!("Change {}", world.number())]);
                git.ok(&clone, &["rev-parse", "HEAD"])
            });
            let commits = commits.collect();
            (clone, commits)
        })
        .collect();
    let taken = taken(|| {
        for time in 0..times {
            at_once(clones.iter().enumerate().map(|(number, (clone, commits))| {
                git.command(clone, &["push", "-q", "origin", &format!("{}:refs/heads/client/{number}", commits[time])])
            }));
        }
    });
    Round { count: times * clients, failed: 0, taken, late: None }
}

fn at_once(commands: impl Iterator<Item = Command>) {
    let children: Vec<_> =
        commands.map(|mut command| command.stdout(Stdio::null()).spawn().expect("git runs")).collect();
    assert!(children.into_iter().all(|mut child| child.wait().expect("git ends").success()));
}

/// A clone of a client's own, made when it is first needed.
fn clone_of(peer: &Peer, world: &World, repository: &str, number: usize) -> PathBuf {
    let name = format!("{}-{repository}-{number}", peer.name.replace([' ', '+'], ""));
    let clone = world.directory.join(&name);
    if !clone.exists() {
        world.git.ok(&world.directory, &["clone", "-q", &peer.url(repository), &name]);
    }
    clone
}

/// Twenty good requests a second, alone or beside eight who try wrong secrets as fast as they can.
pub(crate) fn good(peer: &Peer, question: &[u8], beside_a_flood: bool) -> Round {
    let request = upload_pack(peer, "small", "small.refs", question);
    let wrong = peer.wrong();
    let flood = String::from_utf8_lossy(&info_refs(peer, "small")).replace(&peer.authorization, wrong);
    let over = AtomicBool::new(false);
    let (mut each, mut failed) = (Vec::new(), 0);
    let taken = taken(|| {
        scope(|scope| {
            for _ in 0..if beside_a_flood { EIGHT } else { 0 } {
                scope.spawn(|| {
                    let mut caller = Caller::new(peer);
                    while !over.load(Ordering::Relaxed) {
                        assert_ne!(caller.ask(flood.as_bytes()).status, 200);
                    }
                });
            }
            let mut caller = Caller::new(peer);
            for _ in 0..100 {
                let asked = Instant::now();
                failed += usize::from(caller.ask(&request).status != 200);
                each.push(asked.elapsed());
                sleep(Duration::from_millis(50).saturating_sub(asked.elapsed()));
            }
            over.store(true, Ordering::Relaxed);
        });
    });
    each.sort();
    Round { count: each.len(), failed, taken, late: Some(each[98].as_secs_f64() * 1e3) }
}

const CONNECTIONS: usize = 32;
const EIGHT: usize = 8;
const LENGTH: Duration = Duration::from_secs(2);
