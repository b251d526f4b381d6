//! Colours and weights, for terminals alone, and not where `NO_COLOR` is set.

use std::io::{self, IsTerminal};

/// Good or bad, at a glance; the words say it as well.
pub(crate) fn colour(text: &str, good: bool) -> String {
    painted(text, if good { "1;32" } else { "1;33" })
}

/// What to look at first.
pub(crate) fn bold(text: &str) -> String {
    painted(text, "1")
}

/// What one may pass over.
pub(crate) fn dim(text: &str) -> String {
    painted(text, "2")
}

fn painted(text: &str, code: &str) -> String {
    if is_wanted() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn is_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
