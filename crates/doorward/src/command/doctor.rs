//! `doorward doctor`: why a repository cannot be reached, and what to do about it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use doorward_client::doctor::{
    Answers, Evidence, Finding, HelperAnswer, HostKind, Inquiry, Remedy, Standing, Step, Verdict, examine,
    examine_rest, gather, inquire, judge, without_user,
};
use doorward_client::{Helper, Place, Presented, RestAnswer, RestError, Vault, fingerprint, who_am_i};
use doorward_rules::{Form, Kind, RuleSet, Surface};
use doorward_wire::kind_by_looks;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::client::{environment, program};
use crate::arguments::DoctorFlags;
use crate::data::now;
use crate::failure::{Code, Failure};
use crate::print;
use crate::progress::Progress;
use crate::style::{bold, colour, dim};
use crate::terminal::{ask, is_attended};

#[derive(Debug, Serialize)]
struct Diagnosis {
    url: String,
    verdict: &'static str,
    confidence: &'static str,
    sentence: String,
    remedy: Option<String>,
    /// The commands of the remedy, if a program can do it.
    steps: Vec<String>,
    findings: Vec<FindingRow>,
    presented: Option<SecretRow>,
    helpers: Vec<HelperRow>,
    statuses: Vec<u16>,
    rest: Option<RestRow>,
    told: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FindingRow {
    code: &'static str,
    sentence: String,
    remedy: String,
    serious: bool,
}

/// A user name and what is known of the secret with it.
#[derive(Debug, Serialize)]
struct SecretRow {
    username: String,
    kind: Option<&'static str>,
    length: usize,
    /// By which the same secret is known elsewhere.
    mark: String,
}

#[derive(Debug, Serialize)]
struct HelperRow {
    command: String,
    answers: Option<SecretRow>,
    late: bool,
}

/// What REST said of the same secret.
#[derive(Debug, Serialize)]
struct RestRow {
    status: Option<u16>,
    credential_type: Option<String>,
    scopes: Option<Vec<String>>,
    message: Option<String>,
}

/// What was looked at, and what to make of it.
struct Examination {
    evidence: Evidence,
    findings: Vec<Finding>,
    inquiry: Option<Inquiry>,
    rest: Option<Result<RestAnswer, RestError>>,
    verdict: Verdict,
}

pub(crate) fn run(flags: &DoctorFlags, vault: &Vault, json: bool) -> Result<(), Failure> {
    let subject = Subject::of(flags.subject.as_deref())?;
    let mut examination = examine_all(&subject, vault, flags.offline)?;
    if flags.fix
        && let Remedy::Steps(steps) = &examination.verdict.remedy
        && consents(&examination.verdict, json)?
    {
        for step in steps {
            take(step, &examination.evidence, &subject.directory)?;
        }
        examination = examine_all(&subject.again(), vault, flags.offline)?;
    }
    let diagnosis = Diagnosis::of(&examination);
    if json { print::json(&diagnosis) } else { tell(&diagnosis) }?;
    std::process::exit(match examination.verdict.standing {
        Standing::Healthy => 0,
        Standing::Fixable => 10,
        Standing::Administrator => 11,
        Standing::Provider => 12,
        Standing::Unknown => 13,
    })
}

fn examine_all(subject: &Subject, vault: &Vault, offline: bool) -> Result<Examination, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::new(Code::Failed, format!("git cannot be run: {error}"))
            .hint("install git, or put it into the search path")
    };
    let Subject { url, remote, directory, .. } = subject;
    let progress = Progress::wait(if offline {
        "looking at this machine"
    } else {
        "looking at this machine, and asking the host"
    });
    let evidence = gather(url, remote.as_deref(), directory, &environment).map_err(unusable)?;
    let program = program()?;
    let inquire = || inquire(&evidence, directory, &program, PATIENCE).map_err(unusable);
    let inquiry = if offline || evidence.place.is_none() { None } else { Some(inquire()?) };
    let host = inquiry.as_ref().map_or(HostKind::Unknown, |inquiry| inquiry.host);
    let mut findings = examine(&evidence, host, now());
    if let Some(finding) = passed_over(&evidence, vault) {
        findings.insert(0, finding);
    }
    let again = match &inquiry {
        Some(inquiry) if is_doubtful(inquiry, &findings) => {
            std::thread::sleep(PAUSE);
            Some(self::again(&inquire)?)
        }
        _ => None,
    };
    let rest = if offline { None } else { ask_rest(&evidence, host) };
    if let Some(rest) = &rest {
        findings.extend(examine_rest(&evidence, rest));
    }
    let answers = inquiry.as_ref().map(|git| Answers { git, again: again.as_ref(), rest: rest.as_ref() });
    let verdict = judge(&evidence, &findings, answers);
    progress.end();
    Ok(Examination { evidence, findings, inquiry, rest, verdict })
}

