//! Histories that real git wrote are read and packed here, and real git says whether the packs are right.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use doorward_packs::{Client, Id, Objects, PackError, Selection, connected, difference, everything, write};
use proptest::prelude::*;
use tempfile::TempDir;

/// A repository that git writes to.
struct Repository {
    directory: TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { directory: tempfile::tempdir().expect("a directory") };
        repository.git(&["init", "-q", "--bare", "."]);
        repository
    }

    /// A history of so many commits, with branches, merges, tags, directories and files that move.
    fn with_history(commits: usize) -> Self {
        let repository = Self::new();
        repository.import(&history(1, commits));
        repository
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn import(&self, stream: &str) {
        self.git_with(&["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--force"], stream.as_bytes());
    }

    fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.git_with(arguments, b"")).expect("text")
    }

    fn git_with(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git runs");
        // What it does not read it does not need.
        let _ = child.stdin.take().expect("its input").write_all(input);
        let output = child.wait_with_output().expect("git ends");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn ids(&self, arguments: &[&str]) -> Vec<Id> {
        self.git(arguments).lines().map(|line| Id::from_hex(&line.as_bytes()[..40]).expect("a name")).collect()
    }

    /// All objects that some lead to and others do not.
    fn objects(&self, wants: &[Id], haves: &[Id]) -> Vec<String> {
        let mut input = wants.iter().map(|id| format!("{id}\n")).collect::<String>();
        haves.iter().for_each(|id| input.push_str(&format!("^{id}\n")));
        let listed = self.git_with(&["rev-list", "--objects", "--no-object-names", "--stdin"], input.as_bytes());
        let mut ids: Vec<String> = String::from_utf8(listed).expect("text").lines().map(str::to_owned).collect();
        ids.sort();
        ids
    }

    fn reads(&self) -> Objects {
        Objects::new(self.path().join("objects"))
    }

    /// A repository that has what some commits lead to.
    fn part(&self, haves: &[Id]) -> Self {
        let part = Self::new();
        let input = haves.iter().map(|id| format!("{id}\n")).collect::<String>();
        let pack = self.git_with(&["pack-objects", "-q", "--revs", "--stdout"], input.as_bytes());
        part.take(&pack);
        part
    }

    /// Takes a pack, as a client does.
    fn take(&self, pack: &[u8]) {
        self.git_with(&["index-pack", "--stdin", "--fix-thin", "--strict"], pack);
    }

    fn has_all(&self, ids: &[String]) {
        let told = self.git_with(&["cat-file", "--batch-check"], (ids.join("\n") + "\n").as_bytes());
        let told = String::from_utf8(told).expect("text");
        let missing: Vec<&str> = told.lines().filter(|line| line.ends_with(" missing")).collect();
        assert!(missing.is_empty(), "{} of {} are missing: {:?}", missing.len(), ids.len(), &missing[..1]);
    }
}

/// A stream for `git fast-import`.
fn history(from: usize, to: usize) -> String {
    let mut text = String::new();
    for number in from..=to {
        let side = number % 5 == 4;
        let branch = if side { "side" } else { "main" };
        text += &format!("commit refs/heads/{branch}\nmark :{number}\n");
        text += &format!("committer Ada <a@b> {} +0000\ndata 6\nchange\n", 1_600_000_000 + number * 60);
        if from > 1 && number == from {
            text += "from refs/heads/main^0\n";
        } else if side {
            text += &format!("from :{}\n", number - 1);
        } else if number % 5 == 0 && number > from + 1 {
            text += &format!("from :{}\nmerge :{}\n", number - 2, number - 1);
        }
        let lines: String = (0..40).map(|line| format!("line {line} of {}\n", (number / 3 + line) % 17)).collect();
        text += &format!("M 644 inline src/deep/part{}/f{}.txt\ndata {}\n{lines}", number % 4, number % 9, lines.len());
        // Something beside what never changes is changed and changed back.
        let state = if number % 2 == 0 { "there" } else { "back\n" };
        text += &format!("M 644 inline flip/state\ndata 5\n{state}\n");
        if number == 1 {
            text += "M 644 inline flip/constant\ndata 2\nc\nM 644 inline flip/deep/constant\ndata 2\nd\n";
        }
        if number % 7 == 0 {
            text += &format!("R src/deep/part{} moved/part{number}\n", number % 4);
        }
        if number % 10 == 0 {
            text += &format!("tag v{number}\nfrom :{number}\ntagger Ada <a@b> 1 +0000\ndata 2\nv\n");
        }
        if number % 8 == 0 {
            text += &format!("reset refs/tags/light{number}\nfrom :{number}\n");
        }
    }
    text
}

