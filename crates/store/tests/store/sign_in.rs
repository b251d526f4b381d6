//! What people sign in with, and what applications are given: good once, for a while, and for whom it was made.

use std::time::Duration;

use doorward_rules::{Presented, Scope, Scopes, Timestamp};
use doorward_store::{
    Account, AccountChange, Consumer, Named, NewConsumer, NewGrant, Passkey, ProviderIdentity, ProviderSession, Store,
    Worthless,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{bearer, parsed};

const NOW: Timestamp = Timestamp(1_000_000_000);

struct Stage {
    #[expect(dead_code, reason = "held for its Drop")]
    directory: tempfile::TempDir,
    store: Store,
    account: Account,
    consumer: Consumer,
}

async fn stage() -> Stage {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).await.expect("opened");
    let account = store.create_account(&parsed("ada"), &parsed("ada@example.org"), NOW).await.expect("an account");
    store.create_workspace(&parsed("acme"), &parsed("ada"), NOW).await.expect("a workspace");
    let new = NewConsumer {
        workspace: &parsed("acme"),
        name: "CI",
        description: "",
        callback: Some("https://ci.example.com/"),
        private: true,
        scopes: Scopes::of(&[Scope::Repository]),
    };
    let (consumer, _) = store.create_consumer(new, NOW).await.expect("a consumer");
    Stage { directory, store, account, consumer }
}

impl Stage {
    async fn code(&self, now: Timestamp) -> SecretString {
        let new = NewGrant {
            consumer: &self.consumer,
            account: &self.account,
            scopes: self.consumer.scopes,
            single_sign_on: false,
            redirect_uri: None,
            challenge: None,
        };
        self.store.create_grant(new, now).await.expect("a code")
    }

