//! One file: everything in it that must change.
//!
//! Only what is certain is changed by a program; where quotes, a format or a service may make something else of it, a person
//! is told.

use std::ops::Range;

use doorward_rules::{Kind, RuleSet, Rules, Scheme, Surface, Timestamp, bitbucket_cloud, present};
use doorward_wire::percent_decoded;

use super::git_config::header_of;
use super::lines::{echoing_askpass, headers, line_of, npm_secrets, secrets};
use super::shell;
use super::user_part::{UserPart, is_variable};
use super::{Change, Edit, Find, Format, Hosts, Piece, Puts, Sort, composer, netrc};

/// Everything in a text that must change, in its order.
pub fn scan(text: &str, format: Format, hosts: &Hosts, now: Timestamp) -> Vec<Find> {
    let expands = if format == Format::Script { shell::expands(text) } else { Vec::new() };
    let scan = Scan { text, format, hosts, now, expands };
    let mut found = match format {
        Format::Netrc => scan.netrc(),
        Format::ComposerAuth => scan.composer(),
        _ => scan.addresses(),
    };
    // Another host's token has no business where one of Bitbucket Cloud's stood.
    if hosts.stand_for_bitbucket_cloud() {
        found.extend(scan.headers());
        found.extend(scan.secrets(&found));
    }
    found.extend(scan.user_names(&found));
    found.extend(scan.askpass());
    found.sort_by_key(|(at, _)| *at);
    let mut line = Lines { text, at: 0, line: 1 };
    let mut finds: Vec<Find> = found.into_iter().map(|(at, found)| found.on(line.of(at))).collect();
    one_at_a_time(&mut finds);
    finds
}

/// What was found, without its line.
struct Found {
    sort: Sort,
    secret: Option<String>,
    change: Change,
}

/// With the place where it begins.
type Placed = (usize, Found);

struct Scan<'a> {
    text: &'a str,
    format: Format,
    hosts: &'a Hosts,
    now: Timestamp,
    /// Of a script: where variables are looked at.
    expands: Vec<bool>,
}

