//! Every question there is, up to what the rules can tell apart.

use core::net::IpAddr;
use core::time::Duration;

use doorward_rules::{
    AccountId, Action, Ask, Brownout, Calendar, Credential, CredentialId, Facts, Fault, Form, Kind, Kinds, Limit,
    Object, Policy, Presented, Privilege, ProjectId, Repository, RepositoryId, RuleSet, Rules, Scheme, Scope, Scopes,
    Surface, Timestamp, Verdict, Workspace, WorkspaceId, decide,
};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::utc(2026, 6, 10);
pub(crate) const HERE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
pub(crate) const ELSEWHERE: WorkspaceId = WorkspaceId(Uuid::from_u128(2));
pub(crate) const REPOSITORY: RepositoryId = RepositoryId(Uuid::from_u128(3));
pub(crate) const OWNER: AccountId = AccountId(Uuid::from_u128(4));
pub(crate) const PROJECT: ProjectId = ProjectId(Uuid::from_u128(5));
pub(crate) const OTHER_PROJECT: ProjectId = ProjectId(Uuid::from_u128(6));
pub(crate) const ANOTHER: AccountId = AccountId(Uuid::from_u128(7));
pub(crate) const ADDRESS: &str = "192.0.2.7";

/// One question with everything that it is decided by.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) rules: Rules<'a>,
    pub(crate) ask: &'a Ask,
    pub(crate) facts: &'a Facts,
}

impl Question<'_> {
    pub(crate) fn decide(&self) -> Verdict {
        decide(self.rules, self.ask, self.facts, NOW)
    }

    pub(crate) fn describe(&self) -> String {
        let kind = self.facts.credential().map(|credential| self.rules.calendar.schedule(credential.kind));
        format!("{:?} {:?} {:?} {kind:?}", self.rules.set, self.ask, self.facts)
    }
}

/// Calls `look` with every question; how many there were.
pub(crate) fn every_question(mut look: impl FnMut(Question<'_>)) -> usize {
    let mut count = 0;
    for set in RuleSet::ALL {
        for calendar in calendars() {
            let rules = Rules { set, calendar: &calendar };
            for ask in asks() {
                for facts in strangers(ask.action.object()) {
                    look(Question { rules, ask: &ask, facts: &facts });
                    count += 1;
                }
                for place in places(ask.action.object()) {
                    let mut facts = place.clone();
                    for policy in policies() {
                        facts.workspace =
                            place.workspace.clone().map(|place| Workspace { policy: policy.clone(), ..place });
                        for credential in credentials() {
                            for administrator in administrators(ask.action.object(), &credential) {
                                let administrator = *administrator;
                                facts.presented = Presented::Proven(Credential { administrator, ..credential.clone() });
                                look(Question { rules, ask: &ask, facts: &facts });
                                count += 1;
                            }
                        }
                        // Without a workspace there is no policy to vary.
                        if place.workspace.is_none() {
                            break;
                        }
                    }
                }
            }
        }
    }
    count
}

/// Every kind in every phase: off, on, announced, browned out, retired.
pub(crate) fn calendars() -> Vec<Calendar> {
    let calendar = |change: &dyn Fn(&mut doorward_rules::Schedule)| {
        let mut calendar = Calendar::open();
        Kind::ALL.into_iter().for_each(|kind| change(calendar.schedule_mut(kind)));
        calendar
    };
    let hour = Duration::from_secs(3600);
    let brownout = Brownout { first: NOW.before(hour), length: 2 * hour, every: None, until: NOW };
    vec![
        calendar(&|schedule| schedule.off = true),
        calendar(&|_| ()),
        calendar(&|schedule| (schedule.off, schedule.announced_at) = (true, Some(NOW))),
        calendar(&|schedule| schedule.brownouts.push(brownout)),
        calendar(&|schedule| schedule.retires_at = Some(NOW)),
    ]
}

pub(crate) fn asks() -> Vec<Ask> {
    let mut all = Vec::new();
    for surface in Surface::ALL {
        for action in surface.actions() {
            all.push(Ask { surface, action: *action, address: Some(address()) });
        }
    }
    all
}

pub(crate) fn address() -> IpAddr {
    ADDRESS.parse().expect("an address")
}

/// Everything that is no proven credential. Nobody's privilege is none.
fn strangers(object: Object) -> Vec<Facts> {
    let mut presented = vec![Presented::Nothing, Presented::Unknown];
    presented.extend(Fault::ALL.map(Presented::Unreadable));
    let mut all = Vec::new();
    for presented in presented {
        for place in places(object) {
            let nobody = place.workspace.as_ref().is_none_or(|workspace| workspace.privilege == Privilege::None);
            if nobody && place.repository.is_none_or(|repository| repository.privilege == Privilege::None) {
                all.push(Facts { presented: presented.clone(), ..place });
            }
        }
    }
    all
}

/// A workspace as a principal of this privilege stands to it.
pub(crate) fn workspace(privilege: Privilege, shows: bool) -> Workspace {
    Workspace { id: HERE, policy: Policy::default(), privilege, shows }
}

/// What a question can be about: no workspace; a workspace that is anybody's or shows something or neither; and in one, no
/// repository, and a private and a public one with each privilege; one's own account and another's.
pub(crate) fn places(object: Object) -> Vec<Facts> {
    let nowhere = Facts { presented: Presented::Nothing, workspace: None, repository: None, account: None };
    let within = |workspace| Facts { workspace: Some(workspace), ..nowhere.clone() };
    let hidden = within(workspace(Privilege::None, false));
    let mut all = vec![nowhere.clone(), hidden.clone()];
    match object {
        Object::Account | Object::Server => {}
        Object::Workspace | Object::Holder => {
            all.push(within(workspace(Privilege::None, true)));
            for privilege in [Privilege::Read, Privilege::Admin] {
                all.push(within(workspace(privilege, false)));
                all.push(within(workspace(privilege, true)));
            }
            if object == Object::Holder {
                all.extend([OWNER, ANOTHER].map(|account| Facts { account: Some(account), ..nowhere.clone() }));
            }
        }
        Object::Repository => {
            for public in [false, true] {
                for privilege in Privilege::ALL {
                    let repository = Some(Repository { id: REPOSITORY, project: PROJECT, public, privilege });
                    all.push(Facts { repository, ..hidden.clone() });
                }
            }
        }
    }
    all
}

/// Whether the account of a credential administers the server, where that can matter.
fn administrators(object: Object, credential: &Credential) -> &'static [bool] {
    match object {
        Object::Workspace | Object::Holder | Object::Server if credential.owner.is_some() => &[false, true],
        _ => &[false],
    }
}

