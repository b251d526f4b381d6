//! The data directory: its store, its repositories, and the lock of the one server on it.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use doorward_git::{Git, Repositories, Slots};
use doorward_rules::Timestamp;
use doorward_store::Store;
use rustix::process::{Pid, Signal, kill_process};

use crate::config::Configuration;
use crate::failure::{Code, Failure};

/// An open data directory.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) directory: PathBuf,
    pub(crate) store: Store,
}

/// Held by the server that serves a data directory. In its file is how to reach it.
#[derive(Debug)]
pub(crate) struct ServerLock(File);

/// The server that serves a data directory at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    /// Unless it cannot be told that the process with this number is the server: it may run in a container.
    pid: Option<Pid>,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The address that people use.
    pub(crate) address: String,
    /// The file with its certificate, if it has one.
    pub(crate) certificate: Option<PathBuf>,
}

impl Data {
    /// Opens the data directory that a server or `doorward up` has made.
    pub(crate) async fn open(configuration: &Configuration) -> Result<Self, Failure> {
        let directory = PathBuf::from(configuration.text("data"));
        if !directory.join("doorward.db").exists() {
            let sentence = format!("there is no data directory at {}", directory.display());
            return Err(
                Failure::new(Code::NotFound, sentence).hint("name it with --data, or make one with `doorward up`")
            );
        }
        Self::open_or_create(configuration).await
    }

    /// Opens the data directory, and makes it if it is not there. Only its owner may look into it.
    pub(crate) async fn open_or_create(configuration: &Configuration) -> Result<Self, Failure> {
        let directory = PathBuf::from(configuration.text("data"));
        make_private(&directory)?;
        let store = Store::open(&directory).await?;
        Ok(Self { directory, store })
    }

    /// The repositories in it.
    pub(crate) fn repositories(&self, configuration: &Configuration) -> Result<Repositories, Failure> {
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let git = Git::find(&configuration.git(), &search_path)?;
        Ok(Repositories::new(&self.directory, git, Slots::new(configuration.slots()), configuration.cache())?)
    }

    /// Takes the lock that keeps a second server away.
    pub(crate) fn lock(&self) -> Result<ServerLock, Failure> {
        let path = self.directory.join("doorward.lock");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| unusable(&path, &error))?;
        let mut locked = file.try_lock();
        // A command that looks whether there is a server has it for a moment.
        for _ in 0..MOMENTS {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            sleep(MOMENT);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => Ok(ServerLock(file)),
            Err(TryLockError::WouldBlock) => {
                let sentence = format!("another server is serving {}", self.directory.display());
                Err(Failure::new(Code::State, sentence)
                    .hint("stop it first, or name another data directory with --data"))
            }
            Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }
}

impl ServerLock {
    /// Writes down how this server is reached, for commands that are run beside it.
    pub(crate) fn tell(&mut self, configuration: &Configuration, listen: SocketAddr) -> Result<(), Failure> {
        let (address, certificate) =
            (configuration.address(Some(listen)), configuration.text("server.tls_certificate"));
        // Whoever reads this may stand elsewhere.
        let certificate = match certificate {
            "" => String::new(),
            relative => std::path::absolute(relative).unwrap_or_else(|_| relative.into()).display().to_string(),
        };
        let written = self.0.rewind().and_then(|()| {
            self.0.set_len(0)?;
            writeln!(self.0, "{}\n{listen}\n{address}\n{certificate}", std::process::id())
        });
        written.map_err(|error| Failure::new(Code::Failed, format!("doorward.lock cannot be written: {error}")))
    }
}

impl Running {
    /// The server on the data directory of a configuration, if one runs.
    pub(crate) fn find(configuration: &Configuration) -> Option<Self> {
        let mut file = File::open(Path::new(configuration.text("data")).join("doorward.lock")).ok()?;
        // What is written there is of a server that ended, unless it has the lock.
        if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let mut lines = text.lines();
        let inode = file.metadata().ok()?.ino();
        Some(Self {
            pid: Pid::from_raw(lines.next()?.parse().ok()?).filter(|pid| has_lock(*pid, inode)),
            listen: lines.next()?.parse().ok()?,
            address: lines.next()?.to_owned(),
            certificate: lines.next().filter(|path| !path.is_empty()).map(PathBuf::from),
        })
    }

    /// Has it read its upstreams and its certificate again; whether it could be told.
    pub(crate) fn tell_to_read_again(&self) -> bool {
        self.pid.is_some_and(|pid| kill_process(pid, Signal::HUP).is_ok())
    }
}

/// Whether a process has the lock of a file, by what the system lists (proc_locks(5)); never where it lists nothing.
fn has_lock(pid: Pid, inode: u64) -> bool {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let (pid, inode) = (pid.as_raw_nonzero().to_string(), inode.to_string());
    locks.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let place = fields.get(5).and_then(|place| place.rsplit(':').next());
        fields.get(1) == Some(&"FLOCK") && fields.get(4) == Some(&pid.as_str()) && place == Some(&inode)
    })
}

/// The present moment, for changes made from the command line.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn make_private(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| unusable(directory, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::Failed, format!("{} cannot be used: {error}", path.display()))
        .hint("check its owner, or name another data directory with --data")
}

/// How often a lock is tried that somebody has.
const MOMENTS: u32 = 5;
const MOMENT: Duration = Duration::from_millis(20);