impl Scan<'_> {
    fn addresses(&self) -> Vec<Placed> {
        UserPart::all(self.text).into_iter().filter_map(|part| self.address(&part)).collect()
    }

    fn address(&self, part: &UserPart) -> Option<Placed> {
        // Git itself writes the colon before a port as `%3a`.
        let host = percent_decoded(&self.text[part.host.clone()]);
        let surface = self.hosts.surface(&host, &self.text[part.path..])?;
        let user = percent_decoded(&self.text[part.user.clone()]);
        let email = surface == Surface::Git && user.contains('@') && !is_variable(&user);
        let at = part.whole.start;
        let drop = || Change::Edits(vec![Edit { range: part.whole.clone(), with: Vec::new() }]);
        let name = |piece| Change::Edits(vec![Edit { range: part.user.clone(), with: vec![piece] }]);
        let found = |sort, secret: Option<&str>, change| {
            Some((at, Found { sort, secret: secret.map(str::to_owned), change: self.certain(part, change) }))
        };
        let Some(range) = part.secret.clone() else {
            // An address with a name alone is of use to nobody but git itself.
            let of_git =
                matches!(self.format, Format::GitConfig | Format::Manifest | Format::Script | Format::Pipeline);
            return if email && of_git { found(Sort::Email, None, drop()) } else { None };
        };
        let written = &self.text[range.clone()];
        if is_variable(written) {
            return match (email, names_app_password(written)) {
                (true, _) if self.format.puts() != Puts::Unknown => {
                    found(Sort::Email, None, name(Piece::NameInAddress))
                }
                (false, true) => found(Sort::Variable, None, Change::ByHand(SET_VARIABLE)),
                _ => None,
            };
        }
        let secret = percent_decoded(written);
        let sort = Sort::of(&user, &secret, surface, self.now)?;
        let pair = Edit { range: part.user.start..range.end, with: Vec::new() };
        let right = if surface == Surface::Rest { Piece::EmailInAddress } else { Piece::NameInAddress };
        let change = match (sort, self.format.puts()) {
            // Documentation is full of secrets that are none.
            (Sort::Password, Puts::Unknown) => return None,
            (_, Puts::Unknown) => Change::ByHand(BY_VARIABLE),
            (Sort::UserName(kind), _) => match right_name(kind, surface, self.now) {
                Some(piece) => name(piece),
                None => Change::ByHand(BEARER),
            },
            (_, Puts::Nothing) if surface == Surface::Rest || !self.is_fetched_by_git(part) => {
                Change::ByHand(NOT_BY_GIT)
            }
            (_, Puts::Nothing) => drop(),
            (_, Puts::Line) => Change::Edits(vec![Edit { range: line_of(self.text, at), with: Vec::new() }]),
            (_, Puts::Secret) => {
                let with = vec![right, Piece::Text(":".into()), Piece::SecretInAddress];
                Change::Edits(vec![Edit { with, ..pair }])
            }
            (_, Puts::Variable(variable)) => {
                let with = vec![right, Piece::Text(format!(":{variable}"))];
                Change::Edits(vec![Edit { with, ..pair }])
            }
        };
        found(sort, Some(&secret), change)
    }

    /// Whether what an address names comes by git, and not by the package manager itself.
    fn is_fetched_by_git(&self, part: &UserPart) -> bool {
        let before = &self.text[line_of(self.text, part.whole.start).start..part.whole.start];
        let path = self.text[part.path..].split(['"', '\'', '#', '@', '?', '\n', ' ']).next().unwrap_or_default();
        self.format == Format::GitConfig || before.contains("git+") || path.ends_with(".git")
    }

    /// A change, if it is certain that what is written there is read as it is meant.
    fn certain(&self, part: &UserPart, change: Change) -> Change {
        let Change::Edits(edits) = change else { return change };
        let (at, line) = (part.whole.start, line_of(self.text, part.whole.start));
        let before = &self.text[line.start..at];
        let writes_variable = edits
            .iter()
            .flat_map(|edit| &edit.with)
            .any(|piece| matches!(piece, Piece::Text(text) if text.contains('$')));
        let unsure = match self.format {
            Format::Script => writes_variable && !self.expands.get(at).is_some_and(|expands| *expands),
            Format::Pipeline | Format::GithubWorkflow | Format::AzurePipeline => {
                writes_variable && before.contains(['\'', '{', '[', '#'])
            }
            // Its scope would be another one.
            Format::GitConfig => before.trim_start().starts_with("[credential"),
            _ => false,
        };
        if unsure { Change::ByHand(QUOTED) } else { Change::Edits(edits) }
    }

    fn netrc(&self) -> Vec<Placed> {
        let find = |machine: netrc::Machine| {
            let (login, password) = (machine.login?, machine.password?);
            let surface = self.hosts.machine(&self.text[machine.host])?;
            self.entry(surface, login, password)
        };
        netrc::machines(self.text).into_iter().filter_map(find).collect()
    }

    fn composer(&self) -> Vec<Placed> {
        let find = |basic: composer::Basic| {
            let surface = self.hosts.surface(&basic.host, "")?;
            self.entry(surface, basic.username, basic.password)
        };
        composer::entries(self.text).into_iter().filter_map(find).collect()
    }

    /// A user name and a secret that stand apart, in a file that is its owner's alone.
    fn entry(&self, surface: Surface, user: Range<usize>, secret: Range<usize>) -> Option<Placed> {
        let written = self.text[secret.clone()].to_owned();
        let sort = Sort::of(&self.text[user.clone()], &written, surface, self.now)?;
        let at = user.start;
        let edit = |range: Range<usize>, piece| Edit { range, with: vec![piece] };
        let change = match sort {
            Sort::UserName(kind) => match right_name(kind, surface, self.now) {
                Some(Piece::EmailInAddress) => Change::Edits(vec![edit(user, Piece::Email)]),
                Some(piece) => Change::Edits(vec![edit(user, piece)]),
                None => Change::ByHand(BEARER),
            },
            _ => {
                let right = if surface == Surface::Rest { Piece::Email } else { Piece::Name };
                Change::Edits(vec![edit(user, right), edit(secret, Piece::Secret)])
            }
        };
        Some((at, Found { sort, secret: Some(written), change }))
    }

    /// `Authorization: Basic …` and what npm has, with an app password in it.
    fn headers(&self) -> Vec<Placed> {
        let npm = if self.format == Format::Npmrc { npm_secrets(self.text) } else { Vec::new() };
        let find = |header: super::lines::Header| {
            let (user, secret) = header.decoded.split_once(':')?;
            let sort = Sort::of(user, secret, Surface::Git, self.now).filter(|sort| *sort == Sort::AppPassword)?;
            let change = match self.format {
                Format::GitConfig => header_of(self.text, header.at, self.hosts)
                    .map_or(Change::ByHand(HEADER), |range| Change::Edits(vec![Edit { range, with: Vec::new() }])),
                _ => Change::ByHand(HEADER),
            };
            Some((header.at, Found { sort, secret: Some(secret.to_owned()), change }))
        };
        headers(self.text).into_iter().chain(npm).filter_map(find).collect()
    }

    /// App passwords that have not been found otherwise.
    fn secrets(&self, found: &[Placed]) -> Vec<Placed> {
        let edits = found.iter().filter_map(|(_, found)| found.change.edits()).flatten();
        let mut taken: Vec<Range<usize>> = edits.map(|edit| edit.range.clone()).collect();
        // What stands in an address has been looked at as one, if it is an address of ours; another's is nobody's.
        taken.extend(UserPart::all(self.text).into_iter().map(|part| part.whole));
        taken.sort_by_key(|range| range.start);
        let free = |at: usize| {
            let before = taken.partition_point(|range| range.start <= at);
            taken[..before].iter().rev().take(3).all(|range| !range.contains(&at))
        };
        let find = |secret: super::lines::Secret| {
            let at = secret.range.start;
            let change = match self.format {
                Format::Environment if secret.is_value => {
                    Change::Edits(vec![Edit { range: secret.range.clone(), with: vec![Piece::Secret] }])
                }
                _ => Change::ByHand(BY_VARIABLE),
            };
            let written = self.text[secret.range].to_owned();
            free(at).then_some((at, Found { sort: Sort::AppPassword, secret: Some(written), change }))
        };
        secrets(self.text).into_iter().filter_map(find).collect()
    }

    /// Of a file with variables in which a secret is replaced: the variable with the user name that went with it.
    fn user_names(&self, found: &[Placed]) -> Vec<Placed> {
        let replaced = found.iter().any(|(_, found)| found.sort == Sort::AppPassword && found.change.writes_secret());
        if self.format != Format::Environment || !replaced {
            return Vec::new();
        }
        let mut at = 0;
        let mut names = Vec::new();
        for line in self.text.split_inclusive('\n') {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let name = name.trim().trim_start_matches("export ").to_ascii_uppercase();
            let value = value.trim().trim_matches(['"', '\'']);
            let user = ["USER", "LOGIN"].iter().any(|part| name.contains(part)) && !value.is_empty();
            if user && !value.starts_with("x-") && !value.contains('@') {
                names.push((at, Found { sort: Sort::Name, secret: None, change: Change::ByHand(NAME) }));
            }
            at += line.len();
        }
        names
    }

    fn askpass(&self) -> Vec<Placed> {
        if matches!(self.format, Format::Other | Format::Manifest | Format::GitCredentials) {
            return Vec::new();
        }
        let found = || Found { sort: Sort::EchoingAskpass, secret: None, change: Change::ByHand(ASKPASS) };
        echoing_askpass(self.text).into_iter().map(|at| (at, found())).collect()
    }
}

