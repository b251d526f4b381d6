//! What a request brings: kept until it was passed on, so that it can be passed on again.

use std::io;

use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Method, StatusCode};
use doorward_rules::{OwnFault, Reason, Surface};
use doorward_upstream::{Content, Seen};
use doorward_wire::RepositoryName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::Call;
use super::spools::SpoolPlace;
use crate::refusal::Refusal;
use crate::request_body;

/// What a request brings, and its place on the disk.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) content: Content,
    pub(super) place: Option<SpoolPlace>,
}

impl Kept {
    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self { content: Content::Bytes(bytes.into()), place: None }
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self::bytes(Vec::new())
    }
}

impl Call {
    /// What a request brings, as it came.
    pub(super) async fn content(
        &self,
        request: Request,
        surface: Surface,
        name: Option<&RepositoryName>,
    ) -> Result<Kept, Refusal> {
        if request.method() == Method::GET || request.method() == Method::HEAD {
            return Ok(Kept::default());
        }
        let limits = &self.app.settings.limits;
        // It is passed on compressed if it came so.
        let headers =
            HeaderMap::from_iter(self.headers.get(CONTENT_LENGTH).map(|length| (CONTENT_LENGTH, length.clone())));
        let body = request_body::open(request.into_body(), &headers, limits.push_bytes, limits.idle_time)?;
        self.keep(body, surface, name).await
    }

    /// Keeps what comes, in memory if it is little, until it has been passed on.
    pub(super) async fn keep(
        &self,
        mut body: impl AsyncRead + Unpin,
        surface: Surface,
        name: Option<&RepositoryName>,
    ) -> Result<Kept, Refusal> {
        let mut bytes = Vec::new();
        (&mut body).take(LITTLE).read_to_end(&mut bytes).await.map_err(|error| came_badly(&error))?;
        if (bytes.len() as u64) < LITTLE {
            return Ok(Kept::bytes(bytes));
        }
        self.known_to_upstream(surface, name).await?;
        let place = self.spool_place().await?;
        let (file, length) = self.keep_file(io::Cursor::new(bytes).chain(body)).await?;
        Ok(Kept { content: Content::File(file, length), place: Some(place) })
    }

    /// A place for a file, for whoever asks: with a token of this server that is the job, and not the gateway's own credential.
    pub(super) async fn spool_place(&self) -> Result<SpoolPlace, Refusal> {
        let of_job = self.asked.as_ref().map(|(_, headers)| self.upstream.caller(headers, Surface::Git).ok().flatten());
        let print = of_job.map_or_else(|| self.print(), |caller| caller.map(|caller| caller.print()));
        self.app.gateway.spools.take(print, self.app.repositories.slots().patience()).await
    }

    /// Keeps what comes in a file without a name.
    pub(super) async fn keep_file(&self, mut body: impl AsyncRead + Unpin) -> Result<(std::fs::File, u64), Refusal> {
        let no_room = |error: io::Error| {
            tracing::error!(%error, "what came for an upstream cannot be kept");
            Refusal::unavailable(OwnFault::Git)
        };
        let file = tempfile::tempfile_in(self.app.repositories.root()).map_err(no_room)?;
        let mut writer = tokio::fs::File::from_std(file.try_clone().map_err(no_room)?);
        let (mut buffer, mut length) = (vec![0; 64 * 1024], 0);
        loop {
            let read = body.read(&mut buffer).await.map_err(|error| came_badly(&error))?;
            if read == 0 {
                break;
            }
            writer.write_all(&buffer[..read]).await.map_err(no_room)?;
            if length / CHECKED != (length + read as u64) / CHECKED {
                self.app.gateway.spools.check_room()?;
            }
            length += read as u64;
        }
        writer.flush().await.map_err(no_room)?;
        Ok((file, length))
    }

    /// Sees to it that whoever sends much has been let in: that much is kept of nobody else.
    async fn known_to_upstream(&self, surface: Surface, name: Option<&RepositoryName>) -> Result<(), Refusal> {
        let Some(caller) = self.caller() else { return Err(Refusal::of_reason(&Reason::NothingPresented, surface)) };
        if self.asked.is_some() || self.upstream.knows(&caller, surface) {
            return Ok(());
        }
        // What is let in on git is; what is not may be a token for REST alone.
        let turned = match name {
            None => None,
            Some(name) => match self.seen(name).await {
                Seen::Refs(_) | Seen::Old => return Ok(()),
                Seen::Turned(turned) => Some(turned),
                Seen::Unanswered(unanswered) => return Err(Self::unanswered(&unanswered)),
            },
        };
        match turned.filter(|turned| surface != Surface::Rest || turned.is_of_credential()) {
            Some(turned) => Err(self.turned(&turned, surface)),
            None => {
                let vouched = self.upstream.vouch(&caller, self.app.clock.now()).await;
                let vouched = vouched.map_err(|unanswered| Self::unanswered(&unanswered))?;
                vouched.map_err(|turned| self.turned(&turned, surface))
            }
        }
    }
}

/// A request that broke off, or is longer than it may be.
fn came_badly(error: &io::Error) -> Refusal {
    let (status, remedy) = match error.kind() {
        io::ErrorKind::FileTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "send less at once"),
        _ => (StatusCode::BAD_REQUEST, "send it again; nothing was passed on"),
    };
    Refusal::new(status, "request_broken_off", format!("the request cannot be passed on: {error}"), remedy)
}

/// After how many bytes it is looked whether there is room for more.
const CHECKED: u64 = 64 * 1024 * 1024;
/// Bytes that are kept in memory.
const LITTLE: u64 = 256 * 1024;
