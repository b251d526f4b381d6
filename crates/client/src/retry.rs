//! When a command that failed may be run again, and after how long.
//!
//! Only what is certain to have changed nothing is run again: reading commands of git, and a push that was refused before
//! it sent anything.

use std::time::Duration;

use ring::digest::{SHA256, digest};

/// Why an attempt failed, as git's own messages tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The host refused the credential. Hosts do so now and then for a valid one.
    Refused,
    /// The host has had enough requests for a while (429).
    Limited,
    /// The host has trouble of its own (5xx).
    Host(u16),
    /// The connection could not be made, or broke off.
    Connection,
    /// Something that trying again does not mend.
    Lasting,
}

/// What a command does, as far as trying it again is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing at the host: `git clone`, `fetch`, `pull`, `ls-remote`, `submodule`, `remote`.
    Reads,
    /// It changes something at the host: `git push`.
    Writes,
    /// Not known.
    Unknown,
}

/// The waits between attempts: each about twice the one before, spread by the job's name so that jobs that failed together
/// do not come back together.
#[derive(Debug, Clone)]
pub struct Waits {
    seed: u64,
    attempt: u32,
}

impl Effect {
    /// What a command line does.
    pub fn of(command: &[String]) -> Self {
        let [program, arguments @ ..] = command else { return Self::Unknown };
        if std::path::Path::new(program).file_name().is_none_or(|name| name != "git") {
            return Self::Unknown;
        }
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            match argument {
                // Options of git itself that take a value.
                "-c" | "-C" | "--git-dir" | "--work-tree" | "--namespace" | "--exec-path" | "--config-env" => {
                    arguments.next();
                }
                option if option.starts_with('-') => {}
                "clone" | "fetch" | "pull" | "ls-remote" | "submodule" | "remote" => return Self::Reads,
                "push" => return Self::Writes,
                _ => return Self::Unknown,
            }
        }
        Self::Unknown
    }
}

impl Trouble {
    /// Reads git's messages; `None` if they tell of no trouble with a host.
    pub fn of(messages: &[String]) -> Option<Self> {
        messages.iter().rev().find_map(|message| Self::of_one(message))
    }

    fn of_one(message: &str) -> Option<Self> {
        let status = message.split("returned error: ").nth(1).or_else(|| message.split("HTTP ").nth(1));
        let status = status.and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse::<u16>().ok());
        match status {
            Some(401) => return Some(Self::Refused),
            Some(429) => return Some(Self::Limited),
            Some(status @ 500..=599) => return Some(Self::Host(status)),
            Some(400..=499) => return Some(Self::Lasting),
            _ => {}
        }
        let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        if says(&["Authentication failed"]) {
            Some(Self::Refused)
        } else if says(&["not found", "does not exist"]) {
            Some(Self::Lasting)
        } else if says(CONNECTION) {
            Some(Self::Connection)
        } else {
            None
        }
    }

    /// Whether a command that met this may be run again.
    ///
    /// A push may only if nothing of it was sent: git's messages about that begin with `unable to access`, those about
    /// anything later do not.
    pub fn may_retry(self, effect: Effect, messages: &[String]) -> bool {
        let before_anything = || {
            let early =
                |message: &String| message.contains("unable to access") || message.contains("Authentication failed");
            messages.iter().any(early) && !messages.iter().any(|message| message.contains("RPC failed"))
        };
        match effect {
            _ if self == Self::Lasting => false,
            Effect::Reads => true,
            Effect::Writes => before_anything(),
            Effect::Unknown => false,
        }
    }

    /// How long to wait at least: a refusal for nothing passes in about half a minute.
    pub fn first_wait(self) -> Duration {
        match self {
            Self::Refused => Duration::from_secs(30),
            Self::Limited => Duration::from_secs(60),
            Self::Host(_) | Self::Connection | Self::Lasting => Duration::from_secs(5),
        }
    }
}

/// What the summary says.
impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("the host refused the credential"),
            Self::Limited => f.write_str("the host asked for fewer requests (429)"),
            Self::Host(status) => write!(f, "the host had trouble of its own ({status})"),
            Self::Connection => f.write_str("the connection could not be made or broke off"),
            Self::Lasting => f.write_str("the host refused it for good"),
        }
    }
}

impl Waits {
    /// For a job.
    pub fn of(job: &str) -> Self {
        Self { seed: hash(job), attempt: 0 }
    }

