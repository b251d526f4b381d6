//! `doorward doctor`: why a repository cannot be reached, and what to do about it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use doorward_client::doctor::{
    Evidence, Finding, HostKind, Inquiry, Standing, Verdict, examine, gather, inquire, judge,
};
use doorward_wire::UnverifiedToken;
use serde::Serialize;

use super::client::{environment, program};
use crate::arguments::DoctorFlags;
use crate::data::now;
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
struct Diagnosis {
    url: String,
    verdict: &'static str,
    confidence: &'static str,
    sentence: String,
    remedy: Option<String>,
    findings: Vec<FindingRow>,
    presented: Option<PresentedRow>,
    statuses: Vec<u16>,
    told: Vec<String>,
    helpers: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FindingRow {
    code: &'static str,
    sentence: String,
    remedy: String,
    serious: bool,
}

/// What git would present, without the secret.
#[derive(Debug, Serialize)]
struct PresentedRow {
    username: String,
    kind: Option<&'static str>,
    length: usize,
}

pub(crate) fn run(flags: &DoctorFlags, json: bool) -> Result<(), Failure> {
    let (url, directory) = subject(flags.subject.as_deref())?;
    let unusable = |error: std::io::Error| {
        Failure::new(Code::Failed, format!("git cannot be run: {error}"))
            .hint("install git, or put it into the search path")
    };
    let evidence = gather(&url, &directory, &environment).map_err(unusable)?;
    let program = program()?;
    let ask = || inquire(&evidence, &directory, &program, PATIENCE).map_err(unusable);
    let inquiry = if flags.offline || evidence.place.is_none() { None } else { Some(ask()?) };
    let host = inquiry.as_ref().map_or(HostKind::Unknown, |inquiry| inquiry.host);
    let findings = examine(&evidence, host, now());
    let again = match &inquiry {
        Some(inquiry) if is_doubtful(inquiry, &findings) => {
            std::thread::sleep(PAUSE);
            Some(ask()?)
        }
        _ => None,
    };
    let verdict = judge(&findings, inquiry.as_ref(), again.as_ref());
    let diagnosis = Diagnosis::of(&evidence, findings, inquiry.as_ref(), &verdict);
    if json { print::json(&diagnosis) } else { tell(&diagnosis) }?;
    std::process::exit(match verdict.standing {
        Standing::Healthy => 0,
        Standing::Fixable => 10,
        Standing::Administrator => 11,
        Standing::Provider => 12,
        Standing::Unknown => 13,
    })
}

/// Whether a refusal may be one of those that mean nothing: a credential was presented, and nothing is wrong with it here.
fn is_doubtful(inquiry: &Inquiry, findings: &[Finding]) -> bool {
    let presented = inquiry.statuses.len() > 1 && !findings.iter().any(|finding| finding.code == "no_credential");
    inquiry.host != HostKind::Doorward
        && inquiry.status() == Some(401)
        && presented
        && !findings.iter().any(|finding| finding.serious)
}

/// The address to ask about, and the directory whose configuration counts.
fn subject(subject: Option<&str>) -> Result<(String, PathBuf), Failure> {
    let here = PathBuf::from(".");
    let directory = match subject {
        Some(text) if text.contains("://") || (text.contains('@') && text.contains(':')) => {
            return Ok((text.to_owned(), here));
        }
        Some(path) => PathBuf::from(path),
        None => here,
    };
    remote(&directory).map(|url| (url, directory.clone())).ok_or_else(|| {
        Failure::new(Code::NotFound, format!("{} is no clone with a remote `origin`", directory.display()))
            .hint("name an address, as in `doorward doctor https://bitbucket.org/acme/site`")
    })
}

fn remote(directory: &Path) -> Option<String> {
    let output = Command::new("git").current_dir(directory).args(["remote", "get-url", "origin"]).output().ok()?;
    let url = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !url.is_empty()).then_some(url)
}

fn tell(diagnosis: &Diagnosis) -> Result<(), Failure> {
    print::line(&format!("{}: {}", diagnosis.verdict, diagnosis.sentence))?;
    if let Some(remedy) = &diagnosis.remedy {
        print::line(&format!("do: {remedy}"))?;
    }
    print::line("")?;
    let presented = diagnosis.presented.as_ref().map_or_else(
        || "nothing".into(),
        |presented| {
            let kind = presented.kind.unwrap_or("a secret of unknown kind");
            format!("{kind} of {} characters, as `{}`", presented.length, presented.username)
        },
    );
    let statuses: Vec<String> = diagnosis.statuses.iter().map(u16::to_string).collect();
    print::pairs(&[
        ("  address", diagnosis.url.clone()),
        ("  git presents", presented),
        ("  host answered", if statuses.is_empty() { "–".into() } else { statuses.join(", then ") }),
        ("  confidence", diagnosis.confidence.into()),
    ])?;
    for line in &diagnosis.told {
        print::line(&format!("  host said  {line}"))?;
    }
    for finding in &diagnosis.findings {
        print::line(&format!("\n  {}: {}\n    {}", finding.code, finding.sentence, finding.remedy))?;
    }
    Ok(())
}

impl Diagnosis {
    fn of(evidence: &Evidence, findings: Vec<Finding>, inquiry: Option<&Inquiry>, verdict: &Verdict) -> Self {
        let presented = evidence.presented.as_ref().map(|(name, secret)| {
            use secrecy::ExposeSecret;
            let kind = UnverifiedToken::parse(secret).ok().and_then(|token| token.kinds.iter().next());
            PresentedRow {
                // Somebody may have put the token where the name belongs.
                username: doorward_wire::redact(name).into_owned(),
                kind: kind.map(|kind| kind.word()),
                length: secret.expose_secret().chars().count(),
            }
        });
        let row = |finding: Finding| FindingRow {
            code: finding.code,
            sentence: finding.sentence,
            remedy: finding.remedy,
            serious: finding.serious,
        };
        Self {
            url: evidence.shown_url(),
            verdict: verdict.standing.word(),
            confidence: verdict.confidence.word(),
            sentence: verdict.sentence.clone(),
            remedy: Some(verdict.remedy.clone()).filter(|remedy| !remedy.is_empty()),
            findings: findings.into_iter().map(row).collect(),
            presented,
            statuses: inquiry.map(|inquiry| inquiry.statuses.clone()).unwrap_or_default(),
            told: inquiry.map(|inquiry| inquiry.told.clone()).unwrap_or_default(),
            helpers: evidence.helpers.clone(),
        }
    }
}

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before a refusal is tried once more.
const PAUSE: Duration = Duration::from_secs(2);
