//! `doorward migrate`: moves a machine from app passwords and other old forms to the credential that works today.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use doorward_client::migrate::{
    Affected, ApplyError, Change, Find, Format, Hosts, NewSecret, Own, Remote, Survey, apply, remotes, survey, undo,
};
use doorward_client::{Helper, Place, Vault, is_set_up, set_up, take_down};
use serde::Serialize;

use super::client::{environment, program};
use super::counted;
use crate::arguments::MigrateFlags;
use crate::data::now;
use crate::failure::{Code, Failure};
use crate::print;
use crate::progress::Progress;

/// One thing that must change.
#[derive(Debug, Serialize)]
struct Row {
    path: String,
    line: usize,
    found: String,
    /// The same secret in two files has the same mark.
    secret: Option<String>,
    by_hand: bool,
    change: String,
}

/// A changed clone's remote, asked afterwards.
#[derive(Debug, Serialize)]
struct Verified {
    url: String,
    works: bool,
    said: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    read: usize,
    finds: Vec<Row>,
    passed: Vec<Passed>,
    /// The files that are to read the new token from a variable.
    variables: Vec<String>,
    applied: bool,
    kept: Option<String>,
    remotes: Vec<Verified>,
}

#[derive(Debug, Serialize)]
struct Passed {
    path: String,
    why: String,
}

pub(crate) fn run(flags: &MigrateFlags, vault: &Vault, json: bool) -> Result<(), Failure> {
    let kept = vault.directory_of("migrations")?;
    if flags.undo {
        return take_back(&kept, json);
    }
    let hosts = Hosts::of(&flags.host);
    let survey = look(flags, &hosts)?;
    let changes = survey.affected.iter().any(|file| file.finds.iter().any(|find| !is_by_hand(find)));
    let mut report = Report::of(&survey);
    if flags.apply && changes {
        let applied = change(flags, vault, &survey, &kept)?;
        report.applied = true;
        report.kept = Some(applied.display().to_string());
        if !flags.offline {
            report.remotes = verify(remotes(&survey.affected, &hosts));
        }
    }
    if json { print::json(&report) } else { tell(&report, flags) }?;
    let refused = report.remotes.iter().filter(|remote| !remote.works).count();
    if refused == 0 {
        return Ok(());
    }
    Err(Failure::new(Code::Failed, format!("{} cannot be reached", counted(refused, "remote")))
        .hint("`doorward doctor` in the clone tells why, `doorward migrate --undo` goes back"))
}

