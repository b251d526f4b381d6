//! What it costs to look through a home: `cargo bench -p doorward-client`.
//!
//! 100,000 files in 5,000 directories, as in source code, 1 in 100 of them concerned; beside it the same files read and
//! nothing else, which is the limit.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use divan::Bencher;
use doorward_client::migrate::{Format, Hosts, scan, survey};
use doorward_rules::Timestamp;
use tempfile::TempDir;

const FILES: usize = 100_000;
const DIRECTORIES: usize = 5_000;
const CONCERNED: usize = 100;
const NOW: Timestamp = Timestamp::utc(2026, 11, 22);
const OLD: &str = "ATBBabcdefghijklmnopqrstuvwx0123ABCD";

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn a_hundred_thousand_files_are_looked_at(bencher: Bencher<'_, '_>) {
    let (root, hosts) = (tree(), Hosts::bitbucket_cloud());
    bencher.bench(|| {
        let survey = survey(&[root.to_owned()], &[], &hosts, NOW, &|_| ());
        assert_eq!((survey.read, survey.affected.len()), (FILES, FILES / CONCERNED));
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn a_hundred_thousand_files_are_read_and_nothing_else(bencher: Bencher<'_, '_>) {
    let root = tree();
    bencher.bench(|| {
        let half = |half: usize| {
            let mut bytes = 0;
            for directory in (0..DIRECTORIES).filter(|number| number % 2 == half) {
                for entry in fs::read_dir(root.join(directory.to_string())).expect("a directory").flatten() {
                    bytes += fs::read(entry.path()).expect("a file").len();
                }
            }
            bytes
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| half(1));
            half(0) + other.join().expect("a thread")
        })
    });
}

#[divan::bench]
fn one_script_is_scanned(bencher: Bencher<'_, '_>) {
    let (text, hosts) = (script(0, true), Hosts::bitbucket_cloud());
    bencher.bench(|| scan(divan::black_box(&text), Format::Script, &hosts, NOW));
}

fn tree() -> &'static Path {
    static TREE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, root) = TREE.get_or_init(|| {
        let scratch = tempfile::tempdir().expect("a directory");
        let root = scratch.path().join("tree");
        for directory in 0..DIRECTORIES {
            fs::create_dir_all(root.join(directory.to_string())).expect("made");
        }
        for number in 0..FILES {
            let path = root.join((number % DIRECTORIES).to_string()).join(format!("{number}.sh"));
            fs::write(path, script(number, number % CONCERNED == 0)).expect("written");
        }
        (scratch, root)
    });
    root
}

/// Some 3 KiB, as a file of source code has.
fn script(number: usize, concerned: bool) -> String {
    let secret = if concerned { format!(":{OLD}") } else { String::new() };
    let lines: String =
        (0..60).map(|line| format!("echo \"step {line} of {number}, and some words more\"\n")).collect();
    format!("#!/bin/sh\n{lines}git clone https://ada{secret}@bitbucket.org/acme/site.git\n")
}
