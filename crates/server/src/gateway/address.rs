//! What an address is about, as far as upstreams are concerned.

use axum::http::Uri;
use doorward_rules::Surface;
use doorward_wire::{RepositoryName, percent_decoded};

/// An address that may be an upstream's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// `info/refs` of a repository.
    Refs { name: RepositoryName },
    /// `git-upload-pack` of a repository.
    Fetch { name: RepositoryName },
    /// `git-receive-pack` of a repository.
    Push { name: RepositoryName },
    /// Something of Git LFS, from `info/lfs` on.
    Lfs { name: RepositoryName, rest: String },
    /// Something of REST, from behind `/2.0` on and with its query, and the workspace that it is about.
    Rest { workspace: Option<String>, rest: String },
}

impl Address {
    /// Reads an address; `None` if no upstream has anything of the kind.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let path = uri.path();
        if path.split('/').any(leads_astray) {
            return None;
        }
        if let Some(rest) = path.strip_prefix("/2.0/").or_else(|| path.strip_prefix("/api/2.0/")) {
            let mut parts = rest.split('/');
            let (kind, workspace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let workspace =
                (OF_WORKSPACES.contains(&kind) && !workspace.is_empty()).then(|| percent_decoded(workspace));
            // What describes this server is this server's to say.
            if kind == "openapi.json" || kind == "doorward" {
                return None;
            }
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            return Some(Self::Rest { workspace, rest: format!("/{rest}{query}") });
        }
        let mut parts = path.strip_prefix('/')?.splitn(3, '/');
        let (workspace, slug, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let name = RepositoryName::from_url(&percent_decoded(workspace), &percent_decoded(slug)).ok()?;
        match rest {
            "info/refs" => Some(Self::Refs { name }),
            "git-upload-pack" => Some(Self::Fetch { name }),
            "git-receive-pack" => Some(Self::Push { name }),
            lfs if lfs == "info/lfs" || lfs.starts_with("info/lfs/") => {
                let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                Some(Self::Lfs { name, rest: format!("{lfs}{query}") })
            }
            _ => None,
        }
    }

    pub(super) fn workspace(&self) -> Option<&str> {
        match self {
            Self::Refs { name } | Self::Fetch { name } | Self::Push { name } | Self::Lfs { name, .. } => {
                Some(name.workspace.as_str())
            }
            Self::Rest { workspace, .. } => workspace.as_deref(),
        }
    }

    /// The repository that it is about, if it is about one.
    pub(super) fn repository(&self) -> Option<RepositoryName> {
        match self {
            Self::Refs { name } | Self::Fetch { name } | Self::Push { name } | Self::Lfs { name, .. } => {
                Some(name.clone())
            }
            Self::Rest { rest, .. } => {
                let path = rest.split('?').next().unwrap_or_default();
                let mut parts = path.trim_start_matches('/').split('/');
                let (kind, workspace, slug) = (parts.next()?, parts.next()?, parts.next()?);
                let name = RepositoryName::from_url(&percent_decoded(workspace), &percent_decoded(slug)).ok()?;
                (kind == "repositories").then_some(name)
            }
        }
    }

    pub(super) fn surface(&self) -> Surface {
        match self {
            Self::Refs { .. } | Self::Fetch { .. } | Self::Push { .. } => Surface::Git,
            Self::Lfs { .. } => Surface::Lfs,
            Self::Rest { .. } => Surface::Rest,
        }
    }

    /// What it is about, for the log.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Refs { name } | Self::Fetch { name } | Self::Push { name } | Self::Lfs { name, .. } => {
                name.to_string()
            }
            Self::Rest { rest, .. } => rest.split('?').next().unwrap_or_default().chars().take(200).collect(),
        }
    }
}

/// Whether a part of a path means another place than where it stands, however it is written.
fn leads_astray(part: &str) -> bool {
    percent_decoded(part).split(['/', '\\']).any(|part| part == "." || part == "..")
}

/// What begins an address of REST that goes on with a workspace.
const OF_WORKSPACES: &[&str] = &["repositories", "workspaces", "snippets", "teams"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<Address> {
        Address::of(&path.parse().expect("an address"))
    }

    #[test]
    fn addresses_are_told_apart() {
        let name: RepositoryName = "acme/site".parse().expect("a name");
        assert_eq!(read("/acme/site.git/info/refs?service=x"), Some(Address::Refs { name: name.clone() }));
        assert_eq!(read("/acme/site/git-upload-pack"), Some(Address::Fetch { name: name.clone() }));
        assert_eq!(read("/acme/site.git/git-receive-pack"), Some(Address::Push { name: name.clone() }));
        let rest = "info/lfs/locks?path=a".to_owned();
        assert_eq!(read("/acme/site.git/info/lfs/locks?path=a"), Some(Address::Lfs { name, rest }));
        for (path, workspace) in [
            ("/2.0/repositories/acme/site/src?x=1", Some("acme")),
            ("/api/2.0/workspaces/acme", Some("acme")),
            ("/2.0/repositories", None),
            ("/2.0/user", None),
        ] {
            assert_eq!(
                read(path).map(|address| address.workspace().map(str::to_owned)),
                Some(workspace.map(str::to_owned))
            );
        }
        let Some(Address::Rest { rest, .. }) = read("/2.0/repositories/acme/site/src?x=1") else { panic!("REST") };
        assert_eq!(rest, "/repositories/acme/site/src?x=1");
        for astray in [
            "/2.0/repositories/acme/../../x",
            "/2.0/repositories/acme/%2e%2E/x",
            "/2.0/repositories/acme/site/src/a%2f..%2fb",
            "/acme/site.git/info/lfs/../../x",
            "/acme/./info/refs",
        ] {
            assert_eq!(read(astray), None, "{astray}");
        }
        for other in ["/", "/healthz", "/acme/site", "/acme/site.git/HEAD", "/2.0/openapi.json", "/_sandbox/state"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
