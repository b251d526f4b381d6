//! Words and moments as pages show them. What returns HTML here has escaped what it was given.

use doorward_rules::Kind;

/// A text as it may stand in HTML, also between quotes.
pub fn escaped(text: &str) -> String {
    askama::filters::escape(text, askama::filters::Html)
        .map_or_else(|never| match never {}, |escaped| escaped.to_string())
}

/// A moment in RFC 3339, to the minute, for people and for programs.
pub(crate) fn moment(at: impl AsRef<str>) -> String {
    let at = at.as_ref();
    let plain = at.bytes().all(|byte| byte.is_ascii_digit() || b"-:.TZ+".contains(&byte));
    match (plain, at.get(..10), at.get(11..16)) {
        (true, Some(day), Some(time)) => format!("<time datetime=\"{at}\">{day} {time}</time>"),
        (true, ..) => at.to_owned(),
        (false, ..) => String::new(),
    }
}

/// A moment, or a dash if there is none.
pub(crate) fn or_dash(at: &Option<String>) -> String {
    at.as_ref().map_or_else(|| "–".to_owned(), moment)
}

/// A kind in a sentence, by its stable name.
pub(crate) fn phrase(word: impl AsRef<str>) -> String {
    Kind::from_word(word.as_ref()).map_or_else(|| word.as_ref().to_owned(), |kind| kind.phrase().to_owned())
}

/// How the state of a token looks.
pub(crate) fn state_class(state: impl AsRef<str>) -> &'static str {
    match state.as_ref() {
        "valid" => "good",
        "replaced" => "warn",
        _ => "bad",
    }
}

/// How the phase of a kind looks.
pub(crate) fn phase_class(phase: impl AsRef<str>) -> &'static str {
    match phase.as_ref() {
        "on" => "good",
        "ending" => "warn",
        "off" => "soft",
        _ => "bad",
    }
}

/// How a line of a diff looks.
pub(crate) fn diff_class(line: impl AsRef<str>) -> &'static str {
    match line.as_ref().as_bytes() {
        [b'+', ..] => "add",
        [b'-', ..] => "del",
        [b'@' | b'd' | b'i', ..] => "hunk",
        _ => "",
    }
}

/// The parts of a workspace's settings.
pub(crate) const TABS: [(&str, &str); 6] = [
    ("members", "Members"),
    ("tokens", "Access tokens"),
    ("consumers", "OAuth consumers"),
    ("policy", "Policy"),
    ("upstreams", "Upstreams"),
    ("refusals", "Refusals"),
];
/// The parts of what is about the server.
pub(crate) const SERVER_TABS: [(&str, &str); 3] =
    [("status", "Status"), ("refusals", "Refusals"), ("calendar", "Calendar")];
/// The parts of a repository.
pub(crate) const REPOSITORY_TABS: [(&str, &str); 4] =
    [("src", "Files"), ("commits", "Commits"), ("branches", "Branches"), ("tags", "Tags")];

#[cfg(test)]
mod tests {
    #[test]
    fn a_moment_is_shown_to_the_minute_and_nothing_else_is() {
        assert_eq!(
            super::moment("2026-11-23T05:41:07Z"),
            "<time datetime=\"2026-11-23T05:41:07Z\">2026-11-23 05:41</time>"
        );
        assert_eq!(super::moment("<script>"), "");
        assert_eq!(super::moment("2026"), "2026");
    }
}
