//! The name that was probably meant.

/// The candidates nearest to `given`, best first: at most three, and none that is too far off to help.
///
/// Names here have parts, as `server.listen` or `read:repository:bitbucket`. Each part of what was given is compared
/// with the part it is most like; parts that nothing was given for count against a name, but little.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let given = given.to_lowercase();
    let mut scored: Vec<(f64, &str)> =
        candidates.into_iter().map(|name| (likeness(&given, &name.to_lowercase()), name)).collect();
    scored.retain(|(score, _)| *score > 0.8);
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

fn likeness(given: &str, name: &str) -> f64 {
    let (given, name): (Vec<&str>, Vec<&str>) = (parts(given), parts(name));
    let best = |part: &&str| name.iter().map(|other| strsim::jaro_winkler(part, other)).fold(0.0, f64::max);
    let mean = given.iter().map(best).sum::<f64>() / given.len() as f64;
    mean - 0.02 * given.len().abs_diff(name.len()) as f64
}

fn parts(name: &str) -> Vec<&str> {
    name.split([':', '.', '_', '-', '/']).collect()
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
        let scopes = ["read:user:bitbucket", "read:repository:bitbucket", "repository:write"];
        assert_eq!(nearest("read:repo:bitbucket", scopes)[0], "read:repository:bitbucket");
        assert_eq!(nearest("repository:writ", scopes)[0], "repository:write");
    }
}