/// Everything that must change, in the person's own files and below the paths.
fn look(flags: &MigrateFlags, hosts: &Hosts) -> Result<Survey, Failure> {
    let canonical = |path: &PathBuf| {
        std::fs::canonicalize(path).map_err(|error| {
            Failure::new(Code::NotFound, format!("{}: {error}", path.display())).hint("name a directory or file")
        })
    };
    let here = [PathBuf::from(".")];
    let (paths, own) = if flags.paths.is_empty() { (&here[..], own_files()) } else { (&flags.paths[..], Vec::new()) };
    let (roots, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.iter().cloned().partition(|path| path.is_dir());
    let roots = roots.iter().map(canonical).collect::<Result<Vec<_>, _>>()?;
    // A file is looked at under the name by which it is named, but not as a link.
    let files = files.iter().map(|path| canonical(path).map(|_| absolute(path))).collect::<Result<Vec<_>, _>>()?;
    let around = roots.iter().filter_map(|root| configuration_around(root));
    let by_name = |path| Own { path, format: None };
    let of_git = |path| Own { path, format: Some(Format::GitConfig) };
    let files = files.into_iter().map(by_name).chain(around.map(of_git));
    let own: Vec<Own> = own.into_iter().chain(files).collect();
    let progress = Progress::start("files read");
    let survey = survey(&roots, &own, hosts, now(), &|read| progress.at(read));
    progress.end();
    Ok(survey)
}

/// The files of a person in which git and others look for credentials.
fn own_files() -> Vec<Own> {
    let home = environment("HOME").map(PathBuf::from);
    let configuration = environment("XDG_CONFIG_HOME").map(PathBuf::from);
    let configuration = configuration.or_else(|| home.as_ref().map(|home| home.join(".config")));
    let in_home = home.iter().flat_map(|home| IN_HOME.iter().map(|name| home.join(name)));
    let configured = configuration.iter().flat_map(|path| IN_CONFIGURATION.iter().map(|name| path.join(name)));
    let named = ["NETRC", "GIT_CONFIG_GLOBAL"].into_iter().filter_map(environment).map(PathBuf::from);
    let included = included().into_iter().map(|path| Own { path: absolute(&path), format: Some(Format::GitConfig) });
    let by_name = in_home.chain(configured).chain(named).map(|path| Own { path: absolute(&path), format: None });
    let mut found: Vec<Own> = included.chain(by_name).collect();
    let mut seen = Vec::new();
    found.retain(|own| {
        !seen.contains(&own.path) && {
            seen.push(own.path.clone());
            true
        }
    });
    found
}

/// The files that git's own configuration is made of, with those that it includes.
fn included() -> Vec<PathBuf> {
    let listed =
        Command::new("git").args(["config", "--global", "--includes", "--show-origin", "--null", "--list"]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split('\0').filter_map(|part| part.strip_prefix("file:")).map(PathBuf::from).collect()
}

/// The configuration of the clone that a directory is in, if it is not its top.
fn configuration_around(directory: &Path) -> Option<PathBuf> {
    if directory.join(".git").is_dir() {
        return None;
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["rev-parse", "--path-format=absolute", "--git-common-dir"]);
    let output = git.env_remove("GIT_DIR").env_remove("GIT_COMMON_DIR").output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && path.is_absolute()).then(|| path.join("config"))
}

/// A path by which a file is known wherever one stands; its last part may be a link.
fn absolute(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (std::fs::canonicalize(parent), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// Writes the new credential into the files, and makes git ask for it where it stood in an address; where what was there is
/// kept.
fn change(flags: &MigrateFlags, vault: &Vault, survey: &Survey, kept: &Path) -> Result<PathBuf, Failure> {
    let program = program()?;
    let helper = Helper { given: None, environment: &environment, vault, program: &program, now: now() };
    let login = format!("`doorward login {}` stores one", flags.host);
    let chosen = helper.explain(&flags.host, None)?.chosen.ok_or_else(|| {
        Failure::new(Code::NotFound, format!("there is no credential for {} to move to", flags.host)).hint(&login)
    })?;
    let email = flags.email.clone().map(|email| email.to_string());
    let email = email.or_else(|| chosen.owner.clone().filter(|name| name.contains('@')));
    let new = NewSecret { secret: chosen.secret, name: chosen.username, email };
    // Git is to ask for what does not stand in its configuration any more.
    let by_git = |file: &Affected| {
        let taken_out =
            |find: &Find| find.change.edits().is_some_and(|edits| edits.iter().any(|edit| edit.with.is_empty()));
        matches!(file.format, Format::GitConfig | Format::Manifest | Format::GitCredentials)
            && file.finds.iter().any(taken_out)
    };
    let registers = survey.affected.iter().any(by_git) && !is_set_up(&flags.host)?;
    let remember = if registers { vec![flags.host.whole_host().to_string()] } else { Vec::new() };
    let applied = apply(&survey.affected, &new, kept, &remember, now())?;
    if registers {
        set_up(&flags.host, &program)?;
    }
    Ok(applied.kept)
}

/// Asks each remote once, a few at a time.
fn verify(remotes: Vec<Remote>) -> Vec<Verified> {
    let progress = Progress::start("remotes asked");
    let mut verified = Vec::new();
    for some in remotes.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let asked: Vec<_> = some.iter().map(|remote| scope.spawn(|| remote.verify(PATIENCE))).collect();
            for (remote, asked) in some.iter().zip(asked) {
                let said = asked.join().unwrap_or_else(|_| Err("it was not asked".into())).err();
                verified.push(Verified { url: remote.url.clone(), works: said.is_none(), said });
            }
        });
        progress.at(verified.len());
    }
    progress.end();
    verified
}

fn take_back(kept: &Path, json: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Undone {
        restored: Vec<PathBuf>,
        left: Vec<PathBuf>,
    }
    // What was set up stands in a file that may be among those that go back.
    let undone = undo(kept, |remembered| {
        for host in remembered.iter().filter_map(|host| host.parse::<Place>().ok()) {
            let _ = take_down(&host);
        }
    })?;
    if json {
        return print::json(&Undone { restored: undone.restored, left: undone.left });
    }
    print::line(&format!("{} put back as before", counted(undone.restored.len(), "file")))?;
    for path in &undone.left {
        print::line(&format!("left alone, since it was changed afterwards: {}", shortened(path)))?;
    }
    if undone.left.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::State, format!("{} not put back", counted(undone.left.len(), "file")))
        .hint(format!("what was there is in {}", undone.kept.display())))
}

