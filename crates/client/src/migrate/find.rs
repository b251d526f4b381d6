//! What a file has that must change, and how.

use std::fmt;
use std::ops::Range;

use doorward_rules::{Fault, Form, Kind, RuleSet, Surface, Timestamp};
use doorward_wire::UnverifiedToken;
use secrecy::SecretString;

use crate::doctor::form_of;

/// Something in a file that does not work any more, or stands where it should not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// The line, the first one being 1.
    pub line: usize,
    /// What it is.
    pub sort: Sort,
    /// A short digest of the secret, by which the same one is known in another file; never more of it.
    pub fingerprint: Option<String>,
    /// What is done about it.
    pub change: Change,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// An app password.
    AppPassword,
    /// A secret that is no token: the password of an account, by its looks.
    Password,
    /// A token that is valid by its looks, under a user name with which it is refused.
    UserName(Kind),
    /// An e-mail address where git's user name belongs, without a secret.
    Email,
    /// The name of a variable or secret that holds an app password.
    Variable,
    /// The variable with the user name that went with a secret.
    Name,
    /// A program that answers git with git's own question.
    EchoingAskpass,
}

/// What is done about a find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These bytes are replaced.
    Edits(Vec<Edit>),
    /// Nothing: what a person has to do.
    ByHand(&'static str),
}

/// Bytes of a file, and what comes in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub range: Range<usize>,
    /// What.
    pub with: Vec<Piece>,
}

/// A piece of what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// The user name that goes with the new secret on git.
    Name,
    /// The same as it is written in an address.
    NameInAddress,
    /// The new secret, as it is.
    Secret,
    /// The new secret, as it is written in an address.
    SecretInAddress,
    /// The e-mail address of its owner.
    Email,
    /// The same as it is written in an address.
    EmailInAddress,
}

impl Change {
    /// The bytes that are replaced.
    pub fn edits(&self) -> Option<&[Edit]> {
        match self {
            Self::Edits(edits) => Some(edits),
            Self::ByHand(_) => None,
        }
    }

    /// Whether it writes the new secret.
    pub fn writes_secret(&self) -> bool {
        let pieces = self.edits().into_iter().flatten().flat_map(|edit| &edit.with);
        pieces.into_iter().any(|piece| matches!(piece, Piece::Secret | Piece::SecretInAddress))
    }

    /// The reference to a variable that it writes, if it does.
    pub fn variable(&self) -> Option<&str> {
        let pieces = self.edits().into_iter().flatten().flat_map(|edit| &edit.with);
        pieces.into_iter().find_map(|piece| match piece {
            Piece::Text(text) => text.find('$').map(|at| &text[at..]),
            _ => None,
        })
    }
}

impl Sort {
    /// What a user name with a secret is, for a surface; `None` if nothing is wrong with it.
    pub(super) fn of(user: &str, secret: &str, surface: Surface, now: Timestamp) -> Option<Self> {
        if is_placeholder(secret) {
            return None;
        }
        let kind = match UnverifiedToken::parse(&SecretString::from(secret)) {
            Ok(token) => token.kinds.iter().next(),
            Err(Fault::ForeignAppPassword) => Some(Kind::AppPassword),
            Err(Fault::ForeignApiToken) => Some(Kind::ApiToken),
            Err(Fault::ForeignAccessToken) => Some(Kind::RepositoryToken),
            Err(_) if secret.starts_with("ATBB") => Some(Kind::AppPassword),
            Err(_) => None,
        };
        match kind {
            Some(Kind::AppPassword) => Some(Self::AppPassword),
            // A token of this project's own server is taken under any name of its owner's.
            Some(_) if secret.starts_with("dw") => None,
            Some(kind) if RuleSet::BitbucketCloud.accepts(kind, surface, Form::basic(form_of(user)), now) => None,
            Some(kind) => Some(Self::UserName(kind)),
            // What has no shape of its own under a name that is no account's is an OAuth token, which ends by itself.
            None if user.starts_with("x-") => None,
            None => Some(Self::Password),
        }
    }
}

/// A short digest of a secret, which tells nothing about it but whether it is the same as another.
pub(super) fn fingerprint(secret: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
    digest.as_ref().iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}

/// What stands for a secret in documentation and templates.
fn is_placeholder(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    secret.contains(['<', '>', '*', '{', '}', '…'])
        || ["password", "app_password", "app-password", "apppassword", "token", "secret", "changeme", ""]
            .contains(&lower.as_str())
        || lower.bytes().all(|byte| byte == b'x')
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edits = match self {
            Self::ByHand(what) => return write!(f, "by hand: {what}"),
            Self::Edits(edits) => edits,
        };
        if edits.iter().all(|edit| edit.with.is_empty()) {
            return f.write_str("taken out; git asks doorward");
        }
        if self.writes_secret() {
            return f.write_str("the new token");
        }
        f.write_str(self.variable().unwrap_or("the right user name"))
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppPassword => f.write_str("app password"),
            Self::Password => f.write_str("account password"),
            Self::UserName(kind) => write!(f, "{} under a wrong user name", kind.phrase()),
            Self::Email => f.write_str("e-mail address as git's user name"),
            Self::Variable => f.write_str("variable with an app password"),
            Self::Name => f.write_str("variable with a user name"),
            Self::EchoingAskpass => f.write_str("askpass that echoes"),
        }
    }
}
