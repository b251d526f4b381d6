//! Where webhooks may be sent: not into the network of the server itself, unless an administrator allows it.
//!
//! The address is looked at when it is looked up for the connection that is then made, so that no name can lead elsewhere a
//! moment later.

use std::net::IpAddr;

use ipnet::IpNet;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Looks names up, and forgets addresses that may not be sent to.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    private: Vec<IpNet>,
    resolver: DefaultResolver,
}

impl Allowed {
    pub(crate) fn new(private: &[IpNet]) -> Self {
        Self { private: private.to_vec(), resolver: DefaultResolver::default() }
    }

    /// Whether an address may be sent to.
    fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.private.iter().any(|range| range.contains(&address))
    }
}

impl Resolver for Allowed {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        found.iter().filter(|address| self.admits(address.ip())).for_each(|address| allowed.push(*address));
        if allowed.is_empty() {
            let text = "its address is not public; an administrator may allow it with `webhooks.private` and a restart";
            return Err(ureq::Error::Io(std::io::Error::new(std::io::ErrorKind::PermissionDenied, text)));
        }
        Ok(allowed)
    }
}

/// Whether an address is one of the internet (IANA's special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            let special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_multicast();
            // "This network", shared address space, protocol assignments, benchmarks, and what is reserved.
            let reserved = a == 0
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b))
                || a >= 240;
            !special && !reserved
        }
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            // Global unicast, without documentation, and without what leads to an address of version 4 (Teredo, 6to4).
            (first & 0xe000) == 0x2000 && first != 0x2002 && !(first == 0x2001 && (second == 0 || second == 0xdb8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internet_is_sent_to_unless_more_is_allowed() {
        let (none, some) = (Allowed::new(&[]), Allowed::new(&["10.0.0.0/8".parse().expect("a range")]));
        let admits = |allowed: &Allowed, address: &str| allowed.admits(address.parse().expect("an address"));
        for address in ["8.8.8.8", "2606:4700::1111", "172.32.0.1"] {
            assert!(admits(&none, address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "ff02::1",
            "64:ff9b::7f00:1",
        ] {
            assert!(!admits(&none, address), "{address}");
        }
        assert!(admits(&some, "10.1.2.3") && admits(&some, "::ffff:10.1.2.3") && !admits(&some, "127.0.0.1"));
    }
}
