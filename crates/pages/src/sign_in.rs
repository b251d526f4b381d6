//! Signing in, and what makes that safe.

use askama::Template;
use secrecy::{ExposeSecret, SecretString};

use crate::Frame;
use crate::text::moment;

/// Asks for a name and a password.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct SignInPage {
    pub frame: Frame,
    /// What the provider of single sign-on is called, and where one begins with it, if there is one.
    pub sso: Option<(String, String)>,
    /// What the script needs to ask for a passkey, if there can be any.
    pub passkey: Option<String>,
    /// Where to go afterwards.
    pub next: String,
    pub name: String,
}

/// Asks for a second step.
#[derive(Debug, Template)]
#[template(path = "second_step.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct SecondStepPage {
    pub frame: Frame,
    /// Whether there is an authenticator app.
    pub app: bool,
    /// What the script needs to ask for one of the account's passkeys, if it has any.
    pub passkey: Option<String>,
    /// Where to go afterwards.
    pub next: String,
}

/// Has a person choose a password.
#[derive(Debug, Template)]
#[template(path = "welcome.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct WelcomePage {
    pub frame: Frame,
    pub name: String,
    /// The secret of the link, as it is in the address.
    pub link: String,
}

/// Password, second step and sessions of an account.
#[derive(Debug, Template)]
#[template(path = "security.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct SecurityPage {
    pub frame: Frame,
    pub account: String,
    pub email: String,
    pub managed: bool,
    /// Whether it has a password. Who has none shows otherwise that it is the person: by having signed in just now.
    pub password: bool,
    /// How many recovery codes are left, if the second step is on.
    pub two_step: Option<u32>,
    /// Whether an authenticator app is one of the second steps.
    pub app: bool,
    pub passkeys: Vec<PasskeyLine>,
    /// Whether there can be any.
    pub passkeys_possible: bool,
    pub sessions: Vec<SessionLine>,
}

/// Has a passkey made.
#[derive(Debug, Template)]
#[template(path = "new_passkey.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct NewPasskeyPage {
    pub frame: Frame,
    pub name: String,
    /// What the script needs to have it made.
    pub options: String,
}

/// A passkey.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct PasskeyLine {
    pub id: String,
    pub name: String,
    pub since: String,
    pub used: Option<String>,
    /// Whether it is on other devices, too.
    pub backed_up: bool,
}

/// A session.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct SessionLine {
    pub id: String,
    pub agent: String,
    pub since: String,
    pub until: String,
    pub address: Option<String>,
    /// Whether it is the one that looks.
    pub this: bool,
}

/// Shows the key of a second step.
#[derive(Template)]
#[template(path = "two_step.html")]
pub struct TwoStepPage {
    frame: Frame,
    account: String,
    key: SecretString,
    size: i32,
    path: String,
}

/// Shows the codes to recover with.
#[derive(Debug, Template)]
#[template(path = "recovery_codes.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct RecoveryCodesPage {
    pub frame: Frame,
    pub codes: Vec<SecretString>,
}

/// Asks whether an application may act for whoever looks.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct ConsentPage {
    pub frame: Frame,
    pub consumer: String,
    pub description: String,
    pub workspace: String,
    pub account: String,
    /// What it could do, for people.
    pub may: Vec<String>,
    /// Where the browser goes afterwards.
    pub target: String,
    /// What the form brings back.
    pub fields: Vec<(String, String)>,
}

/// Sends the browser on to an application.
#[derive(Template)]
#[template(path = "leave.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct LeavePage {
    pub frame: Frame,
    /// Whose address it is.
    pub name: String,
    pub to: String,
    /// Whether the person has answered, and goes on by itself.
    pub answered: bool,
    /// What the application is told that was wrong with its wish.
    pub why: Option<String>,
}

impl SecurityPage {
    /// What a form asks for so that it is the person who sends it.
    fn proof(&self) -> &'static str {
        match self.password {
            true => {
                "<label>Your password<input type=\"password\" name=\"password\" autocomplete=\"current-password\" required></label>"
            }
            false => {
                "<p class=\"hint\">For this, <a href=\"/account/sso?again=1&amp;next=/account/security\">prove that it is you</a>, \
                 and do it within ten minutes.</p>"
            }
        }
    }
}

impl TwoStepPage {
    /// The page of a key, which the modules of a QR code (row by row, `true` is dark) show, too.
    pub fn new(
        frame: Frame,
        account: String,
        key: SecretString,
        size: i32,
        is_dark: impl Fn(i32, i32) -> bool,
    ) -> Self {
        let mut path = String::new();
        for y in 0..size {
            for x in (0..size).filter(|x| is_dark(*x, y)) {
                path.push_str(&format!("M{x} {y}h1v1h-1z"));
            }
        }
        Self { frame, account, key, size, path }
    }
}

/// There is a code in its address.
impl std::fmt::Debug for LeavePage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeavePage").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TwoStepPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TwoStepPage").field("account", &self.account).finish_non_exhaustive()
    }
}
