//! `doorward upstream`: the hosts that this server is a gateway for.

use std::io::{IsTerminal, Read};
use std::path::Path;

use doorward_client::read_near;
use doorward_rules::Timestamp;
use doorward_upstream::{Finding, UpstreamSettings, Workspaces, check};
use doorward_wire::RepositoryName;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::length;
use super::serve::vault;
use crate::arguments::{JobKind, Mode, NewUpstream, UpstreamCommand};
use crate::config::{Configuration, check_file};
use crate::data::{Data, Running, now};
use crate::failure::{Code, Failure};
use crate::print;

pub(crate) async fn run(command: UpstreamCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    match command {
        UpstreamCommand::List => list(configuration, json),
        UpstreamCommand::Add(new) => add(&new, configuration, json),
        UpstreamCommand::Remove { name } => remove(&name, configuration, json),
        UpstreamCommand::Credential(command) => super::upstream_credential::run(command, configuration, json).await,
        UpstreamCommand::Check { name, repository, own: true, .. } => {
            try_own(named(configuration, &name)?, repository.as_ref(), configuration, json).await
        }
        UpstreamCommand::Check { name, user, repository, anonymous, own: false } => {
            let upstream = named(configuration, &name)?;
            let secret = if anonymous { None } else { Some(secret()?) };
            let credential = secret.as_ref().map(|secret| (user.as_deref(), secret));
            let tried = vec![Tried::of(None, None, try_it(upstream, credential, repository.as_ref()).await?)];
            show(upstream, &tried, json)
        }
        UpstreamCommand::Status => status(configuration, json),
        UpstreamCommand::Snippet { job, upstream, gateway } => {
            let upstream = match &upstream {
                Some(name) => named(configuration, name)?,
                None => only(configuration)?,
            };
            snippet(job, upstream, &gateway_address(gateway, configuration)?, json)
        }
    }
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    workspaces: Vec<String>,
    git: String,
    rest: Option<String>,
    mode: &'static str,
    credentials: Vec<String>,
    patience: String,
    doubt: String,
}

impl Row {
    fn of(upstream: &UpstreamSettings) -> Self {
        let workspaces = match &upstream.workspaces {
            Workspaces::All => vec!["*".to_owned()],
            Workspaces::Named(names) => names.clone(),
        };
        let mode = if upstream.is_brokered() { "brokered" } else { "transparent" };
        let credentials = upstream.credentials.iter().map(ToString::to_string).collect();
        let UpstreamSettings { name, git, rest, patience, doubt, .. } = upstream.clone();
        Self { name, workspaces, git, rest, mode, credentials, patience: length(patience), doubt: length(doubt) }
    }
}

fn list(configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = configuration.upstreams().iter().map(Row::of).collect();
    if json {
        return print::json(&rows);
    }
    let cells = rows.into_iter().map(|row| {
        let rest = row.rest.unwrap_or_else(|| "not passed on".into());
        [row.name, row.workspaces.join(", "), row.mode.to_owned(), row.git, rest]
    });
    print::table(["name", "workspaces", "mode", "git", "rest"], &cells.collect::<Vec<_>>())
}

fn add(new: &NewUpstream, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let path = configuration.file();
    let before = read(path)?;
    let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
    let after = format!("{before}{gap}{}", lines(new));
    // What is wrong with it is said before anything is written.
    let upstreams = check_file(path, &after)?;
    write(path, &after)?;
    let row = upstreams.iter().find(|upstream| upstream.name == new.name).map(Row::of);
    let told = told(configuration);
    if json {
        return print::json(&row);
    }
    print::line(&format!("Added {} to {}.", new.name, path.display()))?;
    print::line(told)?;
    print::line("`doorward upstream snippet` prints what jobs need.")
}

/// Has the server that runs read its upstreams again; what is to be said of that.
fn told(configuration: &Configuration) -> &'static str {
    match Running::find(configuration) {
        Some(running) if running.tell_to_read_again() => {
            "The server that runs was told, and its log says what came of it."
        }
        Some(_) => "A server runs that cannot be told from here: send it SIGHUP, or start it anew.",
        None => "The server knows it when it starts next.",
    }
}

