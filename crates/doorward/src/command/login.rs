//! `doorward login`: walks a person through making a token, tries it on both surfaces, and stores it.

use std::time::Duration;

use doorward_client::{
    Entry, Held, Place, Presented, Probe, RestAnswer, RestError, Vault, is_set_up, probe, reach, set_up, who_am_i,
};
use doorward_rules::{Fault, Kind};
use doorward_wire::UnverifiedToken;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::client::{environment, kept_where, program, store};
use super::doctor::origin;
use crate::arguments::{Job, KeepWord, LoginFlags};
use crate::data::now;
use crate::failure::{Code, Failure};
use crate::print;
use crate::terminal::{ask, ask_secret, is_attended};

/// What came of it.
#[derive(Debug, Serialize)]
struct LoggedIn {
    place: String,
    kind: Option<&'static str>,
    /// What each surface said; nothing if it was not asked, or did not answer.
    rest: Option<String>,
    git: Option<String>,
    missing_scopes: Vec<&'static str>,
    kept: String,
    set_up: bool,
}

pub(crate) fn run(flags: LoginFlags, vault: &Vault, json: bool) -> Result<(), Failure> {
    let place = flags.place.clone();
    let attended = is_attended();
    if attended && !json {
        tell_the_way(&place, flags.job);
    }
    let email = match &flags.email {
        Some(email) => Some(email.to_string()),
        None if attended && place.is_bitbucket_cloud() => {
            Some(ask("e-mail address of your Atlassian account: ")?).filter(|email| !email.is_empty())
        }
        None => None,
    };
    let secret = ask_secret("the token (it is not shown): ")?;
    let kind = look_at(&secret, &place)?;
    let (mut rest, mut git, mut missing, mut owner) = (None, None, Vec::new(), email.clone());
    if !flags.offline {
        let answer = ask_rest(&place, kind, email.as_deref(), &secret)?;
        if let Some(answer) = &answer {
            owner = owner.or_else(|| answer.username.clone());
            missing = flags.job.scopes().filter(|scope| answer.has(scope) == Some(false)).collect();
        }
        rest = answer.as_ref().map(described);
        git = ask_git(&place, kind, owner.as_deref(), &secret)?;
    }
    let place_for = reach(&place, &secret);
    let entry = Entry {
        place: place_for.clone(),
        username: owner,
        held: Held::Here(secret),
        added_at: now(),
        expires_at: None,
    };
    let (_, kept) = store(vault, entry, KeepWord::or_anywhere(flags.keep))?;
    let registers = !flags.no_setup && !is_set_up(&place)?;
    if registers {
        set_up(&place, &program()?)?;
    }
    let done = LoggedIn {
        place: place_for.to_string(),
        kind: kind.map(Kind::word),
        rest,
        git,
        missing_scopes: missing,
        kept: kept_where(&kept),
        set_up: registers,
    };
    if json { print::json(&done) } else { done.tell(&place) }
}

/// Which page, and what to tick there.
fn tell_the_way(place: &Place, job: Job) {
    let way = if place.is_bitbucket_cloud() {
        format!(
            "A token for Bitbucket Cloud:\n\n\
             1. open  https://id.atlassian.com/manage-profile/security/api-tokens\n\
             2. choose \"Create API token with scopes\", name it, choose when it ends,\n\
             \x20  choose the app Bitbucket, and tick\n{}\n\
             3. copy it: it is shown once\n\n\
             An access token of a repository, project or workspace does as well.\n",
            job.scopes().map(|scope| format!("      {scope:28}  {}", meaning(scope))).collect::<Vec<_>>().join("\n")
        )
    } else {
        let scopes: Vec<String> = job.scopes().map(|scope| format!("--scope {scope}")).collect();
        format!(
            "A token for {place}: whoever runs the server makes one with\n\n  doorward token create … {}\n",
            scopes.join(" ")
        )
    };
    eprintln!("{way}");
}

fn meaning(scope: &str) -> &'static str {
    match scope {
        "read:repository:bitbucket" => "clone and fetch",
        "write:repository:bitbucket" => "push",
        "read:user:bitbucket" => "let tools ask whose it is",
        _ => "",
    }
}

/// What the looks of a secret tell; those that cannot work are refused before anybody is asked.
fn look_at(secret: &SecretString, place: &Place) -> Result<Option<Kind>, Failure> {
    let text = secret.expose_secret();
    let wrong = |sentence: &str, remedy: &str| {
        Err(Failure::new(Code::Usage, sentence).hint(format!("{remedy}; nothing was stored")))
    };
    if text.is_empty() {
        return wrong("no token was given", "copy it from the page, and paste it here");
    }
    if text.contains(char::is_whitespace) || text.starts_with(['"', '\'']) {
        return wrong(
            "there is white space, or a quote, in what was given",
            "copy the token again, and nothing around it",
        );
    }
    match UnverifiedToken::parse(secret) {
        Ok(token) => Ok(token.kinds.iter().next()),
        Err(Fault::Truncated) => wrong("the end of the token is missing", "copy all of it"),
        Err(Fault::Altered) => wrong("the token was changed on its way: its checksum does not fit", "copy it again"),
        Err(Fault::ForeignAppPassword) if place.is_bitbucket_cloud() => {
            wrong("this is an app password, and Bitbucket Cloud takes none since 2026-07-28", "create an API token")
        }
        Err(fault) => Ok(doorward_wire::bitbucket_cloud::kind_of(fault)),
    }
}

