//! What one decision costs: `cargo bench -p doorward-rules`.

use divan::Bencher;
use divan::counter::ItemsCount;
use doorward_rules::{
    AccountId, Action, Ask, Calendar, Credential, CredentialId, Facts, Form, Kind, Limit, NameForm, Policy, Presented,
    Privilege, ProjectId, Repository, RepositoryId, RuleSet, Rules, Scope, Scopes, Surface, Timestamp, Workspace,
    WorkspaceId, advise, bitbucket_cloud, decide,
};
use uuid::Uuid;

fn main() {
    divan::main();
}

const NOW: Timestamp = Timestamp::utc(2026, 11, 22);

/// A grant goes through every rule: the longest way there is.
#[divan::bench(args = ["doorward", "bitbucket_cloud"])]
fn grant(bencher: Bencher<'_, '_>, set: &str) {
    let facts = facts(Scopes::of(&[Scope::ReadRepository, Scope::WriteRepository]));
    run(bencher, set, &facts);
}

/// A refusal for a missing scope, with its sentence and remedy left out.
#[divan::bench(args = ["doorward", "bitbucket_cloud"])]
fn refusal(bencher: Bencher<'_, '_>, set: &str) {
    run(bencher, set, &facts(Scopes::of(&[Scope::ReadRepository])));
}

/// What a refused caller would have to change.
#[divan::bench]
fn advice(bencher: Bencher<'_, '_>) {
    let (facts, calendar) = (facts(Scopes::NONE), Calendar::new());
    let rules = Rules { set: RuleSet::Doorward, calendar: &calendar };
    bencher.bench(|| advise(divan::black_box(rules), &ask(), divan::black_box(&facts), NOW));
}

fn run(bencher: Bencher<'_, '_>, set: &str, facts: &Facts) {
    let (set, calendar) = match set {
        "doorward" => (RuleSet::Doorward, Calendar::new()),
        _ => (RuleSet::BitbucketCloud, bitbucket_cloud::calendar()),
    };
    let rules = Rules { set, calendar: &calendar };
    let ask = ask();
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| decide(divan::black_box(rules), divan::black_box(&ask), divan::black_box(facts), NOW));
}

fn ask() -> Ask {
    Ask { surface: Surface::Git, action: Action::Push, address: Some([192, 0, 2, 7].into()) }
}

fn facts(scopes: Scopes) -> Facts {
    let workspace = WorkspaceId(Uuid::from_u128(1));
    let policy = Policy {
        longest: Some(std::time::Duration::from_secs(400 * 86_400)),
        addresses: vec!["10.0.0.0/8".parse().expect("a range"), "192.0.2.0/24".parse().expect("a range")],
        ..Policy::default()
    };
    let credential = Credential {
        id: CredentialId::parse("000000000000").expect("an id"),
        kind: Kind::ApiToken,
        scopes,
        limit: Limit::Workspace(workspace),
        created_at: NOW,
        expires_at: Some(NOW.after(std::time::Duration::from_secs(86_400))),
        revoked_at: None,
        owner: Some(AccountId(Uuid::from_u128(2))),
        owner_disabled: false,
        managed: true,
        administrator: false,
        two_step: Some(true),
        single_sign_on: false,
        form: Form::basic(NameForm::UserName),
    };
    let (id, project) = (RepositoryId(Uuid::from_u128(3)), ProjectId(Uuid::from_u128(4)));
    Facts {
        presented: Presented::Proven(credential),
        workspace: Some(Workspace { id: workspace, policy, privilege: Privilege::Read, shows: false }),
        repository: Some(Repository { id, project, public: false, privilege: Privilege::Admin }),
        account: None,
    }
}
