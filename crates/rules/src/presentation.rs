//! How a credential is presented: in which scheme, and with which user name beside it.

use core::fmt;

/// A scheme and the form of a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    /// The scheme.
    pub scheme: Scheme,
    /// The user name; always [`NameForm::Empty`] with a scheme that has none.
    pub name: NameForm,
}

/// How a secret is sent: by a scheme of the `Authorization` header, or as a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// User name and secret in base 64 (RFC 7617).
    Basic,
    /// The secret alone (RFC 6750).
    Bearer,
    /// A signed statement, as Atlassian Connect apps make it.
    Jwt,
    /// The cookie of a browser, and no header of its own.
    Cookie,
}

/// The form of the user name that came with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameForm {
    /// No user name: a Bearer token, or Basic with an empty one.
    Empty,
    /// The owner's user name.
    UserName,
    /// The owner's e-mail address.
    Email,
    /// The fixed name `x-bitbucket-api-token-auth`.
    ApiTokenAuth,
    /// The fixed name `x-token-auth`.
    TokenAuth,
    /// The secret itself, in place of the user name.
    Secret,
    /// A name that belongs to nobody.
    Nobody,
    /// The user name or e-mail address of another account.
    SomebodyElse,
}

impl Form {
    /// Every form: Basic with each user name, and each other scheme.
    pub const ALL: [Self; 11] = [
        Self::basic(NameForm::Empty),
        Self::basic(NameForm::UserName),
        Self::basic(NameForm::Email),
        Self::basic(NameForm::ApiTokenAuth),
        Self::basic(NameForm::TokenAuth),
        Self::basic(NameForm::Secret),
        Self::basic(NameForm::Nobody),
        Self::basic(NameForm::SomebodyElse),
        Self::BEARER,
        Self { scheme: Scheme::Jwt, name: NameForm::Empty },
        Self::COOKIE,
    ];

    /// The secret in a browser's cookie.
    pub const COOKIE: Self = Self { scheme: Scheme::Cookie, name: NameForm::Empty };

    /// The secret alone, as Bearer.
    pub const BEARER: Self = Self { scheme: Scheme::Bearer, name: NameForm::Empty };

    /// Basic with a user name.
    pub const fn basic(name: NameForm) -> Self {
        Self { scheme: Scheme::Basic, name }
    }
}

/// The form as part of a sentence: `as Basic with your e-mail as the user name`.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Basic => write!(f, "as Basic with {}", self.name.phrase()),
            Scheme::Cookie => f.write_str("as a cookie"),
            scheme => write!(f, "as {}", scheme.word()),
        }
    }
}

impl Scheme {
    /// The name, as it stands in the header `Authorization`; a cookie has a header of its own.
    pub fn word(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Bearer => "Bearer",
            Self::Jwt => "JWT",
            Self::Cookie => "Cookie",
        }
    }
}

impl NameForm {
    /// Every form.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::UserName,
        Self::Email,
        Self::ApiTokenAuth,
        Self::TokenAuth,
        Self::Secret,
        Self::Nobody,
        Self::SomebodyElse,
    ];

    /// The word for it in the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "no user name",
            Self::UserName => "the owner's user name",
            Self::Email => "the owner's e-mail",
            Self::ApiTokenAuth => "x-bitbucket-api-token-auth",
            Self::TokenAuth => "x-token-auth",
            Self::Secret => "the token as user name",
            Self::Nobody => "a user name of nobody",
            Self::SomebodyElse => "somebody else's user name",
        }
    }

    /// The form, to the one who is to use it.
    fn phrase(self) -> &'static str {
        match self {
            Self::Empty => "no user name",
            Self::UserName => "your user name",
            Self::Email => "your e-mail as the user name",
            Self::ApiTokenAuth => "the user name x-bitbucket-api-token-auth",
            Self::TokenAuth => "the user name x-token-auth",
            Self::Secret => "the token as the user name",
            Self::Nobody => "a user name of nobody",
            Self::SomebodyElse => "somebody else's user name",
        }
    }
}
