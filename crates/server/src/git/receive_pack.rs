//! `POST …/git-receive-pack`: a push. Its list of refs is read and checked here before git starts.

use std::collections::HashMap;
use std::io::Cursor;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use doorward_git::{AnswerForm, PushOutcome, PushRequest, Service};
use doorward_store::{Decision, Record};
use doorward_wire::{
    ObjectId, PushError, PushHead, PushHeadReader, PushLimits, PushRefusal, RefUpdate, push_report, redact,
};
use tokio::io::AsyncReadExt;

use super::{Segments, answer, open};
use crate::admit::Wish;
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;
use crate::request_body::{self, RequestBody};
use crate::webhook::{self, Moved};

pub(crate) async fn receive_pack(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    segments: Segments,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let limits = &app.settings.limits;
    let (name, mut request) =
        match open(Service::ReceivePack, segments, &headers, body, limits.push_bytes, limits.idle_time) {
            Ok(opened) => opened,
            Err(refusal) => return refusal.respond(context.id),
        };
    let wish = Wish::git(Service::ReceivePack.action(), &name);
    let subject = wish.subject();
    let admitted = match app.admit(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let noted = admitted.noted.clone();
    let (head, bytes, begun) = match read_head(&mut request, limits.push).await {
        Ok(read) => read,
        Err(refusal) => return refusal.respond(context.id),
    };
    let done = |body| answer(Service::ReceivePack, "result", body, context.id, noted.clone());
    if head.updates.is_empty() {
        return done(Body::empty());
    }
    let updates = match head.check(&limits.push) {
        Ok(updates) => updates,
        Err(refused) => {
            let record = push_record(
                &context,
                &subject,
                admitted.decision.refused("push_refused"),
                "refused",
                refused.to_string(),
            );
            if let Err(error) = app.recorder.record(record).await {
                return Refusal::from(error).respond(context.id);
            }
            app.metrics.refused("push_refused");
            request_body::discard(request).await;
            return done(Body::from(report_refused(&head, &refused)));
        }
    };
    // Between the first decision and the head of the push lies as much time as the client took for it.
    let (admitted, placed) = match app.admit_to_place(&context, &headers, wish.again()).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let started = push_record(&context, &subject, admitted.decision.clone(), "push.started", asked(&updates));
    if let Err(error) = app.recorder.record(started).await {
        return Refusal::from(error).respond(context.id);
    }
    let asked: HashMap<String, RefUpdate> =
        updates.iter().map(|update| (update.name.to_string(), update.clone())).collect();
    let form = AnswerForm { report: head.report_status(), side_band: head.side_band() };
    let pushed = PushRequest { updates, answer: form, is_plain: head.is_plain(), head: bytes };
    let push = placed.push(pushed, Cursor::new(begun).chain(request)).await;
    match push {
        Ok(push) => {
            let (app, context) = (app.clone(), context.clone());
            app.clone().tasks.spawn(async move {
                let outcome = push
                    .outcome
                    .await
                    .unwrap_or_else(|_| PushOutcome { refs: Vec::new(), trouble: Some("it was cut off".into()) });
                let mut record = push_record(&context, &subject, admitted.decision, "push.finished", came_of(&outcome));
                record.at = app.clock.now();
                if let Err(error) = app.recorder.record(record).await {
                    tracing::error!(%error, request = %context.id, "the outcome of a push could not be recorded");
                }
                webhook::pushed(&app, admitted.permit.into(), moved(&outcome, &asked));
            });
            done(Body::from_stream(push.output))
        }
        Err(error) => {
            let sentence = format!("nothing was changed: {error}");
            let refusal = Refusal::from(error);
            let mut trouble = push_record(&context, &subject, admitted.decision, "push.finished", sentence);
            trouble.status = Some(refusal.status.as_u16());
            if let Err(error) = app.recorder.record(trouble).await {
                tracing::error!(%error, request = %context.id, "the outcome of a push could not be recorded");
            }
            refusal.respond_recorded(context.id)
        }
    }
}

/// The refs that were moved, and from where to where.
fn moved(outcome: &PushOutcome, asked: &HashMap<String, RefUpdate>) -> Vec<Moved> {
    let there = |id: &ObjectId| (!id.is_null()).then(|| id.clone());
    let done = outcome.refs.iter().filter(|pushed| pushed.refused.is_none() && outcome.trouble.is_none());
    done.filter_map(|pushed| asked.get(&pushed.name))
        .map(|update| Moved { name: update.name.to_string(), old: there(&update.old), new: there(&update.new) })
        .collect()
}

/// Reads up to the pack; the head, and the bytes that git shall have of what was read.
pub(crate) async fn read_head(
    request: &mut RequestBody,
    limits: PushLimits,
) -> Result<(PushHead, Bytes, Bytes), Refusal> {
    let mut reader = PushHeadReader::new(limits);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = request.read(&mut buffer).await.map_err(|error| {
            let sentence = format!("the push broke off before its pack: {error}");
            Refusal::new(StatusCode::BAD_REQUEST, "push_broken_off", sentence, "push again; nothing was changed")
        })?;
        if length == 0 {
            let sentence = "the push ends before its list of refs does";
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "push_broken_off",
                sentence,
                "push again; nothing was changed",
            ));
        }
        if reader.take(&buffer[..length]).map_err(unreadable)? {
            let (head, bytes, pack) = reader.finish();
            return Ok((head, bytes.into(), pack.into()));
        }
    }
}

