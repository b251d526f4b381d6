//! Tokens: listed, made, shown once, ended.

use askama::Template;
use doorward_admin::{ConsumerRow, ReviewRow, TokenRow, UseRow};
use secrecy::{ExposeSecret, SecretString};

use crate::task::{Offered, Vocabulary, offered};
use crate::text::{moment, phrase, state_class};
use crate::{Frame, Notice};

/// The tokens of an account, and the applications that act for it.
#[derive(Debug, Template)]
#[template(path = "credentials.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct CredentialsPage {
    pub frame: Frame,
    pub tokens: Vec<TokenRow>,
    /// How many have ended.
    pub ended: usize,
    /// Whether those are shown, too.
    pub all: bool,
    pub findings: Findings,
    pub grants: Vec<GrantLine>,
}

/// What a review has found.
pub type Findings = Vec<ReviewRow>;

/// An application that acts for the account.
#[derive(Debug)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct GrantLine {
    pub id: String,
    pub name: String,
    pub since: String,
    pub last_used: Option<String>,
    /// What it may do, for people.
    pub may: Vec<String>,
}

/// Asks what a new token is to be.
#[derive(Debug, Template)]
#[template(path = "new_credential.html")]
pub struct NewCredentialPage {
    frame: Frame,
    heading: &'static str,
    action: String,
    back: String,
    back_name: String,
    tasks: Vec<Offered>,
    workspaces: Vec<String>,
    places: Vec<String>,
    chosen: ChosenToken,
}

/// What was chosen for a token.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields of the form")]
pub struct ChosenToken {
    pub name: String,
    pub tasks: Vec<String>,
    pub scopes: String,
    pub workspace: Option<String>,
    pub place: Option<String>,
    pub expires: String,
}

/// Shows a secret once.
#[derive(Template)]
#[template(path = "new_secret.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct NewSecretPage {
    pub frame: Frame,
    pub heading: &'static str,
    pub name: String,
    pub secret: SecretString,
    /// The key that goes with it, if it is a consumer's.
    pub key: Option<String>,
    /// When the secret before it ends.
    pub old_ends: Option<String>,
    pub usages: Vec<Usage>,
    pub back: String,
    pub back_name: String,
}

/// How a secret is used somewhere: lines to paste.
#[derive(Clone)]
pub struct Usage {
    /// Where.
    pub title: &'static str,
    /// What to know.
    pub hint: &'static str,
    /// The lines.
    pub lines: String,
}

/// Shows a token, and what it was used for.
#[derive(Debug, Template)]
#[template(path = "credential.html")]
#[expect(missing_docs, reason = "the words of the design")]
pub struct CredentialPage {
    pub frame: Frame,
    pub token: TokenRow,
    pub uses: Vec<UseRow>,
    /// Those that were made with it.
    pub made: Vec<String>,
    /// Whether there is something to be changed about it.
    pub live: bool,
    pub back: String,
    pub back_name: String,
}

impl NewCredentialPage {
    /// For a token of an account, which may be limited to one of these workspaces.
    pub fn of_account(frame: Frame, workspaces: Vec<String>, administrator: bool, chosen: ChosenToken) -> Self {
        Self {
            frame,
            heading: "Create a token",
            action: "/account/credentials/new".into(),
            back: "/account/credentials".into(),
            back_name: "Your credentials".into(),
            tasks: offered(Vocabulary::New, administrator),
            workspaces,
            places: Vec::new(),
            chosen,
        }
    }

    /// For an access token of a workspace, or of one of these places in it.
    pub fn of_workspace(frame: Frame, slug: &str, places: Vec<String>, chosen: ChosenToken) -> Self {
        let back = format!("/{slug}/workspace/settings/tokens");
        Self {
            frame,
            heading: "Create an access token",
            action: format!("{back}/new"),
            back,
            back_name: format!("Access tokens of {slug}"),
            tasks: offered(Vocabulary::Old, true),
            workspaces: Vec::new(),
            places,
            chosen,
        }
    }
}

impl NewCredentialPage {
    /// The same with what came of the form.
    #[must_use]
    pub fn with_notice(mut self, notice: Notice) -> Self {
        self.frame.notice = Some(notice);
        self
    }
}

/// How a consumer's key and secret are used.
pub fn consumer_usages(base: &str, consumer: &ConsumerRow, secret: &SecretString) -> Vec<Usage> {
    let (key, secret) = (&consumer.key, secret.expose_secret());
    let mut usages = Vec::new();
    if consumer.private {
        usages.push(Usage {
            title: "A token for the workspace itself",
            hint: "it lasts two hours; ask for another then",
            lines: format!(
                "curl -u '{key}:{secret}' -d grant_type=client_credentials \\\n  {base}/site/oauth2/access_token"
            ),
        });
    }
    if consumer.callback.is_some() {
        usages.push(Usage {
            title: "Where people are sent to sign in",
            hint: "then their browsers come back to the callback with a code",
            lines: format!("{base}/site/oauth2/authorize?client_id={key}&response_type=code"),
        });
    }
    usages
}

/// How a token of an account or a place is used with git, curl, CI and IDEs.
pub fn usages(base: &str, user: &str, account: Option<&str>, secret: &SecretString, repository: &str) -> Vec<Usage> {
    let secret = secret.expose_secret();
    let (scheme, host) = base.split_once("://").unwrap_or(("https", base));
    let name = account.unwrap_or(user);
    vec![
        Usage {
            title: "git",
            hint: "git asks for the password once and hands it to your credential helper",
            lines: format!("git clone {scheme}://{user}@{host}/{repository}.git"),
        },
        Usage {
            title: "curl",
            hint: "",
            lines: format!("curl -H 'Authorization: Bearer {secret}' {base}/2.0/repositories/{repository}"),
        },
        Usage {
            title: "CI variables",
            hint: "set the first as a secret of the pipeline; the second line is the job's",
            lines: format!(
                "DOORWARD_TOKEN={secret}\ngit -c credential.helper='!f() {{ echo username={user}; echo \"password=$DOORWARD_TOKEN\"; }}; f' \\\n  clone {base}/{repository}.git"
            ),
        },
        Usage {
            title: "IDE",
            hint: "where it asks for a user name and a password",
            lines: format!("user name  {name}\npassword   {secret}"),
        },
    ]
}

/// How long a token can be made to last, as forms offer it.
pub(crate) const LIFETIMES: [(&str, &str); 5] = [
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("1y", "a year"),
    ("1d", "a day"),
    ("never", "never (until somebody ends it)"),
];

impl std::fmt::Debug for NewSecretPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSecretPage").field("name", &self.name).finish_non_exhaustive()
    }
}

/// There is a secret in its lines.
impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Usage").field("title", &self.title).finish_non_exhaustive()
    }
}
