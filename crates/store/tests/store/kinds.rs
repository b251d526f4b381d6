//! Credentials of every kind: what they belong to, what is asked of them, when they were used and when they end.

use std::time::Duration;

use doorward_rules::{
    Action, Brownout, Kind, Kinds, Limit, Phase, Policy, Presented, Privilege, Reason, Rule, Schedule, Scope, Scopes,
    Surface, Timestamp,
};
use doorward_store::{
    AccountChange, Credential, Decision, Holder, Named, NewCredential, Recorder, Store, StoreError, Webhook,
};
use doorward_wire::{ProjectName, RepositoryName, TokenShape, WorkspaceSlug};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{NOW, bearer, furnished, open, parsed};

const DAY: Duration = Duration::from_secs(86_400);

async fn make(store: &Store, kind: Kind, shape: TokenShape, holder: Holder<'_>) -> (Credential, SecretString) {
    let scopes = Scopes::of(&[Scope::RepositoryWrite]);
    let new = NewCredential { kind, shape, name: "deploy", scopes, expires_at: Some(NOW.after(300 * DAY)) };
    store.create_credential(holder, new, NOW).await.expect("made")
}

async fn privilege(store: &Store, secret: &SecretString, name: &str) -> Privilege {
    let found = store.find(&bearer(secret), Named::Repository(&parsed(name))).await.expect("an answer");
    assert!(matches!(found.facts.presented, Presented::Proven(_)), "{found:?}");
    found.facts.repository.map_or(Privilege::None, |repository| repository.privilege)
}

#[tokio::test]
async fn an_access_token_is_an_administrator_of_its_own_place_and_nobody_elsewhere() {
    let (_directory, store) = furnished().await;
    let (workspace, project): (WorkspaceSlug, ProjectName) = (parsed("acme"), parsed("acme/OPS"));
    store.create_project(&project, "Operations", NOW).await.expect("made");
    store.create_workspace(&parsed("other"), &parsed("bob"), NOW).await.expect("made");
    for (name, key) in [("acme/infra", Some(&project.key)), ("other/secret", None)] {
        store.create_repository(store.new_repository_id(NOW), &parsed(name), key, false, NOW).await.expect("made");
    }
    let repository: RepositoryName = parsed("acme/site");
    for shape in [TokenShape::Doorward, TokenShape::Bitbucket] {
        for (kind, holder, reaches) in [
            (Kind::RepositoryToken, Holder::Repository(&repository), [true, false, false]),
            (Kind::ProjectToken, Holder::Project(&project), [false, true, false]),
            (Kind::WorkspaceToken, Holder::Workspace(&workspace), [true, true, false]),
        ] {
            let (credential, secret) = make(&store, kind, shape, holder).await;
            assert_eq!(credential.account, None);
            for (name, reached) in ["acme/site", "acme/infra", "other/secret"].into_iter().zip(reaches) {
                let expected = if reached { Privilege::Admin } else { Privilege::None };
                assert_eq!(privilege(&store, &secret, name).await, expected, "{kind:?} {name}");
            }
            let found = store.find(&bearer(&secret), Named::Nothing).await.expect("an answer");
            let proven = found.facts.credential().expect("proven");
            assert_eq!((proven.owner, &found.account), (None, &None));
            assert!(proven.limit != Limit::Anywhere);
            // Rotated, it is still its place's.
            let rotated = store.rotate_credential(credential.id, shape, DAY, NOW).await.expect("rotated");
            assert_eq!((rotated.credential.place, rotated.credential.kind), (credential.place, kind));
            assert_eq!(privilege(&store, &rotated.secret, "other/secret").await, Privilege::None);
        }
    }
}

#[tokio::test]
async fn the_tokens_of_a_repository_end_with_it_and_do_not_come_back_with_its_name() {
    let (_directory, store) = furnished().await;
    let name: RepositoryName = parsed("acme/site");
    let (credential, secret) =
        make(&store, Kind::RepositoryToken, TokenShape::Doorward, Holder::Repository(&name)).await;
    assert_eq!(privilege(&store, &secret, "acme/site").await, Privilege::Admin);
    store.delete_repository(&name, NOW).await.expect("deleted");
    store.create_repository(store.new_repository_id(NOW), &name, None, false, NOW).await.expect("made");
    assert_eq!(privilege(&store, &secret, "acme/site").await, Privilege::None);
    let ended = store.credential(credential.id).await.expect("still on record");
    assert_eq!((ended.revoked_at, ended.place.as_deref()), (Some(NOW), Some("acme/site")));
}

