//! Why something was refused: a search, a picture, and the whole of one decision.

use askama::Template;
use doorward_admin::{AuditRow, WhyRow};

use crate::text::{SERVER_TABS, TABS, moment};
use crate::{Frame, Timeline};

/// What was refused, and, if that is asked for, what was let in.
#[derive(Debug, Template)]
#[template(path = "refusals.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct RefusalsPage {
    pub frame: Frame,
    /// The workspace that it is about, if it is about one.
    pub workspace: Option<String>,
    /// The same, for what is around it.
    pub slug: String,
    /// Whether it is about the whole server.
    pub server: bool,
    /// Where the form goes.
    pub action: String,
    /// Where it tells more of one request.
    pub why: String,
    /// Where this page is, with all that was chosen.
    pub here: String,
    pub chosen: ChosenRecords,
    /// Every code that there is.
    pub reasons: Vec<&'static str>,
    pub timeline: Timeline,
    /// Other spans of time: addresses and texts.
    pub spans: Vec<(String, String)>,
    pub records: Vec<AuditRow>,
    pub newer: Option<String>,
    pub older: Option<String>,
}

/// What is looked for.
#[derive(Debug, Default, Clone)]
#[expect(missing_docs, reason = "the fields of the form")]
pub struct ChosenRecords {
    pub request: String,
    pub credential: String,
    pub address: String,
    pub reason: String,
    pub within: String,
    pub since: String,
    pub until: String,
    pub everything: bool,
}

/// The whole of one decision.
#[derive(Debug, Template)]
#[template(path = "why.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct WhyPage {
    pub frame: Frame,
    pub back: String,
    pub why: WhyRow,
}

impl ChosenRecords {
    pub(crate) fn narrows(&self) -> bool {
        let texts = [&self.credential, &self.address, &self.reason, &self.within, &self.since, &self.until];
        self.everything || texts.into_iter().any(|text| !text.is_empty())
    }
}