/// An upstream as the file has it.
fn lines(new: &NewUpstream) -> String {
    let is_bitbucket = new.git.trim_end_matches('/') == "https://bitbucket.org";
    let rest = new.rest.clone().or_else(|| is_bitbucket.then(|| "https://api.bitbucket.org/2.0".to_owned()));
    let mut lines = vec!["[[upstream]]".to_owned(), text("name", &new.name)];
    if !new.workspaces.is_empty() {
        lines.push(text("workspaces", &new.workspaces.join(", ")));
    }
    lines.push(text("git", &new.git));
    lines.extend(rest.map(|rest| text("rest", &rest)));
    let mode = match (new.mode, new.credentials.is_empty()) {
        (Some(Mode::Brokered), _) | (None, false) => Some("brokered"),
        (Some(Mode::Transparent), _) => Some("transparent"),
        (None, true) => None,
    };
    lines.extend(mode.map(|mode| text("mode", mode)));
    if !new.credentials.is_empty() {
        let sources: Vec<String> = new.credentials.iter().map(|source| quoted_text(source)).collect();
        lines.push(format!("credentials = [{}]", sources.join(", ")));
    }
    lines.extend(new.as_sent.then(|| text("forms", "as-sent")));
    lines.extend(new.pass_partial.then(|| text("partial", "passed")));
    lines.extend(new.patience.map(|patience| text("patience", &length(patience))));
    lines.extend(new.doubt.map(|doubt| text("doubt", &length(doubt))));
    lines.join("\n") + "\n"
}

fn text(key: &str, value: &str) -> String {
    format!("{key} = {}", quoted_text(value))
}

fn quoted_text(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn remove(name: &str, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    named(configuration, name)?;
    let path = configuration.file();
    let before = read(path)?;
    let after = without(&before, name, |text| {
        check_file(path, text).is_ok_and(|upstreams| upstreams.iter().all(|upstream| upstream.name != name))
    });
    let Some(after) = after else {
        let sentence = format!("{name} cannot be told from the rest of {}", path.display());
        return Err(Failure::new(Code::State, sentence).hint("take it out by hand"));
    };
    write(path, &after)?;
    let told = told(configuration);
    if json {
        return print::json(&serde_json::json!({ "removed": name }));
    }
    print::line(&format!("Removed {name} from {}.", path.display()))?;
    print::line(told)
}

/// A file without the table of an upstream: from its heading to the next one. `None` if what is left is not `right`.
fn without(text: &str, name: &str, right: impl Fn(&str) -> bool) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_heading = |line: &str| line.trim_start().starts_with('[');
    let is_name = |line: &&str| {
        let (key, value) = line.split_once('=').unwrap_or_default();
        key.trim() == "name" && value.trim().trim_matches(['"', '\'']) == name
    };
    for (begin, line) in lines.iter().enumerate() {
        if line.trim() != "[[upstream]]" {
            continue;
        }
        let length = lines[begin + 1..].iter().position(|line| is_heading(line)).unwrap_or(lines.len() - begin - 1);
        let end = begin + 1 + length;
        if lines[begin..end].iter().any(is_name) {
            let left: String = lines[..begin].iter().chain(&lines[end..]).copied().collect();
            return Some(left).filter(|left| right(left));
        }
    }
    None
}

fn read(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| unusable(path, &error)),
    }
}

/// Writes a file anew, all of it or nothing.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| unusable(path, &error);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
    if let Ok(before) = path.metadata() {
        file.as_file().set_permissions(before.permissions()).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::Failed, format!("{} cannot be used: {error}", path.display()))
        .hint("check its owner, or name another file with --config")
}