#[tokio::test]
async fn a_policy_names_beforehand_whom_it_will_refuse_and_then_does() {
    let (directory, store) = furnished().await;
    let other_process = open(directory.path()).await;
    let (ada, bob, acme) = (parsed("ada"), parsed("bob"), parsed("acme"));
    let managed = AccountChange { managed: Some(true), ..AccountChange::default() };
    store.change_account(&ada, managed, NOW).await.expect("managed");
    let (api, secret) = make(&store, Kind::ApiToken, TokenShape::Doorward, Holder::Account(&ada, None)).await;
    let (deploy, _) = make(&store, Kind::WorkspaceToken, TokenShape::Doorward, Holder::Workspace(&acme)).await;
    // Bob has nothing to do with the workspace.
    make(&store, Kind::ApiToken, TokenShape::Doorward, Holder::Account(&bob, None)).await;
    let affected = async |policy: &Policy| {
        let affected = store.affected_by(&acme, policy, NOW).await.expect("a list");
        affected.into_iter().map(|affected| (affected.credential.id, affected.reason.code())).collect::<Vec<_>>()
    };
    let none = Policy::default();
    assert_eq!(affected(&none).await, []);
    assert_eq!(affected(&Policy { sso: true, ..none.clone() }).await, [(api.id, "policy_sso")]);
    let kinds = Some(Kinds::of(&[Kind::ApiToken]));
    assert_eq!(affected(&Policy { kinds, ..none.clone() }).await, [(deploy.id, "policy_kind")]);
    let longest = Some(90 * DAY);
    let both = [(api.id, "policy_lifetime"), (deploy.id, "policy_lifetime")];
    let mut lasting = affected(&Policy { longest, ..none.clone() }).await;
    lasting.sort_by_key(|(id, _)| *id != api.id);
    assert_eq!(lasting, both);
    assert_eq!(affected(&Policy { two_step: true, ..none.clone() }).await, [(api.id, "policy_two_step")]);
    // Nobody has used a token from anywhere yet.
    let addresses = vec!["192.0.2.0/24".parse().expect("a range"), "2001:db8::/32".parse().expect("a range")];
    assert_eq!(affected(&Policy { addresses: addresses.clone(), ..none.clone() }).await, []);

    assert_eq!(privilege(&other_process, &secret, "acme/site").await, Privilege::Admin);
    let policy = Policy { sso: true, kinds, longest, addresses, two_step: true };
    store.change_policy(&acme, |_| policy.clone(), NOW).await.expect("set");
    assert_eq!(other_process.policy(&acme).await.expect("a policy"), policy);
    let found = other_process.find(&bearer(&secret), Named::Repository(&parsed("acme/site"))).await.expect("an answer");
    let workspace = found.facts.workspace.as_ref().expect("the workspace");
    let credential = found.facts.credential().expect("proven");
    assert_eq!(workspace.policy.against_credential(credential), Some(Reason::SsoRequired { kind: Kind::ApiToken }));
    // Whom the present policy refuses already is not named again.
    assert_eq!(affected(&policy).await, []);
    let longer = || NewCredential {
        kind: Kind::WorkspaceToken,
        shape: TokenShape::Doorward,
        name: "x",
        scopes: Scopes::NONE,
        expires_at: None,
    };
    let create = async || store.create_credential(Holder::Workspace(&acme), longer(), NOW).await;
    let refused = create().await;
    assert!(matches!(refused, Err(StoreError::State(ref why)) if why.contains("does not allow")), "{refused:?}");
    store.change_policy(&acme, |policy| Policy { kinds: None, ..policy }, NOW).await.expect("set");
    let refused = create().await;
    assert!(matches!(refused, Err(StoreError::State(ref why)) if why.contains("90 days")), "{refused:?}");
    // A rotation does not make one that lasts longer than a new one might.
    let rotated = store.rotate_credential(deploy.id, TokenShape::Doorward, DAY, NOW).await.expect("rotated");
    assert_eq!(rotated.credential.expires_at, Some(NOW.after(90 * DAY)));
    // Nobody saw its secret: everything is as it was.
    store.take_back_rotation(&rotated.old, rotated.credential.id, NOW).await.expect("taken back");
    assert_eq!(store.credential(deploy.id).await.expect("listed"), deploy);
    assert!(store.credential(rotated.credential.id).await.expect("listed").revoked_at.is_some());
    store.rotate_credential(deploy.id, TokenShape::Doorward, DAY, NOW).await.expect("rotated again");
}

