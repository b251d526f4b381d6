//! `[[upstream]]` in the configuration: the table of its keys, and what is read from them.

use std::collections::HashMap;
use std::net::IpAddr;

use doorward_upstream::{Forms, Partial, UpstreamSettings, Workspaces};
use doorward_wire::nearest;

use super::settings::Setting;
use super::value::{Kind, duration, is_on};

/// Every key of an upstream.
pub(crate) const KEYS: &[Setting] = &[
    key("name", Kind::Name, "", "What it is called in messages, metrics and commands."),
    key(
        "workspaces",
        Kind::Names,
        "*",
        "Whose repositories are there: workspaces with commas between them or as a list, or `*` for every workspace that is not here.",
    ),
    key("git", Kind::Place, "", "The address before `/WORKSPACE/REPOSITORY.git`, such as `https://bitbucket.org`."),
    key(
        "rest",
        Kind::Place,
        "",
        "The address before `/repositories/…` of REST, such as `https://api.bitbucket.org/2.0`. REST is not passed on if it is not set.",
    ),
    key(
        "mode",
        Kind::Word(&["transparent", "brokered"]),
        "transparent",
        "`transparent`: jobs present the upstream's credentials. `brokered`: they present tokens of this server, which decides who may read and push what, and the gateway presents a credential of its own.",
    ),
    key(
        "credentials",
        Kind::Sources,
        "",
        "For `brokered`: where that comes from, `USER:SECRET` or a token alone. `store:NAME` is what `doorward upstream credential add NAME` keeps sealed. The next one is used when one is refused. Sources are read again every minute.",
    ),
    key(
        "forms",
        Kind::Word(&["bitbucket-cloud", "as-sent"]),
        "bitbucket-cloud",
        "`bitbucket-cloud` presents each credential in the form that Bitbucket Cloud takes for its kind, whatever form the job sent it in; `as-sent` changes nothing, for other hosts.",
    ),
    key(
        "partial",
        Kind::Word(&["mirrored", "passed"]),
        "mirrored",
        "Shallow and partial clones: answered from a mirror that has everything, or passed on as long as the mirror lacks what they want.",
    ),
    key(
        "patience",
        Kind::Duration,
        "2m",
        "How long a request is tried that the upstream limits, or that meets trouble there, before the answer is 429 or 503.",
    ),
    key(
        "doubt",
        Kind::Duration,
        "45s",
        "How long a refusal is doubted of a credential that worked before. After that the job is refused, too.",
    ),
    key(
        "git_per_hour",
        Kind::Count,
        "60000",
        "Git requests that the upstream allows one credential in an hour. Jobs take four fifths of them at most.",
    ),
    key("rest_per_hour", Kind::Count, "1000", "The same of REST."),
    key(
        "plain_http",
        Kind::Switch,
        "false",
        "Allow an address with `http://` that is not on this machine: credentials cross the network in the clear.",
    ),
];

const fn key(key: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Setting {
    Setting { key, kind, default, about }
}

/// Makes an upstream of what its table says; or says which key is wrong, what is wrong with it, and what to do.
pub(super) fn read(given: &HashMap<String, String>) -> Result<UpstreamSettings, (Option<String>, String, String)> {
    for name in given.keys() {
        if !KEYS.iter().any(|known| known.key == name) {
            let near = nearest(name, KEYS.iter().map(|known| known.key));
            let hint = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "docs/settings.md lists what an upstream takes".into(),
            };
            return Err((Some(name.clone()), format!("an upstream has no `{name}`"), hint));
        }
    }
    for known in KEYS {
        if let Some(value) = given.get(known.key)
            && let Err(expected) = known.kind.check(value)
        {
            let sentence = format!("`{value}` is no value for `{}` of an upstream", known.key);
            return Err((Some(known.key.into()), sentence, format!("it takes {expected}")));
        }
    }
    let text = |key: &str| {
        let default = KEYS.iter().find(|known| known.key == key).map_or("", |known| known.default);
        given.get(key).map_or(default, String::as_str)
    };
    for needed in ["name", "git"] {
        if text(needed).is_empty() {
            let hint = format!(
                "add a line such as {}",
                if needed == "name" { "name = \"bitbucket\"" } else { "git = \"https://bitbucket.org\"" }
            );
            return Err((None, format!("an upstream has no `{needed}`"), hint));
        }
    }
    for place in ["git", "rest"] {
        if is_clear(text(place)) && !is_on(text("plain_http")) {
            let sentence = format!("credentials would cross the network in the clear to {}", text(place));
            return Err((
                Some(place.into()),
                sentence,
                "use https://, or set plain_http = true for this upstream".into(),
            ));
        }
    }
    if (text("mode") == "brokered") == text("credentials").is_empty() {
        let sentence = "a brokered upstream has credentials, and a transparent one has none".to_owned();
        let hint = "set mode = \"brokered\" and credentials = \"env:NAME\", or neither".to_owned();
        return Err((Some("mode".into()), sentence, hint));
    }
    let sources = text("credentials").split(',').filter_map(|source| source.trim().parse().ok());
    let names: Vec<String> = text("workspaces").split(',').map(|name| name.trim().to_lowercase()).collect();
    let seconds = |key: &str| duration(text(key)).unwrap_or_default();
    let count = |key: &str| text(key).parse().unwrap_or(u32::MAX);
    Ok(UpstreamSettings {
        workspaces: if names == ["*"] { Workspaces::All } else { Workspaces::Named(names) },
        rest: Some(text("rest").trim_end_matches('/').to_owned()).filter(|rest| !rest.is_empty()),
        forms: if text("forms") == "as-sent" { Forms::AsSent } else { Forms::BitbucketCloud },
        credentials: sources.collect(),
        partial: if text("partial") == "passed" { Partial::Passed } else { Partial::Mirrored },
        patience: seconds("patience"),
        doubt: seconds("doubt"),
        git_per_hour: count("git_per_hour"),
        rest_per_hour: count("rest_per_hour"),
        ..UpstreamSettings::new(text("name"), text("git"))
    })
}

/// Whether what is sent to a place crosses a network in the clear.
pub(super) fn is_clear(place: &str) -> bool {
    let Some(rest) = place.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    !(host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_not_said_is_as_bitbucket_cloud_wants_it() {
        let read = read(&given(&[("name", "bitbucket"), ("git", "https://bitbucket.org/")])).expect("an upstream");
        assert_eq!(read, UpstreamSettings::new("bitbucket", "https://bitbucket.org"));
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert_eq!(key.kind.check(key.default), Ok(()), "{}", key.key);
        }
    }

    #[test]
    fn a_slip_is_named_with_what_would_be_right() {
        let complain = |pairs: &[(&str, &str)]| {
            let (_, sentence, hint) = read(&given(pairs)).expect_err("a slip");
            format!("{sentence}; {hint}")
        };
        assert!(complain(&[("nam", "x")]).contains("did you mean `name`?"));
        assert!(complain(&[("name", "x")]).contains("git = "));
        assert!(complain(&[("name", "x"), ("git", "bitbucket.org")]).contains("https://"));
        assert!(complain(&[("name", "x"), ("git", "https://u:p@bitbucket.org")]).contains("no value"));
        assert!(complain(&[("name", "x"), ("git", "http://git.example.org")]).contains("in the clear"));
        let local = [("name", "x"), ("git", "http://[::1]:8080/git"), ("workspaces", "Acme, other")];
        let read = read(&given(&local)).expect("on this machine");
        assert_eq!(read.workspaces, Workspaces::Named(vec!["acme".into(), "other".into()]));
    }
}
