//! Writes the audit of a running server: many records in one transaction, and none dropped.
//!
//! A record is queued, and the queue is short: when the database cannot keep up, or cannot be written at all, callers
//! wait, and those who will not wait are told that nothing can be answered now. What is queued is tried until it is
//! written.

use std::collections::HashMap;
use std::time::Duration;

use doorward_rules::Timestamp;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::audit::minute;
use crate::usage::Uses;
use crate::{Decision, Record, Store, StoreError, Tally};

/// Takes records from all requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Entry>,
}

/// The task behind a [`Recorder`].
#[derive(Debug)]
pub struct RecorderTask(JoinHandle<()>);

#[derive(Debug)]
enum Entry {
    Record(Box<Record>, oneshot::Sender<()>),
    Tally { at: Timestamp, subject: String, decision: Box<Decision> },
}

impl Recorder {
    /// Starts the task that writes. It ends when every clone of the recorder is gone and all is written.
    pub fn start(store: Store) -> (Self, RecorderTask) {
        let (queue, entries) = mpsc::channel(QUEUE);
        (Self { queue }, RecorderTask(tokio::spawn(write(store, entries))))
    }

    /// Records something and waits until it is written, but no longer than a moment: then it is still queued.
    ///
    /// # Errors
    /// [`StoreError::State`] if the queue stays full: the audit cannot be written, so nothing may happen now.
    pub async fn record(&self, record: Record) -> Result<(), StoreError> {
        let (written, wait) = oneshot::channel();
        self.queue(Entry::Record(Box::new(record), written)).await?;
        let _ = timeout(PATIENCE, wait).await;
        Ok(())
    }

    /// Counts a request in the tally of its minute. That is written within a second or two.
    ///
    /// # Errors
    /// [`StoreError::State`] if the queue stays full.
    pub async fn tally(&self, at: Timestamp, subject: String, decision: Decision) -> Result<(), StoreError> {
        self.queue(Entry::Tally { at, subject, decision: Box::new(decision) }).await
    }

    async fn queue(&self, entry: Entry) -> Result<(), StoreError> {
        match timeout(PATIENCE, self.queue.send(entry)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(StoreError::State("the audit cannot be written".into())),
        }
    }
}

impl RecorderTask {
    /// Waits until everything is written, which needs every clone of the recorder to be gone.
    pub async fn finish(self) {
        let _ = self.0.await;
    }
}

async fn write(store: Store, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Batch::default();
    let mut entry_buffer = Vec::with_capacity(BATCH);
    let mut flush_at = Instant::now() + TALLIES_EVERY;
    loop {
        let received = tokio::select! {
            received = entries.recv_many(&mut entry_buffer, BATCH) => received,
            () = tokio::time::sleep_until(flush_at), if batch.has_counts() => usize::MAX,
        };
        for entry in entry_buffer.drain(..) {
            batch.add(entry);
        }
        let over = received == 0;
        let tallies_due = over || Instant::now() >= flush_at;
        if tallies_due {
            flush_at = Instant::now() + TALLIES_EVERY;
        }
        if !batch.records.is_empty() || (tallies_due && batch.has_counts()) {
            batch.write_until_written(&store, tallies_due).await;
        }
        if over {
            return;
        }
    }
}

#[derive(Debug, Default)]
struct Batch {
    records: Vec<(Box<Record>, oneshot::Sender<()>)>,
    tallies: HashMap<(Timestamp, String, Decision), Tally>,
    uses: Uses,
}

impl Batch {
    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Record(record, written) => {
                // The other records of a push are of the same request.
                if let Some(decision) = record.decision.as_ref().filter(|_| record.event == "push.started") {
                    self.uses.note(record.at, &record.subject, decision);
                }
                self.records.push((record, written));
            }
            Entry::Tally { at, subject, decision } => {
                let decision = Decision { agent: None, ..*decision };
                self.uses.note(at, &subject, &decision);
                let minute = minute(at);
                let none =
                    || Tally { minute, subject: subject.clone(), decision: decision.clone(), requests: 0, last_at: at };
                let count = self.tallies.entry((minute, subject.clone(), decision.clone())).or_insert_with(none);
                count.requests += 1;
                count.last_at = count.last_at.max(at);
            }
        }
    }

    /// Whether anything is counted that is still to be written.
    fn has_counts(&self) -> bool {
        !self.tallies.is_empty() || !self.uses.is_empty()
    }

    async fn write_until_written(&mut self, store: &Store, with_tallies: bool) {
        let mut pause = Duration::from_millis(50);
        while let Err(error) = self.write_once(store, with_tallies).await {
            tracing::error!(%error, pause_ms = pause.as_millis(), "the audit cannot be written; trying again");
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        for (_, written) in self.records.drain(..) {
            let _ = written.send(());
        }
        if with_tallies {
            self.tallies.clear();
            self.uses.clear();
        }
    }

    async fn write_once(&self, store: &Store, with_tallies: bool) -> Result<(), StoreError> {
        let mut change = store.change(Timestamp(0)).await?;
        for (record, _) in &self.records {
            record.insert(change.connection()).await?;
            if record.event == "push.finished" {
                touch(change.connection(), record).await?;
            }
        }
        for count in self.tallies.values().filter(|_| with_tallies) {
            count.add(change.connection()).await?;
        }
        if with_tallies {
            self.uses.write(change.connection()).await?;
        }
        change.commit_records().await
    }
}

/// Notes that a repository was pushed to. No decision depends on it.
async fn touch(connection: &mut SqliteConnection, record: &Record) -> Result<(), StoreError> {
    let Some((workspace, slug)) = record.subject.split_once('/') else { return Ok(()) };
    sqlx::query(
        "UPDATE repository SET updated_at = $3 WHERE slug = $2 AND coalesce(updated_at, 0) < $3 \
         AND workspace_id = (SELECT id FROM workspace WHERE slug = $1)",
    )
    .bind(workspace)
    .bind(slug)
    .bind(record.at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// How many entries may wait.
const QUEUE: usize = 4096;
/// How many are written in one transaction.
const BATCH: usize = 512;
/// How long a caller waits for a place in the queue, and then for its record to be written.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often tallies are written.
const TALLIES_EVERY: Duration = Duration::from_secs(1);
