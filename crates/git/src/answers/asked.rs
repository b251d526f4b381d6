//! A question for objects, from when it is asked to when its answer begins.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use doorward_wire::{FetchRequest, PktLine};
use tokio::time::{Instant, timeout, timeout_at};

use super::flight::Flight;
use super::spool::{Reader, Stage};
use super::{Joined, Key, ReaderOutput};
use crate::output::OutputSender;
use crate::{GitError, ObjectFormat, Output, Repository};

/// A question that was asked, and whose answer is there, is being made, or waits to be.
#[derive(Debug)]
pub struct Asked {
    reader: Reader,
    idle: Duration,
    patience: Duration,
    wants_progress: bool,
}

impl Repository {
    /// Asks for objects. `None` if only git can say what is to be answered: something is wanted to which no ref of now leads
    /// straight, or refs cannot be read here; or if there is no room for answers.
    ///
    /// # Errors
    /// [`GitError`] if refs cannot be read, or as many wait as may.
    pub async fn ask(&self, request: &FetchRequest) -> Result<Option<Asked>, GitError> {
        let (answers, slots) = (&self.all.answers, &self.all.slots);
        let Some(snapshot) = self.all.snapshot(self.id).await? else { return Ok(None) };
        let format = request.format().unwrap_or(ObjectFormat::Sha1.word().as_bytes());
        if format != snapshot.format.word().as_bytes() || !snapshot.leads_to_all(request.wants()).await? {
            answers.count_passed();
            return Ok(None);
        }
        let question = request.to_bytes();
        let tags = request.includes_tags().then(|| snapshot.print_of_tags());
        let key = Key::of(self.id, &[tags.as_ref().map_or(b"", |print| &print[..]), &question]);
        let turn = || slots.answer(request.is_clone(), self.asker);
        let reader = match answers.join(key, turn)? {
            Joined::Off => {
                answers.count_passed();
                return Ok(None);
            }
            Joined::Reader(reader) => reader,
            Joined::Under(reader, others) => {
                // It comes as soon as the turn of any is there who wait for it. Who finds the line full waits with the others.
                if matches!(reader.spool().stage(), Stage::Waiting { .. })
                    && let Ok(waiting) = turn()
                {
                    let _ = others.send(waiting);
                }
                reader
            }
            Joined::Empty { reader, turn, others } => {
                let (all, directory, asker) = (self.all.clone(), self.directory.clone(), self.asker);
                let (spool, request, refs) = (Arc::clone(reader.spool()), request.clone(), snapshot);
                let flight = Flight { all, directory, asker, key, spool, request, refs };
                tokio::spawn(flight.carry_out(turn, others));
                reader
            }
        };
        let (idle, patience) = (slots.idle(), slots.told_patience());
        Ok(Some(Asked { reader, idle, patience, wants_progress: request.wants_progress() }))
    }
}

impl Asked {
    /// Waits until the answer is being made, for as long as this; whether it is.
    ///
    /// # Errors
    /// [`GitError`] if there will be none.
    pub async fn called(&mut self, patience: Duration) -> Result<bool, GitError> {
        match timeout(patience, self.reader.stage(|stage| !matches!(stage, Stage::Waiting { .. }))).await {
            Ok(Stage::Broken(why)) if self.reader.spool().written() == 0 => {
                Err(GitError::Failed { what: "upload-pack", stderr: why.to_string() })
            }
            called => Ok(called.is_ok()),
        }
    }

    /// The answer.
    pub fn output(self) -> Output {
        Output::read(ReaderOutput::new(self.reader))
    }

    /// The answer, for a client that takes side bands anywhere (`sideband-all`): first it is told how many are before it, and
    /// when it is its turn, `may` says whether it may still have the answer, or why not.
    pub fn output_when_called(self, may: impl Future<Output = Result<(), String>> + Send + 'static) -> Output {
        let (sender, output) = Output::channel(self.idle);
        tokio::spawn(async move {
            tokio::select! {
                // Whoever does not listen any more need not be told.
                _ = self.tell(&sender, may) => {}
                () = sender.closed() => {}
            }
        });
        output
    }

    async fn tell(
        mut self,
        sender: &OutputSender,
        may: impl Future<Output = Result<(), String>>,
    ) -> std::io::Result<()> {
        let until = Instant::now() + self.patience;
        let mut said = None;
        let refused = loop {
            let Stage::Waiting { ahead } = self.reader.stage(|_| true).await else { break may.await.err() };
            let line = match ahead {
                // Of the first band git takes nothing that is empty.
                _ if !self.wants_progress || said == Some(ahead) => side_band(2, b""),
                0 => side_band(2, b"Waiting for a place: yours is the next one\n"),
                1 => side_band(2, b"Waiting for a place: one is before you\n"),
                ahead => side_band(2, format!("Waiting for a place: {ahead} are before you\n").as_bytes()),
            };
            said = Some(ahead);
            sender.send(Ok(line)).await?;
            let changed = self.reader.stage(|stage| *stage != Stage::Waiting { ahead });
            if timeout_at(until.min(Instant::now() + KEEP_ALIVE), changed).await.is_err() && Instant::now() >= until {
                let seconds = self.patience.as_secs();
                break Some(format!(
                    "no place for git became free within {seconds} s; try again, your credential was not refused"
                ));
            }
        };
        if let Some(refused) = refused {
            return end(sender, &refused).await;
        }
        let mut is_first = true;
        while let Some(piece) = self.reader.next().await {
            let over = piece.is_err();
            if over && is_first {
                // Nothing of it was sent, so that it can be said.
                return end(sender, "the server could not make the answer; try again").await;
            }
            sender.send(piece).await?;
            if over {
                break;
            }
            is_first = false;
        }
        Ok(())
    }
}

/// Says why there is no answer.
async fn end(sender: &OutputSender, why: &str) -> std::io::Result<()> {
    let mut error = side_band(3, why.as_bytes()).to_vec();
    error.extend_from_slice(b"0000");
    sender.send(Ok(error.into())).await
}

/// One packet of a side band, with as much of a text as is told.
fn side_band(band: u8, bytes: &[u8]) -> Bytes {
    PktLine::side_band(band, &bytes[..bytes.len().min(LONGEST)]).into()
}

/// How often a client hears of us that waits.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Bytes of a sentence that is told.
const LONGEST: usize = 8000;
