//! Tells a client that waits what is going on, in the side band that git shows as `remote:`.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use doorward_upstream::Print;
use doorward_wire::PktLine;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::git::QUIET;
use crate::refusal::Refusal;

/// What follows at last: pieces of an answer, or why there is none.
pub(super) type Work<S> = Pin<Box<dyn Future<Output = Result<S, Refusal>> + Send>>;

/// Which credentials' jobs have been told how to write them.
#[derive(Debug, Default)]
pub(super) struct Hints(Mutex<HashSet<Print>>);

impl Hints {
    pub(super) fn is_new(&self, print: Print) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST {
            told.clear();
        }
        told.insert(print)
    }
}

/// The answer when the work is done, or a body that tells how it goes on if that takes a while and the client can be told. `whole` makes
/// a body of an answer that is there at once.
///
/// # Errors
/// The refusal, if the client cannot be told so in the body.
pub(super) async fn told_in_time<S>(
    mut work: Work<S>,
    hint: Option<String>,
    is_told: bool,
    weather: impl Fn() -> Option<String> + Send + Sync + 'static,
    whole: impl FnOnce(S) -> Body,
) -> Result<Body, Refusal>
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static,
{
    match timeout(QUIET, &mut work).await {
        Ok(Ok(answer)) => Ok(match hint {
            None => whole(answer),
            Some(hint) => Body::from_stream(futures_util::stream::iter([Ok(line(&hint))]).chain(answer)),
        }),
        Ok(Err(refusal)) => said(refusal, is_told),
        Err(_) if is_told => Ok(telling(hint, work, weather)),
        Err(_) => Ok(whole(work.await?)),
    }
}

/// A body that begins at once: with what is told first, then with what `weather` says while the work takes its time, then with the
/// answer. An error is told, too.
fn telling<S>(
    first: Option<String>,
    mut work: Work<S>,
    weather: impl Fn() -> Option<String> + Send + Sync + 'static,
) -> Body
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static,
{
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(PIECES);
    tokio::spawn(async move {
        let told = async {
            if let Some(first) = first {
                sender.send(Ok(line(&first))).await.ok()?;
            }
            let mut said = None;
            let done = loop {
                if let Ok(done) = timeout(TICK, &mut work).await {
                    break done;
                }
                let now = weather();
                let text = now.clone().filter(|_| now != said).map_or_else(String::new, |text| format!("{text}\n"));
                said = now;
                sender.send(Ok(band(2, text.as_bytes()))).await.ok()?;
            };
            match done {
                Ok(mut answer) => {
                    while let Some(piece) = answer.next().await {
                        sender.send(piece).await.ok()?;
                    }
                }
                Err(refusal) => sender.send(Ok(end(&refusal))).await.ok()?,
            }
            Some(())
        };
        tokio::select! {
            _ = told => {}
            // Whoever does not listen any more need not be told.
            () = sender.closed() => {}
        }
    });
    Body::from_stream(futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}

/// Why there is no answer, told where git shows it: it shows nothing of the body of a request that failed, but for the first one of a
/// command.
///
/// # Errors
/// The refusal itself, if the client cannot be told so, or must know by its status that the credential is none.
fn said(refusal: Refusal, is_told: bool) -> Result<Body, Refusal> {
    if !is_told || refusal.status == StatusCode::UNAUTHORIZED {
        return Err(refusal);
    }
    Ok(Body::from(end(&refusal)))
}

fn end(refusal: &Refusal) -> Bytes {
    let why = format!("{}; {}", refusal.sentence, refusal.remedy);
    [&band(3, why.as_bytes())[..], b"0000"].concat().into()
}

/// A line that git shows.
fn line(text: &str) -> Bytes {
    band(2, format!("{text}\n").as_bytes())
}

/// One packet of a side band. An empty one is a sign of life; of the first band git takes none.
fn band(band: u8, bytes: &[u8]) -> Bytes {
    PktLine::side_band(band, &bytes[..bytes.len().min(LONGEST)]).into()
}

/// How often a client hears of us that waits.
const TICK: Duration = Duration::from_secs(5);
const PIECES: usize = 4;
/// Bytes of one packet.
const LONGEST: usize = 65_000;
/// How many credentials are remembered.
const MOST: usize = 10_000;
