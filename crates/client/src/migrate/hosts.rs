//! Which addresses a migration is about.

use doorward_rules::Surface;

use crate::Place;

/// The hosts whose credentials are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Bitbucket Cloud's.
    pub fn bitbucket_cloud() -> Self {
        Self(["bitbucket.org", "www.bitbucket.org", REST_HOST].map(str::to_owned).to_vec())
    }

    /// Those of a place: all of Bitbucket Cloud's, or the one.
    pub fn of(place: &Place) -> Self {
        if place.is_bitbucket_cloud() { Self::bitbucket_cloud() } else { Self(vec![place.host().to_owned()]) }
    }

    /// The surface that an address of theirs belongs to; `None` for another host's.
    pub(super) fn surface(&self, host: &str, path: &str) -> Option<Surface> {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(":443").unwrap_or(&host);
        if !self.0.iter().any(|known| known == host) {
            return None;
        }
        let rest = host == REST_HOST || ["/2.0/", "/api/2.0/", "/!api/"].iter().any(|start| path.starts_with(start));
        Some(if rest { Surface::Rest } else { Surface::Git })
    }

    /// The surface that an entry of a `.netrc` belongs to, in which hosts have no ports.
    pub(super) fn machine(&self, host: &str) -> Option<Surface> {
        let name = |known: &String| known.rsplit_once(':').map_or(known.as_str(), |(name, _)| name) == host;
        self.0.iter().find(|known| name(known)).and_then(|known| self.surface(known, ""))
    }

    /// Their names.
    pub(super) fn names(&self) -> &[String] {
        &self.0
    }
}

const REST_HOST: &str = "api.bitbucket.org";
