//! The database itself: opening it, reading, and changing it with epoch and audit in one transaction.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use doorward_rules::{Calendar, Facts, Reason, Rule, Target, Timestamp};
use doorward_wire::{AccountName, Authorization, RepositoryName, RepositorySlug, RequestId, WorkspaceSlug};
use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use uuid::Uuid;

use crate::epoch::Epoch;
use crate::facts::look;
use crate::known::Known;
use crate::row::Row;
use crate::sealed::Seal;
use crate::{Decision, Finding, Named, Record, StoreError};

/// The database of one data directory. Cheap to clone; all clones are the same database.
///
/// Several processes may have it open: a change that one has made is seen by the next read of every other.
#[derive(Debug, Clone)]
pub struct Store {
    reading: SqlitePool,
    writing: SqlitePool,
    pub(crate) epoch: Arc<Epoch>,
    pub(crate) known: Arc<Known>,
    pub(crate) seal: Arc<Seal>,
    actor: Option<Arc<Actor>>,
}

/// Who makes changes, as the audit keeps it.
#[derive(Debug)]
struct Actor {
    request: String,
    decision: Decision,
    leave: Option<Leave>,
}

/// What a request was let in by, so that it can be asked about again when what it is to change is under the lock.
pub struct Leave {
    authorization: Authorization,
    workspace: Option<WorkspaceSlug>,
    repository: Option<RepositorySlug>,
    account: Option<AccountName>,
    target: Target,
    finding: Arc<Finding>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    check: Check,
}

/// Whether facts, at a moment, are reason enough; why not, and by which rule.
type Check = Box<dyn Fn(&Facts, &Calendar, Timestamp) -> Result<(), (Reason, Rule)> + Send + Sync>;

/// A change under way. Nothing of it holds before it is committed, and nothing is left if it is dropped.
#[derive(Debug)]
pub struct Change {
    connection: PoolConnection<sqlx::Sqlite>,
    epoch: Arc<Epoch>,
    at: Timestamp,
    actor: Option<Arc<Actor>>,
    committed: bool,
}

impl Store {
    /// Opens the database in a data directory, makes it if it is not there, and brings it to this version.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file cannot be used, [`StoreError::Migration`] if it is of a later version.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(directory).map_err(|error| StoreError::Unavailable(error.into()))?;
        // FULL makes each commit durable before it is answered: a revocation must survive a power loss.
        let options = SqliteConnectOptions::new()
            .filename(directory.join("doorward.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(Duration::from_secs(10))
        };
        let writing = pool(1).connect_with(options.clone()).await?;
        {
            // SQLite has no lock for this: of two programs that open a new database at once, one waits for the other.
            let _one_at_a_time = migration_lock(directory).map_err(|error| StoreError::Unavailable(error.into()))?;
            migrations().run(&writing).await?;
        }
        let reading = pool(4).connect_with(options.pragma("query_only", "ON")).await?;
        let epoch = Epoch::open(directory).map_err(|error| StoreError::Unavailable(error.into()))?;
        let seal = Arc::new(Seal::open(directory).map_err(|error| StoreError::Unavailable(error.into()))?);
        let store = Self { reading, writing, epoch: Arc::new(epoch), known: Arc::default(), seal, actor: None };
        store.settle().await?;
        Ok(store)
    }

    /// Makes the epoch's file even, should a program have been killed while it committed.
    async fn settle(&self) -> Result<(), StoreError> {
        if self.epoch.settled().is_none() {
            let change = self.change(Timestamp(0)).await?;
            let unsaid = |error: std::io::Error| StoreError::Unavailable(error.into());
            drop(change.epoch.clone().begin().await.map_err(unsaid)?);
            change.commit_records().await?;
        }
        Ok(())
    }

    /// The same database for changes that a request was let in to make: their records say which request, and whose. With a
    /// leave, none is made that it is not leave for any more: a change waits for those before it, and one of them may be the
    /// end of the credential that it came with.
    #[must_use]
    pub fn on_behalf_of(&self, request: RequestId, decision: Decision, leave: Option<Leave>) -> Self {
        Self { actor: Some(Arc::new(Actor { request: request.to_string(), decision, leave })), ..self.clone() }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it does not.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.epoch().await.map(drop)
    }

