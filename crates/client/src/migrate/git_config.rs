//! A header in git's configuration, and as much of its line as may be taken out.

use std::ops::Range;

use super::Hosts;
use super::lines::line_of;

/// The bytes of the setting `http.extraHeader` around a place, if it is one that is sent to one of the hosts and stands on one
/// line; its section stays.
pub(super) fn header_of(text: &str, at: usize, hosts: &Hosts) -> Option<Range<usize>> {
    let line = line_of(text, at);
    let whole = &text[line.clone()];
    let continued = |line: &str| line.trim_end().ends_with('\\');
    let before = line.start.checked_sub(1).map_or("", |end| &text[line_of(text, end)]);
    if continued(whole) || continued(before) {
        return None;
    }
    // A section may begin on the same line.
    let key = whole.rfind(']').filter(|_| whole.trim_start().starts_with('[')).map_or(0, |end| end + 1);
    let section = if key > 0 { whole } else { section_before(text, line.start)? };
    let setting = whole[key..].trim_start().to_ascii_lowercase();
    if !setting.starts_with("extraheader") || !is_for(section, hosts) {
        return None;
    }
    let start =
        if key > 0 { line.start + key + whole[key..].len() - whole[key..].trim_start().len() } else { line.start };
    let end = if key > 0 { line.start + whole.trim_end().len() } else { line.end };
    Some(start..end.max(start))
}

/// The line with which the section begins that a place is in.
fn section_before(text: &str, at: usize) -> Option<&str> {
    let mut end = at;
    loop {
        let line = line_of(text, end.checked_sub(1)?);
        let whole = &text[line.clone()];
        if whole.trim_start().starts_with('[') {
            return Some(whole);
        }
        end = line.start;
    }
}

/// Whether a section is `[http]`, or `[http "URL"]` with the URL of one of the hosts.
fn is_for(section: &str, hosts: &Hosts) -> bool {
    let section = section.trim_start().trim_start_matches('[');
    let name = section.split([' ', ']', '\t', '"']).next().unwrap_or_default();
    let url = section.split('"').nth(1);
    let host = |url: &str| {
        let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
    };
    name.eq_ignore_ascii_case("http") && url.is_none_or(|url| hosts.surface(&host(url), "").is_some())
}