impl Found {
    fn on(self, line: usize) -> Find {
        let fingerprint = self.secret.as_deref().map(super::find::fingerprint);
        Find { line, sort: self.sort, fingerprint, change: self.change }
    }
}

/// Counts lines, for places in their order.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, at: usize) -> usize {
        self.line += memchr::memchr_iter(b'\n', &self.text.as_bytes()[self.at..at]).count();
        self.at = at;
        self.line
    }
}

/// Where two changes would touch the same bytes, the later one is left to a person.
fn one_at_a_time(finds: &mut [Find]) {
    let mut taken: Vec<(Range<usize>, usize)> = Vec::new();
    for (number, find) in finds.iter().enumerate() {
        taken.extend(find.change.edits().into_iter().flatten().map(|edit| (edit.range.clone(), number)));
    }
    taken.sort_by_key(|(range, _)| range.start);
    let mut end = 0;
    for (range, number) in taken {
        if range.start < end {
            finds[number].change = Change::ByHand(TWICE);
        } else {
            end = range.end;
        }
    }
}

/// The user name with which a kind is presented on a surface, if it is presented with one.
fn right_name(kind: Kind, surface: Surface, now: Timestamp) -> Option<Piece> {
    let calendar = bitbucket_cloud::calendar();
    let form = present(Rules { set: RuleSet::BitbucketCloud, calendar: &calendar }, kind, surface, now)?;
    match (surface, kind) {
        // Bearer is a form too, but a user name in an address or a file is sent as Basic.
        (Surface::Rest, Kind::ApiToken) => Some(Piece::EmailInAddress),
        _ if form.scheme == Scheme::Basic => Some(Piece::Text(form.name.word().to_owned())),
        _ => None,
    }
}

