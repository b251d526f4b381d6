//! What a job presents, and the form in which its upstream takes it.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use doorward_rules::{
    CredentialId, Form, Kind, NameForm, Phase, Reason, RuleSet, Rules, Scheme, Surface, Timestamp, bitbucket_cloud,
};
use doorward_wire::kind_by_looks;
use http::HeaderValue;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::Forms;

/// Whoever sent a request, as far as its credential tells.
#[derive(Clone)]
pub struct Caller {
    scheme: Scheme,
    name: String,
    secret: SecretString,
    kind: Option<Kind>,
    print: Print,
    /// The header as it came, if it is to go on so.
    verbatim: Option<HeaderValue>,
}

/// What tells a credential from others without giving it away: keyed, with a key that nobody has but this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Print([u8; 32]);

/// The key of prints.
#[derive(Debug)]
pub(crate) struct PrintKey(hmac::Key);

/// Why what was sent is no credential that could be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallerError {
    /// The header cannot be read.
    #[error("the Authorization header cannot be read")]
    Unreadable,
    /// There is a user name and nothing else.
    #[error("a user name was sent, and no secret with it")]
    NoSecret,
}

/// How a credential is presented to an upstream.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    /// The header; nobody prints it.
    pub(crate) header: HeaderValue,
    /// The form that it has; none if it stays as it was sent, of whatever kind it is.
    pub(crate) form: Option<Form>,
    /// The form in which the job should have sent it itself, if it sent another that would have been refused.
    pub(crate) should_be: Option<Form>,
}

impl PrintKey {
    /// One that was never there before.
    pub(crate) fn new() -> Self {
        let mut random = [0; 32];
        if getrandom::fill(&mut random).is_err() {
            // Prints are then worth no more than digests, and still tell credentials apart.
            tracing::warn!("the system gives no random numbers");
        }
        Self(hmac::Key::new(hmac::HMAC_SHA256, &random))
    }

    /// The same one again.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    pub(crate) fn print(&self, parts: &[&str]) -> Print {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        Print::of(&context.sign())
    }

    fn print_of_bytes(&self, bytes: &[u8]) -> Print {
        Print::of(&hmac::sign(&self.0, bytes))
    }
}

