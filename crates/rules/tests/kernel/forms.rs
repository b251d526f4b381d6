//! In which form a secret is presented, and what is advised to whoever did it wrong.

use std::collections::HashMap;

use doorward_rules::{
    Action, Calendar, Change, Credential, Facts, Form, Kind, Limit, Object, Phase, Presented, Privilege, Repository,
    RuleSet, Rules, Scopes, Surface, Timestamp, advise, bitbucket_cloud, decide, present,
};

use crate::enumeration::{HERE, NOW, PROJECT, REPOSITORY, ask, credential, every_question, workspace};

/// Bitbucket Cloud's decision table, as its documentation and its users tell it for the time after 18 August 2026.
/// `yes`: the form to use; `-`: refused.
const TABLE: &str = "
    kind                     git                         REST
    account_password         -                           -
    app_password             -                           -
    api_token                x-bitbucket-api-token-auth  the owner's e-mail
    repository_access_token  x-token-auth                Bearer
    project_access_token     x-token-auth                Bearer
    workspace_access_token   x-token-auth                Bearer
    oauth_access_token       x-token-auth                Bearer
    connect_jwt              -                           -
    web_session              -                           -";

#[test]
fn the_form_to_present_each_kind_in_is_bitbucket_clouds_table() {
    let calendar = bitbucket_cloud::calendar();
    let rules = Rules { set: RuleSet::BitbucketCloud, calendar: &calendar };
    let cell = |kind, surface| match present(rules, kind, surface, Timestamp::utc(2026, 11, 22)) {
        None => "-",
        Some(Form::BEARER) => "Bearer",
        Some(form) => form.name.word(),
    };
    let rows = Kind::ALL.map(|kind| {
        let row = format!("    {:24} {:27} {}", kind.word(), cell(kind, Surface::Git), cell(kind, Surface::Rest));
        row.trim_end().to_owned()
    });
    assert_eq!(format!("\n    kind                     git                         REST\n{}", rows.join("\n")), TABLE);
}

#[test]
fn a_session_is_taken_as_a_cookie_and_nothing_else_is() {
    let taken = |kind, form| RuleSet::Doorward.accepts(kind, Surface::Web, form, NOW);
    assert!(taken(Kind::WebSession, Form::COOKIE));
    for form in Form::ALL.into_iter().filter(|form| *form != Form::COOKIE) {
        assert!(!taken(Kind::WebSession, form), "{form:?}");
    }
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::WebSession) {
        assert!(!taken(kind, Form::COOKIE), "{kind:?}");
    }
}

#[test]
fn what_is_presented_as_told_is_granted_on_every_day() {
    let own = Calendar::new();
    let theirs = bitbucket_cloud::calendar();
    let mut granted = 0;
    for (set, calendar) in [(RuleSet::Doorward, &own), (RuleSet::BitbucketCloud, &theirs)] {
        let rules = Rules { set, calendar };
        // A day before and after each change, and now.
        let day = std::time::Duration::from_secs(86_400);
        let changes =
            bitbucket_cloud::CHANGES.iter().flat_map(|change| [change.at.before(day), change.at.after(day / 2)]);
        for at in changes.chain([NOW]) {
            for kind in Kind::ALL {
                for surface in Surface::ALL {
                    let Some(form) = present(rules, kind, surface, at) else { continue };
                    for action in surface.actions() {
                        let about = action.object();
                        let person = matches!(about, Object::Account | Object::Server);
                        let whole = about != Object::Holder || kind == Kind::WorkspaceToken;
                        if kind.is_access_token() && (person || !whole) {
                            continue;
                        }
                        let facts = can_everything(kind, form);
                        let verdict = decide(rules, &ask(surface, *action), &facts, at);
                        assert!(
                            verdict.outcome.is_ok(),
                            "{set:?} {kind:?} {surface:?} {action:?} at {at}: {verdict:?}"
                        );
                        granted += 1;
                    }
                }
            }
        }
    }
    assert!(granted > 300, "{granted}");
}

