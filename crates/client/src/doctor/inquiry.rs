//! One question to the host, asked by git itself, and what was answered: statuses, headers, and the text that it shows.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::Evidence;
use crate::bounded;
use crate::probe::{ANSWER_PLACE, ANSWER_SECRET, ANSWER_USERNAME};

/// What a host answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inquiry {
    /// Whether git got what it asked for.
    pub reached: bool,
    /// The statuses of its answers, the first one first.
    pub statuses: Vec<u16>,
    /// What the host is, by the challenge that it sends.
    pub host: HostKind,
    /// The lines that it had for the person at the terminal.
    pub told: Vec<String>,
    /// What git said itself.
    pub said: Vec<String>,
    /// Whether it took longer than one would wait.
    pub late: bool,
}

/// What sort of host answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostKind {
    /// Bitbucket Cloud, or the sandbox.
    BitbucketCloud,
    /// This project's own server.
    Doorward,
    /// Something else, or nothing.
    #[default]
    Unknown,
}

impl Inquiry {
    /// Whether the host has said something for the person at the terminal.
    pub(super) fn says(&self, text: &str) -> bool {
        self.told.iter().any(|line| line.contains(text))
    }

    /// The status of the last answer.
    pub fn status(&self) -> Option<u16> {
        self.statuses.last().copied()
    }
}

/// Asks for the refs of a repository, as git in a directory would, and nobody at the terminal.
///
/// What git's helpers have answered is presented, but they are not there for this question: a refusal must not make one
/// of them throw a credential away. The user part of the address is left out, since what stands there is presented as well.
/// A helper may give another name than the address has: then that is the one that git sends. `program` is this program, which git asks in their place.
///
/// # Errors
/// If git cannot be run.
pub fn inquire(evidence: &Evidence, directory: &Path, program: &Path, patience: Duration) -> std::io::Result<Inquiry> {
    let scratch = tempfile::tempdir()?;
    let trace = scratch.path().join("trace");
    let mut command = Command::new("git");
    if let (Some((name, secret)), Some(place)) = (&evidence.presented, &evidence.place) {
        command.env("GIT_ASKPASS", program).env(ANSWER_USERNAME, name).env(ANSWER_SECRET, secret.expose_secret());
        command.env(ANSWER_PLACE, place.to_string());
    } else {
        command.env("GIT_ASKPASS", "");
    }
    command
        .args(["-c", "credential.helper=", "ls-remote", "--quiet", "--", &evidence.url_alone(), "HEAD"])
        .current_dir(directory)
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        // Git masks credentials in this trace by itself, unless it is told not to.
        .env("GIT_TRACE_CURL", &trace)
        .env("GIT_TRACE_CURL_NO_DATA", "1")
        .env_remove("GIT_TRACE_REDACT");
    let ended = bounded::run(&mut command, b"", patience)?;
    let trace = fs::read(&trace).unwrap_or_default();
    Ok(read(&String::from_utf8_lossy(&trace), &ended.stderr, (!ended.late).then_some(ended.succeeded())))
}

fn read(trace: &str, stderr: &str, ended: Option<bool>) -> Inquiry {
    let mut inquiry = Inquiry { reached: ended == Some(true), late: ended.is_none(), ..Inquiry::default() };
    for line in trace.lines().filter_map(|line| line.split_once("<= Recv header: ").map(|(_, header)| header.trim())) {
        let header = line.to_ascii_lowercase();
        if let Some(status) = header.strip_prefix("http/").and_then(|rest| rest.split(' ').nth(1)?.parse().ok()) {
            inquiry.statuses.push(status);
        } else if header.starts_with("www-authenticate:") {
            if header.contains("realm=\"bitbucket.org http\"") {
                inquiry.host = HostKind::BitbucketCloud;
            } else if header.contains("realm=\"doorward\"") {
                inquiry.host = HostKind::Doorward;
            }
        }
    }
    for line in stderr.lines() {
        let line = doorward_wire::redact(line).into_owned();
        match line.strip_prefix("remote: ") {
            Some(told) => inquiry.told.push(told.trim_end().to_owned()),
            None => inquiry.said.push(line),
        }
    }
    inquiry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_read_from_gits_trace_and_its_messages() {
        let trace = "12:00:00.1 http.c:845  => Send header: GET /acme/site.git/info/refs HTTP/1.1\n\
             12:00:00.2 http.c:832  <= Recv header: HTTP/1.1 401 Unauthorized\n\
             12:00:00.2 http.c:832  <= Recv header: WWW-Authenticate: Basic realm=\"Bitbucket.org HTTP\"\n\
             12:00:00.3 http.c:832  <= Recv header: HTTP/2 403\n";
        let stderr = "remote: Your credentials lack one or more required privilege scopes.\nfatal: unable to access 'https://ada:s@h/'\n";
        let inquiry = read(trace, stderr, Some(false));
        assert_eq!((inquiry.statuses.as_slice(), inquiry.host), (&[401, 403][..], HostKind::BitbucketCloud));
        assert_eq!(inquiry.told, ["Your credentials lack one or more required privilege scopes."]);
        assert_eq!(inquiry.said, ["fatal: unable to access 'https://***@h/'"]);
        assert!(read("", "", None).late);
    }
}