fn packed(repository: &Repository, selection: &Selection, client: Client) -> Vec<u8> {
    let (objects, mut pack) = (repository.reads(), Vec::new());
    let mut reader = objects.reader().expect("a reader");
    let take = |piece: &[u8]| {
        pack.extend_from_slice(piece);
        Ok(())
    };
    let written = write(&mut reader, selection, client, take).expect("written");
    assert_eq!((written.objects, written.bytes), (selection.count() as u64, pack.len() as u64));
    pack
}

const PLAIN: Client = Client { thin: false, offsets: false };
const GIT: Client = Client { thin: true, offsets: true };

/// What a clone gets is what git would give, object by object.
fn check_everything(repository: &Repository, wants: &[Id], client: Client) {
    let objects = repository.reads();
    let mut reader = objects.reader().expect("a reader");
    let selection = everything(&mut reader, wants).expect("selected");
    let pack = packed(repository, &selection, client);
    let clone = Repository::new();
    clone.take(&pack);
    let expected = repository.objects(wants, &[]);
    assert_eq!(selection.count(), expected.len());
    clone.has_all(&expected);
}

fn check_difference(repository: &Repository, wants: &[Id], haves: &[Id], client: Client) {
    let objects = repository.reads();
    let mut reader = objects.reader().expect("a reader");
    let found = difference(&mut reader, wants, haves).expect("found");
    let selection = found.select(&mut reader).expect("selected");
    let part = repository.part(haves);
    part.take(&packed(repository, &selection, client));
    part.has_all(&repository.objects(wants, &[]));
}

#[test]
fn a_clone_of_loose_objects_and_many_packs_gets_everything() {
    let repository = Repository::with_history(30);
    (0..4).for_each(|part| repository.import(&history(31 + part * 10, 40 + part * 10)));
    let work = repository.git(&["rev-parse", "main"]);
    let tree = repository.git(&["rev-parse", "main^{tree}"]);
    let arguments =
        ["-c", "user.name=A", "-c", "user.email=a@b", "commit-tree", tree.trim(), "-p", work.trim(), "-m", "x"];
    let loose = repository.git(&arguments);
    repository.git(&["update-ref", "refs/heads/main", loose.trim()]);
    let tips = repository.ids(&["for-each-ref", "--format=%(objectname)"]);
    for client in [PLAIN, GIT] {
        check_everything(&repository, &tips, client);
    }
}

#[test]
fn a_clone_of_a_pack_with_bitmaps_is_the_pack_itself() {
    let repository = Repository::with_history(120);
    repository.git(&["repack", "-a", "-d", "-b", "-q"]);
    let tips = repository.ids(&["for-each-ref", "--format=%(objectname)"]);
    let objects = repository.reads();
    let mut reader = objects.reader().expect("a reader");
    let selection = everything(&mut reader, &tips).expect("selected");
    let (_, length) = selection.whole_pack(&reader).expect("opened").expect("it is a whole pack");
    let names =
        fs::read_dir(repository.path().join("objects/pack")).expect("there").flatten().map(|entry| entry.path());
    let pack: Vec<PathBuf> =
        names.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).collect();
    let bytes = fs::read(&pack[0]).expect("read");
    assert_eq!(bytes.len() as u64, length);
    assert_eq!(packed(&repository, &selection, GIT), bytes);
    check_everything(&repository, &tips, PLAIN);
}

#[test]
fn a_clone_of_less_than_a_pack_gets_no_more_than_it_asks_for() {
    let repository = Repository::with_history(150);
    repository.git(&["repack", "-a", "-d", "-b", "-q"]);
    let tips = repository.ids(&["for-each-ref", "--format=%(objectname)"]);
    for without in 0..tips.len() {
        let mut wants = tips.clone();
        wants.remove(without);
        check_everything(&repository, &wants, if without % 2 == 0 { GIT } else { PLAIN });
    }
    // One that only few lead to.
    for want in repository.ids(&["rev-list", "--reverse", "main"]).into_iter().step_by(13) {
        check_everything(&repository, &[want], GIT);
    }
}

