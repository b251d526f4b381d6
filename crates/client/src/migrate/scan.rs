//! One file: everything in it that must change.

use doorward_rules::{Kind, RuleSet, Rules, Scheme, Surface, Timestamp, bitbucket_cloud, present};

use super::lines::{echoing_askpass, headers, is_single_quoted, secrets};
use super::user_part::{UserPart, is_variable};
use super::{Change, Edit, Find, Format, Hosts, Piece, Puts, Sort, composer, netrc};
use crate::place::decoded;

/// Everything in a text that must change, in its order.
pub fn scan(text: &str, format: Format, hosts: &Hosts, now: Timestamp) -> Vec<Find> {
    let scan = Scan { text, format, hosts, now };
    let mut finds = match format {
        Format::Netrc => scan.netrc(),
        Format::ComposerAuth => scan.composer(),
        _ => scan.addresses(),
    };
    if !matches!(format, Format::Netrc | Format::ComposerAuth) {
        finds.extend(scan.headers());
        let taken: Vec<Edit> = finds.iter().filter_map(Find::edits).flatten().cloned().collect();
        finds.extend(scan.secrets(&taken));
        finds.extend(scan.askpass());
    }
    finds.sort_by_key(|find| find.line);
    one_at_a_time(&mut finds);
    finds
}

/// Where two changes would touch the same bytes, the later one is left to a person.
fn one_at_a_time(finds: &mut [Find]) {
    let mut taken: Vec<std::ops::Range<usize>> = Vec::new();
    for find in finds {
        let Change::Edits(edits) = &find.change else { continue };
        let overlaps =
            |edit: &Edit| taken.iter().any(|range| range.start < edit.range.end && edit.range.start < range.end);
        if edits.iter().any(overlaps) {
            find.change = Change::ByHand(TWICE);
        } else {
            taken.extend(edits.iter().map(|edit| edit.range.clone()));
        }
    }
}

struct Scan<'a> {
    text: &'a str,
    format: Format,
    hosts: &'a Hosts,
    now: Timestamp,
}