/// Whether the name of a variable says that it holds an app password.
fn names_app_password(variable: &str) -> bool {
    let name: String = variable.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["apppass", "apppw", "apppwd"].iter().any(|part| name.contains(part))
}

const NAME: &str = "with the token it is x-bitbucket-api-token-auth on git, and your e-mail address on REST";
const TWICE: &str = "run it again: another change on this line comes first";
const SET_VARIABLE: &str = "set this variable to an API token where it is defined";
const BY_VARIABLE: &str = "put the new token into a variable, and its name here";
const QUOTED: &str = "it is not certain that a variable is read there; put one in by hand";
const BEARER: &str = "send it as `Authorization: Bearer` instead";
const HEADER: &str = "leave the header to git's helper, or to `curl --netrc`";
const ASKPASS: &str = "use doorward-askpass: echo answers git with its own question";
const NOT_BY_GIT: &str = "take it out, and give the token to the program that downloads it";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::find::fingerprint;

    const NOW: Timestamp = Timestamp::utc(2026, 11, 22);
    const OLD: &str = "ATBBabcdefghijklmnopqrstuvwx0123ABCD";

    /// A text after its changes, with what a person has to do below.
    fn changed(format: Format, text: &str) -> String {
        let finds = scan(text, format, &Hosts::bitbucket_cloud(), NOW);
        let mut edits: Vec<&Edit> = finds.iter().filter_map(|find| find.change.edits()).flatten().collect();
        edits.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
        let mut text = text.to_owned();
        for edit in edits {
            let with: String = edit
                .with
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.as_str(),
                    Piece::Name | Piece::NameInAddress => "NAME",
                    Piece::Secret => "SECRET",
                    Piece::SecretInAddress => "SECRET-IN-ADDRESS",
                    Piece::Email => "EMAIL",
                    Piece::EmailInAddress => "EMAIL-IN-ADDRESS",
                })
                .collect();
            text.replace_range(edit.range.clone(), &with);
        }
        for find in finds {
            if let Change::ByHand(what) = find.change {
                text.push_str(&format!(" | {}: {what}", find.sort));
            }
        }
        text
    }

    fn with_secrets(text: &str) -> String {
        use base64::Engine;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("ada:{OLD}"));
        text.replace("OLD", OLD).replace("BASE64", &basic)
    }

    #[test]
    fn each_sort_of_file_gets_what_belongs_into_it() {
        for (format, before, after) in [
            (
                Format::GitConfig,
                "\turl = https://ada:OLD@bitbucket.org/a/b.git\n",
                "\turl = https://bitbucket.org/a/b.git\n",
            ),
            (Format::GitConfig, "[url \"https://ada:OLD@bitbucket.org/\"]\n", "[url \"https://bitbucket.org/\"]\n"),
            (
                Format::GitConfig,
                "\turl = https://ada%40x.org@bitbucket.org/a/b\n",
                "\turl = https://bitbucket.org/a/b\n",
            ),
            (
                Format::GitConfig,
                "[http]\n\textraHeader = Authorization: Basic BASE64\n\tsslVerify = false\n",
                "[http]\n\tsslVerify = false\n",
            ),
            (
                Format::GitConfig,
                "[http \"https://bitbucket.org\"] extraHeader = Authorization: Basic BASE64\n\tsslVerify = false\n",
                "[http \"https://bitbucket.org\"] \n\tsslVerify = false\n",
            ),
            (Format::GitCredentials, "https://ada:OLD@bitbucket.org\nhttps://a:b@c\n", "https://a:b@c\n"),
            (
                Format::Netrc,
                "machine bitbucket.org login ada password OLD\n",
                "machine bitbucket.org login NAME password SECRET\n",
            ),
            (
                Format::Netrc,
                "machine api.bitbucket.org\nlogin ada\npassword OLD\n",
                "machine api.bitbucket.org\nlogin EMAIL\npassword SECRET\n",
            ),
            (Format::Environment, "APP_PASSWORD=OLD\n", "APP_PASSWORD=SECRET\n"),
            (Format::Environment, "export P='OLD' # mine\r\n", "export P='SECRET' # mine\r\n"),
            (
                Format::Environment,
                "REPO=\"https://ada:OLD@bitbucket.org/a/b\"\n",
                "REPO=\"https://NAME:SECRET-IN-ADDRESS@bitbucket.org/a/b\"\n",
            ),
            (
                Format::Script,
                "git clone https://ada:OLD@bitbucket.org/a/b\n",
                "git clone https://NAME:${BITBUCKET_API_TOKEN}@bitbucket.org/a/b\n",
            ),
            (
                Format::GithubWorkflow,
                "run: git clone https://ada:OLD@bitbucket.org/a/b\n",
                "run: git clone https://NAME:${{ secrets.BITBUCKET_API_TOKEN }}@bitbucket.org/a/b\n",
            ),
            (
                Format::Requirements,
                "x @ git+https://ada:OLD@bitbucket.org/a/b@v1\n",
                "x @ git+https://NAME:${BITBUCKET_API_TOKEN}@bitbucket.org/a/b@v1\n",
            ),
            (
                Format::Manifest,
                "\"x\": \"git+https://ada:OLD@bitbucket.org/a/b.git#v1\"",
                "\"x\": \"git+https://bitbucket.org/a/b.git#v1\"",
            ),
            (
                Format::Pipeline,
                "- git clone https://a@b.c:${TOKEN}@bitbucket.org/a/b\n",
                "- git clone https://NAME:${TOKEN}@bitbucket.org/a/b\n",
            ),
        ] {
            assert_eq!(changed(format, &with_secrets(before)), after);
        }
    }

    #[test]
    fn what_a_program_cannot_know_is_left_to_a_person() {
        for (format, text, told) in [
            (Format::Script, "git clone 'https://ada:OLD@bitbucket.org/a/b'", "not certain"),
            (Format::Script, "cat <<'E'\nhttps://ada:OLD@bitbucket.org\nE", "not certain"),
            (Format::Script, "export BITBUCKET_API_TOKEN=OLD", "put the new token into a variable"),
            (Format::Script, "curl -uada:OLD https://api.bitbucket.org/2.0/user", "put the new token"),
            (Format::Environment, "AUTHS=bob:pw,ada:OLD", "put the new token into a variable"),
            (Format::Environment, "A=OLD:OLD", "put the new token into a variable"),
            (Format::Script, "#!/bin/sh\necho 'a' '\ngit clone https://ada:OLD@bitbucket.org/a/b'", "not certain"),
            (Format::GithubWorkflow, "with: {url: https://ada:OLD@bitbucket.org/a/b}", "not certain"),
            (Format::Manifest, "\"resolved\": \"https://ada:OLD@bitbucket.org/a/b/get/v1.tar.gz\"", "take it out"),
            (Format::Other, "password = \"OLD\"", "put the new token into a variable"),
            (Format::Pipeline, "  BITBUCKET: OLD", "put the new token into a variable"),
            (Format::Pipeline, "- git clone https://$USER:$APP_PASSWORD@bitbucket.org/a/b", "set this variable"),
            (Format::Script, "export GIT_ASKPASS=echo", "use doorward-askpass"),
            (Format::Netrc, "default login ada password OLD", "put the new token"),
            (Format::ComposerAuth, "{\"bearer\": {\"bitbucket.org\": \"OLD\"}}", "put the new token"),
            (
                Format::GitConfig,
                "[http \"https://other.example\"]\n\textraHeader = Authorization: Basic BASE64\n",
                "leave the",
            ),
            (Format::GitConfig, "[http]\n\textraHeader = Authorization: \\\nBasic BASE64\n[core]\n", "leave the"),
            (Format::GitConfig, "[credential \"https://a%40b.c@bitbucket.org\"]\n", "not certain"),
        ] {
            let text = with_secrets(text);
            let after = changed(format, &text);
            assert!(after.starts_with(&text) && after.contains(told), "{after}");
        }
    }

    #[test]
    fn what_works_and_what_is_another_hosts_stays_as_it_is() {
        let token = "ATATT3xFfGF0abc";
        for (format, text) in [
            (Format::GitConfig, "url = https://ada@bitbucket.org/a/b".to_owned()),
            (Format::GitConfig, format!("url = https://x-bitbucket-api-token-auth:{token}@bitbucket.org/a/b")),
            (Format::GitConfig, "url = https://x-token-auth:opaque@bitbucket.org/a/b".to_owned()),
            (Format::GitConfig, format!("url = https://ada:{OLD}@git.example.org/a/b")),
            (Format::GitConfig, "url = ssh://a%40b.c@bitbucket.org/a/b".to_owned()),
            (Format::GitCredentials, "https://ada%40x.org@bitbucket.org".to_owned()),
            (
                Format::Other,
                "see https://user:hunter2@bitbucket.org/a/b or https://me@x.org@bitbucket.org/a/b".to_owned(),
            ),
            (Format::Script, "git clone https://user:password@bitbucket.org/a/b".to_owned()),
            (Format::Script, "git clone https://$USER:$TOKEN@bitbucket.org/a/b".to_owned()),
            (Format::Netrc, "machine github.com login ada password ghp_x".to_owned()),
        ] {
            assert_eq!(changed(format, &text), text);
        }
    }

    #[test]
    fn the_user_name_beside_a_secret_is_told_of_and_a_port_may_be_written_as_git_writes_it() {
        let text = with_secrets("BITBUCKET_USERNAME=ada\nBITBUCKET_APP_PASSWORD=OLD\n");
        assert!(
            changed(Format::Environment, &text).contains("SECRET\n | variable with a user name: with the token it is")
        );
        let hosts = Hosts::of(&"http://127.0.0.1:7990".parse().expect("a place"));
        let text = with_secrets("http://ada:OLD@127.0.0.1%3a7990\n");
        assert!(scan(&text, Format::GitCredentials, &hosts, NOW)[0].change.edits().is_some());
    }

    #[test]
    fn another_hosts_token_is_not_put_where_one_of_bitbucket_cloud_stood() {
        let hosts = Hosts::of(&"https://git.example.org".parse().expect("a place"));
        assert!(scan(&format!("P={OLD}\n"), Format::Environment, &hosts, NOW).is_empty());
    }

    #[test]
    fn a_find_knows_its_line_and_its_secret_by_a_digest_alone() {
        let text = format!("a\nb\nurl = https://ada:{OLD}@bitbucket.org/a/b\n");
        let finds = scan(&text, Format::GitConfig, &Hosts::bitbucket_cloud(), NOW);
        assert_eq!((finds[0].line, finds[0].fingerprint.as_deref()), (3, Some(fingerprint(OLD).as_str())));
        assert!(!format!("{finds:?}").contains(OLD));
    }

    #[test]
    fn a_file_of_nothing_else_is_read_in_its_length() {
        // Each of these once took a time that grew with the square of the length.
        for unit in
            [format!("P={OLD}\n"), format!("https://ada:{OLD}@bitbucket.org/a\n"), "://a$(b".into(), "://${".into()]
        {
            let text = unit.repeat(100_000 / unit.len() * 10);
            scan(&text, Format::Environment, &Hosts::bitbucket_cloud(), NOW);
        }
    }
}
