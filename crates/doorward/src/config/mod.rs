//! The configuration: every setting in one table, from four sources with one precedence.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. The rest of the program
//! sees checked values alone.

mod file;
mod reference;
mod settings;
mod upstream;
mod value;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use doorward_git::{CacheSettings, GitSettings, SlotSettings};
use doorward_openid::ProviderSettings;
use doorward_rules::RuleSet;
use doorward_server::{LimitSettings, ServerSettings, SsoSettings, TlsSettings, WebhookSettings};
use doorward_upstream::UpstreamSettings;
use doorward_wire::{PushLimits, TokenShape, nearest, parse_ranges};
use ipnet::IpNet;

pub(crate) use self::settings::{SETTINGS, Setting};

use self::upstream::is_clear;
use self::value::{Kind, duration, is_on, list, origin, pairs, size};
use crate::arguments::Flags;
use crate::failure::{Code, Failure};

/// The effective configuration.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    settings: Vec<Effective>,
    upstreams: Vec<UpstreamSettings>,
    file: PathBuf,
    flags: Flags,
}

/// One setting with its value.
#[derive(Debug, Clone)]
pub(crate) struct Effective {
    pub(crate) setting: &'static Setting,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(&'static str),
}

impl Configuration {
    /// Reads all sources. `variable` looks one environment variable up, `variables` are all of them.
    pub(crate) fn load(
        flags: &Flags,
        variable: impl Fn(&str) -> Option<OsString>,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Failure> {
        refuse_unknown_variables(variables)?;
        let settings = SETTINGS.iter().map(Effective::default_of).collect();
        let mut all = Self { settings, upstreams: Vec::new(), file: PathBuf::new(), flags: flags.clone() };
        let named = flags.config.clone().or_else(|| variable("DOORWARD_CONFIG").map(PathBuf::from));
        let read_environment = |all: &mut Self| {
            SETTINGS.iter().try_for_each(|setting| match variable(&setting.variable()) {
                Some(value) => all.set(setting, lossy(value), Origin::Environment(setting.variable())),
                None => Ok(()),
            })
        };
        let read_flags = |all: &mut Self| -> Result<(), Failure> {
            let data = flags.data.as_ref().map(|path| path.to_string_lossy().into_owned());
            for (key, flag, value) in [("data", "--data", data), ("server.listen", "--listen", flags.listen.clone())] {
                if let (Some(setting), Some(value)) = (Setting::named(key), value) {
                    all.set(setting, value, Origin::Flag(flag))?;
                }
            }
            Ok(())
        };
        // A file that is named may say where the data is; one that is found there may not.
        let found = named.is_none();
        if found {
            read_environment(&mut all)?;
            read_flags(&mut all)?;
        }
        let path = named.unwrap_or_else(|| PathBuf::from(all.text("data")).join("doorward.toml"));
        let (entries, upstreams) = file::read(&path, found)?;
        all.upstreams = upstreams;
        for entry in entries {
            let origin = Origin::File { path: path.clone(), line: entry.line };
            all.set(entry.setting, entry.value, origin)?;
        }
        all.file = path;
        read_environment(&mut all)?;
        read_flags(&mut all)?;
        all.check_together()?;
        let quiet = all.duration("limits.idle_time");
        all.upstreams.iter_mut().for_each(|upstream| upstream.quiet = quiet);
        Ok(all)
    }

    /// Reads all sources anew, as they are now.
    pub(crate) fn read_again(&self) -> Result<Self, Failure> {
        Self::load(&self.flags, |name| std::env::var_os(name), std::env::vars_os())
    }

    /// Every setting, in the order of the table.
    pub(crate) fn all(&self) -> &[Effective] {
        &self.settings
    }

    /// The upstreams, as the file has them.
    pub(crate) fn upstreams(&self) -> &[UpstreamSettings] {
        &self.upstreams
    }

    /// The file, whether it is there or not.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The value of a setting as text.
    ///
    /// # Panics
    /// If there is no such setting: keys are written in this program alone.
    pub(crate) fn text(&self, key: &str) -> &str {
        let effective = self.settings.iter().find(|effective| effective.setting.key == key);
        &effective.unwrap_or_else(|| panic!("`{key}` is not in the table of settings")).value
    }

    /// What the server needs to know.
    pub(crate) fn server(&self) -> ServerSettings {
        let tls = (!self.text("server.tls_certificate").is_empty()).then(|| TlsSettings {
            certificate: self.text("server.tls_certificate").into(),
            key: self.text("server.tls_key").into(),
        });
        let keep = self.text("audit.keep");
        ServerSettings {
            listen: self.checked("server.listen", |text| text.parse::<SocketAddr>().ok()),
            plain_http: is_on(self.text("server.plain_http")),
            tls,
            trusted_proxies: self.ranges("server.trusted_proxies"),
            metrics_from: self.ranges("server.metrics_from"),
            grace: self.duration("server.grace"),
            limits: LimitSettings {
                connections: self.count("limits.connections"),
                requests_per_address: self.count("limits.requests_per_address"),
                head_time: self.duration("limits.head_time"),
                idle_time: self.duration("limits.idle_time"),
                failed_attempts: self.count("limits.failed_attempts"),
                store_time: self.duration("limits.store_time"),
                head_bytes: self.size("limits.head_bytes") as usize,
                fetch_bytes: self.size("fetch.request_bytes"),
                push_bytes: self.size("push.pack_bytes").saturating_add(self.size("push.head_bytes")),
                push: PushLimits {
                    updates: self.count("push.updates"),
                    ref_depth: self.count("push.ref_depth"),
                    head_bytes: self.size("push.head_bytes") as usize,
                },
                upload_bytes: self.size("upload.bytes"),
                upload_files: self.count("upload.files"),
            },
            webhooks: WebhookSettings {
                private: self.ranges("webhooks.private"),
                retry: self.duration("webhooks.retry"),
            },
            public_url: Some(self.text("server.public_url")).filter(|url| !url.is_empty()).map(origin),
            token_shape: self.token_shape(),
            sso: self.sso(),
            rules: RuleSet::Doorward,
            sandbox: None,
            audit_keep: (keep != "forever").then(|| self.duration("audit.keep")),
        }
    }

    /// The organisation's own sign-in provider, if there is one.
    fn sso(&self) -> Option<SsoSettings> {
        let issuer = Some(self.text("sso.issuer")).filter(|issuer| !issuer.is_empty())?;
        let mut scopes = list(self.text("sso.scopes"));
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".into());
        }
        Some(SsoSettings {
            name: self.text("sso.name").to_owned(),
            provider: ProviderSettings {
                issuer: issuer.to_owned(),
                client_id: self.text("sso.client_id").to_owned(),
                scopes,
                groups_claim: self.text("sso.groups_claim").to_owned(),
                needs_groups: !self.text("sso.workspaces").is_empty(),
            },
            secret: self.text("sso.client_secret").parse().ok(),
            create_accounts: is_on(self.text("sso.create_accounts")),
            domains: list(self.text("sso.domains")),
            unverified_emails: is_on(self.text("sso.unverified_emails")),
            workspaces: self.checked("sso.workspaces", pairs),
        })
    }