fn can_everything(kind: Kind, form: Form) -> Facts {
    let limit = match kind {
        Kind::RepositoryToken => Limit::Repository(REPOSITORY),
        Kind::ProjectToken => Limit::Project(PROJECT),
        Kind::WorkspaceToken => Limit::Workspace(HERE),
        _ => Limit::Anywhere,
    };
    let scopes = Scopes::of(doorward_rules::Scope::ALL);
    Facts {
        presented: Presented::Proven(Credential {
            administrator: !kind.is_access_token(),
            ..credential(kind, form, scopes, (None, None, false), limit)
        }),
        account: None,
        workspace: Some(workspace(Privilege::Admin, true)),
        repository: Some(Repository { id: REPOSITORY, project: PROJECT, public: false, privilege: Privilege::Admin }),
    }
}

#[test]
fn app_passwords_are_refused_in_brownouts_and_for_good_on_the_days_of_the_announcement() {
    let calendar = bitbucket_cloud::calendar();
    let refused = |at: &str| {
        let at: Timestamp = at.parse().expect("a moment");
        !matches!(calendar.phase(Kind::AppPassword, at), Phase::On | Phase::Announced)
    };
    for (at, expected) in [
        ("2025-09-08T00:00:00Z", false),
        ("2026-06-08T23:59:59Z", false),
        ("2026-06-09T00:00:00Z", true),
        ("2026-06-09T00:14:59Z", true),
        ("2026-06-09T00:15:00Z", false),
        ("2026-06-09T05:59:59Z", false),
        ("2026-06-09T06:00:00Z", true),
        ("2026-06-15T18:14:59Z", true),
        ("2026-06-15T18:15:00Z", false),
        ("2026-06-16T00:29:59Z", true),
        ("2026-06-16T00:30:00Z", false),
        ("2026-07-27T18:29:59Z", true),
        ("2026-07-27T23:59:59Z", false),
        ("2026-07-28T00:00:00Z", true),
        ("2026-11-22T12:00:00Z", true),
    ] {
        assert_eq!(refused(at), expected, "{at}");
    }
}

#[test]
fn following_the_advice_leads_in_and_no_part_of_it_can_be_left_out() {
    let mut advised: HashMap<usize, usize> = HashMap::new();
    every_question(|question| {
        let Some(advice) = advise(question.rules, question.ask, question.facts, NOW) else { return };
        *advised.entry(advice.changes.len()).or_default() += 1;
        assert!(question.decide().outcome.is_err());
        let all = advice.follow(question.ask, question.facts, NOW, |_| true);
        let verdict = decide(question.rules, &all.0, &all.1, NOW);
        assert!(verdict.outcome.is_ok(), "{}: {advice:?} ends in {verdict:?}", question.describe());
        if advice.changes.len() > 1 {
            for left_out in 0..advice.changes.len() {
                let (ask, facts) = advice.follow(question.ask, question.facts, NOW, |place| place != left_out);
                let without = decide(question.rules, &ask, &facts, NOW).outcome;
                assert!(without.is_err(), "{}: {advice:?} does not need {left_out}", question.describe());
            }
        }
    });
    println!("changes advised: {advised:?}");
    assert!(advised.len() > 3, "{advised:?}");
}

#[test]
fn advice_for_the_common_mistakes_is_the_one_change_that_helps() {
    let calendar = bitbucket_cloud::calendar();
    let rules = Rules { set: RuleSet::BitbucketCloud, calendar: &calendar };
    let advice = |kind, form, surface, action| {
        let facts = can_everything(kind, form);
        advise(rules, &ask(surface, action), &facts, Timestamp::utc(2026, 11, 22)).map(|advice| advice.changes)
    };
    use doorward_rules::NameForm::{ApiTokenAuth, Email, TokenAuth, UserName};
    let basic = Form::basic;
    assert_eq!(
        advice(Kind::ApiToken, basic(Email), Surface::Git, Action::Fetch),
        Some(vec![Change::Present(basic(ApiTokenAuth))])
    );
    assert_eq!(
        advice(Kind::ApiToken, basic(UserName), Surface::Rest, Action::ReadAccount),
        Some(vec![Change::Present(basic(Email))])
    );
    assert_eq!(
        advice(Kind::WorkspaceToken, basic(ApiTokenAuth), Surface::Git, Action::Push),
        Some(vec![Change::Present(basic(TokenAuth))])
    );
    assert_eq!(
        advice(Kind::AppPassword, basic(UserName), Surface::Git, Action::Push),
        Some(vec![Change::Replace(Kind::ApiToken, basic(ApiTokenAuth))])
    );
    assert_eq!(advice(Kind::ApiToken, basic(UserName), Surface::Git, Action::Fetch), None);
}
