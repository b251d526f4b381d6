//! That something is waited for, and how far long work has come: one line on standard error that changes, where somebody
//! watches it.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A count that grows, or a wait.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins to show a count of something; nothing is shown unless standard error is a terminal.
    pub(crate) fn start(what: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(what);
        let style =
            ProgressStyle::with_template("{spinner} {human_pos} {msg}").unwrap_or(ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Shows that something is waited for.
    pub(crate) fn wait(what: &'static str) -> Self {
        let Self(bar) = Self::start(what);
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or(ProgressStyle::default_spinner()));
        Self(bar)
    }

    /// Shows how many it is now.
    pub(crate) fn at(&self, count: usize) {
        self.0.set_position(count as u64);
    }

    /// Takes the line away.
    pub(crate) fn end(self) {
        self.0.finish_and_clear();
    }
}