#[tokio::test]
async fn of_two_changes_to_a_policy_at_once_none_is_lost() {
    let (directory, store) = furnished().await;
    let other_process = open(directory.path()).await;
    let acme: WorkspaceSlug = parsed("acme");
    for _ in 0..20 {
        let (sso, two_step) = tokio::join!(
            store.change_policy(&acme, |policy| Policy { sso: true, ..policy }, NOW),
            other_process.change_policy(&acme, |policy| Policy { two_step: true, ..policy }, NOW)
        );
        assert!(sso.is_ok() && two_step.is_ok());
        let policy = store.policy(&acme).await.expect("a policy");
        assert!(policy.sso && policy.two_step, "{policy:?}");
        store.change_policy(&acme, |_| Policy::default(), NOW).await.expect("set");
    }
}

#[tokio::test]
async fn app_passwords_are_off_until_their_end_is_announced_and_end_when_it_comes() {
    let (directory, store) = furnished().await;
    let other_process = open(directory.path()).await;
    let ada = parsed("ada");
    let new = || NewCredential {
        kind: Kind::AppPassword,
        shape: TokenShape::Bitbucket,
        name: "script",
        scopes: Scopes::of(&[Scope::Repository]),
        expires_at: None,
    };
    let create = async |now| store.create_credential(Holder::Account(&ada, None), new(), now).await;
    let refused = create(NOW).await;
    assert!(matches!(refused, Err(StoreError::State(ref why)) if why.contains("calendar announce")), "{refused:?}");
    let hour = Duration::from_secs(3600);
    let schedule = Schedule {
        off: false,
        announced_at: Some(NOW),
        creation_ends_at: Some(NOW.after(10 * DAY)),
        retires_at: Some(NOW.after(30 * DAY)),
        brownouts: vec![
            Brownout { first: NOW.after(20 * DAY), length: hour, every: Some(6 * hour), until: NOW.after(25 * DAY) },
            Brownout { first: NOW.after(15 * DAY), length: hour, every: None, until: NOW.after(16 * DAY) },
        ],
    };
    assert_eq!(other_process.calendar().await.expect("a calendar").phase(Kind::AppPassword, NOW), Phase::Off);
    store.change_schedule(Kind::AppPassword, |_| schedule, "announced".into(), NOW).await.expect("set");
    let (_, secret) = create(NOW).await.expect("made");
    assert_eq!(privilege(&other_process, &secret, "acme/site").await, Privilege::Admin);
    let calendar = other_process.calendar().await.expect("a calendar");
    let phase = |days: u32| calendar.phase(Kind::AppPassword, NOW.after(days * DAY));
    assert_eq!((phase(1), phase(20)), (Phase::Announced, Phase::Brownout { until: NOW.after(20 * DAY + hour) }));
    assert_eq!((phase(26), phase(30)), (Phase::Announced, Phase::Retired { since: NOW.after(30 * DAY) }));
    assert!(create(NOW.after(11 * DAY)).await.is_err());
    store.change_schedule(Kind::AppPassword, |_| Schedule::default(), "taken back".into(), NOW).await.expect("set");
    assert_eq!(other_process.calendar().await.expect("a calendar").phase(Kind::AppPassword, NOW), Phase::Off);
}

