//! `doorward credential`, `doorward setup` and `doorward askpass`: for the person at a git client.
//!
//! These start in milliseconds: no configuration is read, no runtime is started.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use doorward_client::{
    Candidate, Chosen, Contents, Entry, Held, Helper, Keep, Kept, Keyring, Place, Probe, Prompt, Source, Vault,
    askpass, probe, set_up, take_down,
};
use doorward_wire::Description;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::counted;
use crate::arguments::{Arguments, Command, CredentialCommand, CredentialFlags, KeepWord};
use crate::data::now;
use crate::failure::{Code, Failure};
use crate::print;
use crate::terminal::ask_secret;

/// What is stored, without the secret.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    place: String,
    username: Option<String>,
    kind: Option<&'static str>,
    /// By which the same secret is known elsewhere.
    mark: String,
    added_at: String,
    accepted_at: Option<String>,
    dead: Option<String>,
}

/// Which credential would be used, and why.
#[derive(Debug, Serialize)]
struct Explained {
    place: String,
    chosen: Option<ChosenRow>,
    passed: Vec<PassedRow>,
}

#[derive(Debug, Serialize)]
struct ChosenRow {
    username: String,
    kind: Option<&'static str>,
    source: String,
    stored_for: String,
    why: &'static str,
}

#[derive(Debug, Serialize)]
struct PassedRow {
    source: String,
    stored_for: String,
    why: String,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    match arguments.command {
        Command::Run(flags) => return super::run::run(flags),
        Command::Completions { shell } => return super::completions::run(shell),
        Command::Manual { directory } => return super::completions::manual(&directory),
        _ => {}
    }
    let vault = vault()?;
    match arguments.command {
        Command::Doctor(flags) => super::doctor::run(&flags, &vault, json),
        Command::Login(flags) => super::login::run(flags, &vault, json),
        Command::Logout { place } => match vault.remove(|entry| place.covers(&entry.place))? {
            0 => Err(nothing_stored(&place)),
            removed => print::line(&format!("forgot {} for {place}", counted(removed, "credential"))),
        },
        Command::Migrate(flags) => super::migrate::run(&flags, &vault, json),
        Command::Credential(CredentialFlags { secret_file, place, command }) => {
            let given = secret_file.zip(place).map(|(path, place)| given(path, place)).transpose()?;
            credential(command, given, &vault, json)
        }
        Command::Setup { host, undo: false } => {
            set_up(&host, &program()?)?;
            let whole = host.whole_host();
            print::line(&format!("git asks doorward about {whole} from now on, and no other helper"))?;
            print::line(&format!(
                "`doorward login {whole}` stores a token; `doorward setup {whole} --undo` takes this back"
            ))
        }
        Command::Setup { host, undo: true } => {
            take_down(&host)?;
            print::line(&format!("git does not ask doorward about {} any more", host.whole_host()))
        }
        Command::Askpass { prompt } => {
            let answer = askpass(&Prompt::parse(&prompt)?, &environment, &vault, now())?;
            print::line(answer.expose_secret())
        }
        _ => Ok(()),
    }
}

/// The secret for a server that was named on the command line.
///
/// # Errors
/// A [`Failure`] if there is none.
pub(crate) fn secret_for(place: &Place) -> Result<SecretString, Failure> {
    // Whoever names the server on the command line has said which host the token is for.
    let named = place.clone();
    let environment = move |name: &str| match (name, environment(name)) {
        ("DOORWARD_HOST", None) => Some(named.to_string()),
        (_, value) => value,
    };
    let (vault, program) = (vault()?, program()?);
    let helper = Helper { given: None, environment: &environment, vault: &vault, program: &program, now: now() };
    let choice = helper.explain(place, None)?;
    let passed: Vec<String> = choice.passed.iter().map(|passed| format!("{}: {}", passed.source, passed.why)).collect();
    choice.chosen.map(|chosen| chosen.secret).ok_or_else(|| {
        let sentence = match passed.as_slice() {
            [] => format!("there is no credential for {place}"),
            passed => format!("there is no credential for {place} that can be used ({})", passed.join("; ")),
        };
        Failure::new(Code::NotFound, sentence)
            .hint(format!("`doorward login {place}` stores one, or set DOORWARD_TOKEN"))
    })
}

/// The secret in a file that was named for this call, for one place.
fn given(path: PathBuf, place: Place) -> Result<Candidate, Failure> {
    let unreadable = |why: String| {
        Failure::new(Code::Configuration, format!("{}: {why}", path.display())).hint("name a file with a token in it")
    };
    let mut text = String::new();
    let file = File::open(&path).map_err(|error| unreadable(error.to_string()))?;
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    if text.trim().is_empty() {
        return Err(unreadable("is empty".into()));
    }
    let held = Held::Here(text.trim().to_owned().into());
    let entry = Entry { place, username: None, held, added_at: now(), expires_at: None };
    Ok(Candidate { entry, source: Source::File(path) })
}

