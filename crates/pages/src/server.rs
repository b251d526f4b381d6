//! The server itself: how it is, and when kinds of credential end.

use askama::Template;
use doorward_admin::{RehearsedRow, ScheduleRow};

use crate::Frame;
use crate::text::{SERVER_TABS, moment, or_dash, phase_class, phrase};

/// How the server is.
#[derive(Debug, Template)]
#[template(path = "status.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct StatusPage {
    pub frame: Frame,
    pub sections: Vec<Section>,
}

/// One thing that it does.
#[derive(Debug)]
pub struct Section {
    /// What.
    pub title: String,
    /// How that is.
    pub sentence: String,
    /// The figures.
    pub facts: Vec<(String, String)>,
}

/// When kinds of credential end.
#[derive(Debug, Template)]
#[template(path = "calendar.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct CalendarPage {
    pub frame: Frame,
    pub schedules: Vec<ScheduleRow>,
    /// Who would have been refused, had a kind ended already.
    pub rehearsed: Option<(String, Vec<RehearsedRow>)>,
}
