//! Workspaces: what is in them, and their settings.

use askama::Template;
use doorward_admin::{AffectedRow, ConsumerRow, PermissionRow, TokenRow};

use crate::task::{Offered, Vocabulary, offered};
use crate::text::{TABS, moment, state_class};
use crate::{Frame, Section};

/// Where the repositories of a workspace are, if they are elsewhere.
#[derive(Debug, Template)]
#[template(path = "upstreams.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct UpstreamsPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub slug: String,
    pub sections: Vec<Section>,
}

/// The repositories that somebody may see.
#[derive(Debug, Template)]
#[template(path = "home.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct HomePage {
    pub frame: Frame,
    pub workspaces: Vec<WorkspaceLine>,
}

/// A workspace.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct WorkspaceLine {
    pub slug: String,
    /// Whether whoever looks may change its settings.
    pub administers: bool,
    pub repositories: Vec<RepositoryLine>,
}

/// A repository.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct RepositoryLine {
    pub slug: String,
    pub description: String,
    pub public: bool,
}

/// Who belongs to a workspace, and who may do what to its repositories.
#[derive(Debug, Template)]
#[template(path = "members.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct MembersPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub slug: String,
    pub owner: String,
    pub members: Vec<String>,
    /// What there is, by repository.
    pub permissions: Vec<(String, PermissionRow)>,
    pub repositories: Vec<String>,
}

/// The access tokens of a workspace.
#[derive(Debug, Template)]
#[template(path = "access_tokens.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct AccessTokensPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub slug: String,
    pub tokens: Vec<TokenRow>,
}

/// The OAuth consumers of a workspace.
#[derive(Debug, Template)]
#[template(path = "consumers.html")]
pub struct ConsumersPage {
    frame: Frame,
    tab: &'static str,
    slug: String,
    base: String,
    consumers: Vec<ConsumerRow>,
    tasks: Vec<Offered>,
    chosen: ChosenConsumer,
}

/// What was chosen for a consumer.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields of the form")]
pub struct ChosenConsumer {
    pub name: String,
    pub description: String,
    pub callback: String,
    pub public: bool,
    pub tasks: Vec<String>,
}

/// What a workspace asks of credentials.
#[derive(Debug, Template)]
#[template(path = "policy.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct PolicyPage {
    pub frame: Frame,
    pub tab: &'static str,
    pub slug: String,
    /// What it asks now, for people.
    pub present: String,
    /// What it would ask, for people.
    pub planned: String,
    /// Whom that would refuse, if that was asked for.
    pub refuses: Option<Vec<AffectedRow>>,
    /// The kinds that there are, with their phrases.
    pub kinds: Vec<(String, String)>,
    pub chosen: ChosenPolicy,
}

/// What was chosen for a policy.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields of the form")]
pub struct ChosenPolicy {
    pub sso: bool,
    pub two_step: bool,
    pub kinds: Vec<String>,
    pub longest: String,
    pub addresses: String,
}

impl ConsumersPage {
    /// The page of a workspace on a server at this address.
    pub fn new(frame: Frame, slug: String, base: String, consumers: Vec<ConsumerRow>, chosen: ChosenConsumer) -> Self {
        let tasks = offered(Vocabulary::Old, false);
        Self { frame, tab: "consumers", slug, base, consumers, tasks, chosen }
    }
}