fn credential(command: CredentialCommand, given: Option<Candidate>, vault: &Vault, json: bool) -> Result<(), Failure> {
    let program = program()?;
    let helper = Helper { given, environment: &environment, vault, program: &program, now: now() };
    let ask = |place: &Place, username: &str, secret: &SecretString| {
        probe(place, username, secret, &program, PATIENCE).unwrap_or(Probe::Unknown)
    };
    match command {
        CredentialCommand::Get => {
            let (answer, notices) = helper.get(&question()?, &ask)?;
            notices.iter().for_each(|notice| tell(notice));
            match answer {
                Some(answer) => answer.write(io::stdout().lock()).map_err(|error| Failure::new(Code::Failed, error)),
                None => Ok(()),
            }
        }
        CredentialCommand::Store => Ok(helper.store(&question()?)?),
        CredentialCommand::Erase => {
            if let Some(notice) = helper.erase(&question()?, &ask)? {
                tell(&notice);
            }
            Ok(())
        }
        CredentialCommand::Capability => print::line("version 0\ncapability authtype\ncapability state"),
        CredentialCommand::Add { url, username, keep } => {
            let place: Place = url.parse().map_err(|error| Failure::new(Code::Usage, error))?;
            add(vault, place, username.or_else(|| user_of(&url)), KeepWord::or_anywhere(keep), json)
        }
        // Later versions of git may ask for more, and want silence from who does not know what.
        CredentialCommand::Other(_) if !io::stdin().is_terminal() => Ok(()),
        CredentialCommand::Other(words) => {
            let word = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
            Err(Failure::new(Code::Usage, format!("there is no `doorward credential {word}`"))
                .hint("`doorward credential --help` lists what there is"))
        }
        CredentialCommand::Remove { place, username } => {
            let meant = |entry: &Entry| entry.place == place && (username.is_none() || entry.username == username);
            match vault.remove(meant)? {
                0 => Err(nothing_stored(&place)),
                removed => print::line(&format!("forgot {}", counted(removed, "credential"))),
            }
        }
        CredentialCommand::List => {
            let contents = vault.read()?;
            let rows: Vec<Row> = contents.entries.iter().map(|entry| Row::of(entry, &contents)).collect();
            if json { print::json(&rows) } else { show(rows) }
        }
        CredentialCommand::Explain { url } => {
            let place: Place = url.parse().map_err(|error| Failure::new(Code::Usage, error))?;
            explain(&helper, place, user_of(&url), json)
        }
    }
}

fn add(vault: &Vault, place: Place, username: Option<String>, keep: Keep, json: bool) -> Result<(), Failure> {
    let secret = ask_secret(&format!("secret for {place} (it is not shown): "))?;
    if secret.expose_secret().is_empty() {
        return Err(Failure::new(Code::Usage, "no secret came on standard input")
            .hint("pipe it in, or type it where it is asked for; nothing was stored"));
    }
    if secret.expose_secret().contains(char::is_whitespace) {
        return Err(Failure::new(Code::Usage, "there is white space within the secret")
            .hint("copy it again, without quotes and line breaks; nothing was stored"));
    }
    let entry = Entry { place, username, held: Held::Here(secret), added_at: now(), expires_at: None };
    let (row, kept) = store(vault, entry, keep)?;
    if json {
        return print::json(&row);
    }
    let what =
        row.kind.map_or_else(|| "a secret of unknown kind".into(), |kind| format!("a secret of the kind {kind}"));
    print::line(&format!("stored {what} for {}, {}", row.place, kept_where(&kept)))
}

fn nothing_stored(place: &Place) -> Failure {
    Failure::new(Code::NotFound, format!("there is nothing stored for {place}"))
        .hint("`doorward credential list` shows what there is")
}

/// Where a secret was kept, in words.
pub(super) fn kept_where(kept: &Kept) -> String {
    match kept {
        Kept::InKeyring => "in the keyring".into(),
        Kept::InFile => "in the vault".into(),
        Kept::InFileSince(error) => format!("in the vault, since {error}"),
    }
}

/// Stores a credential that a person gives, whatever has become of it before.
pub(super) fn store(vault: &Vault, entry: Entry, keep: Keep) -> Result<(Row, Kept), Failure> {
    let row = vault.change(|contents| {
        let history = contents.history_mut(&entry.place, &entry.fingerprint());
        (history.dead, history.refused) = (None, 0);
        Row::of(&entry, contents)
    })?;
    Ok((row, vault.store(entry, keep)?))
}

