//! `doorward completions` and `doorward manual`: for shells and for `man`, made from the command line itself.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::{Code, Failure};
use crate::print;

/// Writes what a shell needs to standard output.
pub(crate) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "doorward", &mut script);
    match io::stdout().lock().write_all(&script) {
        // A reader that has gone, as `head` does, is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(Code::Failed, error)),
        _ => Ok(()),
    }
}

/// Writes a page for each command into a directory.
pub(crate) fn manual(directory: &Path) -> Result<(), Failure> {
    let unwritable = |error: io::Error| {
        Failure::new(Code::Failed, format!("{}: {error}", directory.display()))
            .hint("name a directory that can be written")
    };
    std::fs::create_dir_all(directory).map_err(unwritable)?;
    clap_mangen::generate_to(Arguments::command(), directory).map_err(unwritable)?;
    let directory = directory.canonicalize().map_err(unwritable)?;
    print::line(&format!("`man -l {}` shows the first one", directory.join("doorward.1").display()))
}