    /// How many changes there were to anything that a decision depends on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn epoch(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT value FROM epoch").fetch_one(&self.reading).await?)
    }

    /// Ends all connections, after what they are doing.
    pub async fn close(&self) {
        self.reading.close().await;
        self.writing.close().await;
    }

    pub(crate) fn reading(&self) -> &SqlitePool {
        &self.reading
    }

    /// Begins a change. It holds the write lock of the whole database until it is committed or dropped.
    pub(crate) async fn change(&self, at: Timestamp) -> Result<Change, StoreError> {
        let mut change = Change {
            connection: self.writing.acquire().await?,
            epoch: self.epoch.clone(),
            at,
            actor: self.actor.clone(),
            committed: false,
        };
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(change.connection()).await?;
        if let Some(actor) = self.actor.clone()
            && let Some(leave) = &actor.leave
        {
            leave.check(change.connection()).await?;
        }
        Ok(change)
    }

    /// Asks again whether whoever was let in still may do what it was let in to do, for what is not kept here.
    ///
    /// # Errors
    /// [`StoreError::Withdrawn`] if it may not any more.
    pub async fn ask_again(&self) -> Result<(), StoreError> {
        let Some(leave) = self.actor.as_ref().and_then(|actor| actor.leave.as_ref()) else { return Ok(()) };
        leave.check(&mut *self.reading.acquire().await?).await
    }
}

impl Leave {
    /// Leave to do something to a target, by what was found, as `check` says of the same facts or later ones.
    pub fn new(
        authorization: Authorization,
        (named, target): (Named<'_>, Target),
        finding: Arc<Finding>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        check: impl Fn(&Facts, &Calendar, Timestamp) -> Result<(), (Reason, Rule)> + Send + Sync + 'static,
    ) -> Self {
        let (workspace, repository) = (named.workspace().cloned(), named.repository().cloned());
        let account = named.account().cloned();
        let (clock, check) = (Box::new(clock), Box::new(check));
        Self { authorization, workspace, repository, account, target, finding, clock, check }
    }

    async fn check(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let epoch: i64 = sqlx::query_scalar("SELECT value FROM epoch").fetch_one(&mut *connection).await?;
        let mut finding = Arc::clone(&self.finding);
        if epoch != finding.epoch {
            let repository = self.name(connection).await?;
            let named = match (&repository, &self.workspace, &self.account) {
                (Some(name), ..) => Named::Repository(name),
                (None, Some(slug), _) => Named::Workspace(slug),
                (None, None, Some(name)) => Named::Account(name),
                (None, None, None) => Named::Nothing,
            };
            finding = Arc::new(look(&mut *connection, &self.authorization, named).await?);
        }
        let calendar = crate::calendar::read(connection).await?;
        let settled = (self.check)(&finding.facts, &calendar, (self.clock)());
        settled.map_err(|(reason, rule)| StoreError::Withdrawn { reason: Box::new(reason), rule })
    }

    /// The name that the repository has by now: another may have the one that it was asked for by.
    async fn name(&self, connection: &mut SqliteConnection) -> Result<Option<RepositoryName>, StoreError> {
        let Target::Repository(id) = self.target else {
            let name = self.workspace.clone().zip(self.repository.clone());
            return Ok(name.map(|(workspace, slug)| RepositoryName { workspace, slug }));
        };
        let row = sqlx::query(
            "SELECT w.slug AS workspace, r.slug FROM repository r JOIN workspace w ON w.id = r.workspace_id WHERE r.id = $1",
        )
        .bind(id.to_string())
        .fetch_optional(connection)
        .await?;
        let gone = StoreError::Withdrawn { reason: Box::new(Reason::RepositoryInvisible), rule: Rule::Visible };
        let row = Row(row.ok_or(gone)?);
        Ok(Some(RepositoryName { workspace: row.parsed("workspace")?, slug: row.parsed("slug")? }))
    }
}

impl std::fmt::Debug for Leave {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leave").field("finding", &self.finding).finish_non_exhaustive()
    }
}

impl Change {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// When the change is made.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The credential of whoever asked for the change, if it was a request.
    pub(crate) fn credential(&self) -> Option<&str> {
        self.actor.as_ref().and_then(|actor| actor.decision.credential.as_deref())
    }