    /// The address that people use, of a server that is bound, or is going to be.
    pub(crate) fn address(&self, bound: Option<std::net::SocketAddr>) -> String {
        let public = self.text("server.public_url");
        if !public.is_empty() {
            return origin(public);
        }
        let scheme = if self.text("server.tls_certificate").is_empty() { "http" } else { "https" };
        let listen = bound.map_or_else(|| self.text("server.listen").to_owned(), |bound| bound.to_string());
        format!("{scheme}://{listen}")
    }

    /// What git needs to know.
    pub(crate) fn git(&self) -> GitSettings {
        let program = self.text("git.program");
        GitSettings {
            program: (!program.is_empty()).then(|| program.into()),
            pack_bytes: self.size("push.pack_bytes"),
            tree_depth: u32::try_from(self.count("push.tree_depth")).unwrap_or(u32::MAX),
        }
    }

    /// What new tokens look like.
    pub(crate) fn token_shape(&self) -> TokenShape {
        match self.text("tokens.shape") {
            "bitbucket" => TokenShape::Bitbucket,
            _ => TokenShape::Doorward,
        }
    }

    /// How many git processes there may be at once, and how long a request waits for its turn.
    pub(crate) fn slots(&self) -> SlotSettings {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let by_cores = |key, each| match self.text(key) {
            "by-core" => cores * each,
            _ => self.count(key),
        };
        SlotSettings {
            short: self.count("git.short_processes"),
            long: self.count("git.long_processes"),
            fetches: by_cores("git.fetch_processes", 4),
            clones: by_cores("git.clone_processes", 1),
            waiting: self.count("git.waiting"),
            patience: self.duration("git.wait"),
            told_patience: self.duration("git.told_wait"),
            idle: self.duration("limits.idle_time"),
        }
    }

