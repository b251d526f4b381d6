//! `POST …/git-upload-pack`: a question of clone or fetch, answered as a stream.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use doorward_git::{Service, protocol_version};
use doorward_wire::{ListQuestion, ListRequest};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Segments, answer, body_of, open, protocol};
use crate::admit::Wish;
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
    let (name, mut request) =
        match open(Service::UploadPack, segments, &headers, body, limits.fetch_bytes, limits.idle_time) {
            Ok(opened) => opened,
            Err(refusal) => return refusal.respond(context.id),
        };
    let mut wish = Wish::git(Service::UploadPack.action(), &name);
    let mut begin = Vec::new();
    if protocol_version(protocol(&headers)) == 2 {
        // A question for refs is answered from memory: it waits for no place, and takes no process.
        let admitted = match app.admit(&context, &headers, wish).await {
            Ok(admitted) => admitted,
            Err(away) => return away.respond(),
        };
        let began = Instant::now();
        let asked = asked(&mut request, &mut begin, limits.head_time).await;
        // What took long may have been sent with a credential that has ended since.
        let admitted = match began.elapsed() < LONG {
            true => admitted,
            false => {
                let now = Context { at: app.clock.now(), ..context.clone() };
                match app.admit(&now, &headers, wish.again()).await {
                    Ok(admitted) => admitted,
                    Err(away) => return away.respond(),
                }
            }
        };
        if let ListQuestion::Refs(asked) = asked {
            let listed = async { app.repositories.open(&admitted.permit)?.list(&asked).await };
            match listed.await {
                Ok(Some(output)) => {
                    let noted = admitted.noted;
                    return match app.tally(&context, wish, admitted.decision).await {
                        Ok(id) => answer(Service::UploadPack, "result", body_of(output), id, noted),
                        Err(refusal) => refusal.respond(context.id),
                    };
                }
                Ok(None) => {}
                Err(error) => return Refusal::from(error).respond(context.id),
            }
        }
        wish = wish.again();
    }
    let request = std::io::Cursor::new(begin).chain(request);
    let (admitted, placed) = match app.admit_to_place(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let noted = admitted.noted;
    let id = match app.tally(&context, wish, admitted.decision).await {
        Ok(id) => id,
        Err(refusal) => return refusal.respond(context.id),
    };
    match placed.fetch(protocol(&headers), request).await {
        Ok(output) => answer(Service::UploadPack, "result", body_of(output), id, noted),
        Err(error) => Refusal::from(error).respond_recorded(id),
    }
}

/// Reads as much of a request as tells whether it is for refs; all of it, if it is. What is read is in `bytes`.
async fn asked(request: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>, patience: Duration) -> ListQuestion {
    let began = Instant::now();
    loop {
        let begin = bytes.len();
        bytes.resize(begin + PIECE, 0);
        // What breaks off is met again by whoever reads on.
        let read = request.read(&mut bytes[begin..]).await.unwrap_or(0);
        bytes.truncate(begin + read);
        // It is read again only when it may have ended: who sends it byte by byte must not cost a look at all of it each time.
        let may_be_told = begin < COMMAND || bytes.ends_with(b"0000") || read == 0 || bytes.len() > LONGEST;
        if !may_be_told && began.elapsed() < patience {
            continue;
        }
        match ListRequest::read(bytes) {
            // Git has to say what is wrong with one that ends too soon, or is longer than any that is meant.
            ListQuestion::More if read == 0 || bytes.len() > LONGEST || began.elapsed() >= patience => {
                return ListQuestion::Other;
            }
            ListQuestion::More => {}
            asked => return asked,
        }
    }
}

/// Bytes that tell what is asked for.
const COMMAND: usize = 20;
/// Bytes of a question for refs; a longer one is git's to answer.
const LONGEST: usize = 64 * 1024;
/// How long a question may take to come before it is asked again who sends it.
const LONG: Duration = Duration::from_millis(500);
/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;
