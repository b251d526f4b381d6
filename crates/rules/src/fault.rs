//! What can be wrong with the bytes of a credential, before anything is looked up.

/// Why something cannot be a credential of this server. Found in its bytes alone, without a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// More than one Authorization header, or one that is not `SCHEME CREDENTIALS`.
    Header,
    /// A scheme that this server does not speak.
    Scheme,
    /// A Connect JWT.
    Jwt,
    /// Basic credentials that are not base 64 of `name:secret` in UTF-8.
    Basic,
    /// A user name without a secret.
    NoSecret,
    /// A secret that does not look like a token: probably a password.
    NotAToken,
    /// A token of this server whose end is missing.
    Truncated,
    /// A token of this server with something in it changed: its checksum does not fit.
    Altered,
    /// A Bitbucket Cloud app password.
    ForeignAppPassword,
    /// A Bitbucket Cloud API token.
    ForeignApiToken,
    /// A Bitbucket Cloud access token.
    ForeignAccessToken,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 11] = [
        Self::Header,
        Self::Scheme,
        Self::Jwt,
        Self::Basic,
        Self::NoSecret,
        Self::NotAToken,
        Self::Truncated,
        Self::Altered,
        Self::ForeignAppPassword,
        Self::ForeignApiToken,
        Self::ForeignAccessToken,
    ];

    /// The stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Header => "header_malformed",
            Self::Scheme => "scheme_unsupported",
            Self::Jwt => "connect_jwt",
            Self::Basic => "basic_malformed",
            Self::NoSecret => "secret_missing",
            Self::NotAToken => "not_a_token",
            Self::Truncated => "token_truncated",
            Self::Altered => "token_altered",
            Self::ForeignAppPassword => "foreign_app_password",
            Self::ForeignApiToken => "foreign_api_token",
            Self::ForeignAccessToken => "foreign_access_token",
        }
    }

    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Header => "the Authorization header cannot be read, or there are several that differ",
            Self::Scheme => "the Authorization header has a scheme that this server does not speak",
            Self::Jwt => "a Connect JWT was presented, which is not accepted here",
            Self::Basic => "the Basic credentials in the Authorization header cannot be read",
            Self::NoSecret => "a user name was presented without a token",
            Self::NotAToken => "what was presented as the password is not a token; passwords are not accepted here",
            Self::Truncated => "the end of this token is missing",
            Self::Altered => "this token was changed on its way: its checksum does not fit",
            Self::ForeignAppPassword => "this is an app password of Bitbucket Cloud, which this server does not know",
            Self::ForeignApiToken => "this is an API token of Bitbucket Cloud, which this server does not know",
            Self::ForeignAccessToken => "this is an access token of Bitbucket Cloud, which this server does not know",
        }
    }

    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Header | Self::Scheme => "send one header: `Authorization: Basic …` or `Authorization: Bearer TOKEN`",
            Self::Jwt => "exchange it for an OAuth access token and send that as Bearer, or use an API token",
            Self::Basic => "send base 64 of `user-name:token`, without line breaks",
            Self::NoSecret => "give your API token as the password",
            Self::NotAToken => "create an API token with `doorward token create` and give it as the password",
            Self::Truncated | Self::Altered => "copy the token again, whole and without quotes, spaces or line breaks",
            Self::ForeignAppPassword | Self::ForeignApiToken | Self::ForeignAccessToken => {
                "create an API token of this server with `doorward token create`"
            }
        }
    }
}
