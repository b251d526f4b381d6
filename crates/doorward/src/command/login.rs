//! `doorward login`: walks a person through making a token, tries it on both surfaces, and stores it.

use std::time::Duration;

use doorward_client::{
    Entry, Held, Place, Presented, Probe, RestAnswer, RestError, Vault, fingerprint, is_set_up, probe, reach, set_up,
    who_am_i,
};
use doorward_rules::{Fault, Form, Kind, RuleSet, Surface};
use doorward_wire::UnverifiedToken;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::client::{environment, kept_where, program, store};
use super::doctor::origin;
use crate::arguments::{Job, KeepWord, LoginFlags};
use crate::data::now;
use crate::failure::{Code, Failure};
use crate::print;
use crate::progress::Progress;
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
    if place.is_in_the_clear() {
        let sentence = format!("{} is not encrypted: whoever listens would learn the token", place.whole_host());
        return Err(Failure::new(Code::Usage, sentence).hint("use https"));
    }
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
    let tried = if flags.offline { Tried::default() } else { Tried::on(&flags, kind, email.as_deref(), &secret)? };
    let place_for = reach(&place, &secret);
    let (fingerprint, owner) = (fingerprint(&secret), email.clone().or_else(|| tried.username.clone()));
    // Whoever stores a token for a place anew means this one, under whichever of their names the old one stands there.
    let names = [email, tried.username.clone(), None];
    vault.remove(|entry| {
        let anew = names.contains(&entry.username) && entry.kind() == kind;
        entry.place == place_for && (anew || entry.fingerprint() == fingerprint)
    })?;
    let (place_for, held) = (place_for.clone(), Held::Here(secret));
    let entry = Entry { place: place_for.clone(), username: owner, held, added_at: now(), expires_at: None };
    let (_, kept) = store(vault, entry, KeepWord::or_anywhere(flags.keep))?;
    let registers = !flags.no_setup && !is_set_up(&place)?;
    if registers {
        set_up(&place, &program()?)?;
    }
    let done = LoggedIn {
        place: place_for.to_string(),
        kind: kind.map(Kind::word),
        rest: tried.rest,
        git: tried.git,
        missing_scopes: tried.missing,
        kept: kept_where(&kept),
        set_up: registers,
    };
    if json { print::json(&done) } else { done.tell(&place) }
}

/// What came of trying a token.
#[derive(Default)]
struct Tried {
    rest: Option<String>,
    git: Option<String>,
    missing: Vec<&'static str>,
    username: Option<String>,
}

impl Tried {
    /// Tries it on both surfaces. A plain no of either is an error, and so is no answer from both.
    fn on(flags: &LoginFlags, kind: Option<Kind>, email: Option<&str>, secret: &SecretString) -> Result<Self, Failure> {
        let place = &flags.place;
        let progress = Progress::wait("trying the token on REST and git");
        let rest = ask_rest(place, kind, email, secret)?;
        let answer = rest.as_ref().ok();
        let username = answer.and_then(|answer| answer.username.clone());
        let (git, proven) = ask_git(place, kind, email.or(username.as_deref()), secret)?;
        progress.end();
        if !proven && !answer.is_some_and(RestAnswer::knows_it) {
            let why = match (&rest, &git) {
                (Err(error), _) => error.to_string(),
                (Ok(answer), _) if answer.status != 404 => format!("REST answered {}", answer.status),
                (_, Some(told)) => told.clone(),
                _ => "it has no REST that knows tokens".into(),
            };
            return Err(Failure::new(Code::Failed, format!("the token could not be tried: {why}"))
                .hint("name a repository to try it on, or store it untried with --offline; nothing was stored"));
        }
        let scopes = flags.job.scopes();
        // A token of a place acts for nobody of whom tools could ask.
        let needed = scopes.filter(|scope| *scope != USER || kind.is_none_or(|kind| !kind.is_access_token()));
        Ok(Self {
            missing: needed.filter(|scope| answer.is_some_and(|answer| answer.has(scope) == Some(false))).collect(),
            rest: answer.filter(|answer| answer.status != 404).map(described),
            git,
            username,
        })
    }
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
        let scopes: Vec<String> = job.scopes().map(|scope| format!("      --scope {scope}")).collect();
        format!(
            "A token for {}: make one in its settings that may {}.\nIf it is a Doorward server, its administrator does that with\n\n  \
             doorward token create --account NAME --name LABEL \\\n{}\n",
            place.whole_host(),
            if job == Job::Push { "read and write repositories" } else { "read repositories" },
            scopes.join(" \\\n")
        )
    };
    eprintln!("{way}");
}

/// What a scope is for.
fn meaning(scope: &str) -> &'static str {
    match scope {
        "read:repository:bitbucket" => "clone and fetch",
        "write:repository:bitbucket" => "push",
        _ => "let tools ask whose it is",
    }
}

