//! The `Authorization` header: what scheme, what user name, what token.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use doorward_rules::{Fault, Scheme};
use secrecy::SecretString;

use crate::UnverifiedToken;

/// What the `Authorization` headers of one request present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// No header, or empty Basic credentials, as git sends with `http.emptyAuth`.
    Nothing,
    /// Something that cannot be a credential of this server, and the scheme if that could be read.
    Unreadable(Fault, Option<Scheme>),
    /// A token and the user name beside it.
    Token(Presentation),
}

/// A token as it was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentation {
    /// The scheme.
    pub scheme: Scheme,
    /// The user name.
    pub name: PresentedName,
    /// The token.
    pub token: UnverifiedToken,
}

/// What to make of a secret that does not look like a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passwords {
    /// It is refused without a look.
    Refused,
    /// It is looked up as an account's password.
    Read,
}

/// The user name that came with a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PresentedName {
    /// None.
    Empty,
    /// `x-bitbucket-api-token-auth`, for API tokens on git.
    ApiTokenAuth,
    /// `x-token-auth`, for access tokens on git.
    TokenAuth,
    /// The token itself stands where the user name belongs.
    Secret,
    /// A name to look up.
    Other(String),
}

impl Authorization {
    /// Reads all `Authorization` headers of a request. There should be one at most, but jobs that set it in two places
    /// send the same one twice.
    pub fn read<'a>(headers: impl IntoIterator<Item = &'a [u8]>, passwords: Passwords) -> Self {
        let mut headers = headers.into_iter();
        match headers.next() {
            None => Self::Nothing,
            Some(first) if headers.all(|other| other == first) => read_one(first, passwords),
            Some(_) => Self::Unreadable(Fault::Header, None),
        }
    }
}

fn read_one(header: &[u8], passwords: Passwords) -> Authorization {
    let Ok(header) = std::str::from_utf8(header).map(str::trim) else {
        return Authorization::Unreadable(Fault::Header, None);
    };
    if header.is_empty() {
        return Authorization::Nothing;
    }
    let Some((scheme, credentials)) = header.split_once(' ') else {
        return Authorization::Unreadable(Fault::Header, None);
    };
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        basic(credentials, passwords).unwrap_or_else(|fault| Authorization::Unreadable(fault, Some(Scheme::Basic)))
    } else if scheme.eq_ignore_ascii_case("bearer") {
        match UnverifiedToken::parse(&credentials.into()) {
            Ok(token) => {
                Authorization::Token(Presentation { scheme: Scheme::Bearer, name: PresentedName::Empty, token })
            }
            Err(fault) => Authorization::Unreadable(fault, Some(Scheme::Bearer)),
        }
    } else if scheme == "JWT" {
        Authorization::Unreadable(Fault::Jwt, Some(Scheme::Jwt))
    } else {
        Authorization::Unreadable(Fault::Scheme, None)
    }
}

fn basic(credentials: &str, passwords: Passwords) -> Result<Authorization, Fault> {
    let decoded = BASE64.decode(credentials).map_err(|_| Fault::Basic)?;
    let decoded = SecretString::from(String::from_utf8(decoded).map_err(|_| Fault::Basic)?);
    let (name, secret) = split(&decoded).ok_or(Fault::Basic)?;
    let scheme = Scheme::Basic;
    // Some clients put the token where the user name belongs, with anything or nothing as the password.
    if let Ok(token) = UnverifiedToken::parse(&name.into()) {
        return Ok(Authorization::Token(Presentation { scheme, name: PresentedName::Secret, token }));
    }
    if secret.is_empty() {
        return if name.is_empty() { Ok(Authorization::Nothing) } else { Err(Fault::NoSecret) };
    }
    let secret = SecretString::from(secret);
    let token = match UnverifiedToken::parse(&secret) {
        Err(Fault::NotAToken) if passwords == Passwords::Read => UnverifiedToken::password(&secret),
        read => read?,
    };
    let name = match name {
        "" => PresentedName::Empty,
        "x-bitbucket-api-token-auth" => PresentedName::ApiTokenAuth,
        "x-token-auth" => PresentedName::TokenAuth,
        other => PresentedName::Other(other.to_owned()),
    };
    Ok(Authorization::Token(Presentation { scheme, name, token }))
}