/// What doorward itself has for the place and does not offer, if git has nothing.
fn passed_over(evidence: &Evidence, vault: &Vault) -> Option<Finding> {
    let place = evidence.place.as_ref().filter(|_| evidence.presented.is_none())?;
    let program = program().ok()?;
    let helper = Helper { given: None, environment: &environment, vault, program: &program, now: now() };
    let choice = helper.explain(place, evidence.url_user.as_deref()).ok().filter(|choice| choice.chosen.is_none())?;
    let passed = choice.passed.into_iter().next()?;
    let sentence = format!("{} for {} is not used: {}", passed.source, passed.place, passed.why);
    Some(Finding { code: "credential_not_used", sentence, remedy: evidence.log_in(place), serious: true })
}

/// Hosts refuse valid credentials now and then, in bursts of some seconds: two refusals more are needed to believe one.
fn again(inquire: &impl Fn() -> Result<Inquiry, Failure>) -> Result<Inquiry, Failure> {
    let second = inquire()?;
    if second.reached || second.status() != Some(401) {
        return Ok(second);
    }
    std::thread::sleep(PAUSE);
    inquire()
}

/// What REST says of the secret that git presents; nothing where it is not known to have one.
fn ask_rest(evidence: &Evidence, host: HostKind) -> Option<Result<RestAnswer, RestError>> {
    let place = evidence.place.as_ref().filter(|place| host != HostKind::Unknown || place.is_bitbucket_cloud())?;
    let (name, secret) = evidence.presented.as_ref().filter(|_| !place.is_in_the_clear())?;
    let kind = kind_by_looks(secret);
    let bearer = kind.is_none_or(|kind| RuleSet::BitbucketCloud.accepts(kind, Surface::Rest, Form::BEARER, now()));
    let presented = match kind {
        Some(Kind::ApiToken) if name.contains('@') => Presented::Basic(name, secret),
        Some(Kind::AppPassword | Kind::AccountPassword) => Presented::Basic(name, secret),
        _ if bearer => Presented::Bearer(secret),
        _ => return None,
    };
    Some(who_am_i(place, &presented, &environment, PATIENCE))
}

/// Whether a person at the terminal wants it; without one, `--fix` is the word for it.
fn consents(verdict: &Verdict, json: bool) -> Result<bool, Failure> {
    if json || !is_attended() {
        return Ok(true);
    }
    eprintln!("{}\n", verdict.sentence);
    if let Remedy::Steps(steps) = &verdict.remedy {
        steps.iter().for_each(|step| eprintln!("  {step}"));
    }
    let answer = ask("\ndo that? [y/N] ")?;
    Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}

