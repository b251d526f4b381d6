//! The log: to standard error, as text or JSON, and never a secret in it.

use tracing_subscriber::filter::LevelFilter;

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
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    if configuration.text("log.format") == "json" {
        log.json().flatten_event(true).init();
    } else {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        log.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()).init();
    }
}
