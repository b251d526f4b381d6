//! Whatever stands in a file, what a migration would change lies within it, in whole letters and nowhere twice, and no
//! secret stands in what is told of it.

#![no_main]

use doorward_client::migrate::{Change, Format, Hosts, scan};
use doorward_rules::Timestamp;
use libfuzzer_sys::fuzz_target;

const FORMATS: [Format; 14] = [
    Format::GitConfig,
    Format::GitCredentials,
    Format::Netrc,
    Format::Environment,
    Format::Script,
    Format::GithubWorkflow,
    Format::AzurePipeline,
    Format::Pipeline,
    Format::Requirements,
    Format::PipConfig,
    Format::Npmrc,
    Format::Manifest,
    Format::ComposerAuth,
    Format::Other,
];

fuzz_target!(|text: &str| {
    for format in FORMATS {
        let finds = scan(text, format, &Hosts::bitbucket_cloud(), Timestamp::utc(2026, 11, 22));
        let edits = finds.iter().filter_map(|find| match &find.change {
            Change::Edits(edits) => Some(edits),
            Change::ByHand(_) => None,
        });
        let mut ranges: Vec<_> = edits.flatten().map(|edit| edit.range.clone()).collect();
        ranges.sort_by_key(|range| range.start);
        assert!(ranges.iter().all(|range| text.get(range.clone()).is_some()), "{format:?}");
        assert!(ranges.windows(2).all(|two| two[0].end <= two[1].start), "{format:?}: {ranges:?}");
    }
});
