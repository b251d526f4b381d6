//! `doorward run`: a command at a time of its own, and again if a host refuses it for a while.
//!
//! The command has this process's terminal, input, output and signals. What went wrong is read from git's own trace, so
//! that its messages and its progress are left alone.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use doorward_client::{Effect, Trouble, Waits, stagger};
use serde_json::Value;
use tokio::process::Command as AsyncCommand;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::environment;
use super::length;
use crate::arguments::RunFlags;
use crate::failure::{Code, Failure};

/// What came of the command.
enum Ended {
    /// It ended by itself.
    With(ExitStatus),
    /// Somebody wants this to stop; how the command ended then.
    Stopped(Option<ExitStatus>),
}

pub(crate) fn run(flags: RunFlags) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Failed, error))?;
    let status = runtime.block_on(attempts(&flags))?;
    std::process::exit(status)
}

/// Runs the command until it succeeds, may not be run again, or the time is up; its exit code.
async fn attempts(flags: &RunFlags) -> Result<i32, Failure> {
    let job = flags.job.clone().unwrap_or_else(|| job(&flags.command));
    let mut stop = Stop::new()?;
    if let Some(spread) = flags.spread {
        let wait = stagger(&job, spread);
        tell(&format!("`{job}` begins in {}, its own moment within {}", length(whole(wait)), length(spread)));
        if stop.wait(wait).await {
            return Ok(INTERRUPTED);
        }
    }
    let effect = Effect::of(&flags.command);
    let trace = tempfile::tempdir().map_err(|error| Failure::new(Code::Failed, error).hint("set TMPDIR"))?;
    let (began, mut waits, mut attempt) = (Instant::now(), Waits::of(&job), 1_u32);
    loop {
        let file = trace.path().join(attempt.to_string());
        let status = match once(&flags.command, &file, &mut stop).await? {
            Ended::With(status) => status,
            Ended::Stopped(status) => return Ok(status.map_or(INTERRUPTED, code)),
        };
        if status.success() {
            if attempt > 1 {
                tell(&format!("succeeded at attempt {attempt}, after {}", length(whole(began.elapsed()))));
            }
            return Ok(0);
        }
        let messages = messages(&file);
        let Some(trouble) = Trouble::of(&messages) else {
            return Ok(summed_up(attempt, status, "its failure is not a host's"));
        };
        if !trouble.may_retry(effect, &messages) {
            let why = match (trouble, effect) {
                (Trouble::Lasting, _) => "trying again would not help",
                (_, Effect::Unknown) => "it is not certain that this command may be run twice",
                _ => "something of it may have been done",
            };
            return Ok(summed_up(attempt, status, &format!("{trouble}; {why}")));
        }
        let wait = waits.next(trouble, flags.first_wait);
        if began.elapsed() + wait > flags.retry_for {
            let limit = length(flags.retry_for);
            return Ok(summed_up(attempt, status, &format!("{trouble}; the next attempt would come after {limit}")));
        }
        tell(&format!("attempt {attempt}: {trouble}; the next one is in {}", length(whole(wait))));
        if stop.wait(wait).await {
            return Ok(summed_up(attempt, status, "it was stopped while it waited"));
        }
        attempt += 1;
    }
}

/// Runs the command once.
async fn once(command: &[String], trace: &Path, stop: &mut Stop) -> Result<Ended, Failure> {
    let [program, arguments @ ..] = command else { return Err(Failure::new(Code::Usage, "there is no command")) };
    let mut prepared = Command::new(program);
    prepared.args(arguments);
    // Somebody's own trace stays theirs; then nothing is known about what went wrong.
    if environment("GIT_TRACE2_EVENT").is_none() {
        prepared.env("GIT_TRACE2_EVENT", trace);
    }
    let child = AsyncCommand::from(prepared).spawn().map_err(|error| {
        Failure::new(Code::NotFound, format!("`{program}` cannot be run: {error}")).hint("check its name")
    });
    // As a shell tells of a command that is not there.
    let mut child = match child {
        Ok(child) => child,
        Err(failure) => {
            failure.report();
            std::process::exit(NOT_THERE)
        }
    };
    let failed = |error| Failure::new(Code::Failed, format!("the command cannot be waited for: {error}"));
    tokio::select! {
        status = child.wait() => Ok(Ended::With(status.map_err(failed)?)),
        received = stop.received() => {
            // At a terminal the command has had the signal already; from elsewhere it has not.
            if let (Some(pid), Some(received)) = (child.id(), received) {
                let pid = rustix::process::Pid::from_raw(pid.cast_signed());
                let _ = pid.map(|pid| rustix::process::kill_process(pid, received));
            }
            Ok(Ended::Stopped(child.wait().await.ok()))
        }
    }
}

/// What git said when it failed: the messages of its errors, from its trace.
fn messages(trace: &Path) -> Vec<String> {
    let text = fs::read_to_string(trace).unwrap_or_default();
    let message = |line: &str| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event["event"] == "error").then(|| event["msg"].as_str().map(str::to_owned)).flatten()
    };
    text.lines().filter_map(message).collect()
}

fn summed_up(attempts: u32, status: ExitStatus, why: &str) -> i32 {
    let times = super::counted(attempts as usize, "attempt");
    tell(&format!("gave up after {times}: {why}"));
    code(status)
}

/// The code to end with: the command's own, or as a shell tells of a signal.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(INTERRUPTED)
}

/// A name for a job that has none.
fn job(command: &[String]) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let directory = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
    // Somebody may have put a token into the command.
    doorward_wire::redact(&format!("{} {directory} {}", host.trim(), command.join(" "))).into_owned()
}

/// Listens for the signals that end a job.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(Code::Failed, format!("signals cannot be received: {error}")))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Resolves when one comes; with the signal if the command has not had it.
    async fn received(&mut self) -> Option<rustix::process::Signal> {
        tokio::select! {
            _ = self.interrupt.recv() => None,
            _ = self.terminate.recv() => Some(rustix::process::Signal::TERM),
        }
    }

    /// Waits; whether a signal came first.
    async fn wait(&mut self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => false,
            _ = self.received() => true,
        }
    }
}

fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs_f64().ceil() as u64)
}

fn tell(text: &str) {
    eprintln!("doorward run: {text}");
}

const INTERRUPTED: i32 = 130;
const NOT_THERE: i32 = 127;
