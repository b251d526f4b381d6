//! A database that an earlier version wrote, opened by this one.

use doorward_rules::{Limit, Presented, Privilege};
use doorward_store::{Credentials, Named, Store};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::{bearer, parsed};

#[tokio::test]
async fn what_the_first_version_wrote_is_all_there_and_its_tokens_still_work() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = doorward_wire::MintedToken::mint(
        doorward_rules::Kind::ApiToken,
        doorward_wire::TokenShape::Doorward,
        |buffer| buffer.fill(3),
    );
    let options = SqliteConnectOptions::new().filename(directory.path().join("doorward.db")).create_if_missing(true);
    let mut database = SqliteConnection::connect_with(&options).await.expect("a database");
    sqlx::raw_sql(include_str!("../../migrations/0001_foundation.sql")).execute(&mut database).await.expect("made");
    sqlx::raw_sql(FIRST_VERSION).execute(&mut database).await.expect("filled");
    sqlx::query(
        "INSERT INTO credential (id, kind, account_id, name, scopes, workspace_id, digest, created_at) \
         VALUES ($1, 'api_token', $2, 'old', 'repository:write', $3, $4, 5)",
    )
    .bind(secret.id.as_str())
    .bind("00000000-0000-7000-8000-000000000001")
    .bind("00000000-0000-7000-8000-000000000002")
    .bind(secret.digest.as_bytes().as_slice())
    .execute(&mut database)
    .await
    .expect("filled");
    sqlx::query(
        "INSERT INTO audit_tally (minute, tag, subject, credential, surface, action, rule, requests, last_at) \
         VALUES (0, 1, 'acme/site', $1, 'git', 'fetch', 'privilege', 3, 70), \
                (0, 2, 'acme/site', $1, 'git', 'fetch', 'privilege', 4, 80)",
    )
    .bind(secret.id.as_str())
    .execute(&mut database)
    .await
    .expect("filled");
    sqlx::query(
        "INSERT INTO audit (id, at, event, subject, credential, surface, action, sentence) VALUES \
         ('1', 90, 'push.started', 'acme/site', $1, 'git', 'push', ''), \
         ('2', 91, 'push.finished', 'acme/site', $1, 'git', 'push', '')",
    )
    .bind(secret.id.as_str())
    .execute(&mut database)
    .await
    .expect("filled");
    database.close().await.expect("closed");

    let store = Store::open(directory.path()).await.expect("brought to this version");
    let found = store.find(&bearer(&secret.secret), Named::Repository(&parsed("acme/site"))).await.expect("an answer");
    let Presented::Proven(credential) = &found.facts.presented else { panic!("{found:?}") };
    assert!(matches!(credential.limit, Limit::Workspace(_)), "{credential:?}");
    let repository = found.facts.repository.expect("the repository");
    assert_eq!((repository.privilege, repository.public), (Privilege::Admin, false));
    let listed = store.credentials(Credentials::All).await.expect("a list");
    assert_eq!((listed[0].name.as_str(), listed[0].place.as_deref()), ("old", Some("acme")));
    let project = &store.projects(&parsed("acme")).await.expect("projects")[0];
    assert_eq!((project.name.to_string(), repository.project), ("acme/PROJ".to_owned(), project.id));
    // What the audit knew of its uses is not forgotten, or it would be taken for unused.
    let uses = store.uses(secret.id).await.expect("uses");
    let told: Vec<_> = uses.iter().map(|noted| (noted.action.as_str(), noted.at.0, noted.requests)).collect();
    assert_eq!(told, [("push", 90, 1), ("fetch", 80, 7)]);
    let repository = store.repository(&parsed("acme/site")).await.expect("the repository");
    assert_eq!(repository.project, project.name.key);
}

/// As the first version's migrator left it, with one account, workspace and repository.
const FIRST_VERSION: &str = "
    CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
        installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL,
        execution_time BIGINT NOT NULL);
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (1, 'foundation', TRUE, x'02f98fe0d6f23b239dbaecf27051b57b53326b2a25b70a9998185b17aef045ee6584e18b2f353dd5302eb35eb8367585', 1);
    INSERT INTO account VALUES ('00000000-0000-7000-8000-000000000001', 'ada', 'ada@example.org', FALSE, 5);
    INSERT INTO workspace VALUES ('00000000-0000-7000-8000-000000000002', 'acme',
        '00000000-0000-7000-8000-000000000001', 5);
    INSERT INTO repository VALUES ('00000000-0000-7000-8000-000000000003',
        '00000000-0000-7000-8000-000000000002', 'site', FALSE, 5);";