fn named<'a>(configuration: &'a Configuration, name: &str) -> Result<&'a UpstreamSettings, Failure> {
    configuration.upstreams().iter().find(|upstream| upstream.name == name).ok_or_else(|| {
        Failure::new(Code::NotFound, format!("there is no upstream `{name}`"))
            .hint("`doorward upstream list` lists them, `doorward upstream add` adds one")
    })
}

fn only(configuration: &Configuration) -> Result<&UpstreamSettings, Failure> {
    match configuration.upstreams() {
        [one] => Ok(one),
        [] => Err(Failure::new(Code::NotFound, "there is no upstream").hint("add one with `doorward upstream add`")),
        _ => Err(Failure::new(Code::Usage, "there are several upstreams").hint("name one with --upstream")),
    }
}

/// The secret to try.
pub(super) fn secret() -> Result<SecretString, Failure> {
    if let Ok(secret) = std::env::var("DOORWARD_UPSTREAM_SECRET") {
        return Ok(secret.into());
    }
    if std::io::stdin().is_terminal() {
        return Err(Failure::new(Code::Usage, "there is no secret to try")
            .hint("give it on standard input or in DOORWARD_UPSTREAM_SECRET, or try without one with --anonymous"));
    }
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST_SECRET).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Code::Failed, format!("standard input cannot be read: {error}")))?;
    Ok(text.into())
}

/// Bytes of a secret.
const LONGEST_SECRET: u64 = 64 * 1024;

#[derive(Debug, Default, Serialize)]
struct Checked {
    surface: &'static str,
    form: Option<String>,
    works: bool,
    told: String,
    scopes: Option<String>,
    kind: Option<String>,
    ends: Option<String>,
}

/// What was found of one credential.
#[derive(Debug, Serialize)]
struct Tried {
    source: Option<String>,
    until: Option<String>,
    surfaces: Vec<Checked>,
}

impl Tried {
    fn of(source: Option<String>, until: Option<Timestamp>, surfaces: Vec<Checked>) -> Self {
        Self { source, until: until.map(|at| at.to_string()), surfaces }
    }
}

/// Tries each of the credentials of the gateway's own.
async fn try_own(
    upstream: &UpstreamSettings,
    repository: Option<&RepositoryName>,
    configuration: &Configuration,
    json: bool,
) -> Result<(), Failure> {
    if !upstream.is_brokered() {
        return Err(Failure::new(Code::Usage, format!("jobs present their own credentials to {}", upstream.name))
            .hint("try one of theirs: give it on standard input"));
    }
    let vault = vault(&Data::open_or_create(configuration).await?.store);
    let mut all = Vec::new();
    for source in &upstream.credentials {
        let kept = match source.read(&vault).await {
            Ok(kept) => kept,
            Err(why) => {
                let told = format!(
                    "it cannot be read: {why}; this program has the server's environment, files and commands only if they are set alike"
                );
                let unread = Checked { surface: "all", told, ..Checked::default() };
                all.push(Tried::of(Some(source.to_string()), None, vec![unread]));
                continue;
            }
        };
        let text = kept.secret.expose_secret().trim();
        let (user, secret) = match text.split_once(':') {
            Some((user, secret)) => (Some(user), SecretString::from(secret)),
            None => (None, SecretString::from(text)),
        };
        let surfaces = try_it(upstream, Some((user, &secret)), repository).await?;
        all.push(Tried::of(Some(source.to_string()), kept.expires_at, surfaces));
    }
    show(upstream, &all, json)
}

async fn try_it(
    upstream: &UpstreamSettings,
    credential: Option<(Option<&str>, &SecretString)>,
    repository: Option<&RepositoryName>,
) -> Result<Vec<Checked>, Failure> {
    let findings = check(upstream, credential, repository, now()).await;
    let findings = findings.map_err(|why| Failure::new(Code::Failed, why))?;
    Ok(findings.into_iter().map(Checked::from).collect())
}

impl From<Finding> for Checked {
    fn from(finding: Finding) -> Self {
        let Finding { surface, form, works, told, scopes, kind, ends } = finding;
        Self { surface, form, works, told, scopes, kind, ends: ends.map(|at| at.to_string()) }
    }
}