/// Name and secret: the name ends at the first colon (RFC 7617 §2).
fn split(decoded: &SecretString) -> Option<(&str, &str)> {
    use secrecy::ExposeSecret;
    decoded.expose_secret().split_once(':')
}

/// Base 64 with or without its padding: shell one-liners often lose it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MintedToken;
    use doorward_rules::Kind;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    fn token() -> String {
        let minted = MintedToken::mint(Kind::ApiToken, crate::TokenShape::Doorward, |buffer| buffer.fill(7));
        minted.secret.expose_secret().to_owned()
    }

    fn basic(pair: &str) -> Authorization {
        read(&format!("Basic {}", BASE64.encode(pair)))
    }

    fn read(header: &str) -> Authorization {
        Authorization::read([header.as_bytes()], Passwords::Refused)
    }

    fn name_of(authorization: Authorization) -> PresentedName {
        match authorization {
            Authorization::Token(presentation) => presentation.name,
            other => panic!("no token in {other:?}"),
        }
    }

    #[test]
    fn a_token_is_found_wherever_clients_put_it() {
        let token = token();
        assert_eq!(name_of(basic(&format!("ada:{token}"))), PresentedName::Other("ada".into()));
        assert_eq!(name_of(basic(&format!("x-token-auth:{token}"))), PresentedName::TokenAuth);
        assert_eq!(name_of(basic(&format!("x-bitbucket-api-token-auth:{token}"))), PresentedName::ApiTokenAuth);
        assert_eq!(name_of(basic(&format!(":{token}"))), PresentedName::Empty);
        assert_eq!(name_of(basic(&format!("{token}:"))), PresentedName::Secret);
        assert_eq!(name_of(basic(&format!("{token}:x-oauth-basic"))), PresentedName::Secret);
        assert_eq!(name_of(read(&format!("bearer  {token}"))), PresentedName::Empty);
        assert_eq!(
            name_of(read(&format!("Basic {}", BASE64.encode(format!(":{token}")).trim_end_matches('=')))),
            PresentedName::Empty
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (header, fault) in [
            ("Basic", Fault::Header),
            ("Basic !!", Fault::Basic),
            ("Basic YQ==", Fault::Basic),
            ("Basic YWRhOg==", Fault::NoSecret),
            ("Basic YWRhOmh1bnRlcjI=", Fault::NotAToken),
            ("Basic YWRhOv8=", Fault::Basic),
            ("Digest username=ada", Fault::Scheme),
            ("JWT abc.def.ghi", Fault::Jwt),
            ("Bearer hunter2", Fault::NotAToken),
            ("Bearer ATATT3xFfGF0", Fault::ForeignApiToken),
        ] {
            assert!(matches!(read(header), Authorization::Unreadable(found, _) if found == fault), "{header}");
        }
        assert_eq!(
            Authorization::read([&b"Bearer a"[..], b"Bearer b"], Passwords::Refused),
            Authorization::Unreadable(Fault::Header, None)
        );
        assert_eq!(
            Authorization::read([&b"Bearer \xff"[..]], Passwords::Refused),
            Authorization::Unreadable(Fault::Header, None)
        );
    }

    #[test]
    fn what_is_no_token_is_a_password_where_passwords_are_read() {
        let header = format!("Basic {}", BASE64.encode("ada:hunter2"));
        match Authorization::read([header.as_bytes()], Passwords::Read) {
            Authorization::Token(presentation) => {
                assert!(presentation.token.kinds.contains(Kind::AccountPassword));
                assert_eq!(presentation.name, PresentedName::Other("ada".into()));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_header_twice_is_one() {
        let header = format!("Bearer {}", token());
        let both = Authorization::read([header.as_bytes(), header.as_bytes()], Passwords::Refused);
        assert!(matches!(both, Authorization::Token(_)), "{both:?}");
    }

    #[test]
    fn nothing_is_nothing_and_not_a_bad_credential() {
        assert_eq!(Authorization::read([], Passwords::Refused), Authorization::Nothing);
        assert_eq!(read(""), Authorization::Nothing);
        assert_eq!(basic(":"), Authorization::Nothing);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(header in proptest::collection::vec(any::<u8>(), 0..200)) {
            Authorization::read([header.as_slice()], Passwords::Read);
        }

        #[test]
        fn no_pair_makes_it_panic(name in ".{0,80}", secret in "(dwa_)?.{0,80}") {
            basic(&format!("{name}:{secret}"));
        }
    }
}