#[test]
fn what_came_after_the_bitmaps_is_there_too() {
    let repository = Repository::with_history(100);
    repository.git(&["repack", "-a", "-d", "-b", "-q"]);
    for part in 0..3 {
        repository.import(&history(101 + part * 10, 110 + part * 10));
        let tips = repository.ids(&["for-each-ref", "--format=%(objectname)"]);
        check_everything(&repository, &tips, GIT);
        check_everything(&repository, &repository.ids(&["rev-parse", "main"]), GIT);
    }
}

#[test]
fn whoever_has_some_gets_the_rest_as_deltas_of_it() {
    let repository = Repository::with_history(100);
    repository.git(&["repack", "-a", "-d", "-b", "-q"]);
    let (wants, history) = (repository.ids(&["rev-parse", "main"]), repository.ids(&["rev-list", "main"]));
    for behind in [1, 2, 5, 20, 60] {
        for client in [GIT, PLAIN] {
            check_difference(&repository, &wants, &history[behind..=behind], client);
        }
    }
    let objects = repository.reads();
    let mut reader = objects.reader().expect("a reader");
    let found = difference(&mut reader, &wants, &history[10..11]).expect("found");
    assert!(found.is_bounded && found.common == history[10..11]);
    let selection = found.select(&mut reader).expect("selected");
    let [thin, whole] = [GIT, PLAIN].map(|client| packed(&repository, &selection, client).len());
    assert!(thin < whole, "{thin} and {whole}");
}

/// A tree that comes back is as new to whoever has nothing of it as it was the first time.
#[test]
fn what_was_changed_and_changed_back_is_there_for_whoever_did_not_have_it() {
    let repository = Repository::with_history(3);
    let (base, odd) = (repository.ids(&["rev-parse", "main"]), 0o100_644);
    let blob = |text: &str| {
        String::from_utf8(repository.git_with(&["hash-object", "-w", "--stdin"], text.as_bytes())).expect("text")
    };
    let tree = |changed: &str| {
        let entries =
            format!("{odd:o} blob {}\ta\n{odd:o} blob {}\tb\n", blob(changed).trim(), blob("constant").trim());
        let inner = String::from_utf8(repository.git_with(&["mktree"], entries.as_bytes())).expect("text");
        let outer = format!("040000 tree {}\td\n{odd:o} blob {}\tc\n", inner.trim(), blob("another constant").trim());
        String::from_utf8(repository.git_with(&["mktree"], outer.as_bytes())).expect("text").trim().to_owned()
    };
    let mut tip = base[0].to_string();
    for text in ["one", "two", "one", "three", "two"] {
        let commit = ["-c", "user.name=A", "-c", "user.email=a@b", "commit-tree", &tree(text), "-p", &tip, "-m", text];
        tip = repository.git(&commit).trim().to_owned();
    }
    repository.git(&["update-ref", "refs/heads/main", &tip]);
    check_difference(&repository, &[id(&tip)], &base, GIT);
    check_everything(&repository, &[id(&tip)], GIT);
}

#[test]
fn one_commit_with_a_hundred_thousand_parents_is_not_looked_through() {
    let repository = Repository::with_history(5);
    let main = repository.git(&["rev-parse", "main"]);
    let tree = repository.git(&["rev-parse", "main~1^{tree}"]);
    let parents = format!("parent {}\n", main.trim()).repeat(100_000);
    let text = format!("tree {}\n{parents}author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n", tree.trim());
    let commit = repository.git_with(&["hash-object", "-w", "-t", "commit", "--stdin"], text.as_bytes());
    let commit = id(&String::from_utf8(commit).expect("text"));
    let objects = repository.reads();
    let mut reader = objects.reader().expect("a reader");
    connected(&mut reader, &[commit], 2048, |id| id.to_string() == main.trim()).expect("all is there");
    check_difference(&repository, &[commit], &[id(&main)], GIT);
}

#[test]
fn what_is_asked_for_with_too_much_work_is_left_to_git() {
    let repository = Repository::new();
    let lines: String = (0..20_000).map(|number| format!("M 644 :1 f{number}\n")).collect();
    let mut stream =
        format!("blob\nmark :1\ndata 1\nx\ncommit refs/heads/main\ncommitter A <a@b> 1 +0000\ndata 1\nx\n{lines}\n");
    for number in 0..300 {
        stream += &format!(
            "commit refs/heads/main\ncommitter A <a@b> {number} +0000\ndata 1\nx\nM 644 inline n\ndata 3\n{number:03}\n"
        );
    }
    repository.import(&stream);
    let (objects, main) = (repository.reads(), repository.ids(&["rev-parse", "main", "main~300"]));
    let mut reader = objects.reader().expect("a reader");
    let asked = difference(&mut reader, &main[..1], &main[1..]).and_then(|found| found.select(&mut reader));
    assert!(matches!(asked, Err(PackError::TooMuch(_))), "{asked:?}");
    let stop = Arc::new(AtomicBool::new(true));
    let mut stopped = objects.reader().expect("a reader").stop_by(stop);
    assert!(matches!(everything(&mut stopped, &main[..1]), Err(PackError::Stopped)));
}

