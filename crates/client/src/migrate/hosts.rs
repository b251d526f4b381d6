//! Which addresses a migration is about.

use doorward_rules::Surface;

use crate::Place;

/// The hosts whose credentials are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    names: Vec<String>,
    stand_for_bitbucket_cloud: bool,
}

impl Hosts {
    /// Bitbucket Cloud's.
    pub fn bitbucket_cloud() -> Self {
        let names = ["bitbucket.org", "www.bitbucket.org", REST_HOST].map(str::to_owned).to_vec();
        Self { names, stand_for_bitbucket_cloud: true }
    }

    /// Those of a place: all of Bitbucket Cloud's, or the one.
    pub fn of(place: &Place) -> Self {
        if place.is_bitbucket_cloud() {
            return Self::bitbucket_cloud();
        }
        // On this machine it is the sandbox.
        Self { names: vec![place.host().to_owned()], stand_for_bitbucket_cloud: place.is_this_machine() }
    }

    /// The surface that an address of theirs belongs to; `None` for another host's.
    pub(super) fn surface(&self, host: &str, path: &str) -> Option<Surface> {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(":443").unwrap_or(&host);
        if !self.names.iter().any(|known| known == host) {
            return None;
        }
        let rest = host == REST_HOST || ["/2.0/", "/api/2.0/", "/!api/"].iter().any(|start| path.starts_with(start));
        Some(if rest { Surface::Rest } else { Surface::Git })
    }

    /// The surface that an entry of a `.netrc` belongs to, in which hosts have no ports.
    pub(super) fn machine(&self, host: &str) -> Option<Surface> {
        let name =
            |known: &String| known.rsplit_once(':').map_or(known.as_str(), |(name, _)| name).eq_ignore_ascii_case(host);
        self.names.iter().find(|known| name(known)).and_then(|known| self.surface(known, ""))
    }

    /// Their names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether what has the shape of a secret of Bitbucket Cloud's is one of theirs, wherever it stands.
    pub(super) fn stand_for_bitbucket_cloud(&self) -> bool {
        self.stand_for_bitbucket_cloud
    }
}

const REST_HOST: &str = "api.bitbucket.org";
