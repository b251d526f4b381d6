//! The store as its callers see it. Two handles on one directory stand for two processes.

mod administering;
mod kinds;
mod sign_in;
mod upgrade;

use std::path::Path;
use std::time::Duration;

use doorward_rules::{Action, Kind, NameForm, Presented, Privilege, Rule, Scope, Scopes, Surface, Timestamp};
use doorward_store::{
    AccountChange, AuditEntry, AuditFilter, Credentials, Decision, Holder, Named, NewCredential, Record, Recorder,
    Store, StoreError, Tally,
};
use doorward_wire::{Authorization, Passwords, RepositoryName, TokenShape};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn parsed<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} can be parsed"))
}

async fn tallies(store: &Store) -> Vec<Tally> {
    let all = store.audit(AuditFilter::default(), 0, 5000).await.expect("the audit");
    let tally = |entry| match entry {
        AuditEntry::Tally(tally) => Some(tally),
        AuditEntry::Record(_) => None,
    };
    all.into_iter().filter_map(tally).collect()
}

async fn open(directory: &Path) -> Store {
    Store::open(directory).await.expect("the store opens")
}

/// A store with the account `ada`, her workspace `acme` and in it the repository `site`.
async fn furnished() -> (TempDir, Store) {
    let directory = TempDir::new().expect("a directory");
    let store = open(directory.path()).await;
    store.create_account(&parsed("ada"), &parsed("ada@example.org"), NOW).await.expect("made");
    store.create_account(&parsed("bob"), &parsed("bob@example.org"), NOW).await.expect("made");
    store.create_workspace(&parsed("acme"), &parsed("ada"), NOW).await.expect("made");
    store.create_repository(store.new_repository_id(NOW), &parsed("acme/site"), None, false, NOW).await.expect("made");
    (directory, store)
}

async fn token(store: &Store, account: &str) -> (doorward_store::Credential, SecretString) {
    let account = parsed(account);
    let scopes = Scopes::of(&[Scope::ReadRepository]);
    let new = NewCredential { kind: Kind::ApiToken, shape: TokenShape::Doorward, name: "t", scopes, expires_at: None };
    store.create_credential(Holder::Account(&account, None), new, NOW).await.expect("made")
}

fn bearer(secret: &SecretString) -> Authorization {
    Authorization::read([format!("Bearer {}", secret.expose_secret()).as_bytes()], Passwords::Refused)
}

fn basic(pair: &str) -> Authorization {
    // `base64` without a crate: what a shell user would type.
    let mut child = std::process::Command::new("base64")
        .arg("-w0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("base64 runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("its input"), pair.as_bytes()).expect("written");
    let encoded = child.wait_with_output().expect("base64 ends").stdout;
    Authorization::read([[b"Basic ", encoded.as_slice()].concat().as_slice()], Passwords::Refused)
}

#[tokio::test]
async fn what_one_process_changes_the_next_read_of_another_sees() {
    let (directory, server) = furnished().await;
    let command = open(directory.path()).await;
    let name: RepositoryName = parsed("acme/site");
    for _ in 0..50 {
        let (credential, secret) = token(&command, "ada").await;
        let found = server.find(&bearer(&secret), Named::Repository(&name)).await.expect("an answer");
        assert!(matches!(found.facts.presented, Presented::Proven(ref proven) if proven.revoked_at.is_none()));
        command.revoke_credential(credential.id, None, NOW).await.expect("revoked");
        let found = server.find(&bearer(&secret), Named::Repository(&name)).await.expect("an answer");
        assert!(matches!(found.facts.presented, Presented::Proven(ref proven) if proven.revoked_at == Some(NOW)));
    }
}

#[tokio::test]
async fn every_change_moves_the_epoch_and_one_that_fails_does_not() {
    let (_directory, store) = furnished().await;
    let before = store.epoch().await.expect("an epoch");
    let disabled = AccountChange { disabled: Some(true), ..AccountChange::default() };
    store.change_account(&parsed("bob"), disabled, NOW).await.expect("changed");
    store.set_permission(&parsed("acme/site"), &parsed("bob"), Privilege::Read, NOW).await.expect("changed");
    assert_eq!(store.epoch().await.expect("an epoch"), before + 2);
    let taken = store.create_account(&parsed("ada"), &parsed("new@example.org"), NOW).await;
    assert!(matches!(taken, Err(StoreError::Exists { .. })), "{taken:?}");
    let missing = store.change_account(&parsed("nobody"), disabled, NOW).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
    assert_eq!(store.epoch().await.expect("an epoch"), before + 2);
}

