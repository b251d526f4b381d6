//! A repository: its files, its history, its branches and tags.

use askama::Template;

use crate::Frame;
use crate::text::{REPOSITORY_TABS, diff_class, moment};

/// What is above everything about a repository.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct RepositoryHead {
    pub workspace: String,
    pub slug: String,
    pub description: String,
    pub public: bool,
    pub tab: &'static str,
}

/// A directory, with what is written about it.
#[derive(Debug, Template)]
#[template(path = "source.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct SourcePage {
    pub frame: Frame,
    pub head: RepositoryHead,
    pub clone_url: String,
    pub clone_hint: String,
    /// The branch, tag or commit; nothing if there is none yet.
    pub revision: Option<String>,
    /// The directories above, with their addresses.
    pub crumbs: Vec<(String, String)>,
    pub entries: Vec<EntryLine>,
    /// Whether there are more.
    pub cut: bool,
    /// The name of a file, and its content as HTML that [`crate::render_markdown`] has made.
    pub readme: Option<(String, String)>,
}

/// What is in a directory.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct EntryLine {
    pub name: String,
    pub href: Option<String>,
    pub directory: bool,
    pub note: String,
}

/// A file.
#[derive(Debug, Template)]
#[template(path = "file.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct FilePage {
    pub frame: Frame,
    pub head: RepositoryHead,
    pub revision: String,
    pub crumbs: Vec<(String, String)>,
    pub size: String,
    pub raw: String,
    pub history: String,
    /// Its content as HTML that [`crate::render_markdown`] has made.
    pub prose: Option<String>,
    pub lines: Option<Vec<String>>,
    /// What is said in place of its content.
    pub instead: String,
}

/// The history of a revision, or of a path in it.
#[derive(Debug, Template)]
#[template(path = "commits.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct CommitsPage {
    pub frame: Frame,
    pub head: RepositoryHead,
    pub revision: String,
    pub path: String,
    pub commits: Vec<CommitLine>,
    pub older: Option<String>,
}

/// A commit in a list.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct CommitLine {
    pub id: String,
    pub short: String,
    pub title: String,
    pub author: String,
    pub at: String,
}

/// A commit.
#[derive(Debug, Template)]
#[template(path = "commit.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct CommitPage {
    pub frame: Frame,
    pub head: RepositoryHead,
    pub commit: CommitLine,
    /// What its message says after its first line.
    pub message: String,
    pub parents: Vec<String>,
    pub statuses: Vec<StatusLine>,
    pub diff: Vec<String>,
    /// Whether the diff goes on.
    pub cut: bool,
}

/// What was reported of a commit.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct StatusLine {
    pub state: String,
    pub name: String,
    pub description: String,
    pub url: String,
}

/// Branches or tags.
#[derive(Debug, Template)]
#[template(path = "refs.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct RefsPage {
    pub frame: Frame,
    pub head: RepositoryHead,
    pub query: String,
    pub refs: Vec<RefLine>,
    /// Whether there are more.
    pub cut: bool,
}

/// A branch or a tag.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct RefLine {
    pub name: String,
    pub href: String,
    pub short: String,
    /// Whether a clone checks it out.
    pub main: bool,
}

impl StatusLine {
    pub(crate) fn class(&self) -> &'static str {
        match self.state.as_str() {
            "SUCCESSFUL" => "good",
            "FAILED" => "bad",
            _ => "warn",
        }
    }

    /// Where more is said, if a browser may go there: somebody else has written the address.
    pub(crate) fn href(&self) -> Option<&str> {
        let web = ["https://", "http://"].into_iter().any(|scheme| self.url.starts_with(scheme));
        Some(self.url.as_str()).filter(|_| web)
    }
}