impl Caller {
    /// Reads the `Authorization` headers of a request; `None` if nothing is presented.
    ///
    /// # Errors
    /// [`CallerError`] if it is nothing that could be passed on.
    pub(crate) fn read<'a>(
        mut headers: impl Iterator<Item = &'a HeaderValue>,
        forms: Forms,
        key: &PrintKey,
    ) -> Result<Option<Self>, CallerError> {
        let Some(first) = headers.next() else { return Ok(None) };
        // Jobs that set it in two places send the same one twice.
        if headers.any(|other| other != first) {
            return Err(CallerError::Unreadable);
        }
        if first.as_bytes().trim_ascii().is_empty() {
            return Ok(None);
        }
        // What another host takes is for that host to say; of the schemes of Bitbucket Cloud, a Connect app's cannot be written anew.
        if forms == Forms::AsSent || is_of_connect(first) {
            return Ok((!is_empty_basic(first)).then(|| Self::verbatim(first, key)));
        }
        let text = std::str::from_utf8(first.as_bytes()).map_err(|_| CallerError::Unreadable)?.trim();
        let (scheme, credentials) = text.split_once(' ').ok_or(CallerError::Unreadable)?;
        let credentials = credentials.trim();
        let (scheme, name, secret) = if scheme.eq_ignore_ascii_case("basic") {
            let decoded = BASE64.decode(credentials).map_err(|_| CallerError::Unreadable)?;
            let decoded = SecretString::from(String::from_utf8(decoded).map_err(|_| CallerError::Unreadable)?);
            let (name, secret) = decoded.expose_secret().split_once(':').ok_or(CallerError::Unreadable)?;
            match (name, secret) {
                // As git sends with `http.emptyAuth`.
                ("", "") => return Ok(None),
                // Some clients put the token where the user name belongs, with anything or nothing as the password.
                (token, _) if kind_by_looks(&token.into()).is_some() => (Scheme::Basic, String::new(), token.into()),
                (_, "") => return Err(CallerError::NoSecret),
                (name, secret) => (Scheme::Basic, name.to_owned(), SecretString::from(secret)),
            }
        } else if scheme.eq_ignore_ascii_case("bearer") && !credentials.is_empty() {
            (Scheme::Bearer, String::new(), SecretString::from(credentials))
        } else {
            return Err(CallerError::Unreadable);
        };
        let secret = SecretString::from(secret.expose_secret().trim());
        let kind = kind_of_sent(scheme, &name, &secret);
        let print = match kind {
            // Of these the name beside it does not count.
            Some(kind) if kind != Kind::AppPassword => key.print(&[secret.expose_secret()]),
            _ => key.print(&[scheme.word(), &name, secret.expose_secret()]),
        };
        Ok(Some(Self { scheme, name, secret, kind, print, verbatim: None }))
    }

    /// Whoever sent a header that goes on as it came.
    fn verbatim(header: &HeaderValue, key: &PrintKey) -> Self {
        let mut sent = header.clone();
        sent.set_sensitive(true);
        let print = key.print_of_bytes(header.as_bytes());
        let secret = SecretString::from("");
        Self { scheme: Scheme::Basic, name: String::new(), secret, kind: None, print, verbatim: Some(sent) }
    }

    /// What tells it from others.
    pub fn print(&self) -> Print {
        self.print
    }

    /// The kind of the credential, if it is known.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// How to present it on a surface.
    ///
    /// # Errors
    /// The reason why it is refused whatever its form.
    pub(crate) fn present(&self, surface: Surface, now: Timestamp) -> Result<Presented, Reason> {
        let Some(kind) = self.kind else {
            let header = self.verbatim.clone().unwrap_or_else(|| self.header(self.scheme, &self.name));
            return Ok(Presented { header, form: None, should_be: None });
        };
        // What Git LFS is told to send with a transfer may look like a token of OAuth, and is none.
        if surface == Surface::Lfs && self.scheme == Scheme::Bearer && kind == Kind::OAuthToken {
            return Ok(Presented { header: self.header(self.scheme, &self.name), form: None, should_be: None });
        }
        let calendar = bitbucket_cloud::calendar();
        let rules = Rules { set: RuleSet::BitbucketCloud, calendar: &calendar };
        match rules.phase(kind, surface, now) {
            Phase::On | Phase::Announced => {}
            Phase::Off => return Err(Reason::KindOff { kind }),
            Phase::Brownout { until } => return Err(Reason::KindBrownout { kind, until }),
            Phase::Retired { since } => return Err(Reason::KindRetired { kind, since }),
        }
        if !rules.set.serves(kind, surface) {
            return Err(Reason::KindUselessHere { kind, surface });
        }
        let rows = bitbucket_cloud::FORMS.iter();
        let forms =
            rows.filter(|row| row.kind == kind && row.surface == surface && row.from <= now).map(|row| row.form);
        let sent = self.sent();
        let possible = || forms.clone().filter_map(|form| Some((form, self.in_form(form)?)));
        let needs_no_name = |form: Form| !matches!(form.name, NameForm::Email | NameForm::UserName);
        // A name that came with it may be anybody's.
        let chosen = possible().find(|(form, _)| needs_no_name(*form)).or_else(|| possible().next());
        let Some((form, header)) = chosen else {
            // It wants a name that nobody has said; the upstream says so.
            return Ok(Presented {
                header: self.header(self.scheme, &self.name),
                form: None,
                should_be: forms.clone().next(),
            });
        };
        let is_right = forms.clone().any(|form| Some(form) == sent);
        Ok(Presented { header, form: Some(form), should_be: (!is_right).then_some(form) })
    }

    /// The form that it came in; of a name that is none of the fixed ones and no address it is taken to be the owner's.
    fn sent(&self) -> Option<Form> {
        Some(match (self.scheme, &*self.name) {
            (Scheme::Bearer, _) => Form::BEARER,
            (Scheme::Jwt | Scheme::Cookie, _) => return None,
            (Scheme::Basic, "") => Form::basic(NameForm::Empty),
            (Scheme::Basic, API_TOKEN_AUTH) => Form::basic(NameForm::ApiTokenAuth),
            (Scheme::Basic, TOKEN_AUTH) => Form::basic(NameForm::TokenAuth),
            (Scheme::Basic, name) if name.contains('@') => Form::basic(NameForm::Email),
            (Scheme::Basic, _) => Form::basic(NameForm::UserName),
        })
    }

    fn in_form(&self, form: Form) -> Option<HeaderValue> {
        let own = Some(&*self.name).filter(|name| !["", API_TOKEN_AUTH, TOKEN_AUTH].contains(name));
        let name = match form.name {
            NameForm::Empty => "",
            NameForm::ApiTokenAuth => API_TOKEN_AUTH,
            NameForm::TokenAuth => TOKEN_AUTH,
            NameForm::Email => own.filter(|name| name.contains('@'))?,
            NameForm::UserName => own.filter(|name| !name.contains('@'))?,
            NameForm::Secret | NameForm::Nobody | NameForm::SomebodyElse => return None,
        };
        Some(self.header(form.scheme, name))
    }

    fn header(&self, scheme: Scheme, name: &str) -> HeaderValue {
        let text = match scheme {
            Scheme::Bearer | Scheme::Jwt | Scheme::Cookie => {
                format!("{} {}", scheme.word(), self.secret.expose_secret())
            }
            Scheme::Basic => {
                let pair = SecretString::from(format!("{name}:{}", self.secret.expose_secret()));
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose_secret()))
            }
        };
        // What came in a header fits into one; what was encoded does anyway.
        let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl Print {
    fn of(tag: &hmac::Tag) -> Self {
        let mut print = [0; 32];
        print.copy_from_slice(tag.as_ref());
        Self(print)
    }

    pub(crate) fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What [`Self::hex`] has written; `None` if it is anything else.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut print = [0; 32];
        if text.len() != 2 * print.len() || !text.is_ascii() {
            return None;
        }
        for (place, byte) in print.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
        }
        Some(Self(print))
    }

    /// A public name for it, which gives nothing away.
    pub fn id(self) -> CredentialId {
        let mut start = [0; CredentialId::LENGTH];
        start.copy_from_slice(&self.0[..CredentialId::LENGTH]);
        CredentialId::from_random(start)
    }
}