/// No policy, and each rule of a policy such that it stands against some credentials.
pub(crate) fn policies() -> Vec<Policy> {
    let none = Policy::default();
    vec![
        none.clone(),
        Policy { sso: true, ..none.clone() },
        Policy {
            kinds: Some(Kinds::of(&[Kind::ApiToken])),
            longest: Some(Duration::from_secs(86_400)),
            ..none.clone()
        },
        Policy { addresses: vec!["198.51.100.0/24".parse().expect("a range")], ..none.clone() },
        Policy { two_step: true, ..none },
    ]
}

/// Scope sets that between them grant and refuse every action, for one scope and for several, in both vocabularies.
fn scope_sets() -> Vec<Scopes> {
    let sets: [&[Scope]; 7] = [
        &[],
        &[Scope::Wiki, Scope::RepositoryAdmin, Scope::Email, Scope::ReadToken, Scope::WriteAdmin],
        &[Scope::Project, Scope::Account, Scope::Webhook, Scope::WriteToken, Scope::ReadAudit, Scope::ReadAdmin],
        &[Scope::WriteRepository, Scope::ReadUser, Scope::WriteWebhook, Scope::AdminRepository, Scope::WritePermission],
        &[Scope::PullRequestWrite, Scope::ReadRepository, Scope::ReadWorkspace, Scope::ReadWebhook],
        &[Scope::RepositoryDelete, Scope::ProjectAdmin, Scope::DeletePermission, Scope::ReadProject],
        &[
            Scope::DeleteRepository,
            Scope::AdminProject,
            Scope::ReadWebhook,
            Scope::WriteWebhook,
            Scope::DeleteWebhook,
            Scope::AdminRepository,
            Scope::DeletePermission,
            Scope::WriteRepository,
            Scope::ReadRepository,
        ],
    ];
    sets.into_iter().map(Scopes::of).collect()
}

/// Every kind in every form, with each scope set, state and limit.
pub(crate) fn credentials() -> impl Iterator<Item = Credential> {
    let states = [
        (None, None, false),
        (Some(Timestamp(5)), None, false),
        (None, Some(NOW), false),
        (None, Some(Timestamp(NOW.0 + 1)), true),
    ];
    Kind::ALL.into_iter().flat_map(move |kind| {
        // Nobody can present a JWT but as one, nor anything else as a JWT; and so it is with a session and a cookie.
        let forms = Form::ALL.into_iter().filter(move |form| {
            (form.scheme == Scheme::Jwt) == (kind == Kind::ConnectJwt)
                && (form.scheme == Scheme::Cookie) == (kind == Kind::WebSession)
        });
        forms.flat_map(move |form| {
            scope_sets().into_iter().flat_map(move |scopes| {
                states.into_iter().flat_map(move |state| {
                    limits(kind).into_iter().map(move |limit| credential(kind, form, scopes, state, limit))
                })
            })
        })
    })
}

fn limits(kind: Kind) -> Vec<Limit> {
    match kind {
        Kind::RepositoryToken => vec![Limit::Repository(REPOSITORY), Limit::Repository(RepositoryId(Uuid::nil()))],
        Kind::ProjectToken => vec![Limit::Project(PROJECT), Limit::Project(OTHER_PROJECT)],
        Kind::WorkspaceToken => vec![Limit::Workspace(HERE), Limit::Workspace(ELSEWHERE)],
        Kind::ApiToken => vec![Limit::Anywhere, Limit::Workspace(HERE), Limit::Workspace(ELSEWHERE)],
        _ => vec![Limit::Anywhere],
    }
}

pub(crate) fn credential(
    kind: Kind,
    form: Form,
    scopes: Scopes,
    (revoked_at, expires_at, owner_disabled): (Option<Timestamp>, Option<Timestamp>, bool),
    limit: Limit,
) -> Credential {
    let person = !kind.is_access_token();
    Credential {
        id: CredentialId::parse("000000000000").expect("an id"),
        kind,
        scopes,
        limit,
        created_at: Timestamp(0),
        expires_at,
        revoked_at,
        owner: person.then_some(OWNER),
        owner_disabled: person && owner_disabled,
        administrator: false,
        managed: person,
        two_step: person.then_some(false),
        single_sign_on: kind == Kind::OAuthToken,
        form,
    }
}

/// The public action of each surface, for tests that need one question.
pub(crate) fn ask(surface: Surface, action: Action) -> Ask {
    Ask { surface, action, address: None }
}
