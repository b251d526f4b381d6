//! Asks a host once, through git, whether it takes a credential: with git's own proxies, certificates and rewrites.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::{Place, bounded};

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It was let in.
    Accepted,
    /// It was refused as a credential.
    Refused,
    /// It is of no use any more, and never will be (410), in the host's words.
    Gone(String),
    /// It is known, and may not do this (403), in the host's words.
    Forbidden(String),
    /// Neither: the host cannot be reached, or has something else to say. Nothing follows from it.
    Unknown,
}

/// Asks for a repository's refs, once and within `patience`. `program` is this program, which git asks for the secret.
///
/// # Errors
/// If git cannot be run.
pub fn probe(
    place: &Place,
    username: &str,
    secret: &SecretString,
    program: &Path,
    patience: Duration,
) -> io::Result<Probe> {
    let Some(url) = place.repository_url().filter(|_| !place.is_in_the_clear()) else { return Ok(Probe::Unknown) };
    let scratch = tempfile::tempdir()?;
    let proof = scratch.path().join("asked");
    let mut git = Command::new("git");
    // A redirect would lead the secret to another place, and no other helper is to answer.
    git.args([
        "-c",
        "credential.helper=",
        "-c",
        "http.followRedirects=false",
        "ls-remote",
        "--quiet",
        "--",
        &url,
        "HEAD",
    ])
    .env("GIT_ASKPASS", program)
    .env("GIT_TERMINAL_PROMPT", "0")
    .env("LC_ALL", "C")
    .env(ANSWER_USERNAME, username)
    .env(ANSWER_SECRET, secret.expose_secret())
    .env(ANSWER_PLACE, place.to_string())
    .env(ANSWER_PROOF, &proof);
    let ended = bounded::run(&mut git, b"", patience)?;
    if ended.late {
        return Ok(Probe::Unknown);
    }
    let stderr = &ended.stderr;
    let told = || {
        let lines = stderr.lines().filter_map(|line| line.strip_prefix("remote: ")).map(str::trim_end);
        let told: Vec<&str> = lines.filter(|line| !line.is_empty()).take(3).collect();
        doorward_wire::redact(&told.join(" ")).chars().take(300).collect()
    };
    // Without the secret having been asked for, the answer is about something else: a repository that anybody may read.
    let presented = proof.exists();
    Ok(match ended.succeeded() {
        _ if !presented => Probe::Unknown,
        true => Probe::Accepted,
        false if stderr.contains("Authentication failed") => Probe::Refused,
        false if stderr.contains("returned error: 410") => Probe::Gone(told()),
        false if stderr.contains("returned error: 403") => Probe::Forbidden(told()),
        false => Probe::Unknown,
    })
}

/// What this program answers git's questions with while it probes.
pub(crate) const ANSWER_USERNAME: &str = "DOORWARD_ANSWER_USERNAME";
pub(crate) const ANSWER_SECRET: &str = "DOORWARD_ANSWER_SECRET";
/// The place whose host alone may have it.
pub(crate) const ANSWER_PLACE: &str = "DOORWARD_ANSWER_PLACE";
/// A file that is made when the secret is given.
pub(crate) const ANSWER_PROOF: &str = "DOORWARD_ANSWER_PROOF";
