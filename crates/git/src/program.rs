//! The git program, and the configuration it always runs with.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::GitError;
use crate::process::{Importance, Process};

/// The git program. It is run with a cleared environment and the configuration below, and with nothing of the machine's:
/// no system or user configuration, no hooks, no shell, no prompts.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    version: Arc<str>,
    pack_bytes: u64,
    tree_depth: u32,
    environment: Arc<[(OsString, OsString)]>,
}

/// What an administrator may set about git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSettings {
    /// The program, if not the first `git` in the search path.
    pub program: Option<PathBuf>,
    /// The largest pack that a push may bring, in bytes.
    pub pack_bytes: u64,
    /// How deeply directories may be nested in what is pushed; enforced by git 2.43 and later.
    pub tree_depth: u32,
}

impl Git {
    /// Finds git in `search_path`, unless the settings name it, and checks its version.
    ///
    /// # Errors
    /// [`GitError::Program`] if there is none, or one before 2.36, which cannot make refs durable.
    pub fn find(settings: &GitSettings, search_path: &OsStr) -> Result<Self, GitError> {
        let program = find(settings.program.as_deref().unwrap_or(Path::new("git")), search_path)?;
        let version = version(&program)?;
        let directory = program.parent().unwrap_or(Path::new("/usr/bin"));
        let path = std::env::join_paths([directory, Path::new("/usr/bin"), Path::new("/bin")]).unwrap_or_default();
        let environment = environment(settings, path).into();
        let GitSettings { pack_bytes, tree_depth, .. } = *settings;
        Ok(Self { program, version: version.into(), pack_bytes, tree_depth, environment })
    }

    /// The version, as `git version` prints it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How deeply directories may be nested in what is pushed.
    pub(crate) fn tree_depth(&self) -> usize {
        usize::try_from(self.tree_depth).unwrap_or(usize::MAX)
    }

    /// How `git index-pack` is told to look at a pack that is pushed, as `git receive-pack` tells it.
    pub(crate) fn pack_checks(&self) -> [String; 2] {
        let forgiven: Vec<String> = FORGIVEN.iter().map(|fault| format!("{fault}=ignore")).collect();
        [format!("--strict={}", forgiven.join(",")), format!("--max-input-size={}", self.pack_bytes)]
    }

    /// Whether it is of a version or a later one.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        numbers(&self.version) >= (major, minor)
    }

    /// How many settings [`Self::command`] passes in the environment: more can be added from this number on.
    pub(crate) fn settings_passed(&self) -> usize {
        let count = self.environment.iter().find(|(name, _)| name == "GIT_CONFIG_COUNT");
        count.and_then(|(_, count)| count.to_str()?.parse().ok()).unwrap_or(0)
    }

    /// A git command in a directory, with nothing connected and its own process group, so that it can be ended together
    /// with whatever it started.
    pub(crate) fn command(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // Git looks for a repository in its directory and never above: the data may be inside another checkout.
            .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap_or(directory))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// Runs a command to its end and returns what it wrote.
    pub(crate) async fn run(&self, what: &'static str, command: &mut Command) -> Result<Vec<u8>, GitError> {
        self.run_with(what, command, Importance::Normal).await
    }

    /// The same, for something that is as important as this.
    pub(crate) async fn run_with(
        &self,
        what: &'static str,
        command: &mut Command,
        importance: Importance,
    ) -> Result<Vec<u8>, GitError> {
        let (process, stdin, mut stdout) = Process::start(what, command)?;
        process.set(importance);
        drop(stdin);
        let mut output = Vec::new();
        stdout.read_to_end(&mut output).await.map_err(GitError::run(what))?;
        match process.wait_with_complaints().await? {
            (status, _) if status.success() => Ok(output),
            (_, stderr) => Err(GitError::Failed { what, stderr }),
        }
    }
}

