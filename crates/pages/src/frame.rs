//! What all pages have around them.

use askama::Template;
use secrecy::{ExposeSecret, SecretString};

use crate::asset::path_of;

/// What is around a page.
#[derive(Debug)]
pub struct Frame {
    /// What it is called.
    pub title: String,
    /// Which part of the navigation it belongs to.
    pub at: &'static str,
    /// Who looks at it, if it has signed in.
    pub viewer: Option<Viewer>,
    /// What each form on it sends back, which no other site knows.
    pub form_token: SecretString,
    /// What came of what was done before.
    pub notice: Option<Notice>,
    /// The id of the request.
    pub request: String,
}

/// Who looks at a page.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Its user name.
    pub name: String,
    /// Whether it administers the server.
    pub administrator: bool,
}

/// What came of something.
#[derive(Debug, Clone, Default)]
pub struct Notice {
    /// Whether it was done.
    pub done: bool,
    /// What.
    pub sentence: String,
    /// What to do about it.
    pub remedy: String,
}

/// A page with nothing but a message.
#[derive(Debug, Template)]
#[template(path = "message.html")]
#[expect(missing_docs, reason = "the fields of a refusal")]
pub struct MessagePage {
    pub frame: Frame,
    pub heading: String,
    pub sentence: String,
    pub remedy: String,
    pub code: String,
    /// Where to go from here: an address and a text.
    pub link: Option<(String, String)>,
}

impl Frame {
    /// Where an asset is.
    pub(crate) fn asset(&self, name: &str) -> &'static str {
        path_of(name)
    }

    /// The field that proves that a form is from here.
    pub(crate) fn seal(&self) -> String {
        // It is made of hexadecimal digits alone.
        format!("<input type=\"hidden\" name=\"form_token\" value=\"{}\">", self.form_token.expose_secret())
    }

    pub(crate) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

impl Notice {
    /// Something was done.
    pub fn done(sentence: impl Into<String>) -> Self {
        Self { done: true, sentence: sentence.into(), remedy: String::new() }
    }

    /// Something was not done.
    pub fn refused(sentence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { done: false, sentence: sentence.into(), remedy: remedy.into() }
    }

    pub(crate) fn class(&self) -> &'static str {
        if self.done { "good" } else { "bad" }
    }

    pub(crate) fn role(&self) -> &'static str {
        if self.done { "status" } else { "alert" }
    }
}
