//! Where a browser goes back to: nowhere but to what was registered, letter by letter (RFC 9700 §4.1.3), save for the port of a
//! program on the same machine, which takes whichever is free (RFC 8252 §7.3).

/// Whether an application may send browsers to an address, given the one that it registered.
pub(super) fn fits(registered: &str, given: &str) -> bool {
    if registered == given {
        return true;
    }
    match (loopback(registered), loopback(given)) {
        (Some(registered), Some(given)) => registered == given,
        _ => false,
    }
}

/// An address with more parameters.
pub(super) fn with(address: &str, parameters: &[(&str, &str)]) -> String {
    let mut to = address.to_owned();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        to.push(if to.contains('?') { '&' } else { '?' });
        to.push_str(&format!("{name}={}", doorward_wire::percent_encoded(value)));
    }
    to
}

/// What people are told of an address: its origin, or its scheme.
pub(super) fn origin(address: &str) -> String {
    let (scheme, rest) = address.split_once(':').unwrap_or((address, ""));
    match rest.strip_prefix("//") {
        Some(rest) => format!("{scheme}://{}", rest.split(['/', '?']).next().unwrap_or_default()),
        None => format!("{scheme}:"),
    }
}

/// The host and the rest of an address of this machine, without its port.
fn loopback(address: &str) -> Option<(&str, &str)> {
    let rest = address.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = match authority.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            host
        }
        _ => authority,
    };
    let path = if path.is_empty() { "/" } else { path };
    ["127.0.0.1", "localhost", "[::1]"].contains(&host).then_some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_goes_to_what_was_registered_and_nowhere_else() {
        let registered = "https://ci.example.com/signed-in";
        assert!(fits(registered, registered));
        for other in [
            "https://ci.example.com/signed-in/",
            "https://ci.example.com/signed-in?x=1",
            "https://ci.example.com/signed-in/../x",
            "https://CI.example.com/signed-in",
            "https://ci.example.com:443/signed-in",
            "https://ci.example.com.evil.example/signed-in",
            "http://ci.example.com/signed-in",
            "",
        ] {
            assert!(!fits(registered, other), "{other}");
        }
    }

    #[test]
    fn a_program_on_the_machine_takes_whichever_port_is_free() {
        for (registered, given) in [
            ("http://127.0.0.1", "http://127.0.0.1:43817"),
            ("http://127.0.0.1/", "http://127.0.0.1:43817"),
            ("http://localhost:1/x", "http://localhost:2/x"),
            ("http://[::1]/x", "http://[::1]:9/x"),
        ] {
            assert!(fits(registered, given), "{registered} {given}");
        }
        for (registered, given) in [
            ("http://127.0.0.1/x", "http://127.0.0.1:1/y"),
            ("http://127.0.0.1/", "http://localhost:1/"),
            ("http://127.0.0.1/", "http://127.0.0.1:1@evil.example/"),
            ("http://127.0.0.1/", "http://127.0.0.1.evil.example/"),
            ("http://127.0.0.1/", "https://127.0.0.1/"),
            ("http://127.0.0.1/", "http://127.0.0.1:x/"),
        ] {
            assert!(!fits(registered, given), "{registered} {given}");
        }
    }

    #[test]
    fn parameters_are_added_to_those_that_are_there() {
        assert_eq!(with("https://a/b?c=d", &[("code", "x&y"), ("state", "")]), "https://a/b?c=d&code=x%26y");
        assert_eq!(with("com.example:/x", &[("code", "1"), ("state", "2")]), "com.example:/x?code=1&state=2");
        assert_eq!(origin("https://ci.example.com:8443/x?y"), "https://ci.example.com:8443");
        assert_eq!(origin("com.example.app:/x"), "com.example.app:");
    }
}