/// Configuration that does not depend on settings: key, value, why.
const CONFIGURATION: &[(&str, &str, &str)] = &[
    (
        "core.fsync",
        "committed,derived-metadata,reference",
        "objects, their indexes and refs are on disk before git goes on; by default refs and loose objects are not",
    ),
    ("receive.unpackLimit", "1", "a push stays one pack: three files to make durable, not one for each object"),
    ("fetch.unpackLimit", "1", "the same for an import"),
    ("core.hooksPath", "/dev/null", "nothing in a repository is ever run"),
    ("safe.directory", "*", "the data directory may belong to another user than the server's, as in containers"),
    ("core.filesRefLockTimeout", "5000", "pushes to one ref at once wait for each other instead of failing"),
    ("core.packedRefsTimeout", "10000", "the same for deletions, which rewrite one file"),
    ("core.bigFileThreshold", "64m", "larger files are streamed, not held in memory to look for deltas"),
    ("pack.windowMemory", "128m", "bounds what the search for deltas takes"),
    ("gc.auto", "0", "upkeep is ours, see upkeep.rs"),
    ("receive.autogc", "false", "the same"),
    ("maintenance.auto", "false", "the same"),
    ("receive.fsckObjects", "true", "what would be refused or dangerous at a client is not let in"),
    ("fetch.fsckObjects", "true", "the same for an import"),
    (
        "receive.denyDeleteCurrent",
        "refuse",
        "as by default, but without seven lines about a setting that no client can change",
    ),
    ("receive.advertisePushOptions", "true", "clients may send push options"),
    ("uploadpack.allowFilter", "true", "partial clones"),
    ("uploadpack.allowAnySHA1InWant", "true", "partial clones fetch single objects; protocol v2 allows it anyway"),
    ("uploadpack.allowSidebandAll", "true", "a client that waits for a place can be told so, see answers/"),
    (
        "uploadpack.advertiseBundleURIs",
        "true",
        "clients may ask for bundles, see bundle.rs; of git's own there are none",
    ),
    ("uploadpack.keepAlive", "5", "a waiting client hears from us every five seconds"),
    ("receive.keepAlive", "5", "the same for pushes"),
    ("transfer.hideRefs", "refs/doorward", "refs of the server itself"),
    ("init.defaultBranch", "main", "what HEAD names in a new repository"),
    ("init.defaultRefFormat", "files", "refs are read and made durable as files"),
    ("protocol.version", "2", "for imports"),
];

/// Faults in old, well-known public histories that harm nobody: refusing them would refuse those histories for ever.
const FORGIVEN: &[&str] = &["badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode"];

fn environment(settings: &GitSettings, path: OsString) -> Vec<(OsString, OsString)> {
    let mut configuration: Vec<(String, String)> = vec![
        ("receive.maxInputSize".into(), settings.pack_bytes.to_string()),
        ("core.maxTreeDepth".into(), settings.tree_depth.to_string()),
    ];
    configuration.extend(CONFIGURATION.iter().map(|(key, value, _)| ((*key).into(), (*value).into())));
    for fault in FORGIVEN {
        configuration.push((format!("receive.fsck.{fault}"), "ignore".into()));
        configuration.push((format!("fetch.fsck.{fault}"), "ignore".into()));
    }
    let mut environment: Vec<(OsString, OsString)> = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        // Whoever may push could otherwise put something else in the place of an object.
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("HOME", "/nonexistent"),
        ("LC_ALL", "C"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    environment.push(("PATH".into(), path));
    environment.push(("GIT_CONFIG_COUNT".into(), configuration.len().to_string().into()));
    for (place, (key, value)) in configuration.into_iter().enumerate() {
        environment.push((format!("GIT_CONFIG_KEY_{place}").into(), key.into()));
        environment.push((format!("GIT_CONFIG_VALUE_{place}").into(), value.into()));
    }
    environment
}

/// The program of a name or path, as an absolute path.
fn find(named: &Path, search_path: &OsStr) -> Result<PathBuf, GitError> {
    if named.components().count() > 1 {
        return named.canonicalize().map_err(|error| GitError::Program(format!("{}: {error}", named.display())));
    }
    let found = std::env::split_paths(search_path).map(|directory| directory.join(named)).find(|path| path.is_file());
    let missing = || format!("{} was not found; install git, or name it with git.program", named.display());
    found.ok_or_else(|| GitError::Program(missing()))
}

/// Asks the program for its version.
fn version(program: &Path) -> Result<String, GitError> {
    let output = std::process::Command::new(program).arg("version").env_clear().stdin(Stdio::null()).output();
    let output = output.map_err(|error| GitError::Program(format!("{} cannot be run: {error}", program.display())))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if numbers(&text) < OLDEST {
        let (major, minor) = OLDEST;
        let message = format!("{} is `{text}`; doorward needs {major}.{minor} or later", program.display());
        return Err(GitError::Program(message));
    }
    Ok(text)
}

/// The first two numbers of what `git version` prints.
fn numbers(text: &str) -> (u32, u32) {
    let mut numbers = text.trim_start_matches("git version ").split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The first version with `core.fsync`.
const OLDEST: (u32, u32) = (2, 36);