/// Two packs have the same two objects, each as a delta of the other.
#[test]
fn deltas_that_lead_in_circles_over_packs_are_not_sent() {
    let repository = Repository::new();
    let texts: Vec<String> = (0..2)
        .map(|number| (0..400).map(|line| format!("line {line} {}\n", if line == 9 { number } else { 7 })).collect())
        .collect();
    let pack = |first: usize| {
        let part = Repository::new();
        let ids = [first, 1 - first].map(|number| {
            let id = part.git_with(&["hash-object", "-w", "--stdin"], texts[number].as_bytes());
            String::from_utf8(id).expect("text").trim().to_owned()
        });
        // The one that is named last becomes a delta of the one before it.
        let list = format!("{} a\n{} a\n", ids[0], ids[1]);
        part.git_with(&["pack-objects", "-q", "--window=2", "--stdout"], list.as_bytes())
    };
    for first in 0..2 {
        repository.take(&pack(first));
    }
    let blob = |text: &str| {
        String::from_utf8(repository.git_with(&["hash-object", "--stdin"], text.as_bytes())).expect("text")
    };
    let entries = format!("100644 blob {}\ta\n100644 blob {}\tb\n", blob(&texts[0]).trim(), blob(&texts[1]).trim());
    let tree = String::from_utf8(repository.git_with(&["mktree"], entries.as_bytes())).expect("text");
    let commit = ["-c", "user.name=A", "-c", "user.email=a@b", "commit-tree", tree.trim(), "-m", "x"];
    let commit = id(&repository.git(&commit));
    repository.git(&["update-ref", "refs/heads/main", &commit.to_string()]);
    check_everything(&repository, &[commit], GIT);
}

#[test]
fn what_one_has_of_a_history_of_its_own_bounds_nothing() {
    let repository = Repository::with_history(20);
    repository.import("commit refs/heads/other\ncommitter Ada <a@b> 1 +0000\ndata 1\nx\nM 644 inline o\ndata 1\no\n");
    let (main, other) = (repository.ids(&["rev-parse", "main"]), repository.ids(&["rev-parse", "other"]));
    let objects = repository.reads();
    let mut reader = objects.reader().expect("a reader");
    let found = difference(&mut reader, &main, &other).expect("found");
    assert!(!found.is_bounded && found.common == other);
    let nothing = difference(&mut reader, &main, &[Id::from_hex(&[b'a'; 40]).expect("a name")]).expect("found");
    assert!(!nothing.is_bounded && nothing.common.is_empty());
    check_difference(&repository, &main, &other, GIT);
    let both = [main, other].concat();
    assert!(!difference(&mut reader, &both, &both[..1]).expect("found").is_bounded);
    assert!(difference(&mut reader, &both, &both).expect("found").is_bounded);
}

#[test]
fn tags_come_with_what_they_lead_to() {
    let repository = Repository::with_history(40);
    let inner = repository.git(&["rev-parse", "v20"]);
    let text = format!("object {}\ntype tag\ntag outer\ntagger Ada <a@b> 1 +0000\n\nouter\n", inner.trim());
    let outer = String::from_utf8(repository.git_with(&["mktag"], text.as_bytes())).expect("text");
    repository.git(&["update-ref", "refs/tags/outer", outer.trim()]);
    let lines = repository.git(&["for-each-ref", "--format=%(objectname) %(*objectname) %(objecttype)", "refs/tags"]);
    let peeled = repository.git(&["rev-parse", "v20^{}"]);
    let tags: Vec<(Id, Id)> = (lines.lines())
        .filter(|line| line.ends_with(" tag"))
        .map(|line| line.split(' ').take(2).map(|id| Id::from_hex(id.as_bytes()).expect("a name")).collect::<Vec<_>>())
        .map(|pair| (pair[0], if pair[0].to_string() == outer.trim() { id(&peeled) } else { pair[1] }))
        .collect();
    let objects = repository.reads();
    let mut reader = objects.reader().expect("a reader");
    let (wants, haves) = (repository.ids(&["rev-parse", "v30^{}"]), repository.ids(&["rev-parse", "v10^{}"]));
    let mut selection = difference(&mut reader, &wants, &haves).expect("found").select(&mut reader).expect("selected");
    let before = selection.count();
    selection.add_tags(&mut reader, &tags).expect("added");
    // `v20`, `outer` and `v30`, and neither `v10` nor `v40`.
    assert_eq!(selection.count(), before + 3);
    let part = repository.part(&haves);
    part.take(&packed(&repository, &selection, GIT));
    part.has_all(&[inner.trim().to_owned(), outer.trim().to_owned()]);
    // One that is wanted itself brings what it leads to.
    check_difference(&repository, &[id(&outer)], &haves, GIT);
    check_everything(&repository, &[id(&outer)], GIT);
}