/// What REST says; nothing if it cannot be asked now. A plain no is an error.
fn ask_rest(
    place: &Place,
    kind: Option<Kind>,
    email: Option<&str>,
    secret: &SecretString,
) -> Result<Option<RestAnswer>, Failure> {
    let who = |presented: &Presented<'_>| who_am_i(place, presented, &environment, PATIENCE);
    let basic =
        email.filter(|_| kind.is_none_or(|kind| kind == Kind::ApiToken)).map(|email| Presented::Basic(email, secret));
    let first = match basic {
        Some(basic) => who(&basic),
        None => who(&Presented::Bearer(secret)),
    };
    let answer = match first {
        Ok(answer) => answer,
        Err(error) => return Ok(unasked(&error)),
    };
    if answer.status != 401 {
        return Ok(Some(answer).filter(|answer| answer.status < 500 && answer.status != 404));
    }
    let told = answer.message.clone().unwrap_or_default();
    if told.contains("no Bitbucket scopes") {
        return Err(Failure::new(Code::Failed, "the token has no Bitbucket scopes")
            .hint("make one with \"Create API token with scopes\", and choose the app Bitbucket; nothing was stored"));
    }
    // The e-mail address may be wrong, and the token right.
    if email.is_some() && who(&Presented::Bearer(secret)).is_ok_and(|answer| answer.knows_it()) {
        return Err(Failure::new(
            Code::Failed,
            format!("the token is valid, and `{}` is not its owner's e-mail address", email.unwrap_or_default()),
        )
        .hint("give the address of your Atlassian account; nothing was stored"));
    }
    let needs_email = email.is_none() && kind == Some(Kind::ApiToken);
    let remedy = if needs_email {
        "add --email: with API tokens REST wants the owner's address"
    } else {
        "copy it again, or make a new one"
    };
    Err(Failure::new(
        Code::Failed,
        format!("{} does not take this token: {}", place.host(), if told.is_empty() { "401" } else { &told }),
    )
    .hint(format!("{remedy}; nothing was stored")))
}

fn unasked(error: &RestError) -> Option<RestAnswer> {
    eprintln!("doorward: {error}; the token is stored without having been tried there");
    None
}

/// What git says of a repository: the one that was named, or that of the clone in this directory.
fn ask_git(
    place: &Place,
    kind: Option<Kind>,
    owner: Option<&str>,
    secret: &SecretString,
) -> Result<Option<String>, Failure> {
    let here = || {
        origin(std::path::Path::new(".")).and_then(|url| url.parse::<Place>().ok()).filter(|here| place.covers(here))
    };
    let Some(repository) = Some(place.clone()).filter(|place| place.repository_url().is_some()).or_else(here) else {
        return Ok(None);
    };
    let name = match kind {
        Some(Kind::ApiToken) => "x-bitbucket-api-token-auth",
        Some(Kind::AppPassword | Kind::AccountPassword) => owner.unwrap_or_default(),
        _ => "x-token-auth",
    };
    let found = probe(&repository, name, secret, &program()?, PATIENCE)
        .map_err(|error| Failure::new(Code::Failed, format!("git cannot be run: {error}")).hint("install git"))?;
    match found {
        Probe::Accepted => Ok(Some(format!("works: {repository}"))),
        Probe::Forbidden(told) => Ok(Some(format!("{repository} says: {told}"))),
        Probe::Unknown => Ok(Some(format!("nothing was found out about {repository}"))),
        Probe::Refused | Probe::Gone(_) => {
            Err(Failure::new(Code::Failed, format!("git does not get into {repository} with this token"))
                .hint("check its scopes, and that its owner may see the repository; nothing was stored"))
        }
    }
}

fn described(answer: &RestAnswer) -> String {
    let who = answer.display_name.clone().or_else(|| answer.username.clone());
    let scopes = answer.scopes.as_ref().map(|scopes| format!("scopes {}", scopes.join(" ")));
    match (answer.status, who) {
        (200..=299, Some(who)) => {
            [Some(format!("works: {who}")), scopes].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        (200..=299, None) => "works".into(),
        (403, _) => {
            let kind = answer.kind.clone().unwrap_or_else(|| "the token".into());
            let rest = scopes.map_or_else(String::new, |scopes| format!(", {scopes}"));
            format!("knows it: {kind}{rest}")
        }
        (status, _) => format!("answered {status}"),
    }
}

impl LoggedIn {
    fn tell(&self, place: &Place) -> Result<(), Failure> {
        let unasked = || "not asked".to_owned();
        print::pairs(&[
            ("REST", self.rest.clone().unwrap_or_else(unasked)),
            ("git", self.git.clone().unwrap_or_else(|| "not tried; name a repository to have it tried".into())),
            ("stored", format!("{}, for {}", self.kept, self.place)),
        ])?;
        for scope in &self.missing_scopes {
            print::line(&format!("it lacks {scope}: {} will be refused", meaning(scope)))?;
        }
        if self.set_up {
            print::line(&format!("git asks doorward about {} from now on", place.whole_host()))?;
        }
        Ok(())
    }
}

/// How long each surface may take.
const PATIENCE: Duration = Duration::from_secs(15);
