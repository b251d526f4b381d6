//! Markdown of strangers as HTML, with nothing in it that a browser would run or ask another host for.
//!
//! HTML in it is shown as text, as Bitbucket Cloud shows it. Links lead to web pages, mail or places in the repository, and pictures
//! are links to where they are.

use std::borrow::Cow;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

/// Renders a text. Links that are relative lead to below `base`, pictures to below `raw`.
pub fn render(text: &str, base: &str, raw: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(text, options).map(|event| harmless(event, base, raw));
    let mut html = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut html, events);
    html
}

fn harmless<'a>(event: Event<'a>, base: &str, raw: &str) -> Event<'a> {
    let link = |link_type, to: &str, title: CowStr<'a>, base: &str| Tag::Link {
        link_type,
        dest_url: target(to, base).into_owned().into(),
        title,
        id: CowStr::Borrowed(""),
    };
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { link_type: LinkType::Email, dest_url, title, .. }) => {
            Event::Start(link(LinkType::Inline, &format!("mailto:{dest_url}"), title, base))
        }
        Event::Start(Tag::Link { link_type, dest_url, title, .. }) => {
            Event::Start(link(link_type, &dest_url, title, base))
        }
        Event::Start(Tag::Image { dest_url, title, .. }) => Event::Start(link(LinkType::Inline, &dest_url, title, raw)),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        // What it was called may be an id of the page around it.
        Event::Start(Tag::Heading { level, .. }) => {
            Event::Start(Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() })
        }
        other => other,
    }
}

/// Where a link leads; nowhere if it is none that may be followed.
fn target<'a>(to: &'a str, base: &str) -> Cow<'a, str> {
    let begins = |prefix: &str| to.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if ["https://", "http://", "mailto:"].into_iter().any(begins) || to.starts_with('#') {
        return Cow::Borrowed(to);
    }
    // `//host` is another host, and what has a scheme is none of these.
    let scheme = to.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':'));
    if scheme || to.starts_with("//") || to.contains(['\\', '\0', '\n', '\t', '\r']) {
        return Cow::Borrowed("#");
    }
    Cow::Owned(format!("{base}/{}", to.trim_start_matches("./").trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::render;
    use proptest::prelude::*;

    fn rendered(text: &str) -> String {
        render(text, "/acme/site/src/main", "/acme/site/raw/main")
    }

    #[test]
    fn text_tables_and_links_are_shown() {
        let html = rendered(
            "# Hello\n\nSee [the *guide*](docs/guide.md), <https://example.org> and **this**.\n\n|a|b|\n|-|-|\n|1|2|\n",
        );
        assert!(html.contains("<h1>Hello</h1>"), "{html}");
        assert!(html.contains("<a href=\"/acme/site/src/main/docs/guide.md\">the <em>guide</em></a>"), "{html}");
        assert!(html.contains("<a href=\"https://example.org\">"), "{html}");
        assert!(html.contains("<td>1</td>"), "{html}");
    }

    #[test]
    fn nothing_of_a_stranger_is_run_or_asked_for() {
        for attack in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "text <b onclick=alert(1)>x</b>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](  javascript:alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](<java\nscript:alert(1)>)",
            "[x](data:text/html,<script>alert(1)</script>)",
            "[x](//evil.example)",
            "[x](\\\\evil.example)",
            "![x](https://evil.example/pixel.png)",
            "![x](javascript:alert(1))",
            "<javascript:alert(1)>",
            "[x]: javascript:alert(1)\n\n[x]",
            "<div>\n<svg onload=alert(1)>\n</div>",
            "# x {#content onclick=alert(1)}",
            "[x](\"onmouseover=alert(1))",
        ] {
            harmless(&rendered(attack), attack);
        }
    }

    fn harmless(html: &str, text: &str) {
        for tag in html.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or_default();
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            assert!(TAGS.contains(&name), "<{tag}> of {text:?}");
            if let Some(rest) = tag.strip_prefix("a href=\"") {
                let to = rest.split('"').next().unwrap_or_default();
                let fits = ["https://", "http://", "mailto:", "/acme/", "#"]
                    .iter()
                    .any(|fit| to.get(..fit.len()).is_some_and(|start| start.eq_ignore_ascii_case(fit)));
                assert!(fits, "{to} of {text:?}");
            }
            // Attributes are `href`, `title`, `class`, `align`-like styles of tables, and those of boxes to tick.
            let mut outside = tag.split('"').step_by(2).flat_map(|part| part.split(' '));
            assert!(outside.all(|part| !part.trim().starts_with("on")), "<{tag}> of {text:?}");
        }
    }

    const TAGS: &[&str] = &[
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "a",
        "em",
        "strong",
        "del",
        "code",
        "pre",
        "ul",
        "ol",
        "li",
        "blockquote",
        "hr",
        "br",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "input",
    ];

    proptest! {
        #[test]
        fn no_text_becomes_anything_else(text in "([a-z:/()\\[\\]!<>\"'&#;=*_`\\\\ \n|-]|javascript:|<script|onload=){0,60}") {
            harmless(&rendered(&text), &text);
        }
    }
}