/// Tells what was found.
fn show(upstream: &UpstreamSettings, all: &[Tried], json: bool) -> Result<(), Failure> {
    let all_work = all.iter().flat_map(|tried| &tried.surfaces).all(|row| row.works);
    if json {
        print::json(&all)?;
    }
    for Tried { source, until, surfaces } in all.iter().filter(|_| !json) {
        if let Some(source) = source {
            let until = until.as_ref().map_or_else(String::new, |until| format!(", until {until}"));
            print::line(&format!("{source}{until}"))?;
        }
        for row in surfaces {
            let word = if row.works { "works" } else { "does not work" };
            let form =
                row.form.as_ref().map_or_else(|| "without a credential".into(), |form| format!("presented {form}"));
            print::wrapped(&format!("{}: {word}, {form}: {}", row.surface, row.told), 2)?;
            let more = [("kind", &row.kind), ("scopes", &row.scopes), ("no more of this kind from", &row.ends)];
            for (name, value) in more.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
                print::wrapped(&format!("  {name}: {value}"), 4)?;
            }
        }
    }
    if all_work {
        return Ok(());
    }
    Err(Failure::new(Code::Failed, format!("{} does not let this through everywhere", upstream.name))
        .hint("`doorward doctor URL` says more about a credential"))
}

/// What the running server counts, as its metrics say it.
#[derive(Debug, Default, Serialize)]
struct Status {
    upstream: String,
    answers: bool,
    requests: u64,
    hidden_refusals: u64,
    saved_looks: u64,
    fetched_bytes: u64,
    served_bytes: u64,
    worst_wait_ms: u64,
    git_requests_left: u64,
    rest_requests_left: u64,
    credential_ends: Option<String>,
}

fn status(configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let Some(running) = Running::find(configuration) else {
        let sentence = format!("no server runs on {}", configuration.text("data"));
        return Err(Failure::new(Code::State, sentence)
            .hint("start it with `doorward serve`, or name its data directory with --data"));
    };
    // Behind a proxy that does TLS, the server itself does not.
    let url = match &running.certificate {
        Some(_) => format!("{}/metrics", running.address),
        None => format!("http://{}/metrics", running.listen),
    };
    let text = read_near(&url, running.listen, running.certificate.as_deref()).map_err(|error| {
        Failure::new(Code::State, format!("the server at {} does not tell: {error}", running.listen))
            .hint("allow this machine's address in server.metrics_from, or read /metrics yourself")
    })?;
    let rows: Vec<Status> =
        configuration.upstreams().iter().map(|upstream| Status::read(&upstream.name, &text)).collect();
    if json {
        return print::json(&rows);
    }
    for row in rows {
        let state = if row.answers { "answers" } else { "does not answer at the moment, and is left alone" };
        print::line(&format!("{} {state}", row.upstream))?;
        let saved = row.served_bytes.saturating_sub(row.fetched_bytes);
        let mut pairs = vec![
            ("  requests made", row.requests.to_string()),
            ("  refusals hidden from jobs", row.hidden_refusals.to_string()),
            ("  looks saved", row.saved_looks.to_string()),
            ("  bytes fetched", row.fetched_bytes.to_string()),
            ("  bytes saved", saved.to_string()),
            ("  longest wait", format!("{} ms", row.worst_wait_ms)),
            ("  requests left this hour", format!("{} git, {} REST", row.git_requests_left, row.rest_requests_left)),
        ];
        pairs.extend(row.credential_ends.map(|at| ("  its own credential ends", at)));
        print::pairs(&pairs)?;
    }
    Ok(())
}