#[tokio::test]
async fn the_last_use_of_a_credential_is_known_with_its_place_and_purpose() {
    let (_directory, store) = furnished().await;
    let ada = parsed("ada");
    let (used, _) = make(&store, Kind::ApiToken, TokenShape::Doorward, Holder::Account(&ada, None)).await;
    let (unused, _) = make(&store, Kind::ApiToken, TokenShape::Doorward, Holder::Account(&ada, None)).await;
    let (recorder, task) = Recorder::start(store.clone());
    let decision = |action, id: &Credential| {
        let proven = Some((id.id, doorward_rules::NameForm::UserName));
        Decision::new(Surface::Git, action, Rule::Privilege)
            .by(doorward_rules::Scheme::Basic, proven, Some("ada".into()))
            .from([192, 0, 2, 1].into(), None)
    };
    for second in 0..3u32 {
        let at = NOW.after(Duration::from_secs(second.into()));
        recorder.tally(at, "acme/site".into(), decision(Action::Fetch, &used)).await.expect("counted");
    }
    recorder.tally(NOW, "acme/site".into(), decision(Action::Push, &used)).await.expect("counted");
    // What was refused is no use.
    let refused = decision(Action::Push, &unused).refused("scope_missing");
    recorder.tally(NOW, "acme/site".into(), refused).await.expect("counted");
    drop(recorder);
    task.finish().await;
    let uses = store.uses(used.id).await.expect("uses");
    let told: Vec<_> = uses.iter().map(|noted| (noted.action.as_str(), noted.at, noted.requests)).collect();
    assert_eq!(told, [("fetch", Timestamp(NOW.0 + 2000), 3), ("push", NOW, 1)]);
    let last = store.credential(used.id).await.expect("listed").last_use.expect("used");
    assert_eq!((last.address.as_deref(), last.subject.as_str()), (Some("192.0.2.1"), "acme/site"));
    assert_eq!(store.credential(unused.id).await.expect("listed").last_use, None);
    let rehearsed = store.rehearse(Kind::ApiToken, NOW).await.expect("a rehearsal");
    assert_eq!(rehearsed.iter().map(|entry| (entry.credential.id, entry.requests)).collect::<Vec<_>>(), [(used.id, 4)]);
    assert!(store.rehearse(Kind::AppPassword, NOW).await.expect("a rehearsal").is_empty());
}

#[tokio::test]
async fn of_the_messages_that_are_due_each_workspace_has_its_share() {
    let (_directory, store) = furnished().await;
    store.create_workspace(&parsed("other"), &parsed("bob"), NOW).await.expect("made");
    let name: RepositoryName = parsed("other/quiet");
    store.create_repository(store.new_repository_id(NOW), &name, None, false, NOW).await.expect("made");
    let hook = async |name: &str| {
        let repository = store.repository(&parsed(name)).await.expect("there").id;
        let hook = Webhook {
            id: Uuid::nil(),
            repository,
            description: String::new(),
            url: "http://192.0.2.1".into(),
            secret: None,
            active: true,
            events: vec!["repo:push".into()],
            created_at: NOW,
            updated_at: NOW,
        };
        store.create_webhook(&hook, name).await.expect("made").id
    };
    let mut loud = Vec::new();
    for _ in 0..20 {
        loud.push(hook("acme/site").await);
    }
    let quiet = hook("other/quiet").await;
    for _ in 0..3 {
        store.queue_deliveries(&loud, "repo:push", "{}", NOW).await.expect("queued");
    }
    store.queue_deliveries(&[quiet], "repo:push", "{}", NOW.after(DAY)).await.expect("queued");
    let (due, next) = store.due_deliveries(NOW, 5).await.expect("an answer");
    assert_eq!((due.len(), next), (5, Some(NOW.after(DAY))));
    let (due, next) = store.due_deliveries(NOW.after(DAY), 5).await.expect("an answer");
    assert_eq!((due.iter().filter(|(delivery, _)| delivery.webhook == quiet).count(), due.len(), next), (1, 6, None));
    // Of one webhook, one message at a time.
    let hooks: std::collections::HashSet<Uuid> = due.iter().map(|(delivery, _)| delivery.webhook).collect();
    assert_eq!(hooks.len(), due.len());
}