    /// How many answers to fetches are kept.
    pub(crate) fn cache(&self) -> CacheSettings {
        let bytes = if self.text("cache.bytes") == "off" { 0 } else { self.size("cache.bytes") };
        CacheSettings { bytes, keep: self.duration("cache.keep") }
    }

    fn set(&mut self, setting: &'static Setting, value: String, origin: Origin) -> Result<(), Failure> {
        if let Err(expected) = setting.kind.check(&value) {
            // Who has put a secret there does not want to see it in a log.
            let shown = if matches!(setting.kind, Kind::Secret) { "this" } else { &format!("`{value}`") };
            let sentence = format!("{origin}: {shown} is no value for {}", setting.key);
            return Err(Failure::new(Code::Configuration, sentence).hint(format!("it takes {expected}")));
        }
        if let Some(effective) = self.settings.iter_mut().find(|effective| effective.setting.key == setting.key) {
            *effective = Effective { setting, value, origin };
        }
        Ok(())
    }

    fn check_together(&self) -> Result<(), Failure> {
        let wrong = |sentence: &str, hint: &str| Err(Failure::new(Code::Configuration, sentence).hint(hint));
        let is_set = |key| !self.text(key).is_empty();
        if is_set("server.tls_certificate") != is_set("server.tls_key") {
            let sentence = "one of server.tls_certificate and server.tls_key is set without the other";
            return wrong(sentence, "set both, or none for plain HTTP");
        }
        if is_set("sso.issuer") && !is_set("sso.client_id") {
            let sentence = "sso.issuer is set, and sso.client_id is not";
            return wrong(sentence, "register this server at the provider, and set what it is called there");
        }
        if is_clear(self.text("sso.issuer")) {
            let sentence = "people would sign in over the network in the clear at sso.issuer";
            return wrong(sentence, "use https://, which only a provider on this machine can do without");
        }
        Ok(())
    }

    /// A value that [`Self::set`] or the table's own test has checked.
    fn checked<T>(&self, key: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let text = self.text(key);
        parse(text).unwrap_or_else(|| panic!("`{text}` was taken as a value for {key}"))
    }

    fn count(&self, key: &str) -> usize {
        self.checked(key, |text| text.parse().ok())
    }

    fn duration(&self, key: &str) -> Duration {
        self.checked(key, duration)
    }

    fn size(&self, key: &str) -> u64 {
        self.checked(key, size)
    }

    fn ranges(&self, key: &str) -> Vec<IpNet> {
        self.checked(key, |text| parse_ranges(text).ok())
    }
}

/// The upstreams of a file that would have this text.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_file(path: &Path, text: &str) -> Result<Vec<UpstreamSettings>, Failure> {
    file::parse(path, text, false).map(|(_, upstreams)| upstreams)
}

