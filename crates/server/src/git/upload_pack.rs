//! `POST …/git-upload-pack`: a question of clone or fetch, answered as a stream.

use std::io::Cursor;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use doorward_git::{Asked, Bundle, GitError, Output, Service, protocol_version};
use doorward_wire::{RepositoryName, UploadQuestion};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Segments, answer, body_of, open, protocol, question};
use crate::admit::{Admitted, TurnedAway, Wish};
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;

pub(crate) async fn upload_pack(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    segments: Segments,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let limits = &app.settings.limits;
    let (name, request) =
        match open(Service::UploadPack, segments, &headers, body, limits.fetch_bytes, limits.idle_time) {
            Ok(opened) => opened,
            Err(refusal) => return refusal.respond(context.id),
        };
    let call = Call { app, context, headers, name };
    let answered = match protocol_version(protocol(&call.headers)) {
        2 => call.version_2(request).await,
        _ => call.leave_to_git(request, call.wish()).await,
    };
    answered.unwrap_or_else(|away| match away {
        Away::Turned(away) => away.respond(),
        Away::Refused(refusal) => refusal.respond(call.context.id),
    })
}

/// One request.
#[derive(Clone)]
struct Call {
    app: App,
    context: Context,
    headers: HeaderMap,
    name: RepositoryName,
}

/// Why a request is not answered as asked.
enum Away {
    Turned(Box<TurnedAway>),
    Refused(Box<Refusal>),
}

impl Call {
    fn wish(&self) -> Wish<'_> {
        Wish::git(Service::UploadPack.action(), &self.name)
    }

    /// What can be answered from memory, or with what is made for others too, waits for no place of its own.
    async fn version_2(&self, mut request: impl AsyncRead + Send + Unpin + 'static) -> Result<Response<Body>, Away> {
        let admitted = self.app.admit(&self.context, &self.headers, self.wish()).await?;
        let (began, mut begin) = (Instant::now(), Vec::new());
        let (asked, large) = question::read(&self.app, &mut request, &mut begin, Duration::ZERO).await;
        let admitted = self.still(admitted, began).await?;
        match asked {
            UploadQuestion::Refs(asked) => {
                if let Some(output) = self.app.repositories.open(&admitted.permit)?.list(&asked).await? {
                    return self.answer(admitted, output).await;
                }
            }
            UploadQuestion::Objects(asked) => {
                let (is_told, began) = (asked.takes_side_band_anywhere(), Instant::now());
                if let Some(answer) = self.app.repositories.open(&admitted.permit)?.ask(&asked).await? {
                    // Whoever waits need not keep the question.
                    drop((begin, asked, large));
                    return self.objects(admitted, answer, is_told, began).await;
                }
            }
            UploadQuestion::Bundles => {
                let bundle = self.app.repositories.open(&admitted.permit)?.bundle().await?;
                let id = self.app.tally(&self.context, self.wish(), admitted.decision).await?;
                let body = Body::from(Bundle::offer(bundle.as_ref()));
                return Ok(answer(Service::UploadPack, "result", body, id, admitted.noted));
            }
            UploadQuestion::Other | UploadQuestion::More => {}
        }
        self.leave_to_git(Cursor::new(begin).chain(request), self.wish().again()).await
    }

    async fn still(&self, admitted: Admitted, began: Instant) -> Result<Admitted, TurnedAway> {
        self.app.still(admitted, began, &self.context, &self.headers, self.wish()).await
    }

    /// The answer to a question for objects that was asked at a moment, as soon as it is made, or after it was told how long that takes.
    async fn objects(
        &self,
        admitted: Admitted,
        mut answer: Asked,
        is_told: bool,
        began: Instant,
    ) -> Result<Response<Body>, Away> {
        let patience = if is_told { QUIET } else { self.app.repositories.slots().patience() };
        if answer.called(patience).await? {
            let admitted = self.still(admitted, began).await?;
            return self.answer(admitted, answer.output()).await;
        }
        if !is_told {
            return Err(GitError::Busy(patience).into());
        }
        let (call, permitted) = (self.clone(), admitted.permit.target());
        let may = async move {
            let now = Context { at: call.app.clock.now(), ..call.context.clone() };
            match call.app.admit(&now, &call.headers, call.wish().again()).await {
                Ok(again) if again.permit.target() == permitted => Ok(()),
                Ok(_) => Err("the repository has gone meanwhile; try again".to_owned()),
                Err(away) => Err(format!("{}; {}", away.refusal.sentence, away.refusal.remedy)),
            }
        };
        self.answer(admitted, answer.output_when_called(may)).await
    }

    /// Lets git answer, for this client alone.
    async fn leave_to_git(
        &self,
        request: impl AsyncRead + Send + Unpin + 'static,
        wish: Wish<'_>,
    ) -> Result<Response<Body>, Away> {
        let (admitted, placed) = self.app.admit_to_place(&self.context, &self.headers, wish).await?;
        let noted = admitted.noted;
        let id = self.app.tally(&self.context, wish, admitted.decision).await?;
        Ok(match placed.fetch(protocol(&self.headers), request).await {
            Ok(output) => answer(Service::UploadPack, "result", body_of(output), id, noted),
            Err(error) => Refusal::from(error).respond_recorded(id),
        })
    }

    async fn answer(&self, admitted: Admitted, output: Output) -> Result<Response<Body>, Away> {
        let id = self.app.tally(&self.context, self.wish(), admitted.decision).await?;
        Ok(answer(Service::UploadPack, "result", body_of(output), id, admitted.noted))
    }
}

impl From<TurnedAway> for Away {
    fn from(away: TurnedAway) -> Self {
        Self::Turned(Box::new(away))
    }
}

impl From<Refusal> for Away {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<GitError> for Away {
    fn from(error: GitError) -> Self {
        Refusal::from(error).into()
    }
}

/// How long a client that can be told that it waits is left in silence.
pub(crate) const QUIET: Duration = Duration::from_secs(1);
