//! The two rule sets, and the form in which each wants a credential.

use crate::{Calendar, Form, Kind, NameForm, Phase, Scheme, Surface, Timestamp, bitbucket_cloud};

/// What a question is decided by.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Whose rules.
    pub set: RuleSet,
    /// When which kind may be used.
    pub calendar: &'a Calendar,
}

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleSet {
    /// Our own: generous in form. The secret names its credential, so the user name beside it does not matter, unless it
    /// is somebody else's.
    Doorward,
    /// Bitbucket Cloud's, at the moment that is asked about: exact in form.
    BitbucketCloud,
}

impl RuleSet {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Doorward, Self::BitbucketCloud];

    /// Whether a kind is of any use on a surface.
    pub fn serves(self, kind: Kind, surface: Surface) -> bool {
        let listed = bitbucket_cloud::FORMS.iter().any(|row| row.kind == kind && row.surface == surface);
        match self {
            Self::Doorward if kind == Kind::WebSession => surface == Surface::Web,
            Self::Doorward => listed && (kind == Kind::AccountPassword) == (surface == Surface::Web),
            Self::BitbucketCloud => listed,
        }
    }

    /// Whether a secret of a kind is accepted on a surface in a form.
    pub fn accepts(self, kind: Kind, surface: Surface, form: Form, now: Timestamp) -> bool {
        match self {
            // A browser sends its cookies without being asked, so nothing else may come as one, nor a session as anything else.
            Self::Doorward if (kind == Kind::WebSession) != (form == Form::COOKIE) => false,
            Self::Doorward => {
                self.serves(kind, surface) && form.scheme != Scheme::Jwt && form.name != NameForm::SomebodyElse
            }
            Self::BitbucketCloud => bitbucket_cloud::FORMS
                .iter()
                .any(|row| row.kind == kind && row.surface == surface && row.form == form && row.from <= now),
        }
    }
}

impl Rules<'_> {
    /// Where a kind is in its life. Signing in to the web pages with a password is no part of any calendar.
    pub fn phase(&self, kind: Kind, surface: Surface, now: Timestamp) -> Phase {
        if surface == Surface::Web { Phase::On } else { self.calendar.phase(kind, now) }
    }
}

/// The form in which to present a secret of a kind on a surface; `None` if there is none at this moment.
///
/// What it answers, [`decide`](crate::decide) grants, if nothing else stands against it.
pub fn present(rules: Rules<'_>, kind: Kind, surface: Surface, now: Timestamp) -> Option<Form> {
    let usable = matches!(rules.phase(kind, surface, now), Phase::On | Phase::Announced);
    if kind == Kind::WebSession {
        return Some(Form::COOKIE).filter(|form| usable && rules.set.accepts(kind, surface, *form, now));
    }
    let preferred = bitbucket_cloud::FORMS.iter().filter(|row| row.kind == kind && row.surface == surface);
    preferred.map(|row| row.form).find(|form| usable && rules.set.accepts(kind, surface, *form, now))
}