    /// The next wait after this trouble, at most ten minutes.
    pub fn next(&mut self, trouble: Trouble, first: Option<Duration>) -> Duration {
        let base = first.unwrap_or_else(|| trouble.first_wait()) * 2_u32.pow(self.attempt.min(6));
        self.attempt += 1;
        // From the whole wait to half as much again.
        let share = hash(&format!("{} {}", self.seed, self.attempt)) as f64 / u64::MAX as f64;
        base.mul_f64(1.0 + share / 2.0).min(LONGEST)
    }
}

/// When within a time a job begins, by its name alone: the same each time, and spread over many jobs.
pub fn stagger(job: &str, spread: Duration) -> Duration {
    spread.mul_f64(hash(job) as f64 / u64::MAX as f64)
}

fn hash(text: &str) -> u64 {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

const LONGEST: Duration = Duration::from_secs(600);
const CONNECTION: &[&str] = &[
    "Could not resolve host",
    "Failed to connect",
    "Couldn't connect",
    "Connection refused",
    "Connection reset",
    "Connection timed out",
    "Operation timed out",
    "Empty reply from server",
    "the remote end hung up unexpectedly",
    "early EOF",
    "unexpected disconnect",
    "transfer closed with",
    "SSL_ERROR_SYSCALL",
    "HTTP/2 stream",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Effect {
        Effect::of(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    fn messages(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_a_command_does_is_read_from_its_line() {
        assert_eq!(command("git fetch origin"), Effect::Reads);
        assert_eq!(command("/usr/bin/git -C /srv/x -c a=b --no-pager pull"), Effect::Reads);
        assert_eq!(command("git push"), Effect::Writes);
        assert_eq!(command("git -C push fetch"), Effect::Reads);
        for unknown in ["make all", "git commit", "git", "git -c push", "gitk fetch"] {
            assert_eq!(command(unknown), Effect::Unknown, "{unknown}");
        }
    }

    #[test]
    fn gits_messages_tell_what_went_wrong() {
        let unable =
            |status: u16| format!("unable to access 'https://h/a/b.git/': The requested URL returned error: {status}");
        for (message, trouble) in [
            ("Authentication failed for 'https://h/a/b.git/'".to_owned(), Some(Trouble::Refused)),
            (unable(429), Some(Trouble::Limited)),
            (unable(503), Some(Trouble::Host(503))),
            (unable(403), Some(Trouble::Lasting)),
            (unable(410), Some(Trouble::Lasting)),
            ("RPC failed; HTTP 502 curl 22 …".to_owned(), Some(Trouble::Host(502))),
            ("unable to access 'https://h/': Could not resolve host: h".to_owned(), Some(Trouble::Connection)),
            ("repository 'https://h/a/b.git/' not found".to_owned(), Some(Trouble::Lasting)),
            ("couldn't find remote ref x".to_owned(), None),
        ] {
            assert_eq!(Trouble::of(&messages(&[&message])), trouble, "{message}");
        }
    }

    #[test]
    fn a_push_is_tried_again_only_if_nothing_of_it_was_sent() {
        let early = messages(&["unable to access 'https://h/': The requested URL returned error: 503"]);
        let late = messages(&["RPC failed; HTTP 503 curl 22", "the remote end hung up unexpectedly"]);
        assert!(Trouble::Host(503).may_retry(Effect::Writes, &early));
        assert!(!Trouble::Host(503).may_retry(Effect::Writes, &late));
        assert!(Trouble::Host(503).may_retry(Effect::Reads, &late));
        assert!(!Trouble::Host(503).may_retry(Effect::Unknown, &early));
        assert!(!Trouble::Lasting.may_retry(Effect::Reads, &early));
    }

    #[test]
    fn jobs_are_spread_and_each_comes_at_its_own_time() {
        let spread = Duration::from_secs(300);
        let starts: Vec<Duration> = (0..1000).map(|number| stagger(&format!("job {number}"), spread)).collect();
        assert_eq!(stagger("job 7", spread), starts[7]);
        for fifth in 0..5u32 {
            let (from, to) = (spread * fifth / 5, spread * (fifth + 1) / 5);
            let within = starts.iter().filter(|start| (from..to).contains(start)).count();
            assert!((150..250).contains(&within), "{within} within {from:?}..{to:?}");
        }
        let mut waits = Waits::of("job");
        let drawn: Vec<Duration> = (0..10).map(|_| waits.next(Trouble::Refused, None)).collect();
        assert!(drawn[0] >= Duration::from_secs(30) && drawn[0] <= Duration::from_secs(45), "{drawn:?}");
        assert!(drawn.windows(2).all(|pair| pair[0] <= pair[1]) && drawn[9] == LONGEST, "{drawn:?}");
    }
}
