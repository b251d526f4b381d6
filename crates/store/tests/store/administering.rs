//! What administering from elsewhere needs to know: which credential made which, who administers, and what was done.

use doorward_rules::{Action, CredentialId, NameForm, Privilege, Rule, Scheme, Surface, Timestamp};
use doorward_store::{
    AccountChange, AuditEntry, AuditFilter, Credentials, Decision, Named, Reach, Record, Recorder, Store, StoreError,
};
use doorward_wire::{RequestId, WorkspaceSlug};

use crate::{NOW, bearer, furnished, parsed, token};

/// The store as a request with a credential has it.
fn by(store: &Store, credential: CredentialId) -> Store {
    let decision = Decision::new(Surface::Rest, Action::WriteTokens, Rule::Privilege);
    let decision = decision.by(Scheme::Bearer, Some((credential, NameForm::Empty)), Some("ada".into()));
    store.on_behalf_of(RequestId::new(NOW, 7), decision, None)
}

#[tokio::test]
async fn what_a_stolen_credential_made_is_ended_with_it_and_nothing_else_is() {
    let (_directory, store) = furnished().await;
    let (other, _) = token(&store, "ada").await;
    let (stolen, _) = token(&store, "ada").await;
    let (made, _) = token(&by(&store, stolen.id), "ada").await;
    let (made_again, _) = token(&by(&store, made.id), "ada").await;
    let shape = doorward_wire::TokenShape::Doorward;
    let rotated = by(&store, made.id)
        .rotate_credential(made_again.id, shape, std::time::Duration::ZERO, NOW)
        .await
        .expect("rotated");
    assert_eq!((other.made_by, made.made_by, made_again.made_by), (None, Some(stolen.id), Some(made.id)));
    let living = store.credentials_made_with(stolen.id, Reach::Everybodys, NOW).await.expect("a list");
    // The one that was rotated away has ended by now.
    assert!(living.len() == 2 && living.contains(&made.id) && living.contains(&rotated.credential.id), "{living:?}");
    // Whoever rotates a token that was stolen, with another, has not made the new one with the old.
    let (leaked, _) = token(&store, "ada").await;
    store.rotate_credential(leaked.id, shape, std::time::Duration::ZERO, NOW).await.expect("rotated");
    assert_eq!(store.credentials_made_with(leaked.id, Reach::Everybodys, NOW).await.expect("a list"), []);

    let kept: Vec<_> = store.credentials(Credentials::All).await.expect("a list").into_iter().map(|c| c.id).collect();
    let kept: Vec<_> =
        kept.into_iter().filter(|id| *id != stolen.id && !living.contains(id) && *id != made_again.id).collect();
    assert!(kept.contains(&other.id) && kept.contains(&leaked.id));
    let ended = store.revoke_credential(stolen.id, Some(Reach::Everybodys), NOW).await.expect("revoked");
    assert_eq!((ended[0], ended.len()), (stolen.id, 4), "{ended:?}");
    for credential in store.credentials(Credentials::All).await.expect("a list") {
        assert_eq!(credential.revoked_at.is_some(), !kept.contains(&credential.id), "{credential:?}");
    }
    let again = store.revoke_credential(stolen.id, Some(Reach::Everybodys), NOW).await;
    assert!(matches!(again, Err(StoreError::State(_))), "{again:?}");
}

#[tokio::test]
async fn an_administrator_of_the_server_is_known_as_one_and_is_no_more_than_others_in_a_workspace() {
    let (_directory, store) = furnished().await;
    let (_, secret) = token(&store, "bob").await;
    let (workspace, site): (WorkspaceSlug, _) = (parsed("acme"), parsed("acme/site"));
    for administrator in [false, true] {
        let change = AccountChange { administrator: Some(administrator), ..AccountChange::default() };
        store.change_account(&parsed("bob"), change, NOW).await.expect("changed");
        let found = store.find(&bearer(&secret), Named::Workspace(&workspace)).await.expect("an answer");
        assert_eq!(found.facts.workspace.as_ref().map(|workspace| workspace.privilege), Some(Privilege::None));
        assert_eq!(found.facts.credential().map(|credential| credential.administrator), Some(administrator));
        let found = store.find(&bearer(&secret), Named::Repository(&site)).await.expect("an answer");
        assert_eq!(found.facts.repository.map(|repository| repository.privilege), Some(Privilege::None));
        let ada = parsed("ada");
        let found = store.find(&bearer(&secret), Named::Account(&ada)).await.expect("an answer");
        assert_eq!(found.facts.account, Some(store.account(&ada).await.expect("ada").id));
    }
}

#[tokio::test]
async fn the_audit_is_searched_and_given_in_pages_that_neither_repeat_nor_leave_out() {
    let (_directory, store) = furnished().await;
    let (recorder, task) = Recorder::start(store.clone());
    let decision = |account: &str, address: &str, reason: Option<&str>| {
        let mut decision = Decision::new(Surface::Git, Action::Fetch, Rule::Visible);
        decision.account = Some(account.into());
        decision.address = Some(address.into());
        decision.reason = reason.map(str::to_owned);
        decision
    };
    for number in 0..50 {
        let at = Timestamp(NOW.0 + 1000 + number * 10);
        let refused = Record {
            at,
            event: "refused".into(),
            request: None,
            subject: if number % 2 == 0 { "acme/site".into() } else { "acmeother/site".into() },
            decision: Some(decision("bob", "192.0.2.1", Some("scope_missing"))),
            status: Some(403),
            sentence: "no".into(),
            remedy: None,
        };
        recorder.record(refused).await.expect("recorded");
        recorder.tally(at, format!("acme/{}", number % 5), decision("ada", "192.0.2.2", None)).await.expect("counted");
    }
    drop(recorder);
    task.finish().await;
    let count = async |filter: AuditFilter<'_>| store.audit(filter, 0, 1000).await.expect("the audit").len();
    let all = AuditFilter::default();
    let since = AuditFilter { since: Some(Timestamp(NOW.0 + 1)), ..all };
    assert_eq!(count(AuditFilter { within: Some("acme"), ..since }).await, 25 + 5);
    assert_eq!(count(AuditFilter { within: Some("acme/site"), ..since }).await, 25);
    assert_eq!(count(AuditFilter { within: Some("acme/%"), ..since }).await, 0);
    assert_eq!(count(AuditFilter { account: Some("bob"), ..all }).await, 50);
    assert_eq!(count(AuditFilter { address: Some("192.0.2.2"), ..all }).await, 5);
    assert_eq!(count(AuditFilter { reason: Some("scope_missing"), ..all }).await, 50);
    assert_eq!(count(AuditFilter { refused: true, ..all }).await, 50);
    let until = Timestamp(NOW.0 + 1100);
    assert_eq!(count(AuditFilter { until: Some(until), ..since }).await, 10);

    let whole = store.audit(all, 0, 1000).await.expect("the audit");
    let mut paged = Vec::new();
    while let page = store.audit(all, u32::try_from(paged.len()).expect("few"), 7).await.expect("a page")
        && !page.is_empty()
    {
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    let moment = |entry: &AuditEntry| match entry {
        AuditEntry::Record(record) => record.at,
        AuditEntry::Tally(tally) => tally.last_at,
    };
    assert!(whole.is_sorted_by_key(moment));
}