fn explain(helper: &Helper<'_>, place: Place, username: Option<String>, json: bool) -> Result<(), Failure> {
    let choice = helper.explain(&place, username.as_deref())?;
    let passed = choice.passed.iter().map(|passed| PassedRow {
        source: passed.source.to_string(),
        stored_for: passed.place.to_string(),
        why: passed.why.clone(),
    });
    let explained = Explained {
        place: place.to_string(),
        chosen: choice.chosen.as_ref().map(ChosenRow::of),
        passed: passed.collect(),
    };
    if json {
        return print::json(&explained);
    }
    match &explained.chosen {
        None => print::line(&format!("there is no credential for {place}"))?,
        Some(chosen) => print::pairs(&[
            ("for", explained.place.clone()),
            ("user name", chosen.username.clone()),
            ("secret", chosen.kind.unwrap_or("of unknown kind").into()),
            ("from", format!("{}, stored for {}", chosen.source, chosen.stored_for)),
            ("because", chosen.why.into()),
        ])?,
    }
    explained
        .passed
        .iter()
        .try_for_each(|passed| print::line(&format!("not {} for {}: {}", passed.source, passed.stored_for, passed.why)))
}

fn show(rows: Vec<Row>) -> Result<(), Failure> {
    let cells = rows.into_iter().map(|row| {
        let kind = format!("{} #{}", row.kind.unwrap_or("unknown"), row.mark);
        let state = match (&row.dead, &row.accepted_at) {
            (Some(why), _) => why.clone(),
            (None, Some(at)) => format!("accepted on {}", &at[..10]),
            (None, None) => "not used yet".into(),
        };
        [row.place, row.username.unwrap_or_default(), kind, state]
    });
    print::table(["for", "user name", "kind", "state"], &cells.collect::<Vec<_>>())
}

/// What git asks on standard input.
fn question() -> Result<Description, Failure> {
    Description::read(io::stdin().lock()).map_err(|error| Failure::new(Code::Usage, error))
}

/// The vault of the person who runs this; nowhere if there is no home.
fn vault() -> Result<Vault, Failure> {
    let named = environment("DOORWARD_VAULT").map(PathBuf::from);
    if named.as_ref().is_some_and(|path| !path.is_absolute()) {
        // It would be another one in each directory, and the secrets in somebody's repository.
        return Err(Failure::new(Code::Configuration, "DOORWARD_VAULT is not an absolute path").hint("begin it with /"));
    }
    let directory = named.or_else(|| {
        let data = environment("XDG_DATA_HOME").filter(|path| Path::new(path).is_absolute()).map(PathBuf::from);
        let data = data.or_else(|| environment("HOME").map(|home| Path::new(&home).join(".local/share")));
        data.map(|data| data.join("doorward"))
    });
    let keyring = Keyring::of_session(&environment);
    Ok(Vault::new(directory, environment("DOORWARD_KEY").map(SecretString::from)).with_keyring(keyring))
}

pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub(super) fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::new(Code::Failed, format!("this program cannot be found: {error}")))
}

/// The user part of an address.
fn user_of(url: &str) -> Option<String> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split(':').next().filter(|user| !user.is_empty()).map(str::to_owned)
}

/// To the person at the terminal; what goes to standard output is git's.
fn tell(notice: &str) {
    eprintln!("doorward: {notice}");
}

impl Row {
    fn of(entry: &Entry, contents: &Contents) -> Self {
        let history = contents.history(&entry.place, &entry.fingerprint());
        Self {
            place: entry.place.to_string(),
            username: entry.username.clone(),
            kind: entry.kind().map(|kind| kind.word()),
            mark: entry.fingerprint().chars().take(6).collect(),
            added_at: entry.added_at.to_string(),
            accepted_at: history.accepted_at.map(|at| doorward_rules::Timestamp(at).to_string()),
            dead: history.dead,
        }
    }
}

impl ChosenRow {
    fn of(chosen: &Chosen) -> Self {
        Self {
            username: chosen.username.clone(),
            kind: chosen.kind.map(|kind| kind.word()),
            source: chosen.source.to_string(),
            stored_for: chosen.place.to_string(),
            why: chosen.why,
        }
    }
}

/// As much of a file as is read for a secret.
const LARGEST: u64 = 64 * 1024;
/// How long a host may take to say whether it takes a credential.
const PATIENCE: Duration = Duration::from_secs(15);