    async fn is_good(&self, access: &SecretString) -> bool {
        let found = self.store.find(&bearer(access), Named::Nothing).await.expect("an answer");
        matches!(&found.facts.presented, Presented::Proven(credential) if credential.revoked_at.is_none())
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn a_code_is_good_for_five_minutes() {
    let stage = stage().await;
    let code = stage.code(NOW).await;
    let redeem = |at| stage.store.redeem_code(&stage.consumer, &code, |_, _| true, at);
    assert_eq!(redeem(NOW.after(seconds(300))).await.expect("an answer").err(), Some(Worthless::Expired));
    assert!(redeem(NOW.after(seconds(299))).await.expect("an answer").is_ok());
}

#[tokio::test]
async fn of_many_that_bring_one_code_at_once_one_is_given_tokens() {
    let stage = stage().await;
    let code = stage.code(NOW).await;
    let all = (0..8).map(|_| {
        let (store, consumer, code) = (stage.store.clone(), stage.consumer.clone(), code.clone());
        tokio::spawn(async move { store.redeem_code(&consumer, &code, |_, _| true, NOW).await.expect("an answer") })
    });
    let mut given = Vec::new();
    for one in all.collect::<Vec<_>>() {
        given.extend(one.await.expect("it ends"));
    }
    assert_eq!(given.len(), 1);
    // There was one too many, so that it ends for all.
    assert!(!stage.is_good(&given[0].access).await);
}

#[tokio::test]
async fn a_refresh_token_that_comes_back_late_was_stolen_and_ends_what_it_was_given_for() {
    let stage = stage().await;
    let code = stage.code(NOW).await;
    let first =
        stage.store.redeem_code(&stage.consumer, &code, |_, _| true, NOW).await.expect("an answer").expect("tokens");
    let refresh = first.refresh.expect("a refresh token");
    let at = |later| stage.store.refresh_grant(&stage.consumer, &refresh, None, NOW.after(seconds(later)));
    let second = at(10).await.expect("an answer").expect("tokens");
    // Whoever has not heard the answer asks once more, and hears the same.
    let third = at(60).await.expect("an answer").expect("tokens");
    let next =
        |tokens: &doorward_store::Tokens| tokens.refresh.as_ref().map(|secret| secret.expose_secret().to_owned());
    assert_eq!(next(&second), next(&third));
    assert!(stage.is_good(&second.access).await && stage.is_good(&third.access).await);
    assert_eq!(at(70).await.expect("an answer").err(), Some(Worthless::UsedBefore));
    for access in [&first.access, &second.access, &third.access] {
        assert!(!stage.is_good(access).await);
    }
    let newest = third.refresh.expect("a refresh token");
    let ended =
        stage.store.refresh_grant(&stage.consumer, &newest, None, NOW.after(seconds(80))).await.expect("an answer");
    assert_eq!(ended.err(), Some(Worthless::Ended));
}

#[tokio::test]
async fn a_refresh_token_that_nobody_uses_ends_after_three_months() {
    let stage = stage().await;
    let code = stage.code(NOW).await;
    let first =
        stage.store.redeem_code(&stage.consumer, &code, |_, _| true, NOW).await.expect("an answer").expect("tokens");
    let late = NOW.after(seconds(90 * 86_400));
    let refresh = first.refresh.expect("a refresh token");
    let ended = stage.store.refresh_grant(&stage.consumer, &refresh, None, late).await.expect("an answer");
    assert_eq!(ended.err(), Some(Worthless::Expired));
}

#[tokio::test]
async fn what_has_ended_long_ago_is_removed_and_what_has_not_stays() {
    let stage = stage().await;
    let (store, account) = (&stage.store, &stage.account);
    let day = seconds(86_400);
    let code = stage.code(NOW).await;
    let tokens = store.redeem_code(&stage.consumer, &code, |_, _| true, NOW).await.expect("an answer").expect("tokens");
    let itself = store.grant_itself(&stage.consumer, None, NOW).await.expect("tokens");
    store.open_session(account, "Firefox", None, NOW.after(day), NOW).await.expect("a session");
    let (link, _) = store.create_sign_in_link(&account.name, day, NOW).await.expect("a link");
    assert_eq!(store.prune_sign_ins(NOW.before(day), NOW).await.expect("pruned"), 0);
    assert!(store.sign_in_link(&link, NOW).await.expect("an answer").is_some());
    let later = NOW.after(40 * day);
    // A code, a link, a session, and two access tokens; the grant lives on by its refresh token.
    assert_eq!(store.prune_sign_ins(later.before(30 * day), later).await.expect("pruned"), 5);
    for access in [&tokens.access, &itself.access] {
        let found = store.find(&bearer(access), Named::Nothing).await.expect("an answer");
        assert_eq!(found.facts.presented, Presented::Unknown);
    }
    let refresh = tokens.refresh.expect("a refresh token");
    assert!(store.refresh_grant(&stage.consumer, &refresh, None, later).await.expect("an answer").is_ok());
    assert!(store.grant_itself(&stage.consumer, None, later).await.is_ok());
}

#[tokio::test]
async fn a_second_step_is_bound_to_its_account_and_each_code_is_good_once() {
    let stage = stage().await;
    let (store, ada) = (&stage.store, &stage.account);
    let bob = store.create_account(&parsed("bob"), &parsed("bob@example.org"), NOW).await.expect("an account");
    let (session, _) = store.open_session(ada, "Firefox", None, NOW.after(seconds(60)), NOW).await.expect("a session");
    store.begin_second_step(ada, b"a secret of twenty b", NOW).await.expect("begun");
    assert!(!store.take_step(ada.id, 5, NOW).await.expect("an answer"), "it is not confirmed yet");
    let codes = store.confirm_second_step(ada, 5, session.id, NOW).await.expect("confirmed");
    assert!(store.begin_second_step(ada, b"another", NOW).await.is_err());
    for (step, taken) in [(5, false), (4, false), (6, true), (6, false), (7, true)] {
        assert_eq!(store.take_step(ada.id, step, NOW).await.expect("an answer"), taken, "{step}");
    }
    assert!(!store.take_recovery_code(&bob, &codes[0], NOW).await.expect("an answer"));
    assert!(store.take_recovery_code(ada, &codes[0], NOW).await.expect("an answer"));
    assert!(!store.take_recovery_code(ada, &codes[0], NOW).await.expect("an answer"));
    let renewed = store.renew_recovery_codes(ada, NOW).await.expect("renewed");
    assert!(!store.take_recovery_code(ada, &codes[1], NOW).await.expect("an answer"));
    assert!(store.take_recovery_code(ada, &renewed[1], NOW).await.expect("an answer"));
}

#[tokio::test]
async fn who_signs_in_at_a_provider_is_one_account_and_its_sessions_end_when_the_provider_says_so() {
    let stage = stage().await;
    let (store, ada) = (&stage.store, &stage.account);
    let identity = ProviderIdentity { issuer: "https://id.example", subject: "7" };
    assert_eq!(store.account_of_identity(identity).await.expect("an answer"), None);
    let bob = store.create_managed_account(&parsed("bob"), &parsed("bob@example.org"), identity, NOW).await;
    let bob = bob.expect("an account");
    assert!(bob.managed);
    assert_eq!(store.account_of_identity(identity).await.expect("an answer").as_ref(), Some(&bob));
    let elsewhere = ProviderIdentity { issuer: "https://evil.example", subject: "7" };
    assert_eq!(store.account_of_identity(elsewhere).await.expect("an answer"), None, "another provider's 7");
    assert!(store.link_identity(ada, identity, NOW).await.is_err(), "it is somebody already");
    store.create_managed_account(&parsed("carl"), &parsed("bob@example.org"), elsewhere, NOW).await.expect_err("taken");

    let open = async |session, at| {
        let provider = ProviderSession { identity, session: Some(session), proven_at: Some(at) };
        store.open_session(&bob, "Firefox", Some(provider), NOW.after(seconds(9000)), at).await.expect("a session").0
    };
    let (one, two) = (open("one", NOW).await, open("two", NOW).await);
    assert!(one.single_sign_on);
    let living = async || {
        let sessions = store.sessions(bob.id, NOW).await.expect("sessions");
        sessions.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    let end = async |issuer, person, session, by| {
        store.end_provider_sessions(issuer, person, session, by, NOW).await.expect("an answer")
    };
    assert_eq!(end("https://evil.example", Some("7"), None, NOW).await, 0);
    assert_eq!(end("https://id.example", Some("8"), Some("one"), NOW).await, 0);
    assert_eq!(end("https://id.example", Some("7"), None, NOW.before(seconds(1))).await, 0, "they were opened later");
    assert_eq!(end("https://id.example", None, Some("one"), NOW).await, 1);
    assert_eq!(living().await, [two.id]);
    assert_eq!(end("https://id.example", Some("7"), None, NOW).await, 1);
    assert!(living().await.is_empty());

    // The address of somebody who has left is given to somebody else, who does not get the account with it.
    let other = ProviderIdentity { issuer: "https://id.example", subject: "8" };
    assert!(store.link_identity(&bob, other, NOW).await.is_err(), "it is somebody else's");
    assert!(store.link_identity(ada, other, NOW).await.is_err(), "it is not managed");
    assert!(store.set_email(&bob, &parsed("bob@elsewhere.example"), NOW).await.expect("an answer"));
    assert!(!store.set_email(&bob, &parsed("ada@example.org"), NOW).await.expect("an answer"), "it is Ada's");
    store.create_managed_account(&parsed("new"), &parsed("bob@example.org"), other, NOW).await.expect("an account");
    // Whose account is not managed any more is nobody at the provider, and what came of that is over.
    open("three", NOW).await;
    store.set_memberships_by_group(&bob, &[parsed("acme")], NOW).await.expect("set");
    let granted = NewGrant {
        consumer: &stage.consumer,
        account: &bob,
        scopes: stage.consumer.scopes,
        single_sign_on: true,
        redirect_uri: None,
        challenge: None,
    };
    let code = store.create_grant(granted.clone(), NOW).await.expect("a code");
    let tokens = store.redeem_code(&stage.consumer, &code, |_, _| true, NOW).await.expect("an answer").expect("tokens");
    assert!(stage.is_good(&tokens.access).await);
    let later = NOW.after(seconds(31 * 86_400));
    let refresh = tokens.refresh.as_ref().expect("a refresh token");
    let late = store.refresh_grant(&stage.consumer, refresh, None, later).await.expect("an answer");
    assert_eq!(late.err(), Some(Worthless::Ended), "it has not come to its provider for long");
    let end = async |person, session| {
        store.end_provider_sessions("https://id.example", person, session, NOW, NOW).await.expect("an answer")
    };
    end(Some("7"), Some("three")).await;
    assert!(stage.is_good(&tokens.access).await, "one session is over, and the person is not out");
    open("four", NOW).await;
    end(Some("7"), None).await;
    assert!(!stage.is_good(&tokens.access).await);
    let code = store.create_grant(granted, NOW).await.expect("a code");
    open("five", NOW).await;
    assert_eq!(store.workspaces_of(bob.id).await.expect("workspaces").len(), 1);
    let change = AccountChange { managed: Some(false), ..AccountChange::default() };
    store.change_account(&bob.name, change, NOW).await.expect("changed");
    assert_eq!(store.account_of_identity(identity).await.expect("an answer"), None);
    assert!(living().await.is_empty() && store.workspaces_of(bob.id).await.expect("workspaces").is_empty());
    let code = store.redeem_code(&stage.consumer, &code, |_, _| true, NOW).await.expect("an answer");
    assert!(code.is_err(), "what it let do has ended");
}

#[tokio::test]
async fn groups_make_members_and_unmake_those_whom_they_made() {
    let stage = stage().await;
    let store = &stage.store;
    let bob = store.create_account(&parsed("bob"), &parsed("bob@example.org"), NOW).await.expect("an account");
    for slug in ["by-hand", "by-group", "own"] {
        let owner = if slug == "own" { "bob" } else { "ada" };
        store.create_workspace(&parsed(slug), &parsed(owner), NOW).await.expect("a workspace");
    }
    store.add_member(&parsed("by-hand"), &bob.name, NOW).await.expect("added");
    let member_of = async || {
        let all = store.workspaces_of(bob.id).await.expect("workspaces");
        all.into_iter().map(|(workspace, _)| workspace.slug.to_string()).collect::<Vec<_>>()
    };
    let wanted = ["by-hand", "by-group", "own", "there-is-none"].map(parsed);
    for _ in 0..2 {
        store.set_memberships_by_group(&bob, &wanted, NOW).await.expect("set");
        assert_eq!(member_of().await, ["by-group", "by-hand", "own"]);
    }
    store.set_memberships_by_group(&bob, &[], NOW).await.expect("set");
    assert_eq!(member_of().await, ["by-hand", "own"], "who was added by hand stays");
    store.set_memberships_by_group(&bob, &wanted, NOW).await.expect("set");
    store.add_member(&parsed("by-group"), &bob.name, NOW).await.expect("by hand from now on");
    assert!(store.add_member(&parsed("by-group"), &bob.name, NOW).await.is_err());
    store.set_memberships_by_group(&bob, &[], NOW).await.expect("set");
    assert_eq!(member_of().await, ["by-group", "by-hand", "own"]);
}

#[tokio::test]
async fn a_passkey_is_one_accounts_counts_upwards_and_the_last_second_step_takes_the_codes_along() {
    let stage = stage().await;
    let (store, ada) = (&stage.store, &stage.account);
    let bob = store.create_account(&parsed("bob"), &parsed("bob@example.org"), NOW).await.expect("an account");
    let (session, _) = store.open_session(ada, "Firefox", None, NOW.after(seconds(60)), NOW).await.expect("a session");
    store.open_session(ada, "Chrome", None, NOW.after(seconds(60)), NOW).await.expect("a session");
    let passkey = |id: &[u8]| Passkey {
        id: id.to_vec(),
        name: "telephone".into(),
        key: b"a key".to_vec(),
        counter: 0,
        backed_up: true,
        created_at: NOW,
        last_used_at: None,
    };
    let other = async || store.sessions(ada.id, NOW).await.expect("sessions").len() - 1;
    let codes = store.add_passkey(ada, &passkey(b"one"), session.id, NOW).await.expect("added").expect("codes");
    assert_eq!((codes.len(), store.recovery_codes_left(ada.id).await.expect("an answer")), (10, 10));
    assert!(store.account_by_id(ada.id).await.expect("an account").two_step);
    assert_eq!(store.sessions(ada.id, NOW).await.expect("sessions").len(), 1, "the others came without it");
    assert!(store.add_passkey(&bob, &passkey(b"one"), session.id, NOW).await.is_err(), "it is somebody's");
    assert!(store.add_passkey(ada, &passkey(b"two"), session.id, NOW).await.expect("added").is_none());
    let (found, owner) = store.passkey(b"one").await.expect("an answer").expect("a passkey");
    assert_eq!((found, owner.id), (passkey(b"one"), ada.id));
    assert_eq!(store.passkey(b"three").await.expect("an answer"), None);
    // Those that do not count say 0; of those that do, each number comes once.
    for (counter, good) in [(0, true), (0, true), (5, true), (5, false), (4, false), (0, false), (6, true)] {
        assert_eq!(store.use_passkey(b"one", counter, true, NOW).await.expect("an answer"), good, "{counter}");
    }
    assert!(store.remove_passkey(&bob, b"one", session.id, NOW).await.is_err(), "it is not Bob's");
    store.open_session(ada, "a thief's", None, NOW.after(seconds(60)), NOW).await.expect("a session");
    store.remove_passkey(ada, b"one", session.id, NOW).await.expect("removed");
    assert_eq!(other().await, 0, "what was opened by it has ended");
    assert!(store.account_by_id(ada.id).await.expect("an account").two_step);
    store.remove_passkey(ada, b"two", session.id, NOW).await.expect("removed");
    assert!(!store.account_by_id(ada.id).await.expect("an account").two_step);
    assert_eq!(store.recovery_codes_left(ada.id).await.expect("an answer"), 0);
}
