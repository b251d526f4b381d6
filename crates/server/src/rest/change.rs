//! Changes of branches and tags: each is a push, checked and recorded as one.

use std::fmt::Display;
use std::sync::Arc;

use axum::http::StatusCode;
use doorward_git::{Contents, GitError, Made, PushOutcome, StartedPush};
use doorward_rules::Surface;
use doorward_store::Record;
use doorward_wire::{ObjectId, PktLine, RefName, redact};
use futures_util::StreamExt;
use serde_json::json;

use super::call::{Call, Granted};
use crate::app::App;
use crate::refusal::Refusal;
use crate::webhook::{self, Moved};

/// What is to become of a ref.
pub(super) struct Change {
    pub(super) name: RefName,
    /// What it leads to; `None` if it is not there.
    pub(super) old: Option<ObjectId>,
    /// What it is to lead to; `None` if it is to go.
    pub(super) new: Option<ObjectId>,
}

/// How it is done.
pub(super) enum Means {
    /// What it is to lead to is there.
    Set(Box<Contents>),
    /// It was uploaded, and comes with it.
    Bring(Box<Made>),
}

impl Change {
    /// Carries it out, to its end also when the client goes away meanwhile; the leave to do it, for what is left to do.
    ///
    /// # Errors
    /// 409 if the ref has moved, 400 if git refuses it, 503 if nobody can tell what came of it.
    pub(super) async fn carry_out(self, means: Means, call: &Call, granted: Granted) -> Result<Granted, Refusal> {
        let app = call.app.clone();
        let done =
            call.app.tasks.spawn(async move { self.carry_out_for(means, &app, &granted).await.map(|()| granted) });
        done.await.unwrap_or_else(|_| Err(Refusal::unavailable(doorward_rules::OwnFault::Bug)))
    }

    async fn carry_out_for(&self, means: Means, app: &App, granted: &Granted) -> Result<(), Refusal> {
        record(app, granted, "push.started", self.to_string()).await?;
        // The record may have waited for its turn.
        granted.store.ask_again().await?;
        let started = match means {
            Means::Set(contents) => contents.set_ref(&self.name, self.old.as_ref(), self.new.as_ref()).await,
            Means::Bring(made) => made.push(&self.name, self.old.as_ref()).await,
        };
        let ended = match started {
            Ok(push) => self.end(push).await,
            Err(error) => Err(Ended::Trouble(error)),
        };
        let what = match &ended {
            Ok(()) => format!("updated {}", self.name),
            Err(Ended::Refused(why)) => format!("refused {}: {why}", self.name),
            Err(Ended::Trouble(error)) => format!("nothing was changed: {error}"),
            Err(Ended::Unknown(trouble)) => trouble.clone(),
        };
        if let Err(error) = record(app, granted, "push.finished", what).await {
            tracing::error!(code = error.code, request = %granted.id, "the outcome of a push could not be recorded");
        }
        match ended {
            Ok(()) => {
                let moved = Moved { name: self.name.to_string(), old: self.old.clone(), new: self.new.clone() };
                webhook::pushed(app, Arc::clone(&granted.permit), vec![moved]);
                Ok(())
            }
            Err(Ended::Trouble(error)) => Err(error.into()),
            Err(Ended::Refused(why)) => {
                let contents = async { app.repositories.open(&granted.permit)?.contents().await };
                let now = contents.await?.target_of(&self.name).await?;
                if now == self.old { Err(refused(&why)) } else { Err(moved(&self.name.to_string(), now.as_ref())) }
            }
            Err(Ended::Unknown(trouble)) => {
                tracing::error!(trouble, request = %granted.id, "what came of a push is not known");
                Err(Refusal::unavailable(doorward_rules::OwnFault::Git))
            }
        }
    }

    async fn end(&self, push: StartedPush) -> Result<(), Ended> {
        let StartedPush { mut output, outcome } = push;
        let mut told = Vec::new();
        while let Some(Ok(chunk)) = output.next().await {
            told.extend_from_slice(&chunk[..chunk.len().min(LONGEST_WORD - told.len().min(LONGEST_WORD))]);
        }
        let Ok(PushOutcome { refs, trouble }) = outcome.await else {
            return Err(Ended::Unknown("it was cut off".into()));
        };
        match (refs.into_iter().next(), trouble) {
            (Some(moved), None) => match moved.refused {
                None => Ok(()),
                Some(why) => Err(Ended::Refused(complaint(&told).unwrap_or(why))),
            },
            (_, trouble) => Err(Ended::Unknown(trouble.unwrap_or_else(|| "it reported nothing".into()))),
        }
    }
}

/// What it was about, as a record has it.
impl Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.old, &self.new) {
            (None, Some(new)) => write!(f, "create {} ({new})", self.name),
            (Some(old), Some(new)) => write!(f, "move {} ({old} to {new})", self.name),
            (Some(old), None) => write!(f, "delete {} ({old})", self.name),
            (None, None) => write!(f, "leave {} as it is", self.name),
        }
    }
}

/// Why a push did not do what it was to do.
enum Ended {
    Trouble(GitError),
    Refused(String),
    Unknown(String),
}

async fn record(app: &App, granted: &Granted, event: &str, sentence: String) -> Result<(), Refusal> {
    let record = Record {
        at: app.clock.now(),
        event: event.into(),
        request: Some(granted.id.to_string()),
        subject: granted.subject(),
        decision: Some(granted.decision.clone()),
        status: Some(StatusCode::OK.as_u16()),
        sentence: redact(&sentence).into_owned(),
        remedy: None,
    };
    Ok(app.recorder.record(record).await?)
}

/// What git complained of beside its report (gitprotocol-common, "side-band"), on one line.
fn complaint(mut told: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    while let Ok(Some((line, length))) = PktLine::read(told) {
        if let PktLine::Data([2 | 3, words @ ..]) = line {
            text.extend_from_slice(words);
        }
        told = &told[length..];
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.split(['\n', '\r']).filter_map(|line| {
        ["error: ", "fatal: "].iter().find_map(|word| line.trim().strip_prefix(word)).map(str::to_owned)
    });
    lines.into_iter().next().filter(|line| !line.is_empty())
}

fn refused(why: &str) -> Refusal {
    let remedy = "change what is named there, and send it again; nothing was changed";
    let why: String = redact(why).chars().filter(|letter| !letter.is_control()).take(500).collect();
    Refusal::new(StatusCode::BAD_REQUEST, "push_refused", format!("git refuses this: {why}"), remedy).on(Surface::Rest)
}

/// The branch does not lead to where it was thought to lead.
pub(super) fn moved(name: &str, tip: Option<&ObjectId>) -> Refusal {
    let branch = crate::refusal::shown(name.strip_prefix("refs/heads/").unwrap_or(name));
    let sentence = match tip {
        Some(tip) => format!("the branch `{branch}` has moved, and leads to {tip} now"),
        None => format!("there is no branch `{branch}` any more"),
    };
    let remedy = "look at what is new there, and send it again on top of that; nothing was changed";
    let data = json!({ "branch": branch, "hash": tip.map(ObjectId::as_str) });
    Refusal {
        data: Some(Box::new(data)),
        ..Refusal::new(StatusCode::CONFLICT, "branch_moved", sentence, remedy).on(Surface::Rest)
    }
}

/// Bytes of what git says that are kept.
const LONGEST_WORD: usize = 16 * 1024;