fn id(text: &str) -> Id {
    Id::from_hex(text.trim().as_bytes()).expect("a name")
}

#[test]
fn what_upkeep_takes_away_is_read_on_and_what_it_puts_in_its_place_is_found() {
    let repository = Repository::with_history(30);
    let objects = repository.reads();
    let tip = repository.ids(&["rev-parse", "main"]);
    let mut before = objects.reader().expect("a reader");
    repository.import(&history(31, 40));
    repository.git(&["repack", "-a", "-d", "-b", "-q"]);
    assert!(everything(&mut before, &tip).is_ok(), "the packs of then are open still");
    let newest = repository.ids(&["rev-parse", "main"]);
    assert!(before.has(&newest[0]).expect("read"), "packs are listed once more for what is missing");
    let mut after = objects.reader().expect("a reader");
    assert!(after.has(&newest[0]).expect("read"));
    assert_eq!(objects.open(), 1);
}

#[test]
fn what_is_damaged_is_said_and_never_packed() {
    let repository = Repository::with_history(60);
    repository.git(&["repack", "-a", "-d", "-b", "-q"]);
    let tips = repository.ids(&["for-each-ref", "--format=%(objectname)"]);
    let directory = repository.path().join("objects/pack");
    let files: Vec<PathBuf> = fs::read_dir(&directory).expect("there").flatten().map(|entry| entry.path()).collect();
    for file in files {
        let whole = fs::read(&file).expect("read");
        let mut permissions = fs::metadata(&file).expect("there").permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "the file of a test")]
        permissions.set_readonly(false);
        fs::set_permissions(&file, permissions).expect("set");
        for length in [0, 8, 40, whole.len() / 2] {
            fs::write(&file, &whole[..length]).expect("written");
            let objects = repository.reads();
            let answered = objects.reader().and_then(|mut reader| {
                let selection = everything(&mut reader, &tips[..1])?;
                write(&mut reader, &selection, GIT, |_| Ok(()))
            });
            let is_needed =
                ["idx", "pack", "bitmap"].iter().any(|end| file.extension().is_some_and(|name| name == *end));
            assert!(!is_needed || answered.is_err(), "{} of {length} bytes", file.display());
        }
        fs::write(&file, &whole).expect("written");
    }
}

#[test]
fn an_object_that_is_missing_is_named() {
    let repository = Repository::with_history(5);
    let objects = repository.reads();
    let mut reader = objects.reader().expect("a reader");
    let absent = Id::from_hex(&[b'0'; 40]).expect("a name");
    let error = everything(&mut reader, &[absent]).expect_err("it is missing");
    assert!(matches!(error, PackError::Missing(id) if id == absent), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// However a history is spread over packs, and wherever whoever asks is in it, they end up with everything.
    #[test]
    fn everybody_ends_up_with_everything(
        commits in 5_usize..60,
        more in prop::collection::vec(1_usize..12, 0..3),
        repacked in any::<bool>(),
        have in any::<prop::sample::Index>(),
        want in any::<prop::sample::Index>(),
        thin: bool,
        offsets: bool,
    ) {
        let repository = Repository::with_history(commits);
        if repacked {
            repository.git(&["repack", "-a", "-d", "-b", "-q"]);
        }
        let mut last = commits;
        for more in more {
            repository.import(&history(last + 1, last + more));
            last += more;
        }
        let all = repository.ids(&["rev-list", "--all"]);
        let (want, have) = (all[want.index(all.len())], all[have.index(all.len())]);
        let client = Client { thin, offsets };
        check_everything(&repository, &[want], client);
        check_difference(&repository, &[want], &[have], client);
    }
}
