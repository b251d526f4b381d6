//! The question of a fetch: read as far as it takes to tell what it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward_wire::UploadQuestion;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::app::App;

/// Reads as much of a request as tells what it asks; all of it, if it is something that is not git's to answer. What is read is
/// in `bytes`. A large one has leave to be held in memory until what comes with it is dropped, for which it is waited for so long.
pub(crate) async fn read(
    app: &App,
    request: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    wait: Duration,
) -> (UploadQuestion, Option<OwnedSemaphorePermit>) {
    let (began, patience) = (Instant::now(), app.settings.limits.head_time);
    let mut large = None;
    loop {
        let begin = bytes.len();
        bytes.resize(begin + PIECE, 0);
        let read = request.read(&mut bytes[begin..]).await;
        bytes.truncate(begin + *read.as_ref().unwrap_or(&0));
        // What breaks off is met again by whoever reads on.
        let Ok(read) = read else { return (UploadQuestion::Other, None) };
        if large.is_none() && bytes.len() > PIECE {
            // More at once are git's to answer, which reads them as they come.
            match timeout(wait, Arc::clone(&app.large_questions).acquire_owned()).await {
                Ok(Ok(leave)) => large = Some(leave),
                _ => return (UploadQuestion::Other, None),
            }
        }
        // It is looked at again only at its end: who sends it byte by byte must not cost a look at all of it each time.
        let may_be_told = begin < COMMAND || read == 0 || bytes.len() > LONGEST;
        if !may_be_told && began.elapsed() < patience {
            continue;
        }
        match UploadQuestion::read(bytes) {
            // Git has to say what is wrong with one that ends too soon, or is longer than any that is meant.
            UploadQuestion::More if read == 0 || bytes.len() > LONGEST || began.elapsed() >= patience => {
                return (UploadQuestion::Other, None);
            }
            UploadQuestion::More => {}
            // What comes after the end of a question makes it another.
            UploadQuestion::Refs(_) | UploadQuestion::Objects(_) | UploadQuestion::Bundles if read > 0 => {}
            asked => return (asked, large),
        }
    }
}

/// Bytes that tell what is asked for.
const COMMAND: usize = 20;
/// Bytes of a question; a longer one is git's to answer. Some ten thousand objects are named in so many.
const LONGEST: usize = 512 * 1024;
/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;
