//! Where a shell looks at variables: not between single quotes, nor in what this does not follow.

/// Which bytes of a script stand where `${NAME}` is looked at.
///
/// Follows quotes, comments and backslashes. From the first thing on that it does not follow (a document within the script,
/// a command within double quotes), it says no.
pub(super) fn expands(text: &str) -> Vec<bool> {
    let bytes = text.as_bytes();
    let mut expands = vec![false; bytes.len()];
    let (mut within, mut at) = (Within::Nothing, 0);
    while at < bytes.len() {
        let (byte, next) = (bytes[at], bytes.get(at + 1).copied().unwrap_or_default());
        expands[at] = matches!(within, Within::Nothing | Within::Double);
        let begins_word = at == 0 || bytes[at - 1].is_ascii_whitespace() || b";&|(".contains(&bytes[at - 1]);
        match (within, byte) {
            (Within::Nothing | Within::Double, b'\\') => at += 1,
            (Within::Nothing, b'\'') => within = Within::Single,
            (Within::Single, b'\'') | (Within::Double, b'"') => within = Within::Nothing,
            (Within::Nothing, b'"') => within = Within::Double,
            (Within::Nothing, b'#') if begins_word => within = Within::Comment,
            (Within::Comment, b'\n') => within = Within::Nothing,
            (Within::Nothing, b'<') if next == b'<' => break,
            (Within::Nothing, b'$') if next == b'\'' => break,
            (Within::Double, b'`') => break,
            (Within::Double, b'$') if next == b'(' => break,
            _ => {}
        }
        at += 1;
    }
    expands
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Single,
    Double,
    Comment,
}

#[cfg(test)]
mod tests {
    use super::expands;

    #[test]
    fn what_a_shell_expands_is_told_from_what_it_does_not() {
        for (script, expected) in [
            ("git clone X", true),
            ("git clone \"X\"", true),
            ("git clone 'X'", false),
            ("echo \"don't\"; git clone 'X'", false),
            ("echo \"it's\"; git clone \"X\"", true),
            ("printf 'a\nX\n'", false),
            ("# don't\ngit clone X", true),
            ("# X", false),
            ("cat <<'EOF'\nX\nEOF", false),
            ("echo \"$(cat 'a') X\"", false),
            ("echo \\' X", true),
            ("echo $'a' X", false),
        ] {
            let at = script.find('X').expect("an X");
            assert_eq!(expands(script)[at], expected, "{script}");
        }
    }
}