impl Status {
    fn read(name: &str, metrics: &str) -> Self {
        let label = format!("upstream=\"{name}\"");
        let value = |metric: &str, more: &str| -> u64 {
            let lines = metrics.lines().filter(|line| line.starts_with(&format!("doorward_upstream_{metric}{{")));
            let ours = lines.filter(|line| line.contains(&label) && line.contains(more));
            ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
        };
        Self {
            upstream: name.to_owned(),
            answers: value("resting", "") == 0,
            requests: value("requests_total", ""),
            hidden_refusals: value("hidden_refusals_total", ""),
            saved_looks: value("shared_looks_total", ""),
            fetched_bytes: value("fetched_bytes_total", ""),
            served_bytes: value("served_bytes_total", ""),
            worst_wait_ms: value("worst_wait_milliseconds", ""),
            git_requests_left: value("budget_left", "surface=\"git\""),
            rest_requests_left: value("budget_left", "surface=\"rest\""),
            credential_ends: i64::try_from(value("credential_ends_seconds", ""))
                .ok()
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Timestamp(seconds * 1000).to_string()),
        }
    }
}

fn gateway_address(given: Option<String>, configuration: &Configuration) -> Result<String, Failure> {
    let configured = Some(configuration.text("server.public_url")).filter(|url| !url.is_empty()).map(str::to_owned);
    let address = given.or(configured).ok_or_else(|| {
        Failure::new(Code::Usage, "it is not known how jobs reach this gateway")
            .hint("name its address with --gateway, or set server.public_url")
    })?;
    let is_url =
        ["http://", "https://"].iter().any(|scheme| address.len() > scheme.len() && address.starts_with(scheme));
    if !is_url || address.contains([' ', '"', '\'', '@']) {
        return Err(Failure::new(Code::Usage, format!("`{address}` is no address of a gateway"))
            .hint("write it as https://gateway.example.org"));
    }
    Ok(address.trim_end_matches('/').to_owned())
}