impl Effective {
    fn default_of(setting: &'static Setting) -> Self {
        Self { setting, value: setting.default.into(), origin: Origin::Default }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A variable with a section's prefix that names no setting is a slip that would otherwise go unnoticed.
fn refuse_unknown_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<(), Failure> {
    for (name, value) in variables {
        let name = lossy(name);
        // Kubernetes sets such variables for a service that is called `doorward-server`.
        if name.contains("_SERVICE_") || name.contains("_PORT_") || lossy(value).starts_with("tcp://") {
            continue;
        }
        let section = |setting: &&Setting| {
            setting.section().is_some_and(|section| name.starts_with(&format!("DOORWARD_{}_", section.to_uppercase())))
        };
        let known = SETTINGS.iter().any(|setting| setting.variable() == name);
        if !known && SETTINGS.iter().find(section).is_some() {
            let names: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
            let near = nearest(&name, names.iter().map(String::as_str));
            let sentence = format!("the environment variable `{name}` names no setting");
            return Err(Failure::new(Code::Configuration, sentence).hint(did_you_mean(&near)));
        }
    }
    Ok(())
}

fn did_you_mean(near: &[&str]) -> String {
    match near {
        [] => "`doorward config show` lists all settings".into(),
        [nearest, ..] => format!("did you mean `{nearest}`?"),
    }
}

fn lossy(text: OsString) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)], flags: Flags) -> Result<Configuration, Failure> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("doorward.toml");
        std::fs::write(&path, file).expect("written");
        let variables = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let lookup = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Configuration::load(&Flags { config: Some(path), ..flags }, lookup, variables)
    }

    fn listen(file: &str, environment: &[(&str, &str)], flag: Option<&str>) -> (String, Origin) {
        let flags = Flags { listen: flag.map(str::to_owned), ..Flags::default() };
        let configuration = load(file, environment, flags).expect("a configuration");
        let effective = configuration.all().iter().find(|e| e.setting.key == "server.listen").expect("the setting");
        (effective.value.clone(), effective.origin.clone())
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        let file = "[server]\nlisten = \"127.0.0.1:1\"\n";
        let environment = [("DOORWARD_SERVER_LISTEN", "127.0.0.1:2")];
        assert_eq!(listen("", &[], None).1, Origin::Default);
        assert!(matches!(listen(file, &[], None), (value, Origin::File { line: 2, .. }) if value == "127.0.0.1:1"));
        assert_eq!(listen(file, &environment, None).0, "127.0.0.1:2");
        assert_eq!(listen(file, &environment, Some("127.0.0.1:3")), ("127.0.0.1:3".into(), Origin::Flag("--listen")));
    }

    #[test]
    fn a_slip_is_named_with_its_place_and_the_nearest_name() {
        let message = |file, environment: &[(&str, &str)]| {
            let failure = load(file, environment, Flags::default()).expect_err("a slip");
            format!("{failure:?}")
        };
        let unknown = message("[server]\n\nlisen = 1\n", &[]);
        assert!(
            unknown.contains(":3: there is no setting `server.lisen`")
                && unknown.contains("did you mean `server.listen`?"),
            "{unknown}"
        );
        let value = message("[limits]\nconnections = \"many\"\n", &[]);
        assert!(
            value.contains(":2: `many` is no value for limits.connections") && value.contains("a whole number"),
            "{value}"
        );
        let syntax = message("[server\n", &[]);
        assert!(syntax.contains(":1: "), "{syntax}");
        let variable = message("", &[("DOORWARD_SERVER_LISTN", "x")]);
        assert!(variable.contains("did you mean `DOORWARD_SERVER_LISTEN`?"), "{variable}");
        let pair = message("[server]\ntls_key = \"key.pem\"\n", &[]);
        assert!(pair.contains("without the other"), "{pair}");
    }

    #[test]
    fn every_default_is_a_value_that_the_server_can_use() {
        for setting in SETTINGS {
            assert_eq!(setting.kind.check(setting.default), Ok(()), "{}", setting.key);
        }
        let configuration = load("", &[], Flags::default()).expect("the defaults");
        configuration.server();
        configuration.git();
        configuration.slots();
        configuration.cache();
    }
}
