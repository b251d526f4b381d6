//! A picture of what was let in and what was refused, by reason, over time.

use std::collections::HashMap;
use std::fmt::Write;

use crate::text::escaped;

/// What happened in one part of the time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bar {
    /// When it begins, for people.
    pub label: String,
    /// Where one finds more of it.
    pub href: String,
    /// How often, for each reason; without one, how often something was let in.
    pub counts: Vec<(Option<String>, u64)>,
}

/// The picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// What it shows.
    pub heading: String,
    /// Its parts, one after the other.
    pub bars: Vec<Bar>,
    /// Where one finds what has a reason: what goes before it in an address, if anywhere.
    pub by_reason: Option<String>,
}

/// What a colour means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) class: String,
    pub(crate) reason: String,
    pub(crate) count: u64,
    pub(crate) href: Option<String>,
}

impl Timeline {
    /// The reasons, the commonest first, and what was let in last.
    fn reasons(&self) -> Vec<(Option<String>, u64)> {
        let mut totals: HashMap<&Option<String>, u64> = HashMap::new();
        for (reason, count) in self.bars.iter().flat_map(|bar| &bar.counts) {
            *totals.entry(reason).or_default() += count;
        }
        let mut totals: Vec<_> = totals.into_iter().map(|(reason, count)| (reason.clone(), count)).collect();
        totals.sort_by(|one, other| {
            one.0.is_none().cmp(&other.0.is_none()).then(other.1.cmp(&one.1)).then(one.0.cmp(&other.0))
        });
        totals
    }

    /// What the colours mean.
    pub(crate) fn key(&self) -> Vec<Key> {
        let key = |(place, (reason, count)): (usize, (Option<String>, u64))| Key {
            class: class(place, reason.is_none()),
            href: self.by_reason.as_ref().zip(reason.as_ref()).map(|(before, reason)| format!("{before}{reason}")),
            reason: reason.unwrap_or_else(|| "let in".into()),
            count,
        };
        self.reasons().into_iter().enumerate().map(key).collect()
    }

    /// The picture as SVG, which has all of it in words, too.
    pub(crate) fn svg(&self) -> String {
        let reasons = self.reasons();
        let total = |bar: &Bar| bar.counts.iter().map(|(_, count)| count).sum::<u64>();
        let most = self.bars.iter().map(total).max().unwrap_or(0).max(1);
        let width = WIDTH / self.bars.len().max(1) as f64;
        let mut svg = format!(
            "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {}\" role=\"group\" aria-label=\"{}\">\
             <line x1=\"0\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\"/><text x=\"0\" y=\"11\">{most}</text>",
            HEIGHT + 18.0,
            escaped(&self.heading),
        );
        for (place, bar) in self.bars.iter().enumerate() {
            let x = place as f64 * width;
            let mut words = Vec::new();
            let _ = write!(svg, "<a href=\"{}\">", escaped(&bar.href));
            let mut top = HEIGHT;
            for (colour, (reason, _)) in reasons.iter().enumerate() {
                let count = bar.counts.iter().filter(|(found, _)| found == reason).map(|(_, count)| count).sum::<u64>();
                if count == 0 {
                    continue;
                }
                let name = reason.as_deref().unwrap_or("let in");
                words.push(format!("{name} {count}"));
                // What happened once in a flood is still to be seen.
                let height = (count as f64 / most as f64 * (HEIGHT - 16.0)).max(1.5);
                top -= height;
                let _ = write!(
                    svg,
                    "<rect class=\"{}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                    class(colour, reason.is_none()),
                    (width - 1.0).max(0.5),
                );
            }
            let words = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
            let label = escaped(&format!("{}: {words}", bar.label));
            let _ = write!(
                svg,
                "<rect class=\"hit\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{HEIGHT}\"/><title>{label}</title></a>"
            );
            if place % (self.bars.len() / 6).max(1) == 0 && x < WIDTH - 60.0 {
                let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{}\">{}</text>", HEIGHT + 14.0, escaped(&bar.label));
            }
        }
        svg.push_str("</svg>");
        svg
    }
}

fn class(place: usize, allowed: bool) -> String {
    if allowed { "allowed".into() } else { format!("r{}", place.min(5)) }
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 140.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_a_link_that_says_in_words_what_it_shows() {
        let bar = |label: &str, counts: &[(&str, u64)]| Bar {
            label: label.into(),
            href: format!("/x?since={label}&y"),
            counts: counts
                .iter()
                .map(|(reason, count)| (Some((*reason).into()).filter(|r: &String| !r.is_empty()), *count))
                .collect(),
        };
        let timeline = Timeline {
            heading: "One \"day\"".into(),
            bars: vec![
                bar("05:00", &[("token_unknown", 3), ("", 1000)]),
                bar("06:00", &[("<b>", 1)]),
                bar("07:00", &[]),
            ],
            by_reason: Some("/x?reason=".into()),
        };
        let svg = timeline.svg();
        assert!(svg.contains("<title>05:00: token_unknown 3, let in 1000</title>"), "{svg}");
        assert!(svg.contains("<title>06:00: &#60;b&#62; 1</title>") && svg.contains("<title>07:00: nothing</title>"));
        assert!(svg.contains("href=\"/x?since=05:00&#38;y\"") && svg.contains("aria-label=\"One &#34;day&#34;\""));
        let key: Vec<_> = timeline.key().into_iter().map(|key| (key.class, key.reason, key.count)).collect();
        assert_eq!(
            key,
            [
                ("r0".into(), "token_unknown".into(), 3),
                ("r1".into(), "<b>".into(), 1),
                ("allowed".into(), "let in".into(), 1000)
            ]
        );
    }
}