/// What sends jobs through the gateway.
fn snippet(job: JobKind, upstream: &UpstreamSettings, gateway: &str, json: bool) -> Result<(), Failure> {
    let host = format!("{}/", upstream.git);
    let places: Vec<String> = match &upstream.workspaces {
        Workspaces::All => vec![String::new()],
        Workspaces::Named(names) => names.iter().map(|name| format!("{name}/")).collect(),
    };
    let key = |place: &String| (format!("url.{gateway}/{place}.insteadOf"), format!("{host}{place}"));
    let pairs: Vec<(String, String)> = places.iter().map(key).collect();
    let commands = |indent: &str| {
        let line = |(key, value): &(String, String)| format!("{indent}git config --global {key} {value}");
        pairs.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let variables = |separator: &str| {
        let mut lines = vec![format!("GIT_CONFIG_COUNT{separator}\"{}\"", pairs.len())];
        for (number, (key, value)) in pairs.iter().enumerate() {
            lines.push(format!("GIT_CONFIG_KEY_{number}{separator}{key}"));
            lines.push(format!("GIT_CONFIG_VALUE_{number}{separator}{value}"));
        }
        lines
    };
    let indented = |lines: Vec<String>, indent: &str| {
        lines.into_iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
    };
    let text = match job {
        JobKind::Git => commands(""),
        JobKind::Databricks => format!(
            "# In an init script of the cluster, for jobs that run git:\n{}\n\n\
             # Git folders are fetched by Databricks itself: give them the gateway's address in the place of {}.",
            commands(""),
            upstream.git
        ),
        JobKind::Jenkins => format!(
            "// In the Jenkinsfile, or as global environment variables:\nenvironment {{\n{}\n}}",
            indented(variables(" = ").into_iter().map(quoted).collect(), "    ")
        ),
        JobKind::Github => format!(
            "# Before the step that runs git:\n- name: Fetch through the gateway\n  run: |\n{}",
            commands("    ")
        ),
        JobKind::Gitlab => format!("# In .gitlab-ci.yml:\nvariables:\n{}", indented(variables(": "), "  ")),
        JobKind::Argocd => format!(
            "# In the deployment argocd-repo-server, below the container's env:\n{}\n\
             # And its credential, as a repository of its own: url {gateway}/WORKSPACE/REPOSITORY.git",
            indented(as_env(&variables(": ")), "  ")
        ),
        JobKind::Flux => {
            let url = |place: &String| {
                let place = if place.is_empty() { "WORKSPACE/" } else { place };
                format!("  url: {gateway}/{place}REPOSITORY.git")
            };
            let urls: Vec<String> = places.iter().map(url).collect();
            format!("# In each GitRepository; the secret stays as it is:\nspec:\n{}", urls.join("\n  # or\n"))
        }
    };
    if json {
        return print::json(&serde_json::json!({ "text": text }));
    }
    print::line(&text)?;
    // What Flux fetches with has its credential beside the address.
    if job == JobKind::Flux {
        return Ok(());
    }
    let with_user = |url: &str, place: &str, user: &str| {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        format!("{scheme}://{user}@{}/{place}", rest.trim_end_matches('/'))
    };
    let mark = if job == JobKind::Jenkins { "//" } else { "#" };
    print::line(&format!(
        "\n{mark} git looks credentials up under the gateway's host: store the same one for\n\
         {mark} {gateway} as well. Where addresses have a user name in them, as\n\
         {mark} the host's pages show them, or a token, too, or lead to SSH:"
    ))?;
    for place in &places {
        for user in ["USER", "USER:TOKEN"] {
            let (ours, theirs) = (with_user(gateway, place, user), with_user(&host, place, user));
            print::line(&format!("{mark}   git config --global url.{ours}.insteadOf {theirs}"))?;
        }
        let ssh = host.split_once("://").map_or("", |(_, rest)| rest.trim_end_matches('/'));
        // Where HTTP has a port of its own, nobody knows where SSH is.
        if !ssh.contains([':', '/']) {
            print::line(&format!(
                "{mark}   git config --global --add url.{gateway}/{place}.insteadOf git@{ssh}:{place}"
            ))?;
        }
    }
    Ok(())
}

/// `NAME = value` with the value in quotes.
fn quoted(line: String) -> String {
    match line.split_once(" = ") {
        Some((name, value)) => format!("{name} = '{}'", value.trim_matches('"')),
        None => line,
    }
}

/// `NAME: value` as Kubernetes has it.
fn as_env(lines: &[String]) -> Vec<String> {
    let pairs = lines.iter().filter_map(|line| line.split_once(": "));
    pairs.flat_map(|(name, value)| [format!("- name: {name}"), format!("  value: {value}")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_that_is_named_is_taken_out() {
        let text = "[server]\nlisten = \"x\"\n\n[[upstream]]\nname = \"a\"\ngit = \"https://a\"\n# a remark\n\n\
                    [[upstream]]\nname = 'b'\ngit = \"https://b\"\n\n[log]\nlevel = \"warn\"\n";
        let left = without(text, "b", |_| true).expect("it is there");
        assert!(
            left.contains("https://a") && !left.contains("https://b") && left.ends_with("[log]\nlevel = \"warn\"\n")
        );
        let left = without(text, "a", |_| true).expect("it is there");
        assert!(!left.contains("https://a") && left.contains("'b'"));
        assert_eq!(without(text, "c", |_| true), None);
        assert_eq!(without(text, "a", |_| false), None, "what is left must be right");
    }

    #[test]
    fn what_is_counted_is_read_from_metrics() {
        let text = "doorward_upstream_requests_total{upstream=\"a\",surface=\"git\"} 7\n\
                    doorward_upstream_requests_total{upstream=\"a\",surface=\"rest\"} 2\n\
                    doorward_upstream_requests_total{upstream=\"ab\",surface=\"git\"} 100\n\
                    doorward_upstream_budget_left{upstream=\"a\",surface=\"git\"} 47000\n\
                    doorward_upstream_resting{upstream=\"a\"} 1\n";
        let status = Status::read("a", text);
        assert_eq!((status.requests, status.git_requests_left, status.answers), (9, 47_000, false));
    }
}