fn unreadable(error: PushError) -> Refusal {
    let status = match error {
        PushError::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::new(status, "push_unreadable", error.to_string(), "push with git, which sends what can be read")
}

/// A report that refuses every ref for one reason.
fn report_refused(head: &PushHead, refused: &PushRefusal) -> Vec<u8> {
    report(head, "not tried", head.updates.iter().map(|_| Some(refused.to_string())))
}

/// A report as `git receive-pack` would write it: what became of the pack, and of each update why it was refused if it was.
pub(crate) fn report(head: &PushHead, unpack: &str, refused: impl Iterator<Item = Option<String>>) -> Vec<u8> {
    if !head.report_status() {
        return Vec::new();
    }
    let refused: Vec<Option<String>> = refused.collect();
    let told = head.updates.iter().zip(&refused);
    let told = told.map(|(update, why)| (&update.name[..update.name.len().min(NAME_LENGTH)], why.as_deref()));
    push_report(unpack, told, head.side_band())
}

fn push_record(context: &Context, subject: &str, decision: Decision, event: &str, sentence: String) -> Record {
    Record {
        at: context.at,
        event: event.into(),
        request: Some(context.id.to_string()),
        subject: subject.into(),
        decision: Some(decision),
        status: Some(StatusCode::OK.as_u16()),
        sentence: redact(&sentence).into_owned(),
        remedy: None,
    }
}

/// What a push asks for, in words.
pub(crate) fn asked(updates: &[RefUpdate]) -> String {
    let lines: Vec<String> = updates
        .iter()
        .take(REFS_NAMED)
        .map(|update| match (update.old.is_null(), update.new.is_null()) {
            (_, true) => format!("delete {} ({})", update.name, update.old),
            (true, _) => format!("create {} ({})", update.name, update.new),
            _ => format!("move {} ({} to {})", update.name, update.old, update.new),
        })
        .collect();
    with_rest(lines, updates.len())
}

/// What came of a push, in words.
fn came_of(outcome: &PushOutcome) -> String {
    let mut lines: Vec<String> = outcome
        .refs
        .iter()
        .take(REFS_NAMED)
        .map(|pushed| match &pushed.refused {
            None => format!("updated {}", pushed.name),
            Some(why) => format!("refused {}: {why}", pushed.name),
        })
        .collect();
    if lines.is_empty() {
        lines.push("nothing was changed".into());
    }
    let mut text = with_rest(lines, outcome.refs.len());
    if let Some(trouble) = &outcome.trouble {
        text.push_str(&format!("; {trouble}"));
    }
    text
}

fn with_rest(lines: Vec<String>, all: usize) -> String {
    let rest = all.saturating_sub(lines.len());
    let text = lines.join("; ");
    if rest == 0 { text } else { format!("{text}; and {rest} more") }
}

/// How many refs a record names; a mirror push can have thousands.
const REFS_NAMED: usize = 20;
/// How much of a name that is refused is sent back.
const NAME_LENGTH: usize = 1000;
