//! What Bitbucket Cloud accepts, and since when: its table of forms, its calendar, and the days on which it changed.
//!
//! From its documentation, announcements and changelog, and where those say nothing, from what its users reported.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{Brownout, Calendar, Form, Kind, NameForm, Surface, Timestamp};

/// One row of the table: a kind is accepted on a surface in a form, since a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The kind.
    pub kind: Kind,
    /// The surface.
    pub surface: Surface,
    /// The form.
    pub form: Form,
    /// Since when.
    pub from: Timestamp,
}

/// A day on which Bitbucket Cloud began to answer differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What changed.
    pub what: &'static str,
}

/// Every form that is accepted. Of a kind and a surface, the first is the one to use.
pub const FORMS: &[Row] = &[
    // Account passwords: user name or e-mail on git and REST until 2022-03-01, and the sign-in page ever since.
    row(Kind::AccountPassword, Surface::Git, Form::basic(NameForm::UserName)),
    row(Kind::AccountPassword, Surface::Git, Form::basic(NameForm::Email)),
    row(Kind::AccountPassword, Surface::Lfs, Form::basic(NameForm::UserName)),
    row(Kind::AccountPassword, Surface::Lfs, Form::basic(NameForm::Email)),
    row(Kind::AccountPassword, Surface::Rest, Form::basic(NameForm::UserName)),
    row(Kind::AccountPassword, Surface::Rest, Form::basic(NameForm::Email)),
    row(Kind::AccountPassword, Surface::Web, Form::basic(NameForm::Email)),
    row(Kind::AccountPassword, Surface::Web, Form::basic(NameForm::UserName)),
    // App passwords: the user name everywhere, never the e-mail.
    row(Kind::AppPassword, Surface::Git, Form::basic(NameForm::UserName)),
    row(Kind::AppPassword, Surface::Lfs, Form::basic(NameForm::UserName)),
    row(Kind::AppPassword, Surface::Rest, Form::basic(NameForm::UserName)),
    // API tokens: a fixed name or the user name on git, the e-mail on REST; the other way round neither works.
    row(Kind::ApiToken, Surface::Git, Form::basic(NameForm::ApiTokenAuth)),
    row(Kind::ApiToken, Surface::Git, Form::basic(NameForm::UserName)),
    row(Kind::ApiToken, Surface::Lfs, Form::basic(NameForm::ApiTokenAuth)),
    row(Kind::ApiToken, Surface::Lfs, Form::basic(NameForm::UserName)),
    row(Kind::ApiToken, Surface::Rest, Form::basic(NameForm::Email)),
    Row { from: API_TOKENS_AS_BEARER, ..row(Kind::ApiToken, Surface::Rest, Form::BEARER) },
    // Access tokens: the other fixed name on git, Bearer on REST.
    row(Kind::RepositoryToken, Surface::Git, Form::basic(NameForm::TokenAuth)),
    row(Kind::RepositoryToken, Surface::Lfs, Form::basic(NameForm::TokenAuth)),
    row(Kind::RepositoryToken, Surface::Rest, Form::BEARER),
    row(Kind::ProjectToken, Surface::Git, Form::basic(NameForm::TokenAuth)),
    row(Kind::ProjectToken, Surface::Lfs, Form::basic(NameForm::TokenAuth)),
    row(Kind::ProjectToken, Surface::Rest, Form::BEARER),
    row(Kind::WorkspaceToken, Surface::Git, Form::basic(NameForm::TokenAuth)),
    row(Kind::WorkspaceToken, Surface::Lfs, Form::basic(NameForm::TokenAuth)),
    row(Kind::WorkspaceToken, Surface::Rest, Form::BEARER),
    // OAuth access tokens: as access tokens, and on git also as two widespread clients send them.
    row(Kind::OAuthToken, Surface::Git, Form::basic(NameForm::TokenAuth)),
    row(Kind::OAuthToken, Surface::Git, Form::basic(NameForm::UserName)),
    row(Kind::OAuthToken, Surface::Git, Form::BEARER),
    row(Kind::OAuthToken, Surface::Lfs, Form::basic(NameForm::TokenAuth)),
    row(Kind::OAuthToken, Surface::Lfs, Form::basic(NameForm::UserName)),
    row(Kind::OAuthToken, Surface::Lfs, Form::BEARER),
    row(Kind::OAuthToken, Surface::Rest, Form::BEARER),
    // Connect JWTs: for endpoints of their own alone, none of which is here.
];