/// What is not possible without a scope.
fn without(scope: &str) -> &'static str {
    match scope {
        "read:repository:bitbucket" => "it cannot clone and fetch",
        "write:repository:bitbucket" => "it cannot push",
        _ => "tools cannot ask whose it is",
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
    let odd = |letter: char| letter.is_whitespace() || letter.is_control();
    if text.contains(odd) || text.starts_with(['"', '\'']) {
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

/// What REST says, or why it cannot be asked now. A plain no is an error.
fn ask_rest(
    place: &Place,
    kind: Option<Kind>,
    email: Option<&str>,
    secret: &SecretString,
) -> Result<Result<RestAnswer, RestError>, Failure> {
    let who = |presented: &Presented<'_>| who_am_i(place, presented, &environment, PATIENCE);
    let basic = email.filter(|_| kind.is_none_or(|kind| kind == Kind::ApiToken));
    let answer =
        match basic.map_or_else(|| who(&Presented::Bearer(secret)), |email| who(&Presented::Basic(email, secret))) {
            Ok(answer) if answer.status == 401 => answer,
            answer => return Ok(answer),
        };
    let told = answer.message.clone().unwrap_or_default();
    let no = |sentence: String, remedy: &str| {
        Err(Failure::new(Code::Failed, sentence).hint(format!("{remedy}; nothing was stored")))
    };
    if kind == Some(Kind::AppPassword) {
        return no("this is an app password, and the host takes none any more".into(), "create an API token");
    }
    if told.contains("no Bitbucket scopes") {
        let remedy = "make one with \"Create API token with scopes\", and choose the app Bitbucket";
        return no("the token has no Bitbucket scopes".into(), remedy);
    }
    // The e-mail address may be wrong, and the token right.
    if let (Some(email), true) = (basic, who(&Presented::Bearer(secret)).is_ok_and(|answer| answer.knows_it())) {
        let sentence = format!("the token is valid, and `{email}` is not its owner's e-mail address");
        return no(sentence, "give the address of your Atlassian account");
    }
    let told = if told.is_empty() { "401" } else { told.trim_end_matches('.') };
    let bearer = kind.is_none_or(|kind| RuleSet::BitbucketCloud.accepts(kind, Surface::Rest, Form::BEARER, now()));
    let remedy = match (email, bearer) {
        (None, false) => "add --email, which REST wants with API tokens",
        _ => "it has expired, was revoked, or is not whole: copy it again, or make a new one",
    };
    no(format!("{} does not take this token ({told})", place.host()), remedy)
}

/// What git says of a repository, the one that was named or that of the clone in this directory; and whether that proves the
/// token.
fn ask_git(
    place: &Place,
    kind: Option<Kind>,
    owner: Option<&str>,
    secret: &SecretString,
) -> Result<(Option<String>, bool), Failure> {
    let here = || {
        let url = origin(std::path::Path::new("."))?;
        url.parse::<Place>().ok().filter(|here| place.covers(here))
    };
    let Some(repository) = Some(place.clone()).filter(|place| place.repository_url().is_some()).or_else(here) else {
        return Ok((None, false));
    };
    let name = match kind {
        Some(Kind::ApiToken) => "x-bitbucket-api-token-auth",
        Some(Kind::AppPassword | Kind::AccountPassword) => owner.unwrap_or_default(),
        _ => "x-token-auth",
    };
    let found = probe(&repository, name, secret, &program()?, PATIENCE)
        .map_err(|error| Failure::new(Code::Failed, format!("git cannot be run: {error}")).hint("install git"))?;
    let no = |sentence: String, remedy: &str| {
        Err(Failure::new(Code::Failed, sentence).hint(format!("{remedy}; nothing was stored")))
    };
    match found {
        Probe::Accepted => Ok((Some(format!("works: {repository}")), true)),
        Probe::Unknown => {
            let told = format!("not tried: {repository} is public, is not there, or this token may not see it");
            Ok((Some(told), false))
        }
        Probe::Forbidden(told) => no(
            format!("git may not fetch {repository} with this token ({})", told.trim_end_matches('.')),
            "make one with read:repository:bitbucket",
        ),
        Probe::Refused | Probe::Gone(_) => no(
            format!("git does not get into {repository} with this token"),
            "check its scopes, and that its owner may see the repository",
        ),
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
            format!("knows it, and it acts for nobody: {kind}{rest}")
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
            print::line(&format!("it lacks {scope}: {}", without(scope)))?;
        }
        if self.set_up {
            print::line(&format!("git asks doorward about {} from now on", place.whole_host()))?;
        }
        Ok(())
    }
}

/// The scope with which tools ask whose a token is.
const USER: &str = "read:user:bitbucket";
/// How long each surface may take.
const PATIENCE: Duration = Duration::from_secs(15);