impl Scan<'_> {
    fn addresses(&self) -> Vec<Find> {
        UserPart::all(self.text).into_iter().filter_map(|part| self.address(&part)).collect()
    }

    fn address(&self, part: &UserPart) -> Option<Find> {
        let surface = self.hosts.surface(&self.text[part.host.clone()], &self.text[part.path..])?;
        let user = decoded(&self.text[part.user.clone()]);
        let email = surface == Surface::Git && user.contains('@') && !is_variable(&user);
        let drop = || vec![Edit { range: part.whole.clone(), with: Vec::new() }];
        let name = || vec![Edit { range: part.user.clone(), with: vec![Piece::Name] }];
        let at = part.whole.start;
        let Some(range) = part.secret.clone() else {
            return email.then(|| Find::at(self.text, at, Sort::Email, None, Change::Edits(drop())));
        };
        let written = &self.text[range.clone()];
        if is_variable(written) {
            return match (email, names_app_password(written)) {
                (true, _) => Some(Find::at(self.text, at, Sort::Email, None, Change::Edits(name()))),
                (false, true) => Some(Find::at(self.text, at, Sort::Variable, None, Change::ByHand(SET_VARIABLE))),
                (false, false) => None,
            };
        }
        let secret = decoded(written);
        let sort = Sort::of(&user, &secret, surface, self.now)?;
        let change = match (sort, self.format.puts()) {
            // Documentation is full of secrets that are none.
            (Sort::Password, Puts::Unknown) => return None,
            (_, Puts::Unknown) => Change::ByHand(BY_VARIABLE),
            (Sort::UserName(kind), _) => match right_name(kind, surface, self.now) {
                Some(piece) => Change::Edits(vec![Edit { range: part.user.clone(), with: vec![piece] }]),
                None => Change::ByHand(BEARER),
            },
            (_, Puts::Nothing) => Change::Edits(drop()),
            (_, puts) => {
                let name = if surface == Surface::Rest { Piece::EmailInAddress } else { Piece::Name };
                let pair = part.user.start..range.end;
                self.pair(puts, name, Piece::SecretInAddress)
                    .map_or(Change::ByHand(BY_VARIABLE), |with| Change::Edits(vec![Edit { range: pair, with }]))
            }
        };
        Some(Find::at(self.text, at, sort, Some(&secret), self.unquoted(at, change)))
    }

    /// User name and secret with a colon between them, as they may be written into this file.
    fn pair(&self, puts: Puts, name: Piece, secret: Piece) -> Option<Vec<Piece>> {
        let secret = match puts {
            Puts::Secret => secret,
            Puts::Variable(variable) => Piece::Text(variable.to_owned()),
            Puts::Nothing | Puts::Unknown => return None,
        };
        Some(vec![name, Piece::Text(":".into()), secret])
    }

    /// Between single quotes a shell does not look at variables.
    fn unquoted(&self, at: usize, change: Change) -> Change {
        let shell = matches!(self.format, Format::Script | Format::Pipeline);
        match change {
            Change::Edits(_) if shell && is_single_quoted(self.text, at) => Change::ByHand(QUOTED),
            change => change,
        }
    }

    fn netrc(&self) -> Vec<Find> {
        let find = |machine: netrc::Machine| {
            let (login, password) = (machine.login?, machine.password?);
            let surface = self.hosts.machine(&self.text[machine.host])?;
            self.entry(surface, login, password)
        };
        netrc::machines(self.text).into_iter().filter_map(find).collect()
    }

    fn composer(&self) -> Vec<Find> {
        let find = |basic: composer::Basic| {
            let surface = self.hosts.surface(&basic.host, "")?;
            self.entry(surface, basic.username, basic.password)
        };
        composer::entries(self.text).into_iter().filter_map(find).collect()
    }

    /// A user name and a secret that stand apart, in a file that is its owner's alone.
    fn entry(&self, surface: Surface, user: std::ops::Range<usize>, secret: std::ops::Range<usize>) -> Option<Find> {
        let written = self.text[secret.clone()].to_owned();
        let sort = Sort::of(&self.text[user.clone()], &written, surface, self.now)?;
        let right = if surface == Surface::Rest { Piece::Email } else { Piece::Name };
        let change = match sort {
            Sort::UserName(kind) => match right_name(kind, surface, self.now) {
                Some(Piece::EmailInAddress) => {
                    Change::Edits(vec![Edit { range: user.clone(), with: vec![Piece::Email] }])
                }
                Some(piece) => Change::Edits(vec![Edit { range: user.clone(), with: vec![piece] }]),
                None => Change::ByHand(BEARER),
            },
            _ => Change::Edits(vec![
                Edit { range: user.clone(), with: vec![right] },
                Edit { range: secret, with: vec![Piece::Secret] },
            ]),
        };
        Some(Find::at(self.text, user.start, sort, Some(&written), change))
    }

    /// `Authorization: Basic …` with an app password in it.
    fn headers(&self) -> Vec<Find> {
        let find = |header: super::lines::Header| {
            let (user, secret) = header.decoded.split_once(':')?;
            let sort = Sort::of(user, secret, Surface::Git, self.now).filter(|sort| *sort == Sort::AppPassword)?;
            let change = match self.format {
                Format::GitConfig => Change::Edits(vec![Edit { range: header.line.clone(), with: Vec::new() }]),
                _ => Change::ByHand(HEADER),
            };
            Some(Find::at(self.text, header.at, sort, Some(secret), change))
        };
        headers(self.text).into_iter().filter_map(find).collect()
    }

    /// App passwords that stand by themselves, or after a user name and a colon.
    fn secrets(&self, taken: &[Edit]) -> Vec<Find> {
        let free = |at: usize| taken.iter().all(|edit| !edit.range.contains(&at));
        let in_address: Vec<UserPart> = UserPart::all(self.text);
        let find = |secret: super::lines::Secret| {
            let at = secret.range.start;
            // What stands in an address has been looked at as one, if it is an address of ours; another's is nobody's.
            if !free(at) || in_address.iter().any(|part| part.whole.contains(&at)) {
                return None;
            }
            let written = self.text[secret.range.clone()].to_owned();
            let puts = self.format.puts();
            let change = match (secret.user, puts) {
                (Some(user), Puts::Secret | Puts::Variable(_)) => {
                    let name = if secret.for_rest { Piece::Email } else { Piece::Name };
                    let range = user.start..secret.range.end;
                    self.pair(puts, name, Piece::Secret)
                        .map_or(Change::ByHand(BY_VARIABLE), |with| Change::Edits(vec![Edit { range, with }]))
                }
                (None, Puts::Secret) => Change::Edits(vec![Edit { range: secret.range, with: vec![Piece::Secret] }]),
                (None, Puts::Variable(variable)) if self.format != Format::Pipeline => {
                    Change::Edits(vec![Edit { range: secret.range, with: vec![Piece::Text(variable.to_owned())] }])
                }
                _ => Change::ByHand(BY_VARIABLE),
            };
            Some(Find::at(self.text, at, Sort::AppPassword, Some(&written), self.unquoted(at, change)))
        };
        secrets(self.text).into_iter().filter_map(find).collect()
    }

    fn askpass(&self) -> Vec<Find> {
        if matches!(self.format, Format::Other | Format::Manifest | Format::GitCredentials) {
            return Vec::new();
        }
        let find = |at| Find::at(self.text, at, Sort::EchoingAskpass, None, Change::ByHand(ASKPASS));
        echoing_askpass(self.text).into_iter().map(find).collect()
    }
}