fn tell(report: &Report, flags: &MigrateFlags) -> Result<(), Failure> {
    let read = counted(report.read, "file");
    if report.finds.is_empty() {
        print::line(&format!("nothing to change in {read}"))?;
    } else {
        let (by_hand, changes): (Vec<&Row>, Vec<&Row>) = report.finds.iter().partition(|row| row.by_hand);
        if !changes.is_empty() {
            let cells = changes.iter().map(|row| [row.place(), row.marked(), row.change.clone()]);
            print::table(["where", "found", "change"], &cells.collect::<Vec<_>>())?;
            print::line("")?;
        }
        if !by_hand.is_empty() {
            print::line("by hand:")?;
        }
        for row in &by_hand {
            print::wrapped(&format!("  {}: {}: {}", row.place(), row.marked(), row.change), 4)?;
        }
        if !by_hand.is_empty() {
            print::line("")?;
        }
    }
    if report.applied && !report.variables.is_empty() {
        print::wrapped(&format!("{} must be set where these run, to the new token:", VARIABLE), 0)?;
        report.variables.iter().try_for_each(|path| print::line(&format!("  {path}")))?;
    }
    for passed in &report.passed {
        print::line(&format!("not looked at: {}: {}", passed.path, passed.why))?;
    }
    for remote in &report.remotes {
        let said = remote.said.as_ref().map_or_else(|| "works".into(), |said| format!("refused: {said}"));
        print::line(&format!("{}  {said}", remote.url))?;
    }
    let changes = report.finds.iter().filter(|row| !row.by_hand).count();
    match &report.kept {
        Some(kept) => {
            print::line(&format!("{} made; what was there is in {kept}", counted(changes, "change")))?;
            print::line("`doorward migrate --undo` puts it back")
        }
        None if changes > 0 && !flags.apply => {
            print::line(&format!("{} in {read}; nothing was written: add --apply", counted(changes, "change")))
        }
        None => Ok(()),
    }
}

fn is_by_hand(find: &Find) -> bool {
    matches!(find.change, Change::ByHand(_))
}

/// A path as a person would write it.
fn shortened(path: &Path) -> String {
    let here = std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    let home = environment("HOME").and_then(|home| path.strip_prefix(home).ok().map(|path| Path::new("~").join(path)));
    let shown = here.or(home).unwrap_or_else(|| path.to_owned()).display().to_string();
    // A name may hold what a terminal would take for a command, or a secret.
    let shown: String = shown.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    doorward_wire::redact(&shown).into_owned()
}

impl Row {
    fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }

    fn marked(&self) -> String {
        self.secret.as_ref().map_or_else(|| self.found.clone(), |mark| format!("{} #{mark}", self.found))
    }
}

impl Report {
    fn of(survey: &Survey) -> Self {
        let row = |path: &Path, find: &Find| Row {
            path: shortened(path),
            line: find.line,
            found: find.sort.to_string(),
            secret: find.fingerprint.clone(),
            by_hand: is_by_hand(find),
            change: find.change.to_string().trim_start_matches("by hand: ").to_owned(),
        };
        let rows = survey.affected.iter().flat_map(|file| file.finds.iter().map(|find| row(&file.path, find)));
        let passed = survey.passed.iter().map(|(path, why)| Passed { path: shortened(path), why: why.clone() });
        Self {
            read: survey.read,
            finds: rows.collect(),
            passed: passed.collect(),
            variables: survey
                .affected
                .iter()
                .filter(|file| file.finds.iter().any(|find| find.change.variable().is_some()))
                .map(|file| shortened(&file.path))
                .collect(),
            applied: false,
            kept: None,
            remotes: Vec::new(),
        }
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match &error {
            ApplyError::Changed(_) => Self::new(Code::State, &error).hint("run it again"),
            ApplyError::Email(_) => Self::new(Code::Usage, &error).hint("name it with --email"),
            ApplyError::Nothing => Self::new(Code::NotFound, &error).hint("`doorward migrate --apply` makes one"),
            ApplyError::File { .. } => {
                Self::new(Code::Failed, &error).hint("check the file, its directory and its owner")
            }
        }
    }
}

const IN_HOME: &[&str] = &[
    ".gitconfig",
    ".git-credentials",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pip/pip.conf",
    ".composer/auth.json",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
];
const IN_CONFIGURATION: &[&str] = &["git/config", "git/credentials", "pip/pip.conf", "composer/auth.json"];
/// What a script reads the new token from.
const VARIABLE: &str = "BITBUCKET_API_TOKEN";
/// How many remotes are asked at once.
const AT_ONCE: usize = 8;
/// How long a remote may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