#[tokio::test]
async fn a_secret_proves_its_own_credential_and_no_other() {
    let (_directory, store) = furnished().await;
    let name: RepositoryName = parsed("acme/site");
    let (ada, ada_secret) = token(&store, "ada").await;
    let (_, bob_secret) = token(&store, "bob").await;
    let found = store.find(&bearer(&ada_secret), Named::Repository(&name)).await.expect("an answer");
    assert_eq!(found.account.as_deref(), Some("ada"));
    assert_eq!(found.facts.repository.map(|repository| repository.privilege), Some(Privilege::Admin));
    let found = store.find(&bearer(&bob_secret), Named::Repository(&name)).await.expect("an answer");
    assert_eq!(found.facts.repository.map(|repository| repository.privilege), Some(Privilege::None));
    // A well-formed token that claims ada's id with another secret.
    let forged = doorward_wire::MintedToken::mint(Kind::ApiToken, TokenShape::Doorward, |buffer| {
        let id = ada.id.as_str().bytes().map(|letter| {
            doorward_rules::CredentialId::ALPHABET.iter().position(|known| *known == letter).expect("a letter") as u8
        });
        buffer.fill(1);
        buffer.iter_mut().zip(id).for_each(|(byte, value)| *byte = value);
    });
    assert_eq!(forged.id, ada.id);
    let found = store.find(&bearer(&forged.secret), Named::Repository(&name)).await.expect("an answer");
    assert_eq!((&found.facts.presented, &found.account), (&Presented::Unknown, &None));
    assert_eq!(found.facts.repository.map(|repository| repository.privilege), Some(Privilege::None));
}

#[tokio::test]
async fn the_form_of_the_user_name_is_found_out() {
    let (_directory, store) = furnished().await;
    let (_, secret) = token(&store, "ada").await;
    for (name, form) in [
        ("ada", NameForm::UserName),
        ("ADA", NameForm::UserName),
        ("Ada@Example.org", NameForm::Email),
        ("x-token-auth", NameForm::TokenAuth),
        ("x-bitbucket-api-token-auth", NameForm::ApiTokenAuth),
        ("", NameForm::Empty),
        ("git", NameForm::Nobody),
        ("bob", NameForm::SomebodyElse),
        ("bob@example.org", NameForm::SomebodyElse),
        ("' OR '1'='1", NameForm::Nobody),
    ] {
        let authorization = basic(&format!("{name}:{}", secret.expose_secret()));
        let found = store.find(&authorization, Named::Repository(&parsed("acme/site"))).await.expect("an answer");
        assert!(
            matches!(found.facts.presented, Presented::Proven(ref proven) if proven.form.name == form),
            "{name}: {found:?}"
        );
    }
}

#[tokio::test]
async fn what_was_given_on_a_repository_counts_before_membership_and_ownership_before_all() {
    let (_directory, store) = furnished().await;
    let (name, bob): (RepositoryName, _) = (parsed("acme/site"), parsed("bob"));
    let (_, secret) = token(&store, "bob").await;
    let privilege = async || {
        let found = store.find(&bearer(&secret), Named::Repository(&name)).await.expect("an answer");
        found.facts.repository.map(|repository| repository.privilege)
    };
    assert_eq!(privilege().await, Some(Privilege::None));
    store.add_member(&parsed("acme"), &bob, NOW).await.expect("added");
    assert_eq!(privilege().await, Some(Privilege::Read));
    for given in [Privilege::Admin, Privilege::None, Privilege::Write] {
        store.set_permission(&name, &bob, given, NOW).await.expect("given");
        assert_eq!(privilege().await, Some(given));
    }
    store.remove_member(&parsed("acme"), &bob, NOW).await.expect("removed");
    assert_eq!(privilege().await, Some(Privilege::None));
}

