//! Markdown of strangers: whatever it is, nothing comes of it that a browser would run.
#![no_main]

use doorward_pages::render_markdown;
use libfuzzer_sys::fuzz_target;

const TAGS: &[&str] = &[
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "a", "em", "strong", "del", "code", "pre", "ul", "ol", "li", "blockquote",
    "hr", "br", "table", "thead", "tbody", "tr", "th", "td", "input",
];

fuzz_target!(|input: &[u8]| {
    let html = render_markdown(&String::from_utf8_lossy(input), "/base", "/raw");
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        assert!(TAGS.contains(&name), "<{tag}>");
        if let Some(rest) = tag.strip_prefix("a href=\"") {
            let to = rest.split('"').next().unwrap_or_default();
            let begins = |fit: &&str| to.get(..fit.len()).is_some_and(|start| start.eq_ignore_ascii_case(fit));
            assert!(["https://", "http://", "mailto:", "/base/", "/raw/", "#"].iter().any(|fit| begins(fit)), "{to}");
        }
        let mut outside = tag.split('"').step_by(2).flat_map(|part| part.split(' '));
        assert!(outside.all(|part| !part.trim().starts_with("on")), "<{tag}>");
    }
});