/// Takes one step of a remedy.
fn take(step: &Step, evidence: &Evidence, directory: &Path) -> Result<(), Failure> {
    let words = step.command();
    let name = words.join(" ");
    let failed =
        |why: String| Failure::new(Code::Failed, format!("`{name}` failed: {why}")).hint("nothing more was done");
    let (first, rest) = words.split_first().ok_or_else(|| failed("it is empty".into()))?;
    let first = if first == "doorward" { program()? } else { PathBuf::from(first) };
    // As a shell reads it.
    let home = |word: &String| match (word.strip_prefix("~/"), environment("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => word.clone(),
    };
    let rest: Vec<String> = rest.iter().map(home).collect();
    let mut command = Command::new(first);
    // Standard output is the diagnosis alone.
    command.args(rest).current_dir(directory).stdout(Stdio::null());
    eprintln!("doorward doctor: {name}");
    let status = match (step, &evidence.presented) {
        (Step::Store(_), Some((_, secret))) => {
            let mut child = command.stdin(Stdio::piped()).spawn().map_err(|error| failed(error.to_string()))?;
            if let Some(mut input) = child.stdin.take() {
                let written = input.write_all(secret.expose_secret().as_bytes());
                written.map_err(|error| failed(error.to_string()))?;
            }
            child.wait()
        }
        _ => command.status(),
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        // Whoever gave up at its question gave up this, too.
        Ok(status) if status.code() == Some(INTERRUPTED) => std::process::exit(INTERRUPTED),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Whether a refusal may be one of those that mean nothing: a credential was presented, and nothing is wrong with it here.
fn is_doubtful(inquiry: &Inquiry, findings: &[Finding]) -> bool {
    let presented = inquiry.statuses.len() > 1 && !findings.iter().any(|finding| finding.code == "no_credential");
    inquiry.host != HostKind::Doorward
        && inquiry.status() == Some(401)
        && presented
        && !findings.iter().any(|finding| finding.serious)
}

/// The address to ask about, the remote that has it, and the directory whose configuration counts.
struct Subject {
    url: String,
    /// Whether it was named itself, and is no clone's.
    named: bool,
    remote: Option<String>,
    directory: PathBuf,
}

impl Subject {
    fn of(subject: Option<&str>) -> Result<Self, Failure> {
        let here = PathBuf::from(".");
        let named = |url: String| Ok(Self { url, named: true, remote: None, directory: PathBuf::from(".") });
        let directory = match subject {
            Some(text) if text.contains("://") || (text.contains('@') && text.contains(':')) => {
                return named(text.to_owned());
            }
            Some(path) if Path::new(path).is_dir() => PathBuf::from(path),
            // As one writes an address without its beginning.
            Some(text) if text.contains('.') && text.parse::<Place>().is_ok_and(|place| place.depth() > 0) => {
                return named(format!("https://{text}"));
            }
            Some(path) => {
                return Err(Failure::new(Code::NotFound, format!("`{path}` is no directory, and no address"))
                    .hint("name a clone, or an address such as https://bitbucket.org/acme/site"));
            }
            None => here,
        };
        let (remote, url) = remote(&directory).ok_or_else(|| {
            Failure::new(Code::NotFound, format!("{} is no clone with a remote", directory.display()))
                .hint("name an address, as in `doorward doctor https://bitbucket.org/acme/site`")
        })?;
        // One of several addresses cannot be changed by itself.
        let single = addresses_of(&directory, &remote) == 1;
        Ok(Self { url, named: false, remote: Some(remote).filter(|_| single), directory })
    }

    /// The same after something was changed: a clone's remote may have another address, and one that was named has lost its
    /// user part, for which git now has a helper.
    fn again(&self) -> Self {
        let url = match &self.remote {
            Some(name) => url_of(&self.directory, name),
            None if self.named => Some(without_user(&self.url)),
            None => None,
        };
        Self {
            url: url.unwrap_or_else(|| self.url.clone()),
            named: self.named,
            remote: self.remote.clone(),
            directory: self.directory.clone(),
        }
    }
}

/// The remote of a clone that is meant when none is named, with its address: `origin`, or the only one.
fn remote(directory: &Path) -> Option<(String, String)> {
    if let Some(url) = origin(directory) {
        return Some(("origin".into(), url));
    }
    let output = Command::new("git").current_dir(directory).arg("remote").output().ok()?;
    let names = String::from_utf8(output.stdout).ok()?;
    let mut names = names.lines();
    let name = names.next().filter(|_| names.next().is_none())?;
    Some((name.to_owned(), url_of(directory, name)?))
}

/// The address of a clone's remote `origin`.
pub(super) fn origin(directory: &Path) -> Option<String> {
    url_of(directory, "origin")
}

/// How many addresses a remote has.
fn addresses_of(directory: &Path, remote: &str) -> usize {
    let key = format!("remote.{remote}.url");
    let output = Command::new("git").current_dir(directory).args(["config", "--get-all", &key]).output();
    output.map_or(0, |output| String::from_utf8_lossy(&output.stdout).lines().count())
}

fn url_of(directory: &Path, remote: &str) -> Option<String> {
    let output = Command::new("git").current_dir(directory).args(["remote", "get-url", "--", remote]).output().ok()?;
    let url = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !url.is_empty()).then_some(url)
}

fn tell(diagnosis: &Diagnosis) -> Result<(), Failure> {
    let verdict = colour(diagnosis.verdict, diagnosis.verdict == "healthy");
    print::wrapped(&format!("{verdict}: {}", diagnosis.sentence), 0)?;
    tell_remedy(diagnosis)?;
    print::line("")?;
    let healthy = diagnosis.verdict == Standing::Healthy.word();
    let statuses: Vec<String> = diagnosis.statuses.iter().map(u16::to_string).collect();
    let presented = diagnosis.presented.as_ref().map_or_else(|| "nothing".into(), SecretRow::described);
    print::wrapped(&format!("  address            {}", diagnosis.url), 21)?;
    print::wrapped(&format!("  git presents       {presented}"), 21)?;
    // Where all is well, a status of the way there would only frighten.
    if !healthy {
        let statuses = if statuses.is_empty() { "–".into() } else { statuses.join(", then ") };
        let rest = diagnosis.rest.as_ref().map_or_else(|| "–".into(), RestRow::described);
        print::wrapped(&format!("  git was answered   {statuses}"), 21)?;
        print::wrapped(&format!("  REST was answered  {rest}"), 21)?;
        print::line(&format!("  confidence         {}", diagnosis.confidence))?;
    }
    for line in &diagnosis.told {
        print::wrapped(&format!("  {} {line}", dim("the host said:")), 4)?;
    }
    if !diagnosis.helpers.is_empty() && !healthy {
        print::line("\n  git's helpers, in their order:")?;
    }
    for helper in diagnosis.helpers.iter().filter(|_| !healthy) {
        let answers = match (&helper.answers, helper.late) {
            (Some(answers), _) => answers.described(),
            (None, true) => "no answer in time".into(),
            (None, false) => "nothing".into(),
        };
        print::wrapped(&format!("    {}: {answers}", helper.command), 6)?;
    }
    for finding in diagnosis.findings.iter().filter(|finding| finding.sentence != diagnosis.sentence) {
        print::line("")?;
        print::wrapped(&format!("  {}: {}", bold(finding.code), finding.sentence), 4)?;
        if Some(&finding.remedy) != diagnosis.remedy.as_ref() {
            print::wrapped(&format!("    {}", finding.remedy), 6)?;
        }
    }
    Ok(())
}

/// What to do: a sentence, or commands that can be copied, each on its line.
fn tell_remedy(diagnosis: &Diagnosis) -> Result<(), Failure> {
    match (&diagnosis.remedy, diagnosis.steps.as_slice()) {
        (None, _) => Ok(()),
        (Some(remedy), []) => print::wrapped(&format!("{} {remedy}", bold("do:")), 4),
        (Some(_), [step]) => print::line(&format!("{} {step}", bold("do:"))),
        (Some(_), steps) => {
            print::line(&bold("do:"))?;
            steps.iter().try_for_each(|step| print::line(&format!("  {step}")))
        }
    }
}

impl Diagnosis {
    fn of(examination: &Examination) -> Self {
        let Examination { evidence, findings, inquiry, rest, verdict } = examination;
        let row = |finding: &Finding| FindingRow {
            code: finding.code,
            sentence: finding.sentence.clone(),
            remedy: finding.remedy.to_string(),
            serious: finding.serious,
        };
        let rest = rest.as_ref().map(|rest| match rest {
            Ok(answer) => RestRow {
                status: Some(answer.status),
                credential_type: answer.kind.clone(),
                scopes: answer.scopes.clone(),
                message: answer.message.clone(),
            },
            Err(error) => {
                RestRow { status: None, credential_type: None, scopes: None, message: Some(error.to_string()) }
            }
        });
        Self {
            url: evidence.shown_url(),
            verdict: verdict.standing.word(),
            confidence: verdict.confidence.word(),
            sentence: verdict.sentence.clone(),
            remedy: (!verdict.remedy.is_none()).then(|| verdict.remedy.to_string()),
            steps: match &verdict.remedy {
                Remedy::Steps(steps) => steps.iter().map(ToString::to_string).collect(),
                Remedy::Say(_) => Vec::new(),
            },
            findings: findings.iter().map(row).collect(),
            presented: evidence.presented.as_ref().map(SecretRow::of),
            helpers: evidence.helpers.iter().map(HelperRow::of).collect(),
            statuses: inquiry.as_ref().map(|inquiry| inquiry.statuses.clone()).unwrap_or_default(),
            rest,
            told: inquiry.as_ref().map(|inquiry| inquiry.told.clone()).unwrap_or_default(),
        }
    }
}

impl SecretRow {
    fn of((name, secret): &(String, SecretString)) -> Self {
        Self {
            // Somebody may have put the token where the name belongs.
            username: doorward_wire::redact(name).into_owned(),
            kind: kind_by_looks(secret).map(Kind::word),
            length: secret.expose_secret().chars().count(),
            mark: fingerprint(secret).chars().take(6).collect(),
        }
    }

    fn described(&self) -> String {
        let kind = self.kind.unwrap_or("a secret of unknown kind");
        format!("{kind} #{} of {} characters, as `{}`", self.mark, self.length, self.username)
    }
}

impl HelperRow {
    fn of(helper: &HelperAnswer) -> Self {
        Self { command: helper.shown(), answers: helper.answer.as_ref().map(SecretRow::of), late: helper.late }
    }
}

impl RestRow {
    fn described(&self) -> String {
        let status = self.status.map(|status| status.to_string());
        let scopes = self.scopes.as_ref().map(|scopes| format!("scopes {}", scopes.join(" ")));
        [status, self.credential_type.clone(), scopes, self.message.clone()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// As a shell tells of an interrupt.
const INTERRUPTED: i32 = 130;
/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before a refusal is tried once more.
const PAUSE: Duration = Duration::from_secs(2);
