//! The log: to standard error, as text or JSON, and never a secret in it.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Configuration;

/// Starts logging. Commands that do not serve say only what went wrong.
pub(crate) fn start(configuration: &Configuration, serves: bool) {
    let level = match configuration.text("log.level") {
        _ if !serves => LevelFilter::ERROR,
        "debug" => LevelFilter::DEBUG,
        "warn" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    // Libraries speak up when something is wrong; their finer levels show what they send and receive.
    let ours = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("doorward", level);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    if configuration.text("log.format") == "json" {
        tracing_subscriber::registry().with(layer.json().flatten_event(true).with_filter(ours)).init();
    } else {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let colours = terminal && std::env::var_os("NO_COLOR").is_none();
        tracing_subscriber::registry().with(layer.with_ansi(colours).with_filter(ours)).init();
    }
}