#[tokio::test]
async fn the_recorder_writes_everything_also_when_it_is_stopped_at_once() {
    let (directory, store) = furnished().await;
    let (recorder, task) = Recorder::start(store.clone());
    let decision = Decision::new(Surface::Git, Action::Fetch, Rule::Privilege);
    let writers: Vec<_> = (0..20)
        .map(|writer| {
            let (recorder, decision) = (recorder.clone(), decision.clone());
            tokio::spawn(async move {
                for number in 0..100 {
                    let record = Record {
                        at: NOW,
                        event: "refused".into(),
                        request: Some(format!("{writer}-{number}")),
                        subject: "acme/site".into(),
                        decision: Some(decision.clone()),
                        status: Some(401),
                        sentence: "a test".into(),
                        remedy: None,
                    };
                    recorder.record(record).await.expect("recorded");
                    recorder.tally(NOW, "acme/site".into(), decision.clone()).await.expect("counted");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("the writer ended");
    }
    drop(recorder);
    task.finish().await;
    store.close().await;
    let store = open(directory.path()).await;
    let refused = AuditFilter { refused: true, ..AuditFilter::default() };
    assert_eq!(store.audit(refused, 0, 5000).await.expect("records").len(), 2000);
    let tallies = tallies(&store).await;
    assert_eq!(tallies.iter().map(|tally| tally.requests).sum::<i64>(), 2000);
    assert_eq!(tallies.len(), 1);
}

#[tokio::test]
async fn records_are_written_while_another_process_changes_things() {
    let (directory, store) = furnished().await;
    let other = open(directory.path()).await;
    let (recorder, task) = Recorder::start(store.clone());
    let changes = tokio::spawn(async move {
        for _ in 0..100 {
            token(&other, "ada").await;
        }
    });
    let decision = Decision::new(Surface::Git, Action::Push, Rule::Privilege);
    for _ in 0..500 {
        recorder.tally(NOW, "acme/site".into(), decision.clone()).await.expect("counted");
    }
    changes.await.expect("all were made");
    drop(recorder);
    task.finish().await;
    assert_eq!(store.credentials(Credentials::All).await.expect("a list").len(), 100);
    assert_eq!(tallies(&store).await[0].requests, 500);
}

#[tokio::test]
async fn a_rotation_keeps_what_the_credential_was_and_ends_the_old_one_after_its_overlap() {
    let (_directory, store) = furnished().await;
    let (account, workspace) = (parsed("ada"), parsed("acme"));
    let new = NewCredential {
        kind: Kind::ApiToken,
        shape: TokenShape::Doorward,
        name: "ci",
        scopes: Scopes::of(&[Scope::Repository]),
        expires_at: Some(NOW.after(Duration::from_secs(1000))),
    };
    let (old, _) = store.create_credential(Holder::Account(&account, Some(&workspace)), new, NOW).await.expect("made");
    let later = NOW.after(Duration::from_secs(900));
    let rotated =
        store.rotate_credential(old.id, TokenShape::Doorward, Duration::from_secs(60), later).await.expect("rotated");
    assert_eq!(rotated.credential.expires_at, Some(later.after(Duration::from_secs(1000))));
    assert_eq!(
        (&rotated.credential.name, rotated.credential.scopes, &rotated.credential.place),
        (&old.name, old.scopes, &old.place)
    );
    assert_eq!(rotated.old_expires_at, later.after(Duration::from_secs(60)));
    // A second one would make a credential that lasts as long as the overlap.
    let again = store.rotate_credential(old.id, TokenShape::Doorward, Duration::from_secs(600), later).await;
    assert!(
        matches!(again, Err(StoreError::State(ref why)) if why.contains(rotated.credential.id.as_str())),
        "{again:?}"
    );
    let next = store
        .rotate_credential(rotated.credential.id, TokenShape::Doorward, Duration::from_secs(600), later)
        .await
        .expect("rotated");
    assert_eq!(next.credential.expires_at, rotated.credential.expires_at);
    store.revoke_credential(next.credential.id, None, later).await.expect("revoked");
    let ended = store.rotate_credential(next.credential.id, TokenShape::Doorward, Duration::ZERO, later).await;
    assert!(matches!(ended, Err(StoreError::State(_))), "{ended:?}");
}

#[tokio::test]
async fn old_records_are_removed_and_no_others() {
    let (_directory, store) = furnished().await;
    let day = Duration::from_secs(86_400);
    let later = NOW.after(day);
    store.create_workspace(&parsed("late"), &parsed("ada"), later).await.expect("made");
    let removed = store.prune_audit(later, later).await.expect("pruned");
    assert_eq!(removed, 4);
    let left = store.audit(AuditFilter::default(), 0, 100).await.expect("records");
    assert!(matches!(left.as_slice(), [AuditEntry::Record(record)] if record.subject == "late"), "{left:?}");
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let (directory, store) = furnished().await;
    store.close().await;
    let path = directory.path().join("doorward.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, x'00', 0)";
    sqlx::raw_sql(later).execute(&mut connection).await.expect("written");
    sqlx::Connection::close(connection).await.expect("closed");
    let opened = Store::open(directory.path()).await;
    assert!(matches!(opened, Err(StoreError::Migration(_))), "{opened:?}");
}