/// Nothing of what was sent: a token may stand where the name belongs.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("kind", &self.kind).field("print", &self.print).finish_non_exhaustive()
    }
}

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Print({})", self.id())
    }
}

/// What stands in the header for a user name and a secret; for a secret alone, as Bearer.
pub(crate) fn authorization(user: Option<&str>, secret: &SecretString) -> Result<HeaderValue, String> {
    let secret = secret.expose_secret().trim();
    let text = SecretString::from(match user {
        None => format!("Bearer {secret}"),
        Some(user) => format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"))),
    });
    let mut value = HeaderValue::from_str(text.expose_secret())
        .map_err(|_| "the secret has characters that no secret has".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether a header is a Connect app's: `JWT …`.
fn is_of_connect(header: &HeaderValue) -> bool {
    header.as_bytes().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"jwt "))
}

/// Whether a header is of a scheme in which credentials of Bitbucket Cloud are presented.
pub(crate) fn is_of_known_scheme(header: &HeaderValue) -> bool {
    let scheme = header.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
    [&b"basic"[..], b"bearer", b"jwt"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Whether a header has neither a name nor a secret, as git sends it with `http.emptyAuth`.
fn is_empty_basic(header: &HeaderValue) -> bool {
    let text = header.to_str().unwrap_or_default();
    let encoded = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    encoded.is_some_and(|(_, encoded)| BASE64.decode(encoded.trim()).is_ok_and(|pair| pair == b":"))
}

/// The kind of a secret; what has no looks of its own is an OAuth token if it came as those do.
fn kind_of_sent(scheme: Scheme, name: &str, secret: &SecretString) -> Option<Kind> {
    let came_as_token = scheme == Scheme::Bearer || name == TOKEN_AUTH;
    kind_by_looks(secret).or_else(|| came_as_token.then_some(Kind::OAuthToken))
}

const API_TOKEN_AUTH: &str = "x-bitbucket-api-token-auth";
const TOKEN_AUTH: &str = "x-token-auth";

/// Base 64 with or without its padding: shell one-liners often lose it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use doorward_rules::bitbucket_cloud::API_TOKENS_AS_BEARER;
    use proptest::prelude::*;

    use super::*;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).expect("a header")
    }

    fn basic(name: &str, secret: &str) -> HeaderValue {
        header(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}"))))
    }

    fn read(header: &HeaderValue) -> Caller {
        let read = Caller::read([header].into_iter(), Forms::BitbucketCloud, &PrintKey::new());
        read.expect("it can be read").expect("a credential")
    }

    fn secret_of(kind: Kind) -> String {
        let body = "a".repeat(171);
        match kind {
            Kind::ApiToken => format!("ATATT3xFfGF0{body}=01234567"),
            Kind::AppPassword => "ATBBabcdefghijklmnopqrstuvwx0123ABCD".into(),
            Kind::OAuthToken => "an-opaque-text".into(),
            _ => format!("ATCTT3xFfGN0{body}=01234567"),
        }
    }

    /// Every way in which a job has been seen to send a token.
    fn ways(secret: &str) -> Vec<HeaderValue> {
        let mut ways: Vec<HeaderValue> =
            ["", "ada", "ada@example.org", API_TOKEN_AUTH, TOKEN_AUTH].map(|name| basic(name, secret)).into();
        ways.extend([basic(secret, ""), basic(secret, "x-oauth-basic"), header(&format!("Bearer {secret}"))]);
        ways
    }

    #[test]
    fn a_token_goes_on_in_a_form_that_is_taken_whatever_form_it_came_in() {
        let now = API_TOKENS_AS_BEARER;
        for kind in [Kind::ApiToken, Kind::RepositoryToken] {
            for surface in [Surface::Git, Surface::Lfs, Surface::Rest] {
                let secret = secret_of(kind);
                for way in ways(&secret) {
                    let caller = read(&way);
                    assert_eq!(caller.kind(), Some(kind));
                    let presented = caller.present(surface, now).expect("it is presented");
                    let form = presented.form.expect("a form");
                    assert!(RuleSet::BitbucketCloud.accepts(kind, surface, form, now), "{kind:?} {surface:?} {form:?}");
                    let again = read(&presented.header);
                    assert_eq!(again.secret.expose_secret(), secret);
                    assert_eq!(again.present(surface, now).expect("again").should_be, None, "{kind:?} {surface:?}");
                    assert!(presented.header.is_sensitive());
                }
            }
        }
    }

    #[test]
    fn one_token_is_one_credential_in_whatever_form_it_comes() {
        let key = PrintKey::new();
        let secret = secret_of(Kind::ApiToken);
        let prints: Vec<Print> = ways(&secret)
            .iter()
            .map(|way| {
                Caller::read([way].into_iter(), Forms::BitbucketCloud, &key).expect("read").expect("one").print()
            })
            .collect();
        assert!(prints.iter().all(|print| *print == prints[0]));
        let as_sent = |way: &HeaderValue| {
            Caller::read([way].into_iter(), Forms::AsSent, &key).expect("read").expect("one").print()
        };
        assert_ne!(as_sent(&basic("ada", "x")), as_sent(&basic("bob", "x")), "of a password the name is a part");
    }

    #[test]
    fn what_has_ended_goes_nowhere() {
        let caller = read(&basic("ada", &secret_of(Kind::AppPassword)));
        let end = bitbucket_cloud::APP_PASSWORDS_END;
        assert!(matches!(caller.present(Surface::Git, end), Err(Reason::KindRetired { .. })));
        let before = bitbucket_cloud::APP_PASSWORD_CREATION_ENDS;
        let presented = caller.present(Surface::Git, before).expect("it goes on");
        assert_eq!((presented.form, presented.should_be), (Some(Form::basic(NameForm::UserName)), None));
    }

    #[test]
    fn what_is_nothing_is_nothing_and_what_cannot_be_read_is_said() {
        let read = |values: &[HeaderValue]| Caller::read(values.iter(), Forms::BitbucketCloud, &PrintKey::new());
        assert!(read(&[]).expect("read").is_none());
        assert!(read(&[basic("", "")]).expect("read").is_none());
        assert!(read(&[basic("a", "b"), basic("a", "b")]).expect("read").is_some(), "the same twice");
        assert_eq!(read(&[basic("a", "b"), basic("a", "c")]).err(), Some(CallerError::Unreadable));
        assert_eq!(read(&[basic("ada", "")]).err(), Some(CallerError::NoSecret));
        for odd in ["Basic !", "Basic", "Digest x", "Bearer "] {
            assert_eq!(read(&[header(odd)]).err(), Some(CallerError::Unreadable), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_shows_its_secret(bytes in prop::collection::vec(32_u8..=126, 0..80)) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            if let Ok(Some(caller)) = Caller::read([&value].into_iter(), Forms::BitbucketCloud, &PrintKey::new()) {
                let shown = format!("{caller:?}");
                prop_assert!(caller.secret.expose_secret().len() < 4 || !shown.contains(caller.secret.expose_secret()));
                let _ = caller.present(Surface::Git, API_TOKENS_AS_BEARER);
            }
        }
    }
}
