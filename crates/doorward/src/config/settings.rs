//! The table of settings: the one place where each is named, explained and given its default.

use super::value::Kind;

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key in the file, as `section.name`.
    pub(crate) key: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Its value when nobody sets it.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
}

impl Setting {
    /// The setting with a key.
    pub(crate) fn named(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        format!("DOORWARD_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// The section of the file that it stands in.
    pub(crate) fn section(&self) -> Option<&'static str> {
        self.key.split_once('.').map(|(section, _)| section)
    }
}

const fn setting(key: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Setting {
    Setting { key, kind, default, about }
}

/// Every setting there is.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "data",
        Kind::Path,
        "./doorward-data",
        "The data directory. In the file only if the file is named with `--config`.",
    ),
    setting("server.listen", Kind::Address, "127.0.0.1:7990", "Where to listen. Port 0 picks a free one."),
    setting(
        "server.public_url",
        Kind::Url,
        "",
        "The address that people use, if it is not the one listened on. Links, single sign-on and passkeys are bound to it: those who made passkeys at one address have none at another.",
    ),
    setting(
        "server.plain_http",
        Kind::Switch,
        "false",
        "Serve plain HTTP also to other machines: only behind a proxy that does TLS.",
    ),
    setting(
        "server.tls_certificate",
        Kind::Path,
        "",
        "PEM file with the certificate and its chain. Read again on SIGHUP.",
    ),
    setting("server.tls_key", Kind::Path, "", "PEM file with the certificate's private key. Read again on SIGHUP."),
    setting("server.trusted_proxies", Kind::Ranges, "", "Addresses whose `X-Forwarded-For` is believed."),
    setting("server.metrics_from", Kind::Ranges, "127.0.0.0/8, ::1/128", "Addresses that may read `/metrics`."),
    setting("server.grace", Kind::Duration, "60s", "How long requests in flight may take to finish after SIGTERM."),
    setting("limits.connections", Kind::Count, "16384", "Connections open at once. More wait in the system's queue."),
    setting(
        "limits.requests_per_address",
        Kind::Count,
        "1024",
        "Requests that one address may have in flight; more get 429.",
    ),
    setting(
        "limits.failed_attempts",
        Kind::Count,
        "100",
        "Secrets that one address, or for one token, may be tried without success in a minute; more get 429. A valid one \
         is let in all the same.",
    ),
    setting(
        "limits.head_time",
        Kind::Duration,
        "30s",
        "How long a client may take for its TLS handshake, and for the head of each request.",
    ),
    setting(
        "limits.idle_time",
        Kind::Duration,
        "2m",
        "How long a client may take between two pieces of a request or of an answer.",
    ),
    setting(
        "limits.store_time",
        Kind::Duration,
        "10s",
        "How long a decision may wait for the database before the answer is 503.",
    ),
    setting("limits.head_bytes", Kind::Size, "64k", "The longest head of a request."),
    setting("fetch.request_bytes", Kind::Size, "64m", "The longest request of a fetch, decompressed."),
    setting(
        "push.pack_bytes",
        Kind::Size,
        "8g",
        "The largest pack in a push, or that is fetched from an upstream at once.",
    ),
    setting("push.head_bytes", Kind::Size, "4m", "The longest list of refs in a push."),
    setting("push.updates", Kind::Count, "10000", "Refs that one push may update."),
    setting("push.ref_depth", Kind::Count, "32", "Components of a ref's name."),
    setting("push.tree_depth", Kind::Count, "2048", "How deeply directories may be nested. Needs git 2.43."),
    setting("upload.bytes", Kind::Size, "128m", "The largest upload of files by REST."),
    setting("upload.files", Kind::Count, "2000", "Files that one upload by REST may have."),
    setting(
        "webhooks.private",
        Kind::Ranges,
        "",
        "Addresses that are not public, and to which webhooks may be sent all the same. Read at the start.",
    ),
    setting(
        "webhooks.retry",
        Kind::Duration,
        "10s",
        "How long to wait before a webhook's message is sent a second time. Each further wait is four times as long.",
    ),
    setting(
        "tokens.shape",
        Kind::Word(&["doorward", "bitbucket"]),
        "doorward",
        "What new tokens look like: `bitbucket` for clients that tell kinds apart by Bitbucket Cloud's prefixes and lengths.",
    ),
    setting(
        "sso.issuer",
        Kind::Provider,
        "",
        "The OpenID Connect provider at which people sign in, as it calls itself. See docs/sign-in.md.",
    ),
    setting("sso.name", Kind::Text, "your organisation", "What the button on the sign-in page calls it."),
    setting("sso.client_id", Kind::Text, "", "What this server is called there."),
    setting(
        "sso.client_secret",
        Kind::Secret,
        "",
        "Where this server's secret there comes from. Read again when it is older than ten seconds.",
    ),
    setting("sso.scopes", Kind::Text, "openid email profile", "What the provider is asked to tell."),
    setting(
        "sso.create_accounts",
        Kind::Switch,
        "true",
        "Make an account for who signs in there and has none here. Otherwise an administrator makes them.",
    ),
    setting(
        "sso.domains",
        Kind::Text,
        "",
        "Domains of e-mail addresses, with commas between them. Who has another one is not let in; every one is if none is named.",
    ),
    setting(
        "sso.unverified_emails",
        Kind::Switch,
        "false",
        "Believe addresses of which the provider does not say that it has verified them, as Microsoft Entra does not. Only if nobody can choose an address there.",
    ),
    setting("sso.groups_claim", Kind::Text, "groups", "What the provider calls the groups that a person is in."),
    setting(
        "sso.workspaces",
        Kind::Pairs,
        "",
        "Which groups make a member of which workspace, at each sign-in. Who was made a member by hand stays one.",
    ),
    setting("git.program", Kind::Path, "", "The git to run; the first one in the search path if not set."),
    setting("git.short_processes", Kind::Count, "8", "Git processes that list refs at once."),
    setting(
        "git.long_processes",
        Kind::Count,
        "64",
        "Git processes at once that last as long as their client takes: for pushes, for what is read by REST, and for the few fetches whose answer is nobody else's.",
    ),
    setting(
        "git.fetch_processes",
        Kind::CountOr("by-core"),
        "by-core",
        "Git processes at once that make answers for clients which have a part already; `by-core` is four for each processor core.",
    ),
    setting(
        "git.clone_processes",
        Kind::CountOr("by-core"),
        "by-core",
        "Git processes at once that make answers for clients which have nothing yet; `by-core` is one for each processor core.",
    ),
    setting(
        "git.waiting",
        Kind::Count,
        "2000",
        "Requests that may wait for git processes of one sort; more get 503 at once. Those of one account take turns with those of others.",
    ),
    setting(
        "git.wait",
        Kind::Duration,
        "2m",
        "How long a request waits for a git process before the answer is 503, if its client cannot be told that it waits.",
    ),
    setting(
        "git.told_wait",
        Kind::Duration,
        "15m",
        "How long a fetch waits for a git process if its client is told that it waits and how many are before it, as git since 2.21 is.",
    ),
    setting(
        "cache.bytes",
        Kind::SizeOr("off"),
        "8g",
        "Bytes of answers to fetches in `cache` in the data directory, and never more than half of what the disk has free; `off` makes each answer for one client alone.",
    ),
    setting(
        "cache.keep",
        Kind::Duration,
        "1h",
        "How long an answer is kept after it was last asked for, if it was asked for more than once.",
    ),
    setting(
        "log.level",
        Kind::Word(&["error", "warn", "info", "debug"]),
        "info",
        "What is logged. `info` has a line for each request.",
    ),
    setting("log.format", Kind::Word(&["text", "json"]), "text", "How it is logged."),
    setting("audit.keep", Kind::DurationOr("forever"), "400d", "How long records of the audit are kept, or `forever`."),
];
