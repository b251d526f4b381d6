//! Pushes: kept until the upstream has taken them.

use std::io::Cursor;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use doorward_git::Service;
use doorward_rules::{Reason, Surface};
use doorward_store::Record;
use doorward_upstream::{Push, Pushed};
use doorward_wire::{PushHead, RefUpdate, RepositoryName, redact};
use futures_util::stream::{Iter, iter};
use tokio::io::AsyncReadExt;

use super::Call;
use super::told::{Work, told_in_time};
use crate::git::{asked, open_named, read_head, report};
use crate::refusal::Refusal;

/// An answer of which all is there.
type Whole = Iter<std::array::IntoIter<std::io::Result<Bytes>, 1>>;

impl Call {
    /// What the upstream lists before a push.
    pub(super) async fn before_push(&self, name: &RepositoryName) -> Result<Response<Body>, Refusal> {
        loop {
            let answered = self.upstream.before_push(name, self.caller().as_deref(), self.app.clock.now()).await;
            match answered.map_err(|unanswered| Self::unanswered(&unanswered))? {
                Ok(response) => {
                    self.note_asked(name, Service::ReceivePack);
                    let body = Body::new(response.into_body());
                    return Ok(self.done(Service::ReceivePack, "advertisement", body, name));
                }
                Err(turned) if turned.is_of_credential() && self.goes_on(Surface::Git).await => {}
                Err(turned) => return Err(self.turned(&turned, Surface::Git)),
            }
        }
    }

    /// Sees to it that the upstream lets whoever asks push, as it said on this connection a moment ago or says now.
    async fn may_push(&self, name: &RepositoryName) -> Result<(), Refusal> {
        if self.caller().is_none() {
            return Err(Refusal::of_reason(&Reason::NothingPresented, Surface::Git));
        }
        if self.visit.has_asked(self.upstream.mirror_of(name), self.print(), Service::ReceivePack) {
            return Ok(());
        }
        self.before_push(name).await.map(drop)
    }

    /// `git-receive-pack`. It is received whole before any of it is passed on, so that it can be passed on again.
    pub(super) async fn push(&self, name: &RepositoryName, request: Request) -> Result<Response<Body>, Refusal> {
        // Nobody's bytes are kept who has not been let in.
        self.may_push(name).await?;
        let limits = &self.app.settings.limits;
        let mut body =
            open_named(Service::ReceivePack, &self.headers, request.into_body(), limits.push_bytes, limits.idle_time)?;
        let (head, begin, pack) = read_head(&mut body, limits.push).await?;
        let updates = match head.check(&limits.push) {
            Ok(updates) => updates,
            Err(refused) => {
                let why = refused.to_string();
                let refused = head.updates.iter().map(|_| Some(why.clone())).collect();
                return Ok(self.done(Service::ReceivePack, "result", Body::from(settled(&head, refused)), name));
            }
        };
        let place = self.spool_place().await?;
        let (content, length) = self.keep_file(Cursor::new(begin).chain(Cursor::new(pack)).chain(body)).await?;
        // It may have taken long to come.
        self.allowed_still(name).await?;
        let hint = if head.side_band() { self.hint(Surface::Git) } else { None };
        let (call, named) = (self.clone(), name.clone());
        let is_told = head.side_band() && !updates.is_empty();
        let wants_progress = !head.capabilities.iter().any(|capability| capability == "quiet");
        // It goes on when its client goes, as it does at the upstream.
        let done = self.app.tasks.spawn(async move {
            let push = Push { content, length, updates };
            let pushed = loop {
                let pushed = call.upstream.push(&named, call.caller().as_deref(), &push, call.app.clock.now()).await;
                match &pushed {
                    Ok(Pushed::Turned(turned)) if turned.is_of_credential() && call.goes_on(Surface::Git).await => {}
                    _ => break pushed,
                }
            };
            drop((push.content, place));
            call.record(&named, &push.updates, &pushed).await;
            let pushed = pushed.map_err(|unanswered| Self::unanswered(&unanswered))?;
            Ok(match pushed {
                Pushed::Answered(report) => report,
                Pushed::Turned(turned) => return Err(call.turned(&turned, Surface::Git)),
                Pushed::Settled(made) => settled(&head, made).into(),
            })
        });
        let work: Work<Whole> = Box::pin(async move {
            let report = done.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a push was not passed on for a mistake in this program");
                Err(Refusal::unavailable(doorward_rules::OwnFault::Bug))
            })?;
            Ok(iter([Ok(report)]))
        });
        let weather = self.weather(name, "Passing it on to", wants_progress);
        let body = told_in_time(work, hint, is_told, weather, Body::from_stream).await?;
        Ok(self.done(Service::ReceivePack, "result", body, name))
    }

    async fn record(
        &self,
        name: &RepositoryName,
        updates: &[RefUpdate],
        pushed: &Result<Pushed, doorward_upstream::Unanswered>,
    ) {
        if updates.is_empty() {
            return;
        }
        let came = match pushed {
            Ok(Pushed::Answered(_)) => "it was passed on and answered".to_owned(),
            Ok(Pushed::Settled(made)) => {
                let count = made.iter().filter(|why| why.is_none()).count();
                format!("it broke off; {count} of {} updates were found to be made", made.len())
            }
            Ok(Pushed::Turned(turned)) => turned.to_string(),
            Err(unanswered) => unanswered.why.clone(),
        };
        let credential = self.print().map(|print| format!(" (credential {})", print.id()));
        let sentence = format!("{}; {came}{}", asked(updates), credential.unwrap_or_default());
        let record = Record {
            at: self.app.clock.now(),
            event: "push.passed_on".into(),
            request: Some(self.context.id.to_string()),
            subject: name.to_string(),
            decision: None,
            status: None,
            sentence: redact(&sentence).into_owned(),
            remedy: None,
        };
        if let Err(error) = self.app.recorder.record(record).await {
            tracing::error!(%error, request = %self.context.id, "what became of a push could not be recorded");
        }
    }
}

/// The report of a push whose updates were made or not.
fn settled(head: &PushHead, made: Vec<Option<String>>) -> Vec<u8> {
    report(head, "ok", made.into_iter())
}
