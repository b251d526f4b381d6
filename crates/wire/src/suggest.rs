//! The name that was probably meant.

/// The candidates nearest to `given`, best first: at most three, and none that is too far off to help.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let given = given.to_lowercase();
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|name| {
            let folded = name.to_lowercase();
            let part = folded.split([':', '.', '_', '-', '/']).map(|part| strsim::jaro_winkler(&given, part) * 0.95);
            (part.fold(strsim::jaro_winkler(&given, &folded), f64::max), name)
        })
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_the_name_and_nonsense_finds_none() {
        let names = ["server.listen", "server.data", "git.processes"];
        assert_eq!(nearest("server.lisen", names)[0], "server.listen");
        assert_eq!(nearest("listen", names)[0], "server.listen");
        assert!(nearest("qqqq", names).is_empty());
    }
}