impl Find {
    fn edits(&self) -> Option<&[Edit]> {
        match &self.change {
            Change::Edits(edits) => Some(edits),
            Change::ByHand(_) => None,
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

const TWICE: &str = "run it again: another change on this line comes first";
const SET_VARIABLE: &str = "set this variable to an API token where it is defined";
const BY_VARIABLE: &str = "put the new token into a variable, and its name here";
const QUOTED: &str = "it stands between single quotes, where the shell reads no variables";
const BEARER: &str = "send it as `Authorization: Bearer` instead";
const HEADER: &str = "leave the header to git's helper, or to `curl --netrc`";
const ASKPASS: &str = "use doorward-askpass: echo answers git with its own question";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::find::fingerprint;

    const NOW: Timestamp = Timestamp::utc(2026, 11, 22);
    const OLD: &str = "ATBBabcdefghijklmnopqrstuvwx0123ABCD";

    /// A text after its changes, with what a person has to do below.
    fn changed(format: Format, text: &str) -> String {
        let finds = scan(text, format, &Hosts::bitbucket_cloud(), NOW);
        let mut edits: Vec<&Edit> = finds.iter().filter_map(Find::edits).flatten().collect();
        edits.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
        let mut text = text.to_owned();
        for edit in edits {
            let with: String = edit
                .with
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.as_str(),
                    Piece::Name => "NAME",
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
            (Format::GitConfig, "[http]\n\textraHeader = Authorization: Basic BASE64\n[a]\n", "[http]\n[a]\n"),
            (
                Format::GitCredentials,
                "https://ada:OLD@bitbucket.org\n",
                "https://NAME:SECRET-IN-ADDRESS@bitbucket.org\n",
            ),
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
                Format::Script,
                "curl -u ada:OLD https://api.bitbucket.org/2.0/user\n",
                "curl -u EMAIL:${BITBUCKET_API_TOKEN} https://api.bitbucket.org/2.0/user\n",
            ),
            (Format::Script, "P=\"OLD\"\n", "P=\"${BITBUCKET_API_TOKEN}\"\n"),
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
            use base64::Engine;
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("ada:{OLD}"));
            let before = before.replace("OLD", OLD).replace("BASE64", &basic);
            assert_eq!(changed(format, &before), after);
        }
    }

    #[test]
    fn what_a_program_cannot_know_is_left_to_a_person() {
        for (format, text, told) in [
            (Format::Script, "git clone 'https://ada:OLD@bitbucket.org/a/b'", "between single quotes"),
            (Format::Other, "password = \"OLD\"", "put the new token into a variable"),
            (Format::Pipeline, "  BITBUCKET: OLD", "put the new token into a variable"),
            (Format::Pipeline, "- git clone https://$USER:$APP_PASSWORD@bitbucket.org/a/b", "set this variable"),
            (Format::Script, "export GIT_ASKPASS=echo", "use doorward-askpass"),
        ] {
            let text = text.replace("OLD", OLD);
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
            (Format::Other, "see https://user:hunter2@bitbucket.org/a/b".to_owned()),
            (Format::Script, "git clone https://user:password@bitbucket.org/a/b".to_owned()),
            (Format::Script, "git clone https://$USER:$TOKEN@bitbucket.org/a/b".to_owned()),
            (Format::Netrc, "machine github.com login ada password ghp_x".to_owned()),
        ] {
            assert_eq!(changed(format, &text), text);
        }
    }

    #[test]
    fn a_find_knows_its_line_and_its_secret_by_a_digest_alone() {
        let text = format!("a\nb\nurl = https://ada:{OLD}@bitbucket.org/a/b\n");
        let finds = scan(&text, Format::GitConfig, &Hosts::bitbucket_cloud(), NOW);
        assert_eq!((finds[0].line, finds[0].fingerprint.as_deref()), (3, Some(fingerprint(OLD).as_str())));
        assert!(!format!("{finds:?}").contains(OLD));
    }
}
