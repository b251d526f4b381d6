//! A command that is given some time and no more: what it writes is read while it runs, as far as there is a use for it, and
//! when its time is over it is stopped with everything that it has started.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// What came of a command.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Its exit code; `None` if it was stopped, or ended by a signal.
    pub(crate) code: Option<i32>,
    /// Whether its time was over.
    pub(crate) late: bool,
    /// The beginning of its standard output.
    pub(crate) stdout: String,
    /// The beginning of its standard error.
    pub(crate) stderr: String,
}

impl Ended {
    /// Whether it succeeded.
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs a command for `patience` at most, with `input` on its standard input.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn run(command: &mut Command, input: &[u8], patience: Duration) -> io::Result<Ended> {
    let deadline = Instant::now() + patience;
    let (stdin, group) = (if input.is_empty() { Stdio::null() } else { Stdio::piped() }, 0);
    let mut child = command.process_group(group).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_vec();
        // It may end, or wait, before it has read everything.
        std::thread::spawn(move || drop(pipe.write_all(&input)));
    }
    let status = wait(&mut child, deadline)?;
    // What it has started may hold the pipes for longer than it lives itself.
    let left = deadline.saturating_duration_since(Instant::now()).min(AFTERWARDS);
    Ok(Ended {
        code: status.and_then(|status| status.code()),
        late: status.is_none(),
        stdout: text(&stdout, left),
        stderr: text(&stderr, left),
    })
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<std::process::ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a pipe to its end in a thread of its own, and gives what came in pieces.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(mut pipe) = pipe {
        std::thread::spawn(move || {
            let (mut buffer, mut kept) = ([0; 8192], 0);
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                let length = length.min(MOST - kept);
                kept += length;
                if length > 0 && sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

fn text(pieces: &Receiver<Vec<u8>>, patience: Duration) -> String {
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    while let Ok(piece) = pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        bytes.extend(piece);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// As much of an output as is kept.
const MOST: usize = 256 * 1024;
/// How long a pipe may stay open after its command has ended.
const AFTERWARDS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &[u8], patience: Duration) -> Ended {
        run(Command::new("sh").args(["-c", script]), input, patience).expect("a shell starts")
    }

    #[test]
    fn a_command_that_writes_much_ends_and_what_it_has_read_and_written_is_there() {
        let ended = sh("cat; yes x | head -c 1000000 >&2; exit 3", b"input", Duration::from_secs(60));
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.len()), (Some(3), "input", MOST));
    }

    #[test]
    fn a_command_that_does_not_end_is_stopped_with_all_that_it_started() {
        let scratch = tempfile::tempdir().expect("a directory");
        let pids = scratch.path().join("pids");
        let script = format!("sleep 1000 & echo $! > {}; wait", pids.display());
        let ended = sh(&script, b"", Duration::from_millis(500));
        assert!(ended.late && !ended.succeeded());
        let pid = std::fs::read_to_string(pids).expect("a pid");
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let deadline = Instant::now() + Duration::from_secs(10);
        // Whoever adopts it may not have buried it yet.
        while !stat().is_empty() && !stat().contains(") Z ") {
            assert!(Instant::now() < deadline, "it still runs: {}", stat());
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_that_leaves_somebody_behind_with_its_output_is_not_waited_for() {
        let ended = sh("sleep 20 & echo done", b"", Duration::from_secs(60));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "done\n"));
    }
}