    /// Makes the change hold, with one record in the audit of what was done to whom: `account.created`, `acme/site`.
    pub(crate) async fn commit(
        mut self,
        event: &'static str,
        subject: &str,
        sentence: String,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE epoch SET value = value + 1").execute(self.connection()).await?;
        self.record(event, subject, sentence).await?;
        // Whoever cannot be told of the change must not be surprised by it.
        let unsaid = |error: std::io::Error| StoreError::Unavailable(error.into());
        let epoch = self.epoch.clone();
        let committing = epoch.begin().await.map_err(unsaid)?;
        let committed = sqlx::raw_sql("COMMIT").execute(self.connection()).await;
        self.committed = committed.is_ok();
        drop(committing);
        committed?;
        Ok(())
    }

    /// Makes the change hold, with its record, where it is something that nobody can have asked about before: there is nothing
    /// that anybody would have to look up anew.
    pub(crate) async fn commit_unasked(
        mut self,
        event: &'static str,
        subject: &str,
        sentence: String,
    ) -> Result<(), StoreError> {
        self.record(event, subject, sentence).await?;
        self.commit_records().await
    }

    /// Gives the change up, for a reason that is no trouble: its connection is of use to the next one.
    pub(crate) async fn give_up<T, E>(self, why: E) -> Result<Result<T, E>, StoreError> {
        self.roll_back().await?;
        Ok(Err(why))
    }

    /// The same for an error.
    pub(crate) async fn give_up_with<T>(self, error: StoreError) -> Result<T, StoreError> {
        self.roll_back().await?;
        Err(error)
    }

    async fn roll_back(mut self) -> Result<(), StoreError> {
        sqlx::raw_sql("ROLLBACK").execute(self.connection()).await?;
        self.committed = true;
        Ok(())
    }

    async fn record(&mut self, event: &'static str, subject: &str, sentence: String) -> Result<(), StoreError> {
        let mut record = Record::change(self.at, event, subject, sentence);
        if let Some(actor) = &self.actor {
            record.request = Some(actor.request.clone());
            record.decision = Some(actor.decision.clone());
        }
        record.insert(self.connection()).await
    }

    /// Makes records hold that no decision depends on.
    pub(crate) async fn commit_records(mut self) -> Result<(), StoreError> {
        sqlx::raw_sql("COMMIT").execute(self.connection()).await?;
        self.committed = true;
        Ok(())
    }
}

/// A change that was not committed ends with its connection: that undoes it whatever state it is in. After some errors,
/// such as a full disk, SQLite has undone it already, and a connection that is told to do so again is of no more use.
impl Drop for Change {
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}

fn migration_lock(directory: &Path) -> std::io::Result<fs::File> {
    let file = fs::File::create(directory.join("migration.lock"))?;
    file.lock()?;
    Ok(file)
}

/// A new id whose text sorts by the time it was made (RFC 9562, version 7).
pub(crate) fn new_id(at: Timestamp) -> Uuid {
    let mut random = [0; 10];
    fill_random(&mut random);
    // Within a millisecond, by the order in which this program made them.
    random[..2].copy_from_slice(&SEQUENCE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(at.0.unsigned_abs(), &random).into_uuid()
}

/// Fills a buffer with random bytes fit for secrets.
///
/// # Panics
/// If the operating system has no randomness: without it no secret can be made.
pub(crate) fn fill_random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

static SEQUENCE: AtomicU16 = AtomicU16::new(0);

fn migrations() -> Migrator {
    let migration = |version, name: &'static str, sql| {
        Migration::new(version, name.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations(vec![
        migration(1, "foundation", include_str!("../migrations/0001_foundation.sql")),
        migration(2, "every kind", include_str!("../migrations/0002_every_kind.sql")),
        migration(3, "rest", include_str!("../migrations/0003_rest.sql")),
        migration(4, "webhooks", include_str!("../migrations/0004_webhooks.sql")),
        migration(5, "repository settings", include_str!("../migrations/0005_repository_settings.sql")),
        migration(6, "administering", include_str!("../migrations/0006_administering.sql")),
        migration(7, "sign-in", include_str!("../migrations/0007_sign_in.sql")),
        migration(8, "upstream credentials", include_str!("../migrations/0008_upstream_credentials.sql")),
        migration(9, "single sign-on", include_str!("../migrations/0009_single_sign_on.sql")),
        migration(10, "passkeys", include_str!("../migrations/0010_passkeys.sql")),
    ])
}