/// The last day of account passwords on git and REST.
pub const ACCOUNT_PASSWORDS_END: Timestamp = Timestamp::utc(2022, 3, 1);
/// From here on no app password can be made.
pub const APP_PASSWORD_CREATION_ENDS: Timestamp = Timestamp::utc(2025, 9, 9);
/// `GET /2.0/user/workspaces` appears.
pub const USER_WORKSPACES_APPEAR: Timestamp = Timestamp::utc(2026, 1, 16);
/// The lists across workspaces are removed (CHANGE-2770). Two dates circulate, 2026-02-27 and this one.
pub const CROSS_WORKSPACE_LISTS_END: Timestamp = Timestamp::utc(2026, 4, 14);
/// App passwords are refused now and then.
pub const APP_PASSWORD_BROWNOUTS_BEGIN: Timestamp = Timestamp::utc(2026, 6, 9);
/// The windows of refusal become longer.
pub const APP_PASSWORD_BROWNOUTS_GROW: Timestamp = Timestamp::utc(2026, 6, 16);
/// App passwords are refused for good (CHANGE-3222).
pub const APP_PASSWORDS_END: Timestamp = Timestamp::utc(2026, 7, 28);
/// API tokens are accepted as Bearer on REST.
pub const API_TOKENS_AS_BEARER: Timestamp = Timestamp::utc(2026, 8, 18);

/// The days on which the answers changed, the first one first.
pub const CHANGES: &[Change] = &[
    Change { at: ACCOUNT_PASSWORDS_END, what: "account passwords end on git and REST" },
    Change { at: APP_PASSWORD_CREATION_ENDS, what: "no new app passwords" },
    Change { at: USER_WORKSPACES_APPEAR, what: "GET /2.0/user/workspaces appears" },
    Change { at: CROSS_WORKSPACE_LISTS_END, what: "lists across workspaces are removed" },
    Change { at: APP_PASSWORD_BROWNOUTS_BEGIN, what: "app passwords: brownouts of 15 minutes, four times a day" },
    Change { at: APP_PASSWORD_BROWNOUTS_GROW, what: "app passwords: brownouts of 30 minutes, four times a day" },
    Change { at: APP_PASSWORDS_END, what: "app passwords end" },
    Change { at: API_TOKENS_AS_BEARER, what: "API tokens are accepted as Bearer on REST" },
];

/// Bitbucket Cloud's calendar.
///
/// The announced table of brownouts was seen for the time up to 2026-06-20, with windows of 15 and then 30 minutes at
/// 00:00, 06:00, 12:00 and 18:00 UTC. Later ones are said to have grown, to five hours in the end; here they stay at 30
/// minutes, which is the last length that is confirmed. On the web, account passwords go on; see [`crate::decide`].
pub fn calendar() -> Calendar {
    let mut calendar = Calendar::open();
    let passwords = calendar.schedule_mut(Kind::AccountPassword);
    passwords.announced_at = Some(Timestamp::utc(2021, 9, 13));
    passwords.retires_at = Some(ACCOUNT_PASSWORDS_END);
    let app_passwords = calendar.schedule_mut(Kind::AppPassword);
    app_passwords.announced_at = Some(APP_PASSWORD_CREATION_ENDS);
    app_passwords.creation_ends_at = Some(APP_PASSWORD_CREATION_ENDS);
    app_passwords.retires_at = Some(APP_PASSWORDS_END);
    app_passwords.brownouts = Vec::from([
        Brownout {
            first: APP_PASSWORD_BROWNOUTS_BEGIN,
            length: Duration::from_secs(15 * 60),
            every: Some(SIX_HOURS),
            until: APP_PASSWORD_BROWNOUTS_GROW,
        },
        Brownout {
            first: APP_PASSWORD_BROWNOUTS_GROW,
            length: Duration::from_secs(30 * 60),
            every: Some(SIX_HOURS),
            until: APP_PASSWORDS_END,
        },
    ]);
    calendar
}

const fn row(kind: Kind, surface: Surface, form: Form) -> Row {
    Row { kind, surface, form, from: Timestamp(i64::MIN) }
}

const SIX_HOURS: Duration = Duration::from_secs(6 * 3600);
