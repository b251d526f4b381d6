//! What an administrator may set about an upstream.

use std::time::Duration;

use crate::Source;

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// What it is called, in messages and metrics.
    pub name: String,
    /// Whose repositories are there.
    pub workspaces: Workspaces,
    /// The address before `/WORKSPACE/REPOSITORY.git`, without a slash at its end.
    pub git: String,
    /// The address before `/repositories/…` of REST, without a slash at its end; none if REST is not passed on.
    pub rest: Option<String>,
    /// Which form of a credential it takes.
    pub forms: Forms,
    /// Credentials of the gateway's own, for jobs that present a token of this server; none if jobs present the upstream's.
    pub credentials: Vec<Source>,
    /// What becomes of requests for a part of a history or of its objects.
    pub partial: Partial,
    /// How long a request is tried that is limited or meets trouble.
    pub patience: Duration,
    /// How long a credential that worked before is tried when it is refused.
    pub doubt: Duration,
    /// How long the upstream may be quiet within a request or an answer.
    pub quiet: Duration,
    /// Git requests that a credential may make in an hour.
    pub git_per_hour: u32,
    /// REST requests that a credential may make in an hour.
    pub rest_per_hour: u32,
}

/// Whose repositories an upstream has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workspaces {
    /// Those of every workspace that is not here.
    All,
    /// Those of these workspaces, by their slugs.
    Named(Vec<String>),
}

/// Which form of a credential an upstream takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// Bitbucket Cloud's: what kind a secret is of, and how that has to be presented, is known here.
    BitbucketCloud,
    /// The one that it was sent in.
    AsSent,
}

/// What becomes of requests for a part of a history or of its objects (`--depth`, `--filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partial {
    /// The whole is mirrored, and they are answered from there.
    Mirrored,
    /// They are passed on, if the mirror does not have what they want.
    Passed,
}

impl UpstreamSettings {
    /// An upstream that is Bitbucket Cloud, or behaves as it does.
    pub fn new(name: &str, git: &str) -> Self {
        Self {
            name: name.to_owned(),
            workspaces: Workspaces::All,
            git: git.trim_end_matches('/').to_owned(),
            rest: None,
            forms: Forms::BitbucketCloud,
            credentials: Vec::new(),
            partial: Partial::Mirrored,
            patience: Duration::from_secs(120),
            doubt: Duration::from_secs(45),
            quiet: Duration::from_secs(60),
            // What Bitbucket Cloud documents.
            git_per_hour: 60_000,
            rest_per_hour: 1_000,
        }
    }

    /// Whether jobs present a token of this server, and the gateway its own credential.
    pub fn is_brokered(&self) -> bool {
        !self.credentials.is_empty()
    }

    /// Whether a workspace is among those that it was told of by name.
    pub fn names(&self, workspace: &str) -> bool {
        self.workspaces != Workspaces::All && self.has(workspace)
    }

    /// Whether the repositories of a workspace are there.
    pub fn has(&self, workspace: &str) -> bool {
        match &self.workspaces {
            Workspaces::All => true,
            Workspaces::Named(named) => named.iter().any(|named| named.eq_ignore_ascii_case(workspace)),
        }
    }
}

/// REST requests that Bitbucket Cloud allows a credential in an hour, unless it says otherwise.
pub(crate) const REST_PER_HOUR: u32 = 1000;
